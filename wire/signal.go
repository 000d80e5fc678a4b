package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"causeway/failpoint"
)

// keptSessions bounds the sessions and identities held in memory for one login.
const keptSessions = 256

// errStore marks failures of the store, which are nobody's bad message: what was
// being done must be done again later.
var errStore = errors.New("the store failed")

// signalState gives the connection library its store interfaces over a [Store],
// with the session guard and a write-through cache of sessions and identities. The
// cache is sound because one process owns a login, and because it is emptied
// whenever a transaction fails.
type signalState struct {
	rows  Store
	guard *Guard
	// padded says that padding follows the plaintexts.
	padded     bool
	sessions   *lru[string, []byte] // nil for an address known to have none
	identities *lru[string, []byte]
}

var (
	_ store.IdentityStore = (*signalState)(nil)
	_ store.SessionStore  = (*signalState)(nil)
	_ store.PreKeyStore   = (*signalState)(nil)
)

func newSignalState(rows Store) *signalState {
	return &signalState{
		rows:       rows,
		guard:      NewGuard(),
		padded:     true,
		sessions:   newLRU[string, []byte](keptSessions),
		identities: newLRU[string, []byte](keptSessions),
	}
}

// change runs fn as holder of the guard and in one transaction: all of its rows or
// none. A panic undoes the transaction and becomes an error.
func (s *signalState) change(ctx context.Context, fn func(context.Context) error) error {
	if failpoint.Without(failpoint.Guard) {
		return s.guard.Do(ctx, fn) // and no transaction, which would keep others waiting as well
	}
	return s.guard.Do(ctx, func(ctx context.Context) error {
		var failure error
		err := s.rows.Transaction(ctx, func(ctx context.Context) error {
			failure = guarded(func() error { return fn(ctx) })
			return failure
		})
		if err == nil {
			return nil
		}
		s.sessions.clear()
		s.identities.clear()
		if failure != nil {
			return failure
		}
		return storeFailure("commit", err)
	})
}

func storeFailure(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w to %s: %w", errStore, what, err)
}

func (s *signalState) identity(ctx context.Context, address string) ([]byte, error) {
	if key, ok := s.identities.get(address); ok {
		return key, nil
	}
	key, err := s.rows.Identity(ctx, address)
	if err != nil {
		return nil, storeFailure("read an identity", err)
	}
	s.identities.put(address, key)
	return key, nil
}

// PutIdentity stores an identity key unless it is already the stored one.
func (s *signalState) PutIdentity(ctx context.Context, address string, key [32]byte) error {
	known, err := s.identity(ctx, address)
	if err != nil || bytes.Equal(known, key[:]) {
		return err
	}
	s.identities.drop(address)
	if err = s.rows.PutIdentity(ctx, address, key[:]); err != nil {
		return storeFailure("write an identity", err)
	}
	s.identities.put(address, key[:])
	return nil
}

// DeleteIdentity forgets one address.
func (s *signalState) DeleteIdentity(ctx context.Context, address string) error {
	s.identities.drop(address)
	return storeFailure("delete an identity", s.rows.DeleteIdentity(ctx, address))
}

// DeleteAllIdentities forgets a user, who has one device here: number 0.
func (s *signalState) DeleteAllIdentities(ctx context.Context, user string) error {
	return s.DeleteIdentity(ctx, user+":0")
}

// IsTrustedIdentity trusts the first key seen of an address, and then only that.
func (s *signalState) IsTrustedIdentity(ctx context.Context, address string, key [32]byte) (bool, error) {
	known, err := s.identity(ctx, address)
	return err == nil && (known == nil || bytes.Equal(known, key[:])), err
}

// GetManySessions reads sessions; addresses without one map to nil.
func (s *signalState) GetManySessions(ctx context.Context, addresses []string) (map[string][]byte, error) {
	if !s.guard.Held(ctx) {
		return nil, errUnguarded
	}
	found := make(map[string][]byte, len(addresses))
	var missing []string
	for _, address := range addresses {
		if session, ok := s.sessions.get(address); ok {
			found[address] = session
		} else {
			missing = append(missing, address)
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	rows, err := s.rows.Sessions(ctx, missing)
	if err != nil {
		return nil, storeFailure("read sessions", err)
	}
	for _, address := range missing {
		found[address] = rows[address]
		s.sessions.put(address, rows[address])
	}
	return found, nil
}

// GetSession reads one session, nil if there is none.
func (s *signalState) GetSession(ctx context.Context, address string) ([]byte, error) {
	found, err := s.GetManySessions(ctx, []string{address})
	return found[address], err
}

// HasSession says whether there is a session.
func (s *signalState) HasSession(ctx context.Context, address string) (bool, error) {
	session, err := s.GetSession(ctx, address)
	return session != nil, err
}

// PutManySessions stores sessions.
func (s *signalState) PutManySessions(ctx context.Context, sessions map[string][]byte) error {
	if !s.guard.Held(ctx) {
		return errUnguarded
	}
	for address := range sessions {
		s.sessions.drop(address)
	}
	if err := s.rows.PutSessions(ctx, sessions); err != nil {
		return storeFailure("write sessions", err)
	}
	for address, session := range sessions {
		s.sessions.put(address, session)
	}
	return nil
}

// PutSession stores one session.
func (s *signalState) PutSession(ctx context.Context, address string, session []byte) error {
	return s.PutManySessions(ctx, map[string][]byte{address: session})
}

// DeleteSession forgets one session.
func (s *signalState) DeleteSession(ctx context.Context, address string) error {
	if !s.guard.Held(ctx) {
		return errUnguarded
	}
	s.sessions.drop(address)
	return storeFailure("delete a session", s.rows.DeleteSession(ctx, address))
}

// DeleteAllSessions forgets the session with a user, who has one device here: number 0.
func (s *signalState) DeleteAllSessions(ctx context.Context, user string) error {
	return s.DeleteSession(ctx, user+":0")
}

// MigratePNToLID does nothing: these logins address nobody by phone number (docs/protocol.md#identifiers).
func (s *signalState) MigratePNToLID(context.Context, types.JID, types.JID) error { return nil }

// Identity is the identity key last seen of a person, and whether one was seen at all.
func (c *Client) Identity(ctx context.Context, person types.JID) (key [32]byte, known bool, err error) {
	raw, err := c.signal.identity(ctx, person.SignalAddress().String())
	if err != nil || len(raw) != len(key) {
		return key, false, err
	}
	return [32]byte(raw), true, nil
}

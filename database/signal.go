package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"go.mau.fi/util/dbutil"
)

// SignalStore is the Signal state of one interop login. Missing rows are nil, not
// an error. Its methods work in the transaction of their context, if there is one.
type SignalStore struct {
	db      *Database
	loginID string
}

// SignalStore opens the Signal store of one login; it does no I/O.
func (db *Database) SignalStore(loginID string) *SignalStore {
	return &SignalStore{db: db, loginID: loginID}
}

// signalTables are all tables that hold a login's Signal state.
func signalTables() []string {
	return []string{
		"cw_signal_keys", "cw_signal_identity", "cw_signal_session", "cw_signal_prekey",
		"cw_signal_prekey_counter", "cw_signal_opened", "cw_signal_sent", "cw_signal_signed_prekey",
	}
}

const (
	getSignalKeysQuery = `SELECT packed FROM cw_signal_keys WHERE login_id = $1`
	putSignalKeysQuery = `INSERT INTO cw_signal_keys (login_id, packed) VALUES ($1, $2)`

	getIdentityQuery    = `SELECT key FROM cw_signal_identity WHERE login_id = $1 AND address = $2`
	deleteIdentityQuery = `DELETE FROM cw_signal_identity WHERE login_id = $1 AND address = $2`
	putIdentityQuery    = `
		INSERT INTO cw_signal_identity (login_id, address, key) VALUES ($1, $2, $3)
		ON CONFLICT (login_id, address) DO UPDATE SET key = excluded.key`

	getSessionsQuery   = `SELECT address, session FROM cw_signal_session WHERE login_id = $1 AND address IN (%s)`
	deleteSessionQuery = `DELETE FROM cw_signal_session WHERE login_id = $1 AND address = $2`
	putSessionsQuery   = `
		INSERT INTO cw_signal_session (login_id, address, session) VALUES %s
		ON CONFLICT (login_id, address) DO UPDATE SET session = excluded.session`
)

// RenameSignalStore moves a login's Signal state to another id: keys are made before the network
// has given out the account. It fails if the new id has any state.
func (db *Database) RenameSignalStore(ctx context.Context, from, to string) error {
	return db.DoTxn(ctx, nil, func(ctx context.Context) error {
		for _, table := range signalTables() {
			var taken bool
			err := db.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+table+" WHERE login_id = $1)", to).Scan(&taken)
			if err != nil {
				return fmt.Errorf("failed to rename a signal store: %w", err)
			} else if taken {
				return fmt.Errorf("failed to rename a signal store: %s already has state", to)
			}
			if _, err = db.Exec(ctx, "UPDATE "+table+" SET login_id = $2 WHERE login_id = $1", from, to); err != nil {
				return fmt.Errorf("failed to rename a signal store: %w", err)
			}
		}
		return nil
	})
}

// DeleteSignalStore deletes a login's Signal state for good, keys included.
func (db *Database) DeleteSignalStore(ctx context.Context, loginID string) error {
	return db.DoTxn(ctx, nil, func(ctx context.Context) error {
		for _, table := range signalTables() {
			if _, err := db.Exec(ctx, "DELETE FROM "+table+" WHERE login_id = $1", loginID); err != nil {
				return fmt.Errorf("failed to delete a signal store: %w", err)
			}
		}
		return nil
	})
}

// ForgetSignalSessions ends the Signal sessions of all logins, and their one-time prekeys: the next message to or from
// anybody begins a new session, with keys that nobody has used. Own keys and identities stay.
func (db *Database) ForgetSignalSessions(ctx context.Context) error {
	return db.DoTxn(ctx, nil, func(ctx context.Context) error {
		for _, table := range []string{"cw_signal_session", "cw_signal_prekey"} {
			if _, err := db.Exec(ctx, "DELETE FROM "+table); err != nil {
				return fmt.Errorf("failed to forget Signal sessions: %w", err)
			}
		}
		return nil
	})
}

// Transaction is [Database.Transaction].
func (s *SignalStore) Transaction(ctx context.Context, fn func(context.Context) error) error {
	return s.db.Transaction(ctx, fn)
}

// PrivateKeys are the login's packed keys.
func (s *SignalStore) PrivateKeys(ctx context.Context) ([]byte, error) {
	return s.bytes(ctx, getSignalKeysQuery, s.loginID)
}

// PutPrivateKeys stores the login's packed keys; a second set is refused.
func (s *SignalStore) PutPrivateKeys(ctx context.Context, packed []byte) error {
	return s.exec(ctx, putSignalKeysQuery, s.loginID, packed)
}

// Identity is the identity key of a Signal address.
func (s *SignalStore) Identity(ctx context.Context, address string) ([]byte, error) {
	return s.bytes(ctx, getIdentityQuery, s.loginID, address)
}

// PutIdentity stores the identity key of a Signal address.
func (s *SignalStore) PutIdentity(ctx context.Context, address string, key []byte) error {
	return s.exec(ctx, putIdentityQuery, s.loginID, address, key)
}

// DeleteIdentity forgets the identity key of a Signal address.
func (s *SignalStore) DeleteIdentity(ctx context.Context, address string) error {
	return s.exec(ctx, deleteIdentityQuery, s.loginID, address)
}

// Sessions are the sessions with Signal addresses, without those that have none.
func (s *SignalStore) Sessions(ctx context.Context, addresses []string) (map[string][]byte, error) {
	found := make(map[string][]byte, len(addresses))
	if len(addresses) == 0 {
		return found, nil
	}
	args := make([]any, 0, len(addresses)+1)
	args = append(args, s.loginID)
	for _, address := range addresses {
		args = append(args, address)
	}
	rows, err := s.db.Query(ctx, fmt.Sprintf(getSessionsQuery, placeholders(2, len(addresses))), args...)
	err = dbutil.NewRowIterWithError(rows, scanKeyed[string], err).Iter(func(row keyed[string]) (bool, error) {
		found[row.key] = row.value
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("failed to read signal sessions: %w", err)
	}
	return found, nil
}

// PutSessions stores sessions in one statement.
func (s *SignalStore) PutSessions(ctx context.Context, sessions map[string][]byte) error {
	if len(sessions) == 0 {
		return nil
	}
	var tuples []string
	args := []any{s.loginID}
	for address, session := range sessions {
		args = append(args, address, session)
		tuples = append(tuples, fmt.Sprintf("($1, $%d, $%d)", len(args)-1, len(args)))
	}
	return s.exec(ctx, fmt.Sprintf(putSessionsQuery, strings.Join(tuples, ", ")), args...)
}

// DeleteSession forgets the session with a Signal address.
func (s *SignalStore) DeleteSession(ctx context.Context, address string) error {
	return s.exec(ctx, deleteSessionQuery, s.loginID, address)
}

// keyed is a row of a key and bytes.
type keyed[K any] struct {
	key   K
	value []byte
}

func scanKeyed[K any](row dbutil.Scannable) (found keyed[K], err error) {
	err = row.Scan(&found.key, &found.value)
	return found, err
}

// placeholders is "$first, …", count of them.
func placeholders(first, count int) string {
	parts := make([]string, count)
	for i := range parts {
		parts[i] = fmt.Sprintf("$%d", first+i)
	}
	return strings.Join(parts, ", ")
}

// bytes reads one column of one row, nil if there is none.
func (s *SignalStore) bytes(ctx context.Context, query string, args ...any) (value []byte, err error) {
	err = s.db.QueryRow(ctx, query, args...).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("failed to read the signal store: %w", err)
	}
	return value, nil
}

func (s *SignalStore) exec(ctx context.Context, query string, args ...any) error {
	if _, err := s.db.Exec(ctx, query, args...); err != nil {
		return fmt.Errorf("failed to write the signal store: %w", err)
	}
	return nil
}

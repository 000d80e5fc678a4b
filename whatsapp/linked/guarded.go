package linked

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"causeway/wire"
)

const (
	// longestHold is how long a message on its way out may hold the sessions: fetching the keys of new devices is part of it.
	longestHold = 30 * time.Second
	// longestLoose is how long the sessions are held for a use that has no end of its own, such as answering a retry.
	longestLoose = 2 * time.Second
)

// errExpired says that sessions were to be stored after their hold had ended: what was done with them is void.
var errExpired = errors.New("signal sessions were held for too long")

// sending is the hold of one message on its way out: from reading its sessions until they are stored. It travels in the context.
type sending struct {
	mu      sync.Mutex
	release func()
	expired bool
	timer   *time.Timer
}

type sendingKey struct{}

// withSending lets a message hold the sessions; end must be called when it is out.
func withSending(ctx context.Context) (sendCtx context.Context, end func()) {
	s := &sending{}
	return context.WithValue(ctx, sendingKey{}, s), s.end
}

func (s *sending) begin(ctx context.Context, guard *wire.Guard) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.release != nil {
		return nil
	}
	release, err := guard.Hold(ctx)
	if err != nil {
		return err
	}
	s.release, s.expired = release, false
	s.timer = time.AfterFunc(longestHold, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.release != nil {
			s.release()
			s.release, s.expired = nil, true
		}
	})
	return nil
}

// store runs fn as the end of the hold.
func (s *sending) store(fn func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.release == nil {
		return errExpired
	}
	err := fn()
	s.timer.Stop()
	s.release()
	s.release = nil
	return err
}

func (s *sending) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.release != nil {
		s.timer.Stop()
		s.release()
		s.release = nil
	}
}

// sessions is the library's session store behind the login's guard: whoever reads a session to change it holds
// the guard until it is stored. Decryption holds it by [eventBuffer], messages on their way out by [sending], and all
// else from one read to the next store of the same session, for a moment.
type sessions struct {
	store.SessionStore
	guard *wire.Guard

	mu    sync.Mutex
	loose *looseHold
}

// looseHold is the hold of a use that has no end of its own.
type looseHold struct {
	address string
	release func()
	timer   *time.Timer
}

func (s *sessions) GetSession(ctx context.Context, address string) ([]byte, error) {
	if !s.guard.Held(ctx) {
		if out, ok := ctx.Value(sendingKey{}).(*sending); ok {
			if err := out.begin(ctx, s.guard); err != nil {
				return nil, err
			}
		} else if err := s.holdLoosely(ctx, address); err != nil {
			return nil, err
		}
	}
	return s.SessionStore.GetSession(ctx, address)
}

func (s *sessions) GetManySessions(ctx context.Context, addresses []string) (map[string][]byte, error) {
	if out, ok := ctx.Value(sendingKey{}).(*sending); ok && !s.guard.Held(ctx) {
		if err := out.begin(ctx, s.guard); err != nil {
			return nil, err
		}
	}
	return s.SessionStore.GetManySessions(ctx, addresses)
}

func (s *sessions) PutSession(ctx context.Context, address string, session []byte) error {
	put := func() error { return s.SessionStore.PutSession(ctx, address, session) }
	if s.guard.Held(ctx) {
		return put()
	} else if out, ok := ctx.Value(sendingKey{}).(*sending); ok {
		return out.store(put)
	}
	return s.storeLoosely(address, put)
}

func (s *sessions) PutManySessions(ctx context.Context, changed map[string][]byte) error {
	put := func() error { return s.SessionStore.PutManySessions(ctx, changed) }
	if out, ok := ctx.Value(sendingKey{}).(*sending); ok && !s.guard.Held(ctx) {
		return out.store(put)
	}
	return s.guard.Do(ctx, func(context.Context) error { return put() })
}

// DeleteSession and DeleteAllSessions end sessions for good; whoever holds them loosely has nothing left to store.
func (s *sessions) DeleteSession(ctx context.Context, address string) error {
	return s.change(ctx, func(ctx context.Context) error { return s.SessionStore.DeleteSession(ctx, address) })
}

func (s *sessions) DeleteAllSessions(ctx context.Context, user string) error {
	return s.change(ctx, func(ctx context.Context) error { return s.SessionStore.DeleteAllSessions(ctx, user) })
}

// MigratePNToLID moves a person's sessions from the phone number to the LID.
func (s *sessions) MigratePNToLID(ctx context.Context, pn, lid types.JID) error {
	return s.change(ctx, func(ctx context.Context) error { return s.SessionStore.MigratePNToLID(ctx, pn, lid) })
}

// change runs fn as holder, whoever holds for this context.
func (s *sessions) change(ctx context.Context, fn func(context.Context) error) error {
	if out, ok := ctx.Value(sendingKey{}).(*sending); ok {
		out.mu.Lock()
		held := out.release != nil
		out.mu.Unlock()
		if held {
			return fn(ctx)
		}
	}
	return s.guard.Do(ctx, fn)
}

func (s *sessions) holdLoosely(ctx context.Context, address string) error {
	s.mu.Lock()
	mine := s.loose != nil && s.loose.address == address
	s.mu.Unlock()
	if mine {
		return nil // read again before it is stored
	}
	release, err := s.guard.Hold(ctx)
	if err != nil {
		return err
	}
	hold := &looseHold{address: address, release: release}
	s.mu.Lock()
	defer s.mu.Unlock()
	hold.timer = time.AfterFunc(longestLoose, func() { s.endLoosely(hold) })
	s.loose = hold
	return nil
}

// endLoosely ends a hold, unless it has ended.
func (s *sessions) endLoosely(hold *looseHold) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loose == hold {
		s.loose = nil
		hold.release()
	}
}

func (s *sessions) storeLoosely(address string, put func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	hold := s.loose
	if hold == nil || hold.address != address {
		return errExpired
	}
	err := put()
	hold.timer.Stop()
	s.loose = nil
	hold.release()
	return err
}

// eventBuffer is the library's buffer of opened messages: opening one is one commit with the session's step, under the guard.
type eventBuffer struct {
	store.EventBuffer
	guard *wire.Guard
}

// DoDecryptionTxn runs fn as holder of the guard and in one transaction. A panic undoes the transaction and becomes an error.
func (b *eventBuffer) DoDecryptionTxn(ctx context.Context, fn func(context.Context) error) error {
	return b.guard.Do(ctx, func(ctx context.Context) error {
		return b.EventBuffer.DoDecryptionTxn(ctx, func(ctx context.Context) error {
			return guarded(func() error { return fn(ctx) })
		})
	})
}

// guarded runs fn and turns a panic into an error.
func guarded(fn func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return fn()
}

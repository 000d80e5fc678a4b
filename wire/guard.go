package wire

import (
	"context"
	"errors"

	"causeway/failpoint"
)

// Guard is the one lock around a login's Signal sessions. Whoever reads a session
// holds it until the session is stored again: two users of one ratchet at a time lose
// messages. The holder travels in the context.
type Guard struct{ slot chan struct{} }

type guardKey struct{}

// errUnguarded is a fault of ours: a session was touched without the guard.
var errUnguarded = errors.New("signal session used without its guard")

// NewGuard makes a guard that nobody holds.
func NewGuard() *Guard { return &Guard{slot: make(chan struct{}, 1)} }

// Do runs fn as holder. A holder that calls it again keeps holding.
func (g *Guard) Do(ctx context.Context, fn func(context.Context) error) error {
	if g.Held(ctx) {
		return fn(ctx)
	}
	release, err := g.Hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	return fn(context.WithValue(ctx, guardKey{}, g))
}

// Hold waits for the guard and returns how to let it go again, once. It is for holders whose reading and storing no
// single function covers; [Guard.Do] is for all others.
func (g *Guard) Hold(ctx context.Context) (release func(), err error) {
	if failpoint.Without(failpoint.Guard) {
		return func() {}, nil
	}
	select {
	case g.slot <- struct{}{}:
		return func() { <-g.slot }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Held says whether the holder that ctx belongs to holds the guard.
func (g *Guard) Held(ctx context.Context) bool {
	return ctx.Value(guardKey{}) == g
}

package wire

import (
	"context"
	"errors"
)

// guard is the one lock around a login's Signal sessions. Whoever reads a session
// holds it until the session is stored again: two users of one ratchet at a time lose
// messages. The holder travels in the context.
type guard struct{ slot chan struct{} }

type guardKey struct{}

// errUnguarded is a fault of ours: a session was touched without the guard.
var errUnguarded = errors.New("signal session used without its guard")

func newGuard() *guard { return &guard{slot: make(chan struct{}, 1)} }

// do runs fn as holder. A holder that calls it again keeps holding.
func (g *guard) do(ctx context.Context, fn func(context.Context) error) error {
	if g.held(ctx) {
		return fn(ctx)
	}
	select {
	case g.slot <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g.slot }()
	return fn(context.WithValue(ctx, guardKey{}, g))
}

func (g *guard) held(ctx context.Context) bool {
	return ctx.Value(guardKey{}) == g
}

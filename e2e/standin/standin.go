// Package standin stands in for server behaviour that the test homeserver lacks: it
// reads what a real homeserver would push to an application service (redactions,
// typing, read receipts) from a user's /sync and pushes it to the bridge.
//
// It is never part of the product. What passes with it proves how the bridge handles
// such events, not that a homeserver sends them; tests that need it end in _StandIn.
package standin

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Line says, for logs and the demo's greeting, which behaviour is played for which server.
const Line = "stand-in: plays the pushing of redactions, typing and read receipts to the bridge, which Dendrite 0.15 does not do"

const retryPause = 200 * time.Millisecond

// Options say between whom the stand-in stands.
type Options struct {
	// Homeserver is the homeserver's client address.
	Homeserver string
	// PuppetToken may sync as any local user (the double-puppet registration's as_token).
	PuppetToken string
	// Bridge is the application service's address, BridgeToken its hs_token.
	Bridge, BridgeToken string
	// Log takes the one line that each start writes.
	Log func(line string)
}

// StandIn is a running stand-in.
type StandIn struct {
	options Options
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	client  http.Client
	count   atomic.Int64
}

// Start starts a stand-in that watches nobody yet.
func Start(options Options) *StandIn {
	options.Log(Line)
	ctx, stop := context.WithCancel(context.Background())
	return &StandIn{options: options, ctx: ctx, stop: stop}
}

// Watch pushes what the user does from now on.
func (s *StandIn) Watch(ctx context.Context, user string) error {
	since, _, err := s.sync(ctx, user, "")
	if err != nil {
		return fmt.Errorf("stand-in failed to watch %s: %w", user, err)
	}
	s.running.Go(func() { s.follow(user, since) })
	return nil
}

// Stop ends all watching and waits for it.
func (s *StandIn) Stop() {
	s.stop()
	s.running.Wait()
}

func (s *StandIn) follow(user, since string) {
	for s.ctx.Err() == nil {
		next, found, err := s.sync(s.ctx, user, since)
		if err != nil {
			s.pause()
			continue
		}
		since = next
		if !found.empty() {
			s.deliver(found)
		}
	}
}

// deliver pushes until the bridge takes it, as a homeserver would.
func (s *StandIn) deliver(found transaction) {
	// A prefix of its own keeps these ids apart from the homeserver's.
	id := fmt.Sprintf("standin-%d-%d", time.Now().UnixNano(), s.count.Add(1))
	for s.ctx.Err() == nil {
		if err := s.push(s.ctx, id, found); err == nil {
			return
		}
		s.pause()
	}
}

func (s *StandIn) pause() {
	select {
	case <-s.ctx.Done():
	case <-time.After(retryPause):
	}
}

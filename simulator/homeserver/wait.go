package homeserver

import (
	"context"
	"fmt"
)

// waiter is somebody who wants to know when something changes: a /sync, or a test (user is empty then).
type waiter struct {
	user string
	wake chan struct{} // holds one
}

func (hs *Server) newWaiter(user string) *waiter {
	w := &waiter{user: user, wake: make(chan struct{}, 1)}
	hs.waiters[w] = struct{}{}
	return w
}

func (hs *Server) dropWaiter(w *waiter) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	delete(hs.waiters, w)
}

func (w *waiter) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// wakeRoom wakes everybody with a membership in a room.
func (hs *Server) wakeRoom(rm *room) {
	for w := range hs.waiters {
		if _, concerned := rm.members[w.user]; concerned || w.user == "" {
			w.nudge()
		}
	}
}

func (hs *Server) wakeUser(userID string) {
	for w := range hs.waiters {
		if w.user == userID || w.user == "" {
			w.nudge()
		}
	}
}

// Await waits for an event, past or future, of any room.
func (hs *Server) Await(ctx context.Context, match func(Event) bool) (Event, error) {
	hs.mu.Lock()
	w := hs.newWaiter("")
	hs.mu.Unlock()
	defer hs.dropWaiter(w)
	seen := 0
	for {
		hs.mu.Lock()
		news := make([]Event, 0, len(hs.events)-seen)
		for _, e := range hs.events[seen:] {
			news = append(news, e.Event)
		}
		hs.mu.Unlock()
		for _, ev := range news {
			if match(ev) {
				return ev, nil
			}
		}
		seen += len(news)
		select {
		case <-w.wake:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("failed to see the event: %w", ctx.Err())
		}
	}
}

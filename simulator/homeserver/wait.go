package homeserver

import (
	"context"
	"fmt"
	"sort"
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

// Await waits for an event of any room whose position is greater than after (0: any), past or future. Events are shown
// to match in order, each once.
func (hs *Server) Await(ctx context.Context, after int64, match func(Event) bool) (Event, error) {
	hs.mu.Lock()
	w := hs.newWaiter("")
	hs.mu.Unlock()
	defer hs.dropWaiter(w)
	for {
		news := hs.eventsAfter(after)
		for _, ev := range news {
			if match(ev) {
				return ev, nil
			}
			after = ev.Position
		}
		if len(news) > 0 {
			continue
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("failed to see the event: %w", ctx.Err())
		}
	}
}

// eventsAfter copies some events at a time, so that a long history does not stop the server.
func (hs *Server) eventsAfter(position int64) []Event {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	first := sort.Search(len(hs.events), func(i int) bool { return hs.events[i].Position > position })
	last := min(len(hs.events), first+1000)
	copies := make([]Event, 0, last-first)
	for _, e := range hs.events[first:last] {
		copies = append(copies, e.Event)
	}
	return copies
}

package delivery

import (
	"sync"
	"time"
)

// Flood bounds what somebody may send: a Matrix user to networks, or a person on a network to a login. Whoever sends faster than
// Rate waits, and nothing is lost.
type Flood struct {
	// Rate is messages a second in the long run, zero for no bound.
	Rate float64
	// Burst is how many may be sent at once after a pause, at least one.
	Burst int
	// Waiting is how many may wait to be sent; more are refused. Zero is no bound.
	Waiting int
}

// flood counts what users or people send.
type flood struct {
	Flood
	lock sync.Mutex
	// full says when each user's burst will be whole again; users that are not in it have all of theirs.
	full map[string]time.Time
	// waiting counts the messages of each user that wait.
	waiting map[string]int
}

// floodUsers is how many users are remembered before those are forgotten whose burst is whole.
const floodUsers = 1024

// take takes the right to send one message now. Otherwise it returns how long to wait before asking again.
func (f *flood) take(user string, now time.Time) (wait time.Duration) {
	if f.Rate <= 0 {
		return 0
	}
	each := time.Duration(float64(time.Second) / f.Rate)
	f.lock.Lock()
	defer f.lock.Unlock()
	full := f.full[user]
	if full.Before(now) {
		full = now
	}
	full = full.Add(each)
	if wait = full.Sub(now) - time.Duration(max(f.Burst, 1))*each; wait > 0 {
		return wait
	}
	if f.full == nil {
		f.full = map[string]time.Time{}
	}
	if len(f.full) >= floodUsers {
		for other, whole := range f.full {
			if whole.Before(now) {
				delete(f.full, other)
			}
		}
	}
	f.full[user] = full
	return 0
}

// count changes and returns how many messages of a user wait.
func (f *flood) count(user string, by int) int {
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.waiting == nil {
		f.waiting = map[string]int{}
	}
	f.waiting[user] += by
	left := f.waiting[user]
	if left <= 0 {
		delete(f.waiting, user)
	}
	return left
}

// over says that a user has as many messages waiting as may.
func (f *flood) over(user string) bool { return f.Waiting > 0 && f.count(user, 0) >= f.Waiting }

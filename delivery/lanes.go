package delivery

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// laneMemory is how many rows of a lane wait in memory; the rest stays in the database.
	laneMemory = 256
	// lanesRunning is how many lanes may work at once. One that waits for its next try does not count.
	lanesRunning = 64
)

// verdict is how a try of a row ended.
type verdict struct {
	// ended: the row is closed and the lane goes on to the next.
	ended bool
	// wait is how long the lane stands still before it tries the row again.
	wait time.Duration
}

// lanes keeps rows of one kind in order: one lane a key, one row of a lane at a time, and the next
// only after it has ended. Lanes exist while they have rows. They read what has outgrown the
// memory from the database, so their order is the database's.
type lanes[K comparable, R any] struct {
	// load returns the oldest open rows of a lane.
	load func(ctx context.Context, key K, limit int) ([]R, error)
	// seq is a row's number.
	seq func(R) int64
	// try works on a row once. It may change the row to remember something for the next try.
	try func(ctx context.Context, lane *lane[K, R], row *R) verdict
	// flush waits until what tries have written is on disk, so that load does not see ended rows.
	flush func(ctx context.Context) error
	log   zerolog.Logger
	// pause is the wait after a failed load.
	pause time.Duration

	slots chan struct{}
	done  sync.WaitGroup

	lock    sync.Mutex
	ctx     context.Context
	cancel  context.CancelFunc
	running map[K]*lane[K, R]
	// loaded is the highest number that was read back from the database.
	loaded int64
}

// lane is one queue. Its worker owns doubt; the rest is under the lock of lanes.
type lane[K comparable, R any] struct {
	key   K
	queue []R
	// backlog: the database has rows that the queue has not.
	backlog bool
	// missed counts the rows that were left to the database.
	missed  int
	working bool
	wake    chan struct{}
	// doubt is what a worker knows of rows that may have had their effect (inbox only).
	doubt doubt
	// failing is since when the worker's current row has not ended although it was tried (inbox and Matrix events).
	failing time.Time
}

// start lets the lanes run. Rows that were pushed before wait for it.
func (l *lanes[K, R]) start(keys []K) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.ctx, l.cancel = context.WithCancel(l.log.WithContext(context.Background()))
	l.slots = make(chan struct{}, lanesRunning)
	for _, key := range keys {
		l.get(key).backlog = true
	}
	for _, lane := range l.running {
		l.work(lane)
	}
}

// stop ends the lanes and waits until their current tries have ended or ctx is over.
func (l *lanes[K, R]) stop(ctx context.Context) {
	l.lock.Lock()
	if l.cancel != nil {
		l.cancel()
	}
	l.lock.Unlock()
	if !waitFor(ctx, &l.done) {
		l.log.Warn().Msg("Lanes did not end in time")
	}
}

// push adds a row that was just committed.
func (l *lanes[K, R]) push(key K, row R) {
	l.lock.Lock()
	defer l.lock.Unlock()
	lane := l.get(key)
	// before the start, older rows may lie in the database; a row at or below loaded may have been read back already
	if l.ctx == nil || lane.backlog || len(lane.queue) >= laneMemory || l.seq(row) <= l.loaded {
		lane.backlog = true
		lane.missed++
	} else {
		lane.queue = append(lane.queue, row)
	}
	l.work(lane)
}

// reload makes a lane look into the database, when its queue is empty.
func (l *lanes[K, R]) reload(key K) {
	l.lock.Lock()
	defer l.lock.Unlock()
	lane := l.get(key)
	lane.backlog = true
	lane.missed++
	l.work(lane)
}

// notice wakes lanes that have rows nobody pushed: those that do not run. A lane that runs is noticed when it has ended.
func (l *lanes[K, R]) notice(keys []K) {
	for _, key := range keys {
		l.lock.Lock()
		_, runs := l.running[key]
		l.lock.Unlock()
		if !runs {
			l.reload(key)
		}
	}
}

// wakeWhere cuts the waits short of all lanes that fit.
func (l *lanes[K, R]) wakeWhere(fits func(K) bool) {
	l.lock.Lock()
	defer l.lock.Unlock()
	for key, lane := range l.running {
		if fits(key) {
			select {
			case lane.wake <- struct{}{}:
			default:
			}
		}
	}
}

// get returns a lane, new if need be. The lock is held.
func (l *lanes[K, R]) get(key K) *lane[K, R] {
	if l.running == nil {
		l.running = map[K]*lane[K, R]{}
	}
	found := l.running[key]
	if found == nil {
		found = &lane[K, R]{key: key, wake: make(chan struct{}, 1)}
		l.running[key] = found
	}
	return found
}

// work gives a lane its worker. The lock is held.
func (l *lanes[K, R]) work(lane *lane[K, R]) {
	if lane.working || l.ctx == nil || l.ctx.Err() != nil {
		return
	}
	lane.working = true
	l.done.Add(1)
	go func() {
		defer l.done.Done()
		l.run(lane)
	}()
}

func (l *lanes[K, R]) run(lane *lane[K, R]) {
	for {
		row, ok := l.next(lane)
		if !ok {
			return
		}
		for {
			select {
			case l.slots <- struct{}{}:
			case <-l.ctx.Done():
				return
			}
			verdict := l.try(l.ctx, lane, &row)
			<-l.slots
			if verdict.ended {
				lane.failing = time.Time{}
				break
			}
			if !l.wait(lane, verdict.wait) {
				return
			}
		}
	}
}

// next returns the lane's first row; without one the lane ends.
func (l *lanes[K, R]) next(lane *lane[K, R]) (row R, ok bool) {
	for l.ctx.Err() == nil {
		l.lock.Lock()
		if len(lane.queue) > 0 {
			row = lane.queue[0]
			lane.queue = lane.queue[1:]
			l.lock.Unlock()
			return row, true
		}
		if !lane.backlog {
			delete(l.running, lane.key)
			l.lock.Unlock()
			return row, false
		}
		missed := lane.missed
		l.lock.Unlock()
		if err := l.fill(lane, missed); err != nil {
			l.log.Err(err).Msg("Failed to read the journal, trying again")
			l.wait(lane, l.pause)
		}
	}
	return row, false
}

// fill reads the lane's rows back from the database. missed is what the lane had missed before.
func (l *lanes[K, R]) fill(lane *lane[K, R], missed int) error {
	if err := l.flush(l.ctx); err != nil {
		return err
	}
	rows, err := l.load(l.ctx, lane.key, laneMemory)
	if err != nil {
		return err
	}
	l.lock.Lock()
	defer l.lock.Unlock()
	for _, row := range rows {
		l.loaded = max(l.loaded, l.seq(row))
	}
	lane.queue = rows
	if len(rows) < laneMemory && lane.missed == missed {
		lane.backlog = false
	}
	return nil
}

// wait stands still for a time, or until the lane is woken. It returns false if the lanes stop.
func (l *lanes[K, R]) wait(lane *lane[K, R], length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-lane.wake:
	case <-l.ctx.Done():
		return false
	}
	return true
}

// lull is the wait before a try of what has been failing for a time: as long again, and half of it by chance. It does not
// count tries, since lanes are woken early when there is hope, and a short failure must not cost a long wait.
func lull(first, limit, failing time.Duration) time.Duration {
	length := max(first, min(limit, failing))
	return length/2 + rand.N(length/2+1)
}

// backoff is the wait before a try: twice as long each time up to a limit, and half of it by
// chance, so that lanes that failed together do not come back together.
func backoff(first, limit time.Duration, attempts int) time.Duration {
	length := limit
	if attempts < 30 {
		length = min(limit, first<<max(0, attempts-1))
	}
	return length/2 + rand.N(length/2+1)
}

package delivery

import (
	"context"
	"sync"
	"time"
)

// sleep waits for a time; it returns false if ctx ends first.
func sleep(ctx context.Context, length time.Duration) bool {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errands are goroutines that nobody waits for until the end.
type errands struct {
	lock  sync.Mutex
	ended bool
	group sync.WaitGroup
}

// run starts an errand, unless the end has come.
func (e *errands) run(errand func()) {
	e.lock.Lock()
	defer e.lock.Unlock()
	if !e.ended {
		e.group.Go(errand)
	}
}

// end lets no errand start any more and waits for those under way, at the latest until ctx is over.
func (e *errands) end(ctx context.Context) {
	e.lock.Lock()
	e.ended = true
	e.lock.Unlock()
	waitFor(ctx, &e.group)
}

// waitFor waits for a group, at the latest until ctx is over. It returns whether the group has ended.
func waitFor(ctx context.Context, group *sync.WaitGroup) bool {
	ended := make(chan struct{})
	go func() {
		group.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return true
	case <-ctx.Done():
		return false
	}
}

package wire

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// longestPause bounds the wait before connecting again.
	longestPause = 5 * time.Minute
	// steadyAfter is how long a connection must hold before the pauses start from the shortest again.
	steadyAfter = time.Minute
)

// Run is the one goroutine that keeps a login connected, until it is stopped or ends by itself. The zero value is not started.
type Run struct {
	mu      sync.Mutex
	stop    context.CancelFunc // nil while not started
	stopped chan struct{}
	// over says that the goroutine is ending by itself, or has ended.
	over bool
}

// Start runs loop in a goroutine until [Run.Stop], unless one runs already. The loop outlives ctx, whose values it keeps. Before it
// tells anybody that it ends by itself it calls end: whoever hears of it can start anew at once, and the new loop begins when
// the old one has returned. An error is that of prepare, and means that nothing was started.
func (r *Run) Start(ctx context.Context, prepare func() error, loop func(ctx context.Context, end func())) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop != nil && !r.over {
		return nil
	}
	if err := prepare(); err != nil {
		return err
	}
	before, stopped := r.stopped, make(chan struct{})
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop, r.stopped, r.over = stop, stopped, false
	go func() {
		defer close(stopped)
		defer stop()
		if before != nil {
			<-before
		}
		loop(ctx, func() { r.end(stopped) })
	}()
	return nil
}

// end notes that a goroutine ends by itself.
func (r *Run) end(stopped chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped == stopped {
		r.over = true
	}
}

// Stop ends the loop and waits until it has returned. The loop itself must not call it.
func (r *Run) Stop() {
	r.mu.Lock()
	stop, stopped := r.stop, r.stopped
	r.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	<-stopped
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped == stopped {
		r.stop = nil
	}
}

// Pauses are the waits before connecting again: First at first, then twice as long each time, up to five minutes; half of each
// is by chance.
type Pauses struct {
	First time.Duration
	taken int
}

// Next is how long to wait this time.
func (p *Pauses) Next() time.Duration {
	whole := longestPause
	if p.taken < 10 {
		whole = min(p.First<<p.taken, longestPause)
	}
	p.taken++
	return whole/2 + rand.N(whole/2)
}

// Held takes how long a connection has held. One that was steady lets the pauses start from the first again.
func (p *Pauses) Held(d time.Duration) (steady bool) {
	if d <= steadyAfter {
		return false
	}
	p.taken = 0
	return true
}

package delivery

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"causeway/database"
)

const (
	// writerQueue bounds how many writes wait in memory; whoever comes later waits with them.
	writerQueue = 1024
	// writerBatch bounds how many writes share a commit, so that none waits long for the others.
	writerBatch = 256
	// writerPatience is how long changes that nobody waits for may wait for others to share a commit with. What a death
	// makes of them is done again, and recognised.
	writerPatience = 25 * time.Millisecond
)

var errWriterClosed = errors.New("the journal is closed")

// writer makes all changes of the journal. It takes whatever waits, commits it once and then wakes
// those who wait: nothing is acknowledged before its commit, and a write that somebody waits for is not delayed.
type writer struct {
	journal *database.Journal
	epoch   int64
	jobs    chan job
	// fenced is called once, when another process has taken over.
	fenced func(error)
	// commits counts the batches that were committed.
	commits atomic.Int64

	lock    sync.RWMutex
	closed  bool
	stopped chan struct{}
}

// job is one change. It may run more than once until its result is told, so it changes nothing but rows.
type job struct {
	run  func(ctx context.Context) error
	told func(error)
	// patient: nobody waits for it.
	patient bool
}

func newWriter(journal *database.Journal, epoch int64, fenced func(error)) *writer {
	w := &writer{
		journal: journal, epoch: epoch, fenced: once(fenced),
		jobs: make(chan job, writerQueue), stopped: make(chan struct{}),
	}
	go w.loop()
	return w
}

// do makes a change and returns when it is on disk. If the context ends first, the change may still be made.
func (w *writer) do(ctx context.Context, run func(ctx context.Context) error) error {
	result := make(chan error, 1)
	if err := w.submit(ctx, job{run: run, told: func(err error) { result <- err }}); err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// later makes a change without waiting for it; told is called when it is on disk or has failed. Changes are made in order of submission.
func (w *writer) later(run func(ctx context.Context) error, told func(error)) {
	if err := w.submit(context.Background(), job{run: run, told: told, patient: true}); err != nil {
		told(err)
	}
}

// flush waits until all changes that were submitted before are made.
func (w *writer) flush(ctx context.Context) error {
	return w.do(ctx, func(context.Context) error { return nil })
}

func (w *writer) submit(ctx context.Context, j job) error {
	w.lock.RLock()
	defer w.lock.RUnlock()
	if w.closed {
		return errWriterClosed
	}
	select {
	case w.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close makes the changes that wait and takes no more.
func (w *writer) close() {
	w.lock.Lock()
	if !w.closed {
		w.closed = true
		close(w.jobs)
	}
	w.lock.Unlock()
	<-w.stopped
}

func (w *writer) loop() {
	defer close(w.stopped)
	for first := range w.jobs {
		w.commit(w.gather(first))
	}
}

// gather takes what waits, and where nobody waits for any of it, what comes within the writer's patience.
func (w *writer) gather(first job) []job {
	batch, patient := []job{first}, first.patient
	timer := time.NewTimer(writerPatience)
	defer timer.Stop()
	for len(batch) < writerBatch {
		next, more := w.next(patient, timer.C)
		if !more {
			break
		}
		batch, patient = append(batch, next), patient && next.patient
	}
	return batch
}

// next takes a job; if there is none, it waits for one when it may.
func (w *writer) next(patient bool, over <-chan time.Time) (job, bool) {
	if patient {
		select {
		case j, open := <-w.jobs:
			return j, open
		case <-over:
			return job{}, false
		}
	}
	select {
	case j, open := <-w.jobs:
		return j, open
	default:
		return job{}, false
	}
}

// within makes a change as part of the transaction that ctx is in.
func (w *writer) within(ctx context.Context, run func(ctx context.Context) error) error {
	err := w.journal.InEpoch(ctx, w.epoch, run)
	if errors.Is(err, database.ErrFenced) {
		w.fenced(err)
	}
	return err
}

// commit makes a batch in one transaction. If that fails, each change gets its own, so that one
// that cannot be made does not take the others with it.
func (w *writer) commit(batch []job) {
	ctx := context.Background()
	err := w.journal.InEpoch(ctx, w.epoch, func(ctx context.Context) error {
		for _, j := range batch {
			if err := j.run(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, database.ErrFenced) {
		w.fenced(err)
	}
	if err == nil || len(batch) == 1 || errors.Is(err, database.ErrFenced) {
		if err == nil {
			w.commits.Add(1)
		}
		for _, j := range batch {
			j.told(err)
		}
		return
	}
	for i := range batch {
		w.commit(batch[i : i+1])
	}
}

// once lets only the first call through.
func once(fn func(error)) func(error) {
	var only sync.Once
	return func(err error) { only.Do(func() { fn(err) }) }
}

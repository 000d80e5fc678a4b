package crash

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"causeway/e2e/child"
)

// The variables that arm failpoints; package failpoint has names for them only in builds that have failpoints.
const (
	envSchedule = "CAUSEWAY_FAILPOINTS"
	envSeed     = "CAUSEWAY_FAILPOINT_SEED"
	envWithout  = "CAUSEWAY_WITHOUT"
)

// life is the bridge from a start to its death.
type life struct {
	runner  *runner
	process *child.Process
	began   time.Time
}

// begin starts the bridge with a schedule of failpoints.
func (r *runner) begin(schedule string) (*life, error) {
	if first := r.watch.begin(); first > 0 {
		r.result.Recoveries = append(r.result.Recoveries, first)
	}
	process, err := r.stage.Bridge.Launch(envSchedule+"="+schedule, envSeed+"="+fmt.Sprint(r.options.Seed),
		envWithout+"="+r.options.Control.means())
	return &life{runner: r, process: process, began: time.Now()}, err
}

// end kills the bridge, if it still lives.
func (l *life) end() {
	l.process.Kill()
	_ = l.process.Stop(0) // it has ended; this gives its log free
	if l.runner.options.Forget {
		l.runner.hs.ForgetTransactions()
	}
}

// killed says whether the ended process died of SIGKILL, as at a failpoint.
func (l *life) killed() bool {
	var exit *exec.ExitError
	if !errors.As(l.process.Err(), &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// awaitDeath waits until the life is over: at its time limit if there is one, else at the armed failpoint. It returns
// false if the point is not reached although everything was said and has appeared.
func (l *life) awaitDeath(ctx context.Context, phase Phase, limit time.Duration, spoken <-chan struct{}) bool {
	r := l.runner
	var timeout <-chan time.Time
	if limit > 0 {
		timeout = time.After(limit)
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-l.process.Done():
			if !l.killed() {
				r.problem("in phase %s the bridge ended by itself: %v", phase.Name, l.process.Err())
			}
			return l.killed()
		case <-timeout:
			return true
		case <-ctx.Done():
			return false
		case <-poll.C:
		}
		select {
		case <-spoken:
			quiet := r.watch.quiet()
			if limit == 0 && (quiet > r.options.Patience || quiet > reachLimit && r.talk.missing(phase.Name, r.gone) == 0) {
				return false
			}
		default:
		}
	}
}

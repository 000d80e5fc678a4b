package crash

import (
	"context"
	"fmt"
	"time"

	"causeway/e2e/crash/checker"
	"causeway/e2e/stage"
)

// Fault is something that goes wrong while people talk and the bridge lives. When it is over, everything has to arrive
// without a restart.
type Fault struct {
	// Name says what it is, Side whose it is: homeserver, network or local.
	Name, Side string
	// Tells says that some lines fail and their authors are told. Without it every line has to arrive.
	Tells bool
	// MayTell says that some may, by chance.
	MayTell bool
	// Allows is a kind of finding that follows from it and is not the bridge's doing, such as an order that the homeserver has changed.
	Allows checker.Kind
	// TalkOn says that recovery may take until somebody says something more, which people do.
	TalkOn bool
	// Engine is the only database that it can happen to, "sqlite" or "postgres"; empty is both.
	Engine string
	// mix is what people say meanwhile, text in both directions if it is zero.
	mix mix
	// begin puts it in force for the given time, or until the returned function ends it, which says how often it struck.
	begin func(ctx context.Context, r *runner, l *life, lasts time.Duration) (end func() (struck int), err error)
}

// FaultsOf are the faults that a database engine can meet, all of them or those of the given names.
func FaultsOf(engine string, names ...string) (faults []Fault, err error) {
	known := map[string]bool{}
	for _, fault := range append(append(homeserverFaults(), networkFaults()...), localFaults()...) {
		known[fault.Name] = true
		wanted := len(names) == 0
		for _, name := range names {
			wanted = wanted || name == fault.Name || name == fault.Side
			known[fault.Side] = true
		}
		if wanted && (fault.Engine == "" || fault.Engine == engine) {
			faults = append(faults, fault)
		}
	}
	for _, name := range names {
		if !known[name] {
			return nil, fmt.Errorf("unknown fault %q", name)
		}
	}
	return faults, nil
}

// suffer plays a fault: lines are said while it is in force, and all have to arrive when it is over.
func (r *runner) suffer(ctx context.Context, l *life, phase Phase) error {
	began, fault := time.Now(), phase.Fault
	r.learnRooms()
	end, err := fault.begin(ctx, r, l, phase.Lasts)
	if err != nil {
		return fmt.Errorf("failed to begin %q: %w", fault.Name, err)
	}
	over := time.After(phase.Lasts)
	r.talk.speak(ctx, phase.Name, phase.Lines, r.chats)
	select {
	case <-over:
	case <-ctx.Done():
	}
	times := end()
	ended := time.Now()
	if times == 0 {
		r.problem("%s never struck", fault.Name)
	}
	r.result.Struck[phase.Name] = times
	if fault.TalkOn {
		r.talk.speak(ctx, phase.Name, len(r.chats), r.chats)
	}
	err = r.arrive(ctx, phase)
	r.options.note("%s: %d lines, struck %d times, %d missing, %.1f s, the last %.1f s after its end",
		phase.Name, phase.Lines, times, r.talk.missing(phase.Name, r.gone), time.Since(began).Seconds(), time.Since(ended).Seconds())
	return err
}

// endure plays a fault in a life of its own, so that no wait of an earlier one reaches into it.
func (r *runner) endure(ctx context.Context, phase Phase) error {
	return r.inPeace(ctx, func(l *life) error {
		ready, cancel := context.WithTimeout(ctx, setupLimit)
		defer cancel()
		if err := r.await(ready, "all users to be connected", func() bool { return stage.Ready(l.process) && r.allConnected() }); err != nil {
			return err
		}
		return r.suffer(ctx, l, phase)
	})
}

// allConnected says whether the bridge is connected for all users.
func (r *runner) allConnected() bool {
	for _, u := range r.users {
		if !r.connected(u) {
			return false
		}
	}
	return true
}

// judge holds the verdict against what is expected of each fault.
func (r *runner) judge(phases []Phase) {
	told := map[string]int{}
	for _, tally := range r.result.Verdict.Tallies {
		told[tally.Phase] += tally.Told
	}
	for _, phase := range phases {
		mayTell := phase.Fault != nil && phase.Fault.MayTell
		if tells := phase.Fault != nil && phase.Fault.Tells; !mayTell && tells != (told[phase.Name] > 0) {
			r.problem("in phase %s %d authors were told of a failure", phase.Name, told[phase.Name])
		}
		if phase.Fault == nil || phase.Fault.Allows == "" {
			continue
		}
		forgiven := r.result.Verdict.Forgive(phase.Name, phase.Fault.Allows)
		r.options.note("%s: %d %s, which it may cause", phase.Name, forgiven, phase.Fault.Allows)
	}
}

// AtFaults are phases in which each of the faults is in force for a while.
func AtFaults(faults []Fault, lines int, lasts time.Duration) (phases []Phase) {
	for _, fault := range faults {
		phases = append(phases, Phase{Name: fault.Name, Lines: lines, Fault: &fault, Lasts: lasts})
	}
	return phases
}

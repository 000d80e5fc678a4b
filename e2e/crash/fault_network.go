package crash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"causeway/simulator/meta"
)

const (
	// dropEvery is how long connections live that are dropped again and again; each time the bridge waits twice as long before it connects.
	dropEvery = time.Second
	// turnEvery is how often a person changes their phone or their mind.
	turnEvery = 2 * time.Second
)

var errNobody = errors.New("there is nobody to do it")

func networkFaults() []Fault {
	faults := []Fault{
		dropping("connections closed", "close", nil),
		dropping("connections reset", "reset", nil),
		dropping("connections ended by 503", "503", nil),
		dropping("connections ended by 515", "515", nil),
		dropping("logins put off", "reset", &meta.Fault{Kind: meta.FaultLogin, Count: fewTimes, Params: map[string]string{"reason": "503"}}),
		dropping("requests without an answer", "reset", &meta.Fault{Kind: meta.FaultRequestLost, Count: fewTimes}),
		spoiling("acknowledgements lost", meta.Fault{Kind: meta.FaultAckLost, Count: someTimes}),
		spoiling("every message twice", meta.Fault{Kind: meta.FaultDuplicate, Count: -1}),
		spoiling("frames that are no stanzas", meta.Fault{Kind: meta.FaultGarbage, Count: someTimes}),
		spoiling("unknown stanzas", meta.Fault{Kind: meta.FaultUnknownStanza, Count: manyTimes}),
		spoiling("messages that open at the second try only", meta.Fault{Kind: meta.FaultMangle, Count: manyTimes}),
		// what a new phone cannot open it asks for again, and shows when it has it
		{Name: "a person with a new phone again and again", Side: "network", Allows: outOfOrder, begin: newPhones},
		{Name: "a person who opts out and in again", Side: "network", Tells: true, begin: optingOut},
		{Name: "sessions begun without one-time keys", Side: "network", begin: newcomersWith(meta.FaultNoOneTimeKey)},
		{Name: "the server forgets our one-time keys", Side: "network", begin: newcomersWith(meta.FaultPrekeysLost)},
	}
	for _, code := range []int{429, 500, 503} {
		faults = append(faults, spoiling(fmt.Sprintf("messages put off with %d", code), refusal(code)))
	}
	for _, code := range []int{400, 413, 451, 479} {
		told := spoiling(fmt.Sprintf("messages refused with %d", code), refusal(code))
		told.Tells = true
		faults = append(faults, told)
	}
	return append(faults, Fault{Name: "connections that fall silent", Side: "network", begin: silent})
}

func refusal(code int) meta.Fault {
	return meta.Fault{Kind: meta.FaultAck, Count: someTimes, Params: map[string]string{"code": fmt.Sprint(code)}}
}

// spoiling has the network spoil some of what passes.
func spoiling(name string, fault meta.Fault) Fault {
	return Fault{Name: name, Side: "network", begin: func(_ context.Context, r *runner, _ *life, _ time.Duration) (func() int, error) {
		handle := r.net.Fault(fault)
		return func() int { handle.Remove(); return handle.Struck() }, nil
	}}
}

// dropping ends all connections again and again, with a fault in force besides if there is one.
func dropping(name, how string, besides *meta.Fault) Fault {
	return Fault{Name: name, Side: "network", begin: func(ctx context.Context, r *runner, _ *life, lasts time.Duration) (func() int, error) {
		dropped, struck := 0, func() int { return 1 }
		if besides != nil {
			handle := r.net.Fault(*besides)
			struck = func() int { handle.Remove(); return handle.Struck() }
		}
		stop := again(ctx, min(dropEvery, lasts/2), func() { dropped += r.net.DropConnections("", how) })
		return func() int {
			stop()
			return min(dropped, dropped*struck())
		}, nil
	}}
}

// silent leaves connections open on which nothing comes any more.
func silent(_ context.Context, r *runner, _ *life, _ time.Duration) (func() int, error) {
	count := r.net.DropConnections("", "silence")
	return func() int { return count }, nil
}

// newPhones gives a person new keys again and again, as a new phone has.
func newPhones(ctx context.Context, r *runner, _ *life, lasts time.Duration) (func() int, error) {
	person := r.people[0]
	return again(ctx, min(turnEvery, lasts/2), person.NewIdentity), nil
}

// optingOut has a person turn third-party chats off and on.
func optingOut(ctx context.Context, r *runner, _ *life, lasts time.Duration) (func() int, error) {
	person, out := r.people[0], false
	turn := func() {
		var err error
		if out {
			err = person.OptIn(integrator)
		} else {
			err = person.OptOut(integrator)
		}
		if out = !out; err != nil {
			r.problem("%s could not opt: %v", person.Name(), err)
		}
	}
	stop := again(ctx, min(turnEvery, lasts/3), turn)
	return func() int {
		times := stop()
		if out {
			turn()
		}
		return times
	}, nil
}

// newcomersWith has new people begin chats while something is wrong with keys.
func newcomersWith(kind meta.FaultKind) func(context.Context, *runner, *life, time.Duration) (func() int, error) {
	return func(_ context.Context, r *runner, _ *life, _ time.Duration) (func() int, error) {
		if len(r.users) == 0 {
			return nil, errNobody
		}
		handle := r.net.Fault(meta.Fault{Kind: kind, Count: -1})
		for _, u := range slices.Clone(r.users) {
			c, err := r.newcomer(u)
			if err != nil {
				return nil, err
			}
			r.watch.listen(c.person)
			r.net.DropConnections(u.jid, "reset")
		}
		return func() int { handle.Remove(); return handle.Struck() }, nil
	}
}

package crash

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"time"

	"causeway/simulator/homeserver"
)

const (
	// restartEvery is how long the homeserver lives between two restarts.
	restartEvery = 2 * time.Second
	// unanswered is how long a request hangs that is not answered, slowness and dripPause what a slow answer takes longer, as a
	// whole and for each byte.
	unanswered = 3 * time.Second
	slowness   = 300 * time.Millisecond
	dripPause  = 10 * time.Millisecond
	// fewTimes, someTimes and manyTimes are how often a fault strikes that hits single requests.
	fewTimes, someTimes, manyTimes = 2, 10, 50
)

var errNoGhost = errors.New("there is no ghost yet")

func homeserverFaults() []Fault {
	sends := regexp.MustCompile(`^PUT .*/(send|redact)/`)
	uploads := regexp.MustCompile(`^POST .*/upload`)
	return []Fault{
		refusing("500 to everything", homeserver.Fault{Kind: homeserver.Status500}),
		refusing("502", homeserver.Fault{Kind: homeserver.Status500, Status: http.StatusBadGateway, Path: sends}),
		refusing("503", homeserver.Fault{Kind: homeserver.Status500, Status: http.StatusServiceUnavailable, Path: sends}),
		refusing("504", homeserver.Fault{Kind: homeserver.Status500, Status: http.StatusGatewayTimeout, Path: sends}),
		refusing("500 after the event is in", homeserver.Fault{Kind: homeserver.Status500AfterCommit, Path: sends, Count: manyTimes}),
		refusing("429 and retry after 1 s", homeserver.Fault{Kind: homeserver.Status429, Retry: "1", Path: sends, Count: manyTimes}),
		refusing("429 and retry after 999999 s", homeserver.Fault{Kind: homeserver.Status429, Retry: "999999", Path: sends, Count: fewTimes}),
		refusing("429 and retry after garbage", homeserver.Fault{Kind: homeserver.Status429, Retry: "soon", Path: sends, Count: manyTimes}),
		oneGhost("429 for one ghost", homeserver.Fault{Kind: homeserver.Status429, Retry: "1", Path: sends}),
		refusing("no answer", homeserver.Fault{Kind: homeserver.Timeout, Delay: unanswered, Path: sends, Count: someTimes}),
		refusing("no answer although the event is in", homeserver.Fault{Kind: homeserver.TimeoutAfterCommit, Delay: unanswered, Path: sends, Count: someTimes}),
		refusing("slow", homeserver.Fault{Kind: homeserver.Slow, Delay: slowness}),
		refusing("answers byte by byte", homeserver.Fault{Kind: homeserver.Drip, Delay: dripPause, Path: sends, Count: manyTimes}),
		refusing("cut before the event is in", homeserver.Fault{Kind: homeserver.CutBefore, Path: sends, Count: manyTimes}),
		refusing("cut after the event is in", homeserver.Fault{Kind: homeserver.CutAfterCommit, Path: sends, Count: manyTimes}),
		refusing("cut in mid answer", homeserver.Fault{Kind: homeserver.CutMidAnswer, Path: sends, Count: manyTimes}),
		restarting("restarts", true),
		restarting("restarts without its transaction ids", false),
		{Name: "away", Side: "homeserver", begin: away},
		refusing("M_FORBIDDEN a few times", homeserver.Fault{Kind: homeserver.Forbidden, Path: sends, Count: fewTimes}),
		refusing("M_NOT_FOUND a few times", homeserver.Fault{Kind: homeserver.NotFound, Path: sends, Count: fewTimes}),
		refusing("M_TOO_LARGE a few times", homeserver.Fault{Kind: homeserver.TooLarge, Path: sends, Count: fewTimes}),
		talkingOn(refusing("M_UNKNOWN_TOKEN", homeserver.Fault{Kind: homeserver.UnknownToken, Path: sends})),
		withFiles(refusing("no media repository", homeserver.Fault{Kind: homeserver.Status500, Path: uploads, Match: byGhost})),
		pushing("a transaction again", homeserver.PushTwice),
		pushing("a transaction twice at once", homeserver.PushTwiceAtOnce),
		pushing("events again in another transaction", homeserver.PushRepeated),
		pushing("transactions numbered from 1 again", homeserver.PushRenumbered),
		disordered(pushing("transactions swapped", homeserver.PushSwapped)),
	}
}

// refusing has the homeserver treat requests of the bridge badly.
func refusing(name string, fault homeserver.Fault) Fault {
	return Fault{Name: name, Side: "homeserver", begin: func(_ context.Context, r *runner, _ *life, lasts time.Duration) (func() int, error) {
		fault.Duration = lasts
		handle := r.hs.Fault(fault)
		return func() int { handle.Clear(); return handle.Hits() }, nil
	}}
}

// oneGhost is the same for what one ghost does.
func oneGhost(name string, fault homeserver.Fault) Fault {
	return Fault{Name: name, Side: "homeserver", begin: func(_ context.Context, r *runner, _ *life, lasts time.Duration) (func() int, error) {
		for _, c := range r.chats {
			for member := range r.hs.Members(c.room) {
				if !isOurs(member) && member != r.stage.BotID {
					fault.Match, fault.Duration = homeserver.ActingAs(member), lasts
					handle := r.hs.Fault(fault)
					return func() int { handle.Clear(); return handle.Hits() }, nil
				}
			}
		}
		return nil, errNoGhost
	}}
}

// byGhost matches what the bridge does as one of its ghosts.
func byGhost(r *http.Request) bool { return r.URL.Query().Has("user_id") }

// talkingOn is for faults after which the bridge waits long, unless the homeserver shows that it is there.
func talkingOn(fault Fault) Fault {
	fault.TalkOn = true
	return fault
}

func withFiles(fault Fault) Fault {
	fault.mix = mix{files: 0.4, toMatrix: 0.5}
	return fault
}

// restarting ends the homeserver and starts it again and again.
func restarting(name string, keep bool) Fault {
	return Fault{Name: name, Side: "homeserver", begin: func(ctx context.Context, r *runner, _ *life, lasts time.Duration) (func() int, error) {
		return again(ctx, min(restartEvery, lasts/2), func() {
			if err := r.hs.Restart(keep); err != nil {
				r.problem("the homeserver did not come back: %v", err)
			}
		}), nil
	}}
}

// away is the homeserver gone. Users' events are taken meanwhile, as by one that is only out of the bridge's reach.
func away(_ context.Context, r *runner, _ *life, _ time.Duration) (func() int, error) {
	r.hs.Down()
	return func() int {
		if err := r.hs.Up(); err != nil {
			r.problem("the homeserver did not come back: %v", err)
			return 0
		}
		return 1
	}, nil
}

// pushing has the homeserver deliver transactions as specification or real servers have it.
func pushing(name string, kind homeserver.PushKind) Fault {
	return Fault{Name: name, Side: "homeserver", begin: func(_ context.Context, r *runner, _ *life, _ time.Duration) (func() int, error) {
		before := r.hs.Pushes(bridgeService).Faults
		r.hs.FaultPush(homeserver.PushFault{Appservice: bridgeService, Kind: kind, Count: manyTimes})
		return func() int {
			r.hs.ClearPushFaults(bridgeService)
			return r.hs.Pushes(bridgeService).Faults - before
		}, nil
	}}
}

// disordered allows what follows from it that the homeserver itself changes the order.
func disordered(fault Fault) Fault {
	fault.Allows = outOfOrder
	return fault
}

// again does something at once and then every so often until it is stopped, and counts.
func again(ctx context.Context, every time.Duration, do func()) (stop func() int) {
	ctx, cancel := context.WithCancel(ctx)
	counted := make(chan int, 1)
	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for times := 0; ; times++ {
			select {
			case <-ctx.Done():
				counted <- times
				return
			case <-ticker.C:
				do()
			}
		}
	}()
	return func() int { cancel(); return <-counted }
}

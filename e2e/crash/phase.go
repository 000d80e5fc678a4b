package crash

import (
	"context"
	"errors"
	"fmt"
	"time"

	"causeway/e2e/crash/checker"
	"causeway/failpoint"
)

const (
	// shortestLife and longestLife bound a life that ends at a random moment; the shortest ends in the start.
	shortestLife, longestLife = 200 * time.Millisecond, 5 * time.Second
	// reachLimit is how long an armed point may still be reached once everything has appeared.
	reachLimit = 3 * time.Second
	// latestHit is the highest number of the hit that kills.
	latestHit = 5
	// newcomerLines is how many lines there are for one new person, where rooms are to be made.
	newcomerLines = 4
	// problemsAllowed is how many problems there may be before the run is given up.
	problemsAllowed = 10
)

var errTooManyProblems = errors.New("too many problems, the run is given up")

// play plays one phase: its lines are spread over as many lives as there are kills, and one more in peace.
func (r *runner) play(ctx context.Context, phase Phase) error {
	began, left, kills := time.Now(), phase.Lines, 0
	for kills < phase.Kills && left > 0 {
		said, died, err := r.live(ctx, phase, max(1, left/(phase.Kills-kills+1)))
		if err != nil {
			return err
		}
		left -= said
		if died {
			kills++
		}
		if len(r.result.Problems) > problemsAllowed {
			return fmt.Errorf("%w: %s", errTooManyProblems, r.result.Problems[0])
		}
	}
	r.result.Kills[phase.Name] += kills
	if kills == 0 && phase.Kills > 0 {
		r.problem("%s was never reached", phase.Name)
	}
	err := r.inPeace(ctx, func(*life) error {
		r.learnRooms()
		if r.applicant != nil {
			r.enlistSomebody(ctx)
		}
		if err := r.welcome(); err != nil {
			return err
		}
		r.talk.speak(ctx, phase.Name, left, r.chats)
		return r.arrive(ctx, phase)
	})
	r.options.note("%s: %d lines, %d kills, %d missing, %.1f s",
		phase.Name, phase.Lines, kills, r.talk.missing(phase.Name, r.gone), time.Since(began).Seconds())
	return err
}

// live is one life with its share of lines. It returns how many were said, and whether the life ended as planned.
func (r *runner) live(ctx context.Context, phase Phase, share int) (said int, died bool, err error) {
	schedule, limit := "", time.Duration(0)
	if phase.Name == Anywhere {
		limit = shortestLife + time.Duration(r.rng.Int64N(int64(longestLife-shortestLife)))
	} else {
		schedule = fmt.Sprintf("%s=kill#%d", phase.Name, 1+r.rng.IntN(r.mostHits(phase.Name, share)))
	}
	chats, err := r.cast(phase, share)
	if err != nil {
		return 0, false, err
	}
	l, err := r.begin(schedule)
	if err != nil {
		return 0, false, err
	}
	defer l.end()
	speaking, hush := context.WithCancel(ctx)
	defer hush()
	spoken, stirred := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(spoken)
		said = r.talk.speak(speaking, phase.Name, share, chats)
	}()
	go func() {
		defer close(stirred)
		r.stir(speaking, phase.Name)
	}()
	died = l.awaitDeath(ctx, phase, limit, spoken)
	l.end()
	hush()
	<-spoken
	<-stirred
	return said, died, ctx.Err()
}

// mostHits is up to how many times a life comes by a point before it dies there.
func (r *runner) mostHits(point string, share int) int {
	switch point {
	case failpoint.ConsentGiven, failpoint.RedactOrEdit:
		return 1 // a life has one applicant, and few messages that change
	case failpoint.TokenIssued:
		return len(r.users) // a token for each connection, at the start
	}
	return min(latestHit, 1+share/4)
}

// cast says who talks in a life: everybody, or new people where rooms are to be made. A few new people come at random.
func (r *runner) cast(phase Phase, share int) ([]*chat, error) {
	r.learnRooms()
	newcomers := 0
	switch {
	case phase.Name == failpoint.RoomCreated:
		newcomers = 1 + share/newcomerLines
	case phase.Name == Anywhere && r.rng.IntN(8) == 0:
		newcomers = 1
	}
	before := len(r.chats)
	for range newcomers {
		c, err := r.newcomer(r.users[r.rng.IntN(len(r.users))])
		if err != nil {
			return nil, err
		}
		r.watch.listen(c.person)
	}
	if phase.Name == failpoint.RoomCreated {
		return r.chats[before:], nil
	}
	return r.chats, nil
}

// arrive waits until all lines of a phase have appeared, or nothing has for too long.
func (r *runner) arrive(ctx context.Context, phase Phase) error {
	began := time.Now()
	return r.await(ctx, "the lines of "+phase.Name, func() bool {
		return r.talk.missing(phase.Name, r.gone) == 0 || min(r.watch.quiet(), time.Since(began)) > r.options.Patience
	})
}

// gone says whether a line has appeared, was taken back, or its author knows that it never will. The talk's mutex is held.
func (r *runner) gone(said checker.Said) bool {
	return r.talk.takenBack[said.ID] || r.watch.has(said.Text(r.talk.key)) || said.Direction == checker.ToNetwork && r.watch.knows(said.ID)
}

func (r *runner) problem(format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	r.result.Problems = append(r.result.Problems, problem)
	r.options.note("%s", problem)
}

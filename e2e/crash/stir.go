package crash

import (
	"context"
	"errors"
	"fmt"
	"time"

	"causeway/e2e/client"
	"causeway/failpoint"
	"causeway/simulator/meta"
)

const (
	// stirEvery is how often something is stirred up that has a pace of its own.
	stirEvery = 150 * time.Millisecond
	// pushEvent is what the network says when something waits for a user.
	pushEvent = "message_waiting"
)

// stir does what a phase needs besides talk, for as long as the bridge lives: calls of the network, users who
// enlist, messages that cannot be opened at first. It returns when ctx ends.
func (r *runner) stir(ctx context.Context, phase string) {
	switch phase {
	case failpoint.ConsentGiven:
		r.enlistSomebody(ctx)
		return
	case failpoint.PushStored, failpoint.RedactOrEdit:
	default:
		return
	}
	var mangled []*meta.FaultHandle
	defer func() {
		for _, handle := range mangled {
			handle.Remove()
		}
	}()
	if phase == failpoint.RedactOrEdit {
		for _, u := range r.users { // the first message of a life, which may be short
			mangled = append(mangled, r.net.Fault(meta.Fault{Kind: meta.FaultMangle, Match: meta.Match{Account: u.jid}}))
		}
	}
	ticker := time.NewTicker(stirEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		u := r.users[n%len(r.users)]
		switch phase {
		case failpoint.PushStored:
			if err := r.net.Push(u.jid, pushEvent, nil); err != nil {
				r.options.note("the network could not call: %v", err)
			}
		case failpoint.RedactOrEdit:
			mangled = append(mangled, r.net.Fault(meta.Fault{Kind: meta.FaultMangle, Match: meta.Match{Account: u.jid}}))
		}
	}
}

// enlistSomebody has a new user log in. A user whom a death has interrupted tries again in the next life.
func (r *runner) enlistSomebody(ctx context.Context) {
	if r.applicant == nil {
		account := r.hs.Register(fmt.Sprint(applicantName, len(r.users)+1), "a password")
		r.applicant = &user{name: fmt.Sprint(applicantName, len(r.users)+1), id: account.UserID, token: account.Token}
	}
	ctx, cancel := context.WithTimeout(ctx, setupLimit)
	defer cancel()
	err := r.asUser(ctx, r.applicant, func(bot *client.Bot) error { return r.enlistAgain(ctx, r.applicant, bot) })
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) { // nobody has died
			r.problem("%s could not enlist: %v", r.applicant.name, err)
		}
		return
	}
	r.enlisted, r.applicant = append(r.enlisted, r.applicant), nil
}

// enlistAgain is the login flow of somebody who may have been through it: then the bot says so.
func (r *runner) enlistAgain(ctx context.Context, u *user, bot *client.Bot) error {
	if r.connected(u) {
		return nil
	}
	err := r.logIn(ctx, u, bot)
	if err != nil && !r.connected(u) {
		return err
	}
	return r.await(ctx, u.name+" to be connected", func() bool { return r.connected(u) })
}

// welcome gives the users who have enlisted in mid-run somebody to talk to, and sees that each is enlisted once.
func (r *runner) welcome() error {
	for _, u := range r.enlisted {
		times := 0
		for _, enlistment := range r.net.Enlistments() {
			if enlistment.Identifier == u.name+"@"+r.hs.Name() && enlistment.Status != "withdrawn" {
				times++
			}
		}
		if times != 1 {
			r.problem("%s is enlisted %d times", u.name, times)
		}
		r.users = append(r.users, u)
		c, err := r.newcomer(u)
		if err != nil {
			return err
		}
		r.watch.listen(c.person)
	}
	r.enlisted = nil
	return nil
}

// checkCalls sees that every call of the network was answered in the end.
func (r *runner) checkCalls() {
	answered := map[string]bool{}
	for _, attempt := range r.net.Pushes() {
		answered[attempt.DeliveryID] = answered[attempt.DeliveryID] || attempt.Status == 200
	}
	for delivery, ok := range answered {
		if !ok {
			r.problem("the network's call %s was never answered", delivery)
		}
	}
}

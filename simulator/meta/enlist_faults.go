package meta

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// The scripted faults of the Enlistment API. Their Match.Account is an enlistment id,
// account id or subject; Match.Stanza is the HTTP method.
const (
	// FaultEnlistError refuses a request, before any effect, with the error code of Params["code"].
	FaultEnlistError FaultKind = "enlistment_error"
	// FaultEnlistLost does what was asked and closes the connection instead of answering.
	FaultEnlistLost FaultKind = "enlistment_answer_lost"
	// FaultEnlistSlow answers after two seconds.
	FaultEnlistSlow FaultKind = "enlistment_slow"
	// FaultEnlistPending makes a new enlistment wait for its approval.
	FaultEnlistPending FaultKind = "enlistment_pending"
)

const (
	enlistFaultRate  = 0.05
	slowAnswer       = 2 * time.Second
	faultRetryAfter  = time.Second
	pendingTime      = time.Second
	pendingPollAfter = time.Second
)

// interfere lets the profile and the script have their way with a request that has
// been authorized and not yet been acted upon.
func (c *enlistCall) interfere() *refusal {
	n, s, ordinal := c.service.n, c.subject(), c.ordinal()
	if f := n.strikes(FaultEnlistError, s); f != nil {
		return &refusal{Code: orElse(f.Params["code"], apiUnavailable), Message: "scripted fault", RetryAfter: faultRetryAfter}
	}
	wait := n.delay(ordinal)
	if n.strikes(FaultEnlistSlow, s) != nil || n.misfortune("enlistment-slow", ordinal, enlistFaultRate) {
		wait = slowAnswer
	}
	waitFor(c.request.Context(), wait)
	if n.misfortune("enlistment-refused", ordinal, enlistFaultRate) {
		code := apiUnavailable
		if n.roll("enlistment-refusal", ordinal) < 0.5 {
			code = apiRateLimited
		}
		return &refusal{Code: code, Message: "faults profile", RetryAfter: faultRetryAfter}
	}
	return nil
}

// waitFor lets some time pass, or less if the one who waits goes away.
func waitFor(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ordinal names a request by whose it is and how many came before, which unlike its
// own id is the same in each run.
func (c *enlistCall) ordinal() string {
	c.service.mu.Lock()
	defer c.service.mu.Unlock()
	name := fmt.Sprintf("%s %s %s/%s", c.request.Method, c.request.Pattern, c.claims.Audience, c.claims.Identifier)
	c.service.asked[name]++
	return fmt.Sprintf("%s/%d", name, c.service.asked[name])
}

// loseAnswer drops the connection when the script says so; the request has had its effect.
func (c *enlistCall) loseAnswer() {
	if c.claims != nil && c.service.n.strikes(FaultEnlistLost, c.subject()) != nil {
		panic(http.ErrAbortHandler)
	}
}

func (c *enlistCall) subject() subject {
	s := subject{stanza: c.request.Method, xmlns: "enlistment", accounts: []string{c.request.PathValue("id")}}
	if c.claims != nil {
		s.accounts = append(s.accounts, c.claims.Subject, strconv.Itoa(c.claims.Integrator))
	}
	return s
}

// startsPending decides whether a new enlistment has to wait.
func (c *enlistCall) startsPending() bool {
	n := c.service.n
	return n.strikes(FaultEnlistPending, c.subject()) != nil ||
		n.misfortune("enlistment-pending", c.claims.Audience+c.claims.Identifier, enlistFaultRate)
}

package meta

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// FaultPush is trouble with a call to a provider: Params["how"] is signature (a wrong one),
// timestamp (an old one), replay (the call comes twice) or unknown_account (one more event, for nobody).
const FaultPush FaultKind = "push"

const (
	pushTimeout  = 10 * time.Second
	pushLife     = 24 * time.Hour  // how long a call is repeated, assumed: U16
	maxPushPause = 5 * time.Minute // assumed: U16
	maxPushReply = 64 << 10
)

// PushDelays is when a provider is called about a user with waiting stanzas and no connection, counted from
// the moment at which they began to wait; 1 s, 30 s and 5 min by default.
func PushDelays(delays ...time.Duration) Option {
	return func(o *options) { o.pushDelays = delays }
}

// PushRetry is the first pause before a call is repeated, 1 s by default; it doubles up to 5 minutes.
func PushRetry(first time.Duration) Option { return func(o *options) { o.pushRetry = first } }

// PushAttempt is one call to a provider.
type PushAttempt struct {
	DeliveryID string `json:"delivery_id"`
	Integrator int    `json:"integrator_id"`
	Product    string `json:"product"`
	Attempt    int    `json:"attempt"`
	// Events are the types of what was announced, Accounts whom it was about, in the same order.
	Events   []string  `json:"events"`
	Accounts []string  `json:"accounts"`
	Time     time.Time `json:"time"`
	// Fault says what was wrong with the call, on purpose.
	Fault string `json:"fault,omitempty"`
	// Status is zero if there was no answer, for the reason in Error.
	Status int `json:"status"`
	// Rejected are the accounts that the provider does not have.
	Rejected []string `json:"rejected,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// PushEvent is one event of a call: type, account_id and what else it has. assumed: U16
type PushEvent map[string]any

// pushCaller tells providers that something waits for their users.
type pushCaller struct {
	mu       sync.Mutex
	attempts []PushAttempt
	// series names the calls about each device that is away; one that is not named any more is over.
	series map[*device]*pushSeries
}

// pushSeries is the calls about one absence of a device.
type pushSeries struct{ began time.Time }

// pushBody is a call's body. assumed: U16
type pushBody struct {
	Version    int         `json:"version"`
	DeliveryID string      `json:"delivery_id"`
	Integrator int         `json:"integrator_id"`
	Product    string      `json:"product"`
	SentAt     int64       `json:"sent_at"`
	Attempt    int         `json:"attempt"`
	Events     []PushEvent `json:"events"`
}

// Pushes lists the calls to providers, in order.
func (n *Network) Pushes() []PushAttempt {
	n.pushes.mu.Lock()
	defer n.pushes.mu.Unlock()
	return slices.Clone(n.pushes.attempts)
}

// Push calls the provider of an account (any name that it answers to) about an event now, and repeats the call as the
// protocol has it. A nil detail adds nothing to the event.
func (n *Network) Push(account, event string, detail map[string]any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.enlistments {
		if !e.answersTo(account) {
			continue
		}
		body := PushEvent{"type": event, "account_id": e.Account}
		for name, value := range detail {
			body[name] = value
		}
		return n.call(e.Integrator, e.Product, body)
	}
	return fmt.Errorf("enlistment %s: %w", account, errNoRecord)
}

// PushEvents calls a provider with any events.
func (n *Network) PushEvents(integrator int, product string, events ...PushEvent) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.call(integrator, product, events...)
}

// considerPush begins to call about a device that has stanzas waiting and no connection. The model must be locked.
func (n *Network) considerPush(d *device) {
	if d.companion != nil {
		return
	}
	i := n.integrators[d.enlistment.Integrator]
	if d.conn != nil || len(d.waiting) == 0 || i == nil || i.PushURL == "" || n.ctx.Err() != nil {
		return
	}
	n.pushes.mu.Lock()
	defer n.pushes.mu.Unlock()
	if n.pushes.series[d] != nil {
		return
	}
	s := &pushSeries{began: n.now()}
	n.pushes.series[d] = s
	n.work.Go(func() { n.callAbout(d, s) })
}

// forget ends the calls about a device that has been there since they began.
func (p *pushCaller) forget(d *device) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.series, d)
}

// goesOn says whether a series is still the one about its device.
func (p *pushCaller) goesOn(d *device, s *pushSeries) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.series[d] == s
}

// callAbout calls at each of the agreed times while stanzas wait.
func (n *Network) callAbout(d *device, s *pushSeries) {
	defer func() {
		n.pushes.mu.Lock()
		defer n.pushes.mu.Unlock()
		if n.pushes.series[d] == s {
			delete(n.pushes.series, d)
		}
	}()
	var passed time.Duration
	for _, delay := range n.cfg.pushDelays {
		if n.sleep(delay-passed) != nil {
			return
		}
		passed = delay
		n.mu.Lock()
		count := len(d.waiting)
		over := d.conn != nil || count == 0 || !n.pushes.goesOn(d, s)
		if over && !n.misfortune("late push", jidText(d.jid), 0.05) {
			n.mu.Unlock()
			return
		}
		_ = n.call(d.enlistment.Integrator, d.product, PushEvent{"type": "message_waiting", // assumed: U16
			"account_id": d.enlistment.Account, "count": max(count, 1), "oldest_at": s.began.Unix()}) // a provider without an address is not called
		n.mu.Unlock()
	}
}

// sleep waits unless the network closes.
func (n *Network) sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-n.ctx.Done():
		return n.ctx.Err()
	}
}

// call makes one call and repeats it until it is answered. The model must be locked.
func (n *Network) call(integrator int, product string, events ...PushEvent) error {
	known := n.integrators[integrator]
	if known == nil || known.PushURL == "" {
		return fmt.Errorf("integrator %d has no address for calls: %w", integrator, errNoRecord)
	}
	if n.ctx.Err() != nil {
		return n.ctx.Err()
	}
	body := pushBody{Version: 1, DeliveryID: uuid.NewString(), Integrator: integrator, Product: product, SentAt: n.now().Unix(), Events: events}
	if n.misfortune("unknown push event", strconv.Itoa(len(n.Pushes())), 0.05) {
		body.Events = append(slices.Clone(events), PushEvent{"type": "weather", "sunny": true})
	}
	url, secret := known.PushURL, known.PushSecret
	n.work.Go(func() { n.repeat(url, secret, body) })
	return nil
}

// repeat calls until the provider has taken the call: after 1, 2, 4 ... 300 s, for a day. assumed: U16
func (n *Network) repeat(url, secret string, body pushBody) {
	pause := n.cfg.pushRetry
	for began := n.now(); n.now().Sub(began) < pushLife; pause = min(2*pause, maxPushPause) {
		body.Attempt++
		attempt := n.attempt(url, secret, body)
		if attempt.Status == http.StatusOK {
			if attempt.Fault == "replay" || n.misfortune("push twice", body.DeliveryID, 0.05) {
				body.Attempt++
				n.attempt(url, secret, body)
			}
			return
		}
		if n.sleep(pause) != nil {
			return
		}
	}
}

// attempt makes a call once and records what came of it.
func (n *Network) attempt(url, secret string, body pushBody) PushAttempt {
	a := PushAttempt{DeliveryID: body.DeliveryID, Integrator: body.Integrator, Product: body.Product, Attempt: body.Attempt, Time: n.now()}
	if f := n.strikes(FaultPush, subject{}); f != nil {
		a.Fault = f.Params["how"]
	}
	if a.Fault == "unknown_account" {
		body.Events = append(slices.Clone(body.Events), PushEvent{"type": "message_waiting", "account_id": "999999999999999", "count": 1})
	}
	for _, e := range body.Events {
		kind, _ := e["type"].(string)
		account, _ := e["account_id"].(string)
		a.Events, a.Accounts = append(a.Events, kind), append(a.Accounts, account)
	}
	response, err := n.post(url, secret, body, a.Fault)
	if err != nil {
		a.Error = err.Error()
	} else {
		n.readPushAnswer(response, &a)
	}
	n.transcript.note(n.now(), fmt.Sprintf("push to integrator %d: %v -> %d", a.Integrator, a.Events, a.Status))
	n.pushes.mu.Lock()
	defer n.pushes.mu.Unlock()
	n.pushes.attempts = append(n.pushes.attempts, a)
	return a
}

// post signs a body and sends it. assumed: U16
func (n *Network) post(url, secret string, body pushBody, fault string) (*http.Response, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	at := n.now()
	if fault == "timestamp" {
		at = at.Add(-10 * time.Minute)
	}
	if fault == "signature" {
		secret += "x"
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "."))
	mac.Write(content)
	ctx, cancel := context.WithTimeout(n.ctx, pushTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Interop-Delivery", body.DeliveryID)
	request.Header.Set("X-Interop-Timestamp", stamp)
	request.Header.Set("X-Interop-Signature", "v1="+hex.EncodeToString(mac.Sum(nil)))
	response, err := loopbackClient(pushTimeout).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxPushReply))
	response.Body = io.NopCloser(bytes.NewReader(answer))
	return response, err
}

// readPushAnswer takes over an answer; one that the protocol does not have is a finding. assumed: U16
func (n *Network) readPushAnswer(response *http.Response, a *PushAttempt) {
	a.Status = response.StatusCode
	deliberate := a.Fault == "signature" || a.Fault == "timestamp"
	who := fmt.Sprintf("integrator %d answers a call with %d", a.Integrator, a.Status)
	switch {
	case a.Status == http.StatusOK && deliberate:
		n.finding("push-believed", who+" although its "+a.Fault+" is wrong")
	case a.Status == http.StatusOK:
		var answer struct {
			Rejected []struct {
				Account string `json:"account_id"`
				Reason  string `json:"reason"`
			} `json:"rejected"`
		}
		content, _ := io.ReadAll(response.Body)
		if err := json.Unmarshal(content, &answer); err != nil || !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
			n.finding("push-answer", who+" and a body that is no list of accounts")
		}
		for _, rejected := range answer.Rejected {
			if rejected.Reason != "unknown_account" {
				n.finding("push-answer", who+" and an unknown reason")
			}
			a.Rejected = append(a.Rejected, rejected.Account)
		}
	case a.Status == http.StatusTooManyRequests, a.Status == http.StatusServiceUnavailable:
		if response.Header.Get("Retry-After") == "" {
			n.finding("push-answer", who+" without Retry-After")
		}
	case !deliberate:
		n.finding("push-refused", who)
	}
}

// pushCalls shows the calls; see [Network.Pushes].
func (a *admin) pushCalls(*http.Request) (any, error) {
	return append([]PushAttempt{}, a.n.Pushes()...), nil
}

// push makes a call.
func (a *admin) push(r *http.Request) (any, error) {
	var body struct {
		Account string         `json:"account"`
		Event   string         `json:"event"`
		Detail  map[string]any `json:"detail"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	if err := a.n.Push(body.Account, orElse(body.Event, "message_waiting"), body.Detail); err != nil {
		return nil, err
	}
	return map[string]string{"account": body.Account, "event": orElse(body.Event, "message_waiting")}, nil
}

// mediaFetches shows what the media proxy asked; see [Network.MediaFetches].
func (a *admin) mediaFetches(*http.Request) (any, error) {
	return append([]MediaFetch{}, a.n.MediaFetches()...), nil
}

package homeserver

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxTransaction is how many events one transaction holds, and how many notices: Synapse's limit for both.
const maxTransaction = 100

// pusher brings events to one application service: transactions in order, one in flight, each until it is accepted.
// Its queue survives restarts of the server, as it does in a database.
type pusher struct {
	url, token  string
	ephemeral   bool
	first, most time.Duration // backoff
	timeout     time.Duration
	client      *http.Client
	wake        chan struct{} // holds one: something to send
	now         chan struct{} // holds one: stop waiting for the next try
	gone        chan struct{} // closed when another registration takes over

	mu      sync.Mutex
	events  []answer
	notices []answer
	due     []transaction // taken from the queue, not yet accepted
	number  int64         // of the next transaction
	faults  []PushFault
	stats   PushStats
}

type transaction struct {
	number int64
	events int
	body   []byte
	twice  bool // deliver two copies at once
}

// PushStats counts what an application service was sent.
type PushStats struct {
	Transactions int // accepted
	Attempts     int // accepted or not
	Events       int // in accepted transactions, copies by fault included
	Waiting      int // events not yet accepted
	Faults       int // transactions that a fault has met
}

func newPusher(opts *options, reg Registration) *pusher {
	return &pusher{
		url: strings.TrimSuffix(reg.URL, "/"), token: reg.HSToken, ephemeral: reg.ephemeral(),
		first: opts.pushFirst, most: opts.pushMost, timeout: opts.pushTimeout,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}},
		wake:   make(chan struct{}, 1), now: make(chan struct{}, 1), gone: make(chan struct{}), number: 1,
	}
}

// startPusher runs a pusher for one life of the server. The caller holds both locks.
func (hs *Server) startPusher(l *life, as *appservice) {
	if as.push.url == "" {
		return
	}
	l.work.Go(func() {
		defer as.push.client.CloseIdleConnections()
		as.push.run(l.ctx)
	})
}

func (p *pusher) add(encoded answer, notice bool) {
	if p.url == "" {
		return
	}
	p.mu.Lock()
	if notice {
		p.notices = append(p.notices, encoded)
	} else {
		p.events = append(p.events, encoded)
	}
	p.mu.Unlock()
	nudge(p.wake)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (p *pusher) hurry()  { nudge(p.now) }
func (p *pusher) retire() { close(p.gone) }

// run delivers until the life of the server ends.
func (p *pusher) run(ctx context.Context) {
	for {
		txn, ok := p.front()
		if !ok {
			select {
			case <-p.wake:
				continue
			case <-p.gone:
				return
			case <-ctx.Done():
				return
			}
		}
		if !p.deliver(ctx, txn) {
			return
		}
	}
}

// deliver repeats a transaction until it is accepted; false when the life of the server ended first.
func (p *pusher) deliver(ctx context.Context, txn transaction) bool {
	pause := p.first
	for !p.attempt(ctx, txn) {
		timer := time.NewTimer(pause)
		pause = min(2*pause, p.most)
		select {
		case <-timer.C:
		case <-p.now:
		case <-p.gone:
		case <-ctx.Done():
		}
		timer.Stop()
		select {
		case <-p.gone:
			return false
		case <-ctx.Done():
			return false
		default:
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due = p.due[1:]
	p.stats.Transactions++
	p.stats.Events += txn.events
	return true
}

func (p *pusher) attempt(ctx context.Context, txn transaction) bool {
	path := "/_matrix/app/v1/transactions/" + strconv.FormatInt(txn.number, 10)
	var second chan bool
	if txn.twice {
		second = make(chan bool, 1)
		go func() { second <- p.put(ctx, path, txn.body) }()
	}
	accepted := p.put(ctx, path, txn.body)
	if second != nil {
		accepted = <-second && accepted
	}
	return accepted
}

func (p *pusher) put(ctx context.Context, path string, body []byte) bool {
	p.mu.Lock()
	p.stats.Attempts++
	p.mu.Unlock()
	status, _, err := p.call(ctx, http.MethodPut, path, body)
	return err == nil && status == http.StatusOK
}

// front is the transaction to deliver now. It stays in front until it is accepted.
func (p *pusher) front() (transaction, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.due) == 0 {
		p.fill()
	}
	if len(p.due) == 0 {
		return transaction{}, false
	}
	return p.due[0], true
}

// fill takes the next events from the queue, more than once or in the wrong order when a fault says so.
func (p *pusher) fill() {
	if len(p.events)+len(p.notices) == 0 {
		return
	}
	take := min(len(p.events), maxTransaction)
	fault := p.pickFault()
	if fault == PushRenumbered {
		p.number = 1
	}
	if fault == PushSwapped {
		take = min(len(p.events)/2, maxTransaction)
	}
	first := p.take(take)
	p.due = append(p.due, first)
	switch fault {
	case PushTwice:
		p.due = append(p.due, first)
	case PushTwiceAtOnce:
		p.due[0].twice = true
	case PushRepeated:
		again := first
		again.number = p.number
		p.number++
		p.due = append(p.due, again)
	case PushSwapped:
		p.due = []transaction{p.take(min(len(p.events), maxTransaction)), first}
	}
}

// take makes a transaction of the oldest events and notices.
func (p *pusher) take(events int) transaction {
	notices := min(len(p.notices), maxTransaction)
	var body bytes.Buffer
	body.WriteString(`{"events":`)
	writeList(&body, p.events[:events])
	if p.ephemeral {
		body.WriteString(`,"ephemeral":`)
		writeList(&body, p.notices[:notices])
		body.WriteString(`,"de.sorunome.msc2409.ephemeral":`)
		writeList(&body, p.notices[:notices])
	}
	body.WriteByte('}')
	txn := transaction{number: p.number, events: events, body: body.Bytes()}
	p.number++
	p.events, p.notices = p.events[events:], p.notices[notices:]
	return txn
}

func writeList(body *bytes.Buffer, list []answer) {
	body.WriteByte('[')
	for i, encoded := range list {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(encoded)
	}
	body.WriteByte(']')
}

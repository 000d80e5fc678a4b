package networktest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

// patience is how long anything of the suite may take.
const patience = 30 * time.Second

// recorder is a handler that remembers, and fails when told to.
type recorder struct {
	t       *testing.T
	running atomic.Bool
	// before, if set, decides about an event before it is taken.
	before func(network.Event) error

	mu      sync.Mutex
	events  []network.Event
	changed chan struct{}
}

var errNotNow = errors.New("not now")

func newRecorder(t *testing.T) *recorder {
	return &recorder{t: t, changed: make(chan struct{})}
}

func (r *recorder) handle(_ context.Context, event network.Event) error {
	if !r.running.CompareAndSwap(false, true) {
		r.t.Errorf("the handler was called for %T while it ran", event)
	}
	defer r.running.Store(false)
	if r.before != nil {
		if err := r.before(event); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
	close(r.changed)
	r.changed = make(chan struct{})
	return nil
}

// await waits until the events so far satisfy a condition.
func (r *recorder) await(what string, satisfied func([]network.Event) bool) {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		done, changed := satisfied(r.events), r.changed
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			require.FailNow(r.t, "timed out", "waiting for %s", what)
		}
	}
}

// of are the recorded events of one type, in order.
func of[E network.Event](events []network.Event) (found []E) {
	for _, event := range events {
		if e, ok := event.(E); ok {
			found = append(found, e)
		}
	}
	return found
}

// messages waits for a number of messages and returns them.
func (r *recorder) messages(count int) (found []network.MessageEvent) {
	r.t.Helper()
	r.await("messages", func(events []network.Event) bool {
		found = of[network.MessageEvent](events)
		return len(found) >= count
	})
	return found
}

// states waits until the connection was in a state a number of times, and returns the last such event.
func (r *recorder) states(state network.ConnectionState, count int) (last network.ConnectionEvent) {
	r.t.Helper()
	r.await("connection state "+string(state), func(events []network.Event) bool {
		seen := 0
		for _, event := range of[network.ConnectionEvent](events) {
			if event.State == state {
				seen++
				last = event
			}
		}
		return seen >= count
	})
	return last
}

// receipt waits for a receipt of one message.
func (r *recorder) receipt(id string, kind network.ReceiptKind) (found network.ReceiptEvent) {
	r.t.Helper()
	r.await(string(kind)+" receipt", func(events []network.Event) bool {
		for _, event := range of[network.ReceiptEvent](events) {
			for _, got := range event.IDs {
				if got == id && event.Kind == kind {
					found = event
					return true
				}
			}
		}
		return false
	})
	return found
}

// connected is a login that is connected, and closed at the end of the test.
func connected(t *testing.T, h Harness, r *recorder) Login {
	t.Helper()
	login := h.Login(t, r.handle)
	connect(t, login)
	r.states(network.Connected, 1)
	return login
}

func connect(t *testing.T, login Login) {
	t.Helper()
	require.NoError(t, login.Client().Connect(t.Context()))
	t.Cleanup(login.Client().Disconnect)
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// text is a message to a person.
func text(login Login, to Person, seed, body string) network.Message {
	client := login.Client()
	return network.Message{
		ID: network.MessageID{
			Conversation: to.Address(), Sender: client.Self(), ID: client.NewMessageID([]byte(seed)),
		},
		Content: network.Text{Body: body},
	}
}

// send sends a text and returns it.
func send(t *testing.T, login Login, to Person, seed, body string) network.Message {
	t.Helper()
	message := text(login, to, seed, body)
	sent, err := login.Client().Send(patient(t), message)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), sent.Time, time.Minute)
	return message
}

package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/network/networktest"
	"causeway/simulator/meta"
)

const patience = 30 * time.Second

// events records what a login is told.
type events struct {
	mu      sync.Mutex
	all     []network.Event
	changed chan struct{}
}

func (e *events) handle(_ context.Context, event network.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
	close(e.changed)
	e.changed = make(chan struct{})
	return nil
}

// await waits for the first event that a test is satisfied with.
func (e *events) await(t *testing.T, what string, wanted func(network.Event) bool) network.Event {
	t.Helper()
	deadline := time.After(patience)
	for {
		e.mu.Lock()
		index, changed := slices.IndexFunc(e.all, wanted), e.changed
		var found network.Event
		if index >= 0 {
			found = e.all[index]
		}
		e.mu.Unlock()
		if found != nil {
			return found
		}
		select {
		case <-changed:
		case <-deadline:
			require.FailNow(t, "timed out", "waiting for %s", what)
		}
	}
}

// message waits for a message of an id with some content.
func (e *events) message(t *testing.T, id string, content network.Content) network.MessageEvent {
	t.Helper()
	return e.await(t, "a message", func(event network.Event) bool {
		message, ok := event.(network.MessageEvent)
		return ok && message.Message.ID.ID == id && message.Message.Content == content
	}).(network.MessageEvent)
}

func (e *events) state(t *testing.T, state network.ConnectionState) network.ConnectionEvent {
	t.Helper()
	return e.await(t, string(state), func(event network.Event) bool {
		connection, ok := event.(network.ConnectionEvent)
		return ok && connection.State == state
	}).(network.ConnectionEvent)
}

// meet is a connected login and a person who accepts its chats.
func meet(t *testing.T) (*login, *events, person) {
	t.Helper()
	told := &events{changed: make(chan struct{})}
	l := simulated.login(t, told.handle, openStore(t))
	require.NoError(t, l.client.Connect(t.Context()))
	t.Cleanup(l.client.Disconnect)
	told.state(t, network.Connected)
	return l, told, simulated.Person(t).(person)
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func write(l *login, to person, seed string) (network.Message, error) {
	message := network.Message{
		ID:      network.MessageID{Conversation: to.Address(), Sender: l.client.Self(), ID: l.client.NewMessageID([]byte(seed))},
		Content: network.Text{Body: seed},
	}
	_, err := l.client.Send(context.Background(), message)
	return message, err
}

func TestMangledMessageComesAgain(t *testing.T) {
	l, told, bob := meet(t)
	fault := simulated.net.Fault(meta.Fault{Kind: meta.FaultMangle, Match: meta.Match{Account: l.account.number}})
	defer fault.Remove()
	id, err := bob.Say(l.client.Self(), "hello")
	require.NoError(t, err)
	told.message(t, id, network.Undecryptable{})
	told.message(t, id, network.Text{Body: "hello"})
	require.NoError(t, bob.WaitReceipt(patient(t), id, network.Delivered))
}

func TestUnreadableMessageOfOursIsSentAgain(t *testing.T) {
	l, _, bob := meet(t)
	_, err := write(l, bob, "first")
	require.NoError(t, err)
	_, err = bob.Hears(patient(t))
	require.NoError(t, err)
	bob.NewIdentity()
	_, err = write(l, bob, "to the new phone")
	require.NoError(t, err)
	heard, err := bob.Hears(patient(t))
	require.NoError(t, err)
	require.Equal(t, "to the new phone", heard.Text)
}

func TestNewIdentityIsTold(t *testing.T) {
	l, told, bob := meet(t)
	id, err := bob.Say(l.client.Self(), "from the old phone")
	require.NoError(t, err)
	told.message(t, id, network.Text{Body: "from the old phone"})
	bob.NewIdentity()
	id, err = bob.Say(l.client.Self(), "from the new phone")
	require.NoError(t, err)
	told.message(t, id, network.Text{Body: "from the new phone"})
	told.await(t, "an identity change", func(event network.Event) bool {
		return event == network.IdentityEvent{Person: bob.Address()}
	})
}

func TestContentOutsideTheSchemaIsRefused(t *testing.T) {
	l, told, bob := meet(t)
	fault := simulated.net.Fault(meta.Fault{Kind: meta.FaultUnknownField, Match: meta.Match{Account: l.account.number}})
	defer fault.Remove()
	id, err := bob.Say(l.client.Self(), "with something new")
	require.NoError(t, err)
	told.message(t, id, network.Unsupported{Type: unknownKind})
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(simulated.net.Refusals(), func(r meta.Refusal) bool { return r.ID == id && r.Code == 491 })
	}, patience, 10*time.Millisecond)
	next, err := bob.Say(l.client.Self(), "plain")
	require.NoError(t, err)
	require.NoError(t, bob.WaitReceipt(patient(t), next, network.Delivered))
	for _, receipt := range bob.Receipts() {
		require.NotEqual(t, id, receipt.ID, "what was refused is not confirmed")
	}
}

func TestRepeatedMessageIsTakenOnce(t *testing.T) {
	l, told, bob := meet(t)
	fault := simulated.net.Fault(meta.Fault{Kind: meta.FaultDuplicate, Match: meta.Match{Account: l.account.number}})
	defer fault.Remove()
	id, err := bob.Say(l.client.Self(), "once")
	require.NoError(t, err)
	next, err := bob.Say(l.client.Self(), "next")
	require.NoError(t, err)
	told.message(t, next, network.Text{Body: "next"})
	count := 0
	told.mu.Lock()
	defer told.mu.Unlock()
	for _, event := range told.all {
		if message, ok := event.(network.MessageEvent); ok && message.Message.ID.ID == id {
			count++
		}
	}
	require.Equal(t, 1, count)
}

func TestAliasAndIntegrator(t *testing.T) {
	l, told, bob := meet(t)
	id, err := bob.Say(l.client.Self(), "hello")
	require.NoError(t, err)
	event := told.message(t, id, network.Text{Body: "hello"})
	require.Equal(t, network.Phone(bob.Phone()), event.SenderAlias)
	require.Equal(t, bob.Address(), event.Message.ID.Sender)
}

func TestLostAnswer(t *testing.T) {
	l, _, bob := meet(t)
	fault := simulated.net.Fault(meta.Fault{Kind: meta.FaultAckLost, Match: meta.Match{Account: l.account.number}})
	defer fault.Remove()
	outcome := make(chan error, 1)
	go func() {
		_, err := write(l, bob, "perhaps")
		outcome <- err
	}()
	heard, err := bob.Hears(patient(t))
	require.NoError(t, err)
	require.Equal(t, "perhaps", heard.Text)
	l.Drop()
	require.ErrorIs(t, <-outcome, network.ErrOutcomeUnknown)
	require.Eventually(t, func() bool {
		_, err = write(l, bob, "perhaps")
		return err == nil
	}, patience, 50*time.Millisecond)
	_, err = write(l, bob, "afterwards")
	require.NoError(t, err)
	heard, err = bob.Hears(patient(t))
	require.NoError(t, err)
	require.Equal(t, "afterwards", heard.Text, "the same id is one message")
}

func TestRefusedAnswers(t *testing.T) {
	l, _, bob := meet(t)
	for code, want := range map[string]error{
		"429": network.ErrRateLimited, "451": network.ErrRegion, "503": network.ErrTemporary, "404": network.ErrUnknownPerson,
	} {
		fault := simulated.net.Fault(meta.Fault{
			Kind: meta.FaultAck, Match: meta.Match{Account: l.account.number}, Params: map[string]string{"code": code},
		})
		_, err := write(l, bob, "refused with "+code)
		require.ErrorIs(t, err, want)
		fault.Remove()
	}
}

func TestEndsForGood(t *testing.T) {
	for how, want := range map[string]error{"replaced": network.ErrReplaced, "device_removed": network.ErrWithdrawn} {
		l, told, _ := meet(t)
		simulated.net.DropConnections(l.account.number, how)
		require.ErrorIs(t, told.state(t, network.Refused).Err, want)
	}
	l, told, _ := meet(t)
	l.client.Disconnect()
	fault := simulated.net.Fault(meta.Fault{
		Kind: meta.FaultLogin, Match: meta.Match{Account: l.account.number}, Params: map[string]string{"reason": "401"},
	})
	defer fault.Remove()
	require.NoError(t, l.client.Connect(t.Context()))
	require.ErrorIs(t, told.state(t, network.Refused).Err, network.ErrWithdrawn)
	// Keys are the bridge's to delete, whatever the network says.
	keys, err := l.store.PrivateKeys(t.Context())
	require.NoError(t, err)
	require.NotNil(t, keys)
}

func TestEndsForAWhile(t *testing.T) {
	for _, how := range []string{"close", "reset", "503", "515"} {
		l, told, bob := meet(t)
		simulated.net.DropConnections(l.account.number, how)
		told.state(t, network.Interrupted)
		id, err := bob.Say(l.client.Self(), how)
		require.NoError(t, err)
		told.message(t, id, network.Text{Body: how})
	}
}

func TestExpiredTokenOnceIsNoTrouble(t *testing.T) {
	told := &events{changed: make(chan struct{})}
	l := simulated.login(t, told.handle, openStore(t))
	fault := simulated.net.Fault(meta.Fault{
		Kind: meta.FaultLogin, Match: meta.Match{Account: l.account.number}, Params: map[string]string{"reason": "413"},
	})
	defer fault.Remove()
	require.NoError(t, l.client.Connect(t.Context()))
	t.Cleanup(l.client.Disconnect)
	told.state(t, network.Connected)
	require.Equal(t, 1, fault.Struck())
}

func TestForeignCertificate(t *testing.T) {
	told := &events{changed: make(chan struct{})}
	l := simulated.login(t, told.handle, openStore(t))
	fault := simulated.net.Fault(meta.Fault{Kind: meta.FaultCertificateRoot})
	defer fault.Remove()
	require.NoError(t, l.client.Connect(t.Context()))
	t.Cleanup(l.client.Disconnect)
	require.ErrorContains(t, told.state(t, network.Interrupted).Err, "cert")
	told.state(t, network.Connected)
}

func TestRestart(t *testing.T) {
	store := openStore(t)
	told := &events{changed: make(chan struct{})}
	l := simulated.login(t, told.handle, store)
	bob := simulated.Person(t).(person)
	require.NoError(t, l.client.Connect(t.Context()))
	told.state(t, network.Connected)
	_, err := write(l, bob, "before")
	require.NoError(t, err)
	_, err = bob.Hears(patient(t))
	require.NoError(t, err)
	l.client.Disconnect()

	// Another process over the same rows: sessions, prekeys and keys are there.
	id, err := bob.Say(l.client.Self(), "in between")
	require.NoError(t, err)
	again := &events{changed: make(chan struct{})}
	l = simulated.again(t, l, again.handle)
	require.NoError(t, l.client.Connect(t.Context()))
	t.Cleanup(l.client.Disconnect)
	again.message(t, id, network.Text{Body: "in between"})
	again.state(t, network.Connected)
	_, err = write(l, bob, "after")
	require.NoError(t, err)
	heard, err := bob.Hears(patient(t))
	require.NoError(t, err)
	require.Equal(t, networktest.Heard{From: l.client.Self(), ID: heard.ID, Text: "after"}, heard)
}

func TestConnectRefusesBadConfiguration(t *testing.T) {
	require.Error(t, NewInterop(InteropConfig{}).Connect(t.Context()))
	l := simulated.login(t, func(context.Context, network.Event) error { return nil }, openStore(t))
	cfg := simulated.config(t, l.account, l.store, nil)
	cfg.Endpoint.Host = "192.0.2.1:443"
	require.ErrorContains(t, NewInterop(cfg).Connect(t.Context()), "loopback")
	cfg = simulated.config(t, l.account, l.store, nil)
	cfg.Endpoint.TrustRoot = make([]byte, 32)
	require.ErrorContains(t, NewInterop(cfg).Connect(t.Context()), "another one")
	cfg = simulated.config(t, l.account, l.store, nil)
	cfg.Self = network.LID("5")
	require.Error(t, NewInterop(cfg).Connect(t.Context()))
}

// TestNothingLostOnABadNetwork is the suite's load on a network that does what bad
// networks do: each message arrives, and once, if whatever failed is sent again.
func TestNothingLostOnABadNetwork(t *testing.T) {
	const count = 60
	l, told, bob := meet(t)
	simulated.net.SetProfile(meta.Faults)
	defer simulated.net.SetProfile(meta.Timing)
	var both sync.WaitGroup
	said := make(map[string]bool)
	both.Go(func() {
		for i := range count {
			id, err := bob.Say(l.client.Self(), fmt.Sprintf("to us %d", i))
			if err != nil {
				t.Errorf("message %d from the person: %v", i, err)
			}
			said[id] = true
		}
	})
	both.Go(func() {
		for i := range count {
			persist(t, l, bob, fmt.Sprintf("from us %d", i))
		}
	})
	both.Wait()
	heard := make(map[string]int)
	for range count {
		h, err := bob.Hears(patient(t))
		require.NoError(t, err)
		heard[h.Text]++
	}
	require.Len(t, heard, count, "nothing lost, nothing twice")
	for id := range said {
		told.await(t, "message "+id, func(event network.Event) bool {
			message, ok := event.(network.MessageEvent)
			_, text := message.Message.Content.(network.Text)
			return ok && text && message.Message.ID.ID == id
		})
	}
}

// persist sends a message as the program does: again under its id until it is taken.
func persist(t *testing.T, l *login, to person, body string) {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		_, err := write(l, to, body)
		if err == nil {
			return
		}
		temporary := errors.Is(err, network.ErrTemporary) || errors.Is(err, network.ErrOutcomeUnknown) ||
			errors.Is(err, network.ErrNotConnected) || errors.Is(err, network.ErrRateLimited)
		if !temporary {
			t.Errorf("sending %q: %v", body, err)
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Errorf("sending %q: not taken in time", body)
}

package whatsapp

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/simulator/meta"
	"causeway/wire"
	"causeway/wire/wiretest"
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
		return ok && message.Message.ID.ID == id && reflect.DeepEqual(message.Message.Content, content)
	}).(network.MessageEvent)
}

// unread waits for a message that cannot be read, and checks that it is kept for a version that can.
func (e *events) unread(t *testing.T, id string) network.MessageEvent {
	t.Helper()
	return e.await(t, "a message that cannot be read", func(event network.Event) bool {
		message, ok := event.(network.MessageEvent)
		content, unread := message.Message.Content.(network.Unsupported)
		return ok && message.Message.ID.ID == id && unread && content.Type == "message of an unknown kind" && len(content.Payload) > 0
	}).(network.MessageEvent)
}

func (e *events) state(t *testing.T, state network.ConnectionState) network.ConnectionEvent {
	t.Helper()
	return e.await(t, string(state), func(event network.Event) bool {
		connection, ok := event.(network.ConnectionEvent)
		return ok && connection.State == state
	}).(network.ConnectionEvent)
}

// login is an enlisted account with its client.
type login struct {
	*wiretest.Login
	client *Interop
}

// enlisted is a new account, again one as a new process makes it.
func enlisted(t *testing.T, handler network.Handler) *login {
	t.Helper()
	made := simulated.Enlisted(t, handler)
	return &login{made, made.Client().(*Interop)}
}

func again(t *testing.T, old *login, handler network.Handler) *login {
	t.Helper()
	made := simulated.Again(t, old.Login, handler)
	return &login{made, made.Client().(*Interop)}
}

// meet is a connected login and a person who accepts its chats.
func meet(t *testing.T) (*login, *events, wiretest.Person) {
	t.Helper()
	told := &events{changed: make(chan struct{})}
	l := enlisted(t, told.handle)
	require.NoError(t, l.client.Connect(t.Context()))
	t.Cleanup(l.client.Disconnect)
	told.state(t, network.Connected)
	return l, told, simulated.Person(t).(wiretest.Person)
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func write(l *login, to wiretest.Person, seed string) (network.Message, error) {
	message := network.Message{
		ID:      network.MessageID{Conversation: to.Address(), Sender: l.client.Self(), ID: l.client.NewMessageID([]byte(seed))},
		Content: network.Text{Body: seed},
	}
	_, err := l.client.Send(context.Background(), message)
	return message, err
}

func TestMangledMessageComesAgain(t *testing.T) {
	l, told, bob := meet(t)
	fault := simulated.Net.Fault(meta.Fault{Kind: meta.FaultMangle, Match: meta.Match{Account: l.client.Self().User}})
	defer fault.Remove()
	id, err := bob.Say(l.client.Self(), "hello")
	require.NoError(t, err)
	told.message(t, id, network.Undecryptable{})
	told.message(t, id, network.Text{Body: "hello"})
	require.NoError(t, bob.WaitReceipt(patient(t), id, network.Delivered))
}

func TestMessageMangledTwiceComesWithFreshKeys(t *testing.T) {
	l, told, bob := meet(t)
	fault := simulated.Net.Fault(meta.Fault{Kind: meta.FaultMangleAlways, Count: 2, Match: meta.Match{Account: l.client.Self().User}})
	defer fault.Remove()
	id, err := bob.Say(l.client.Self(), "hello")
	require.NoError(t, err)
	told.message(t, id, network.Text{Body: "hello"})
	require.Equal(t, 2, fault.Struck())
	sent, err := write(l, bob, "over the new session")
	require.NoError(t, err)
	heard, err := bob.Hears(patient(t))
	require.NoError(t, err)
	require.Equal(t, sent.ID.ID, heard.ID)
}

func TestHopelessMessageIsGivenUp(t *testing.T) {
	l, told, bob := meet(t)
	fault := simulated.Net.Fault(meta.Fault{Kind: meta.FaultMangleAlways, Count: -1, Match: meta.Match{Account: l.client.Self().User}})
	id, err := bob.Say(l.client.Self(), "never readable")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return fault.Struck() == 6 }, patience, 10*time.Millisecond, "five retries, and no more")
	fault.Remove()
	next, err := bob.Say(l.client.Self(), "readable")
	require.NoError(t, err)
	told.message(t, next, network.Text{Body: "readable"})
	told.message(t, id, network.Undecryptable{})
	require.Equal(t, 6, fault.Struck())
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
	fault := simulated.Net.Fault(meta.Fault{Kind: meta.FaultUnknownField, Match: meta.Match{Account: l.client.Self().User}})
	defer fault.Remove()
	id, err := bob.Say(l.client.Self(), "with something new")
	require.NoError(t, err)
	unread := told.unread(t, id).Message
	require.Equal(t, unread, l.client.Reread(t.Context(), unread), "this version still cannot read it")
	readable := unread
	payload, err := encode(network.Message{ID: unread.ID, Content: network.Text{Body: "read at last"}}, wire.SealedMedia{})
	require.NoError(t, err)
	readable.Content = network.Unsupported{Type: "message of an unknown kind", Payload: payload}
	require.Equal(t, network.Text{Body: "read at last"}, l.client.Reread(t.Context(), readable).Content)
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(simulated.Net.Refusals(), func(r meta.Refusal) bool { return r.ID == id && r.Code == 491 })
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
	fault := simulated.Net.Fault(meta.Fault{Kind: meta.FaultDuplicate, Match: meta.Match{Account: l.client.Self().User}})
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
	fault := simulated.Net.Fault(meta.Fault{Kind: meta.FaultAckLost, Match: meta.Match{Account: l.client.Self().User}})
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

func TestSafetyNumber(t *testing.T) {
	l, told, bob := meet(t)
	_, err := l.client.SafetyNumber(t.Context(), bob.Address())
	require.ErrorIs(t, err, network.ErrNoEncryption)
	id, err := bob.Say(l.client.Self(), "hello")
	require.NoError(t, err)
	told.message(t, id, network.Text{Body: "hello"})
	number, err := l.client.SafetyNumber(t.Context(), bob.Address())
	require.NoError(t, err)
	require.Regexp(t, `^[0-9]{60}$`, number)
	bob.NewIdentity()
	id, err = bob.Say(l.client.Self(), "hello again")
	require.NoError(t, err)
	told.message(t, id, network.Text{Body: "hello again"})
	changed, err := l.client.SafetyNumber(t.Context(), bob.Address())
	require.NoError(t, err)
	require.NotEqual(t, number, changed)
}

func TestRefusedAnswers(t *testing.T) {
	l, _, bob := meet(t)
	for code, want := range map[string]error{
		"429": network.ErrRateLimited, "451": network.ErrRegion, "503": network.ErrTemporary, "404": network.ErrUnknownPerson,
	} {
		fault := simulated.Net.Fault(meta.Fault{
			Kind: meta.FaultAck, Match: meta.Match{Account: l.client.Self().User}, Params: map[string]string{"code": code},
		})
		_, err := write(l, bob, "refused with "+code)
		require.ErrorIs(t, err, want)
		fault.Remove()
	}
}

package networktest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

func messagesFromPerson(t *testing.T, h Harness) {
	r, person := newRecorder(t), h.Person(t)
	login := connected(t, h, r)
	var ids []string
	for i := range 10 {
		id, err := person.Say(login.Client().Self(), fmt.Sprintf("message %d", i))
		require.NoError(t, err)
		ids = append(ids, id)
	}
	for i, event := range r.messages(len(ids)) {
		message := event.Message
		require.Equal(t, network.MessageID{Conversation: person.Address(), Sender: person.Address(), ID: ids[i]}, message.ID)
		require.Equal(t, network.Text{Body: fmt.Sprintf("message %d", i)}, message.Content)
		require.WithinDuration(t, time.Now(), message.Time, time.Minute)
		require.Nil(t, message.ReplyTo)
	}
}

func messagesToPerson(t *testing.T, h Harness) {
	r, person := newRecorder(t), h.Person(t)
	login := connected(t, h, r)
	for i := range 10 {
		body := fmt.Sprintf("message %d: ünï©ödé *bold* 👍", i)
		sent := send(t, login, person, body, body)
		heard, err := person.Hears(patient(t))
		require.NoError(t, err)
		require.Equal(t, Heard{From: login.Client().Self(), ID: sent.ID.ID, Text: body}, heard)
	}
}

func replies(t *testing.T, h Harness) {
	r, person := newRecorder(t), h.Person(t)
	login := connected(t, h, r)
	asked := send(t, login, person, "asked", "how are you?")
	heard, err := person.Hears(patient(t))
	require.NoError(t, err)
	answer, err := person.Reply(heard, "well")
	require.NoError(t, err)

	got := r.messages(1)[0].Message
	require.Equal(t, network.Text{Body: "well"}, got.Content)
	require.Equal(t, answer, got.ID.ID)
	require.Equal(t, &asked.ID, got.ReplyTo)

	back := text(login, person, "back", "good")
	back.ReplyTo = &got.ID
	_, err = login.Client().Send(patient(t), back)
	require.NoError(t, err)
	heard, err = person.Hears(patient(t))
	require.NoError(t, err)
	require.Equal(t, Heard{From: login.Client().Self(), ID: back.ID.ID, Text: "good", ReplyTo: answer}, heard)
}

func receiptsOfOurs(t *testing.T, h Harness) {
	r, person := newRecorder(t), h.Person(t)
	login := connected(t, h, r)
	sent := send(t, login, person, "one", "hello")
	_, err := person.Hears(patient(t))
	require.NoError(t, err)
	got := r.receipt(sent.ID.ID, network.Delivered)
	require.Equal(t, person.Address(), got.Conversation)
	require.Equal(t, person.Address(), got.Reader)
	require.NoError(t, person.Read(sent.ID.ID))
	got = r.receipt(sent.ID.ID, network.Read)
	require.WithinDuration(t, time.Now(), got.Time, time.Minute)
}

func receiptsOfTheirs(t *testing.T, h Harness) {
	r, person := newRecorder(t), h.Person(t)
	login := connected(t, h, r)
	var ids []network.MessageID
	for _, body := range []string{"one", "two", "three"} {
		id, err := person.Say(login.Client().Self(), body)
		require.NoError(t, err)
		require.NoError(t, person.WaitReceipt(patient(t), id, network.Delivered))
		ids = append(ids, network.MessageID{Conversation: person.Address(), Sender: person.Address(), ID: id})
	}
	require.Len(t, r.messages(3), 3)
	require.NoError(t, login.Client().MarkRead(patient(t), person.Address(), ids, time.Now()))
	for _, id := range ids {
		require.NoError(t, person.WaitReceipt(patient(t), id.ID, network.Read))
	}
}

func typing(t *testing.T, h Harness) {
	r, person := newRecorder(t), h.Person(t)
	login := connected(t, h, r)
	self := login.Client().Self()
	// A conversation exists before anybody types in it.
	send(t, login, person, "first", "hello")
	_, err := person.Hears(patient(t))
	require.NoError(t, err)
	for i, state := range []bool{true, false} {
		require.NoError(t, person.Typing(self, state))
		r.await("typing", func(events []network.Event) bool {
			return len(of[network.TypingEvent](events)) > i
		})
		require.NoError(t, login.Client().SetTyping(patient(t), person.Address(), state))
		require.NoError(t, person.WaitTyping(patient(t), self, state))
	}
	r.await("both states", func(events []network.Event) bool {
		got := of[network.TypingEvent](events)
		return len(got) == 2 &&
			got[0] == network.TypingEvent{Conversation: person.Address(), Sender: person.Address(), Typing: true} &&
			got[1] == network.TypingEvent{Conversation: person.Address(), Sender: person.Address()}
	})
}

func sameIDTwice(t *testing.T, h Harness) {
	r, person := newRecorder(t), h.Person(t)
	login := connected(t, h, r)
	send(t, login, person, "same", "only once")
	send(t, login, person, "same", "only once")
	send(t, login, person, "another", "after it")
	for _, body := range []string{"only once", "after it"} {
		heard, err := person.Hears(patient(t))
		require.NoError(t, err)
		require.Equal(t, body, heard.Text)
	}
}

func messageIDs(t *testing.T, h Harness) {
	client := h.Login(t, newRecorder(t).handle).Client()
	seen := make(map[string]bool)
	for i := range 1000 {
		seed := fmt.Appendf(nil, "seed %d", i)
		id := client.NewMessageID(seed)
		require.NotEmpty(t, id)
		require.False(t, seen[id], "two seeds make one id")
		require.Equal(t, id, client.NewMessageID(seed))
		seen[id] = true
	}
}

// loadBothWays is the load under which messages were lost where sending and
// receiving used one Signal session at the same time.
func loadBothWays(t *testing.T, h Harness) {
	const count = 300
	r, person := newRecorder(t), h.Person(t)
	login := connected(t, h, r)
	_, err := person.Say(login.Client().Self(), "hello")
	require.NoError(t, err)
	r.messages(1)
	send(t, login, person, "hello", "hello to you")
	_, err = person.Hears(patient(t))
	require.NoError(t, err)
	var both sync.WaitGroup
	both.Go(func() {
		for i := range count {
			if _, err := person.Say(login.Client().Self(), fmt.Sprintf("to us %d", i)); err != nil {
				t.Errorf("message %d from the person: %v", i, err)
				return
			}
		}
	})
	both.Go(func() {
		for i := range count {
			body := fmt.Sprintf("from us %d", i)
			if _, err := login.Client().Send(patient(t), text(login, person, body, body)); err != nil {
				t.Errorf("message %d to the person: %v", i, err)
				return
			}
		}
	})
	both.Wait()
	for i := range count {
		heard, err := person.Hears(patient(t))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("from us %d", i), heard.Text)
	}
	for i, event := range r.messages(count + 1)[1:] {
		require.Equal(t, network.Text{Body: fmt.Sprintf("to us %d", i)}, event.Message.Content)
	}
}

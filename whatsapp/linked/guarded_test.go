package linked

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

// A panic while a message is opened undoes the step and nothing else: the next write works.
func TestPanicInDecryption(t *testing.T) {
	anna := newDevice(t, "Anna")
	l := mustLink(t, anna)
	buffer, held := l.device.EventBuffer, l.device.Sessions
	err := buffer.DoDecryptionTxn(t.Context(), func(ctx context.Context) error {
		require.NoError(t, held.PutSession(ctx, "somebody", []byte{1}))
		panic("in the middle")
	})
	require.ErrorContains(t, err, "in the middle")
	has, err := held.HasSession(t.Context(), "somebody")
	require.NoError(t, err)
	require.False(t, has)
	require.NoError(t, buffer.DoDecryptionTxn(t.Context(), func(ctx context.Context) error { return held.PutSession(ctx, "somebody", []byte{1}) }))
}

// Whoever reads a session to change it keeps all others out until it is stored.
func TestSessionsAreHeld(t *testing.T) {
	anna := newDevice(t, "Anna")
	l := mustLink(t, anna)
	held := l.device.Sessions
	waits := func(what string, fn func(context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, fn(ctx), context.DeadlineExceeded, what)
	}
	open := func(ctx context.Context) error {
		return l.device.EventBuffer.DoDecryptionTxn(ctx, func(context.Context) error { return nil })
	}

	out, end := withSending(t.Context())
	_, err := held.GetManySessions(out, []string{"a", "b"})
	require.NoError(t, err)
	waits("a message on its way out", open)
	require.NoError(t, held.PutManySessions(out, map[string][]byte{"a": {1}}))
	require.NoError(t, open(t.Context()))
	require.ErrorIs(t, held.PutManySessions(out, map[string][]byte{"a": {2}}), errExpired, "the hold is over")
	_, err = held.GetManySessions(out, []string{"a"})
	require.NoError(t, err)
	end() // it failed on the way
	require.NoError(t, open(t.Context()))

	_, err = held.GetSession(t.Context(), "a")
	require.NoError(t, err)
	waits("an answer to a retry", open)
	require.NoError(t, held.PutSession(t.Context(), "a", []byte{3}))
	require.NoError(t, open(t.Context()))
	require.ErrorIs(t, held.PutSession(t.Context(), "a", []byte{4}), errExpired)
	_, err = held.GetSession(t.Context(), "a")
	require.NoError(t, err)
	require.NoError(t, open(within(t)), "a use without an end ends by itself")
}

// Both directions at once lose nothing: the same session is stepped by whoever sends and whoever receives.
func TestLoadBothWays(t *testing.T) {
	const count = 200
	anna, bob := newDevice(t, "Anna"), person("Bob")
	them := addressOf(t, bob)
	anna.settle()
	hello, err := bob.Say(anna.owner.LID(), "hello") // two who write first at the same time begin two sessions
	require.NoError(t, err)
	anna.hears(hello)
	heard(t, bob, anna.say(them, network.Text{Body: "hello to you"}))
	var sending sync.WaitGroup
	failed := make(chan error, 2*count)
	var theirs []string
	sending.Go(func() {
		for i := range count {
			id, err := bob.Say(anna.owner.LID(), fmt.Sprint("in ", i))
			if err != nil {
				failed <- err
				return
			}
			theirs = append(theirs, id)
		}
	})
	var ours []string
	for i := range count {
		msg := anna.message(them, network.Text{Body: fmt.Sprint("out ", i)})
		_, err := anna.Send(within(t), msg)
		for errors.Is(err, network.ErrTemporary) || errors.Is(err, network.ErrOutcomeUnknown) {
			_, err = anna.Send(within(t), msg) // as the outbox does
		}
		require.NoError(t, err)
		ours = append(ours, msg.ID.ID)
	}
	sending.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	for _, id := range ours {
		heard(t, bob, id)
	}
	for i, id := range theirs {
		message := await(anna.told, "message "+id, func(e network.MessageEvent) bool {
			_, opened := e.Message.Content.(network.Text)
			return e.Message.ID.ID == id && opened
		})
		require.Equal(t, network.Text{Body: fmt.Sprint("in ", i)}, message.Message.Content)
	}
	anna.lock.Lock()
	defer anna.lock.Unlock()
	for _, event := range anna.events {
		if message, ok := event.(network.MessageEvent); ok {
			require.NotEqual(t, network.Undecryptable{}, message.Message.Content)
		}
	}
}

// Two logins of a process know nothing of each other.
func TestLoginsShareNothing(t *testing.T) {
	db := openDatabase(t)
	store := openStoreOn(t, db)
	first := &device{told: newTold(t), owner: person("Anna"), db: db}
	second := &device{told: newTold(t), owner: person("Ada"), db: db}
	for _, d := range []*device{first, second} {
		d.open(store, linkedBy(t, store, d.owner))
		d.connect()
	}
	bob := person("Bob")
	id, err := bob.Say(first.owner.LID(), "to one")
	require.NoError(t, err)
	first.hears(id)
	known, err := first.Canonical(t.Context(), network.Phone(bob.Phone()))
	require.NoError(t, err)
	require.Equal(t, addressOf(t, bob), known)
	unknown, err := second.Canonical(t.Context(), network.Phone(bob.Phone()))
	require.NoError(t, err)
	require.Equal(t, network.Phone(bob.Phone()), unknown)
	rows := 0
	require.NoError(t, db.QueryRow(t.Context(), "SELECT COUNT(*) FROM whatsmeow_lid_map").Scan(&rows))
	require.Zero(t, rows, "the library's table for all logins stays empty")

	require.NoError(t, first.Unlink(within(t)))
	id, err = bob.Say(second.owner.LID(), "to the other")
	require.NoError(t, err)
	second.hears(id)
}

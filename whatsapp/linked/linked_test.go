package linked

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

func TestDirectChat(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	them := addressOf(t, bob)

	id, err := bob.Say(anna.owner.LID(), "*hello*")
	require.NoError(t, err)
	got := anna.hears(id)
	require.Equal(t, network.Text{Body: "*hello*"}, got.Message.Content)
	require.Equal(t, network.MessageID{Conversation: them, Sender: them, ID: id}, got.Message.ID)
	require.Equal(t, network.Phone(bob.Phone()), got.SenderAlias)
	require.Equal(t, "Bob", got.SenderName)
	require.NoError(t, bob.WaitReceipt(within(t), id, "delivery"))

	ours := anna.say(them, network.Text{Body: "hi"}, func(m *network.Message) {
		m.ReplyTo, m.Quote = &got.Message.ID, "*hello*"
	})
	h := heard(t, bob, ours)
	require.Equal(t, "hi", h.Text)
	require.Equal(t, id, h.ReplyTo)
	require.Equal(t, "*hello*", h.ReplyText)
	await(anna.told, "delivery", func(e network.ReceiptEvent) bool {
		return e.Kind == network.Delivered && e.Reader == them && e.IDs[0] == ours && e.Sender.IsZero()
	})
	require.NoError(t, bob.Read(ours))
	await(anna.told, "read", func(e network.ReceiptEvent) bool {
		return e.Kind == network.Read && e.Reader == them && e.IDs[0] == ours
	})

	require.NoError(t, anna.MarkRead(within(t), them, []network.MessageID{got.Message.ID}, time.Now()))
	require.NoError(t, bob.WaitReceipt(within(t), id, "read"))

	require.NoError(t, anna.SetTyping(within(t), them, true))
	require.NoError(t, bob.WaitTyping(within(t), anna.owner.LID(), true))
	require.NoError(t, bob.Typing(anna.owner.LID(), true))
	await(anna.told, "typing", func(e network.TypingEvent) bool { return e.Sender == them && e.Typing })
}

// What the user does on the phone is told as their own.
func TestOwnPhone(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	them := addressOf(t, bob)
	id, err := anna.owner.Say(bob.LID(), "from the phone")
	require.NoError(t, err)
	own := anna.hears(id)
	require.Equal(t, network.MessageID{Conversation: them, Sender: anna.Self(), ID: id}, own.Message.ID)
	require.True(t, own.SenderAlias.IsZero())

	id, err = bob.Say(anna.owner.LID(), "read me")
	require.NoError(t, err)
	anna.hears(id)
	heard(t, anna.owner, id)
	require.NoError(t, anna.owner.Read(id))
	read := await(anna.told, "own reading", func(e network.ReceiptEvent) bool { return e.Reader == anna.Self() })
	require.Equal(t, network.ReceiptEvent{
		Kind: network.Read, Conversation: them, Reader: anna.Self(), Sender: them, IDs: []string{id}, Time: read.Time,
	}, read)
}

// The same id twice is one message, and everything that was sent before a new start is still answered for.
func TestSameIDTwice(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	msg := anna.message(addressOf(t, bob), network.Text{Body: "once"})
	for range 3 {
		_, err := anna.Send(within(t), msg)
		require.NoError(t, err)
	}
	last := anna.say(addressOf(t, bob), network.Text{Body: "last"})
	heard(t, bob, last)
	count := 0
	for _, h := range bob.Heard() {
		if h.ID == msg.ID.ID {
			count++
		}
	}
	require.Equal(t, 1, count)
}

// What the handler refuses, or panics on, comes again and is then taken once.
func TestRefusedComesAgain(t *testing.T) {
	for name, refuse := range map[string]func() error{
		"error": func() error { return errors.New("not now") },
		"panic": func() error { panic("not now") },
	} {
		t.Run(name, func(t *testing.T) {
			anna, bob := newDevice(t, "Anna"), person("Bob")
			first, err := bob.Say(anna.owner.LID(), "first")
			require.NoError(t, err)
			anna.hears(first)
			refusals := 0
			anna.lock.Lock()
			anna.before = func(event network.Event) error {
				if message, ok := event.(network.MessageEvent); ok && message.Message.Content == (network.Text{Body: "second"}) && refusals < 2 {
					refusals++
					return refuse()
				}
				return nil
			}
			anna.lock.Unlock()
			second, err := bob.Say(anna.owner.LID(), "second")
			require.NoError(t, err)
			third, err := bob.Say(anna.owner.LID(), "third")
			require.NoError(t, err)
			anna.hears(second)
			anna.hears(third)
			require.NoError(t, bob.WaitReceipt(within(t), third, "delivery"))
			anna.lock.Lock()
			defer anna.lock.Unlock()
			require.Equal(t, 2, refusals)
			var texts []string
			for _, event := range anna.events {
				if message, ok := event.(network.MessageEvent); ok {
					texts = append(texts, message.Message.Content.(network.Text).Body)
				}
			}
			require.Equal(t, []string{"first", "second", "third"}, texts)
		})
	}
}

// What was opened and not taken when the process ended is taken by the next one, though its ciphertext opens no more.
func TestOpenedButNotTaken(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	anna.settle()
	refused := make(chan struct{}, 64)
	anna.lock.Lock()
	anna.before = func(event network.Event) error {
		if _, ok := event.(network.MessageEvent); ok {
			refused <- struct{}{}
			return errors.New("the disk is full")
		}
		return nil
	}
	anna.lock.Unlock()
	id, err := bob.Say(anna.owner.LID(), "hold on to this")
	require.NoError(t, err)
	<-refused
	anna.Disconnect()
	buffered := 0
	require.NoError(t, anna.db.QueryRow(t.Context(), "SELECT COUNT(*) FROM whatsmeow_event_buffer WHERE plaintext IS NOT NULL").Scan(&buffered))
	require.Positive(t, buffered)

	anna.lock.Lock()
	anna.before = nil
	anna.lock.Unlock()
	anna.open(openStoreOn(t, anna.db), anna.Self())
	anna.connect()
	require.Equal(t, network.Text{Body: "hold on to this"}, anna.hears(id).Message.Content)
	require.Eventually(t, func() bool {
		err := anna.db.QueryRow(t.Context(), "SELECT COUNT(*) FROM whatsmeow_event_buffer WHERE plaintext IS NOT NULL").Scan(&buffered)
		return err == nil && buffered == 0
	}, patience, 10*time.Millisecond, "plaintexts stay no longer than needed")
}

func TestConnectionEnds(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	for _, how := range []string{"close", "reset", "503", "515"} {
		simulated.DropConnections(anna.device(t), how)
		await(anna.told, "interruption by "+how, func(e network.ConnectionEvent) bool { return e.State == network.Interrupted })
		await(anna.told, "return after "+how, func(e network.ConnectionEvent) bool { return e.State == network.Connected })
		id, err := bob.Say(anna.owner.LID(), how)
		require.NoError(t, err)
		anna.hears(id)
	}
	simulated.DropConnections(anna.device(t), "replaced")
	refused := await(anna.told, "refusal", func(e network.ConnectionEvent) bool { return e.State == network.Refused })
	require.ErrorIs(t, refused.Err, network.ErrReplaced)
	_, err := anna.Send(t.Context(), anna.message(addressOf(t, bob), network.Text{Body: "late"}))
	require.ErrorIs(t, err, network.ErrNotConnected)
	anna.connect() // a refused login can be told to try again
}

// device is what the network calls the login's device.
func (d *device) device(t *testing.T) string {
	t.Helper()
	known, err := d.db.LinkedLogin(t.Context(), d.Self().String())
	require.NoError(t, err)
	require.NotNil(t, known)
	return known.Device
}

func TestMessagesWaitWhileAway(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	anna.Disconnect()
	var ids []string
	for _, text := range []string{"one", "two", "three"} {
		id, err := bob.Say(anna.owner.LID(), text)
		require.NoError(t, err)
		ids = append(ids, id)
	}
	anna.open(openStoreOn(t, anna.db), anna.Self()) // a new process
	anna.connect()
	for _, id := range ids {
		anna.hears(id)
	}
}

func TestPhoneUnlinks(t *testing.T) {
	anna := newDevice(t, "Anna")
	anna.settle() // the library must not be at its stores when it forgets them
	require.Len(t, anna.owner.LinkedDevices(), 1)
	require.NoError(t, anna.owner.Unlink(anna.owner.LinkedDevices()[0].Device))
	refused := await(anna.told, "refusal", func(e network.ConnectionEvent) bool { return e.State == network.Refused })
	require.ErrorIs(t, refused.Err, network.ErrUnlinked)
	anna.Disconnect()
	self := anna.Self()

	// linked again it is the same login
	store := openStoreOn(t, anna.db)
	require.Equal(t, self, linkedBy(t, store, anna.owner))
	anna.open(store, self)
	anna.connect()
	bob := person("Bob")
	id, err := bob.Say(anna.owner.LID(), "welcome back")
	require.NoError(t, err)
	anna.hears(id)
}

func TestUnlinkFromHere(t *testing.T) {
	anna := newDevice(t, "Anna")
	anna.settle()
	require.NoError(t, anna.Unlink(within(t)))
	require.Eventually(t, func() bool { return len(anna.owner.LinkedDevices()) == 0 }, patience, 10*time.Millisecond)
	known, err := anna.db.LinkedLogins(t.Context())
	require.NoError(t, err)
	require.Empty(t, known)
	rows := 0
	require.NoError(t, anna.db.QueryRow(t.Context(), "SELECT COUNT(*) FROM whatsmeow_device").Scan(&rows))
	require.Zero(t, rows)
	require.NoError(t, anna.Connect(t.Context()))
	refused := await(anna.told, "refusal", func(e network.ConnectionEvent) bool { return e.State == network.Refused })
	require.ErrorIs(t, refused.Err, network.ErrUnlinked)
	anna.Disconnect()
}

// The connection library's tables and ours lie in PostgreSQL as well.
func TestOnPostgreSQL(t *testing.T) {
	anna, bob := newDeviceOn(t, openPostgres(t), "Anna"), person("Bob")
	them := addressOf(t, bob)
	for i := range 20 {
		id, err := bob.Say(anna.owner.LID(), fmt.Sprint("in ", i))
		require.NoError(t, err)
		require.Equal(t, network.Text{Body: fmt.Sprint("in ", i)}, anna.hears(id).Message.Content)
		require.Equal(t, fmt.Sprint("out ", i), heard(t, bob, anna.say(them, network.Text{Body: fmt.Sprint("out ", i)})).Text)
	}
	group, err := bob.CreateGroup("Friends", anna.owner.LID())
	require.NoError(t, err)
	joined := await(anna.told, "the group", func(e network.GroupEvent) bool { return e.Change.Whole != nil })
	id, err := bob.SendPoll(group, "?", 1, "a", "b")
	require.NoError(t, err)
	poll := anna.hears(id).Message.ID
	require.Equal(t, id, heard(t, bob, anna.say(joined.Group, network.Vote{Poll: poll, Options: [][]byte{sum("a")}})).Vote.PollID)
	anna.Disconnect()
	anna.open(openStoreOn(t, anna.db), anna.Self())
	anna.connect()
	known, err := anna.Canonical(t.Context(), network.Phone(bob.Phone()))
	require.NoError(t, err)
	require.Equal(t, them, known)
	require.NoError(t, anna.Unlink(within(t)))
	logins, err := anna.db.LinkedLogins(t.Context())
	require.NoError(t, err)
	require.Empty(t, logins)
}

func TestFindPeople(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	found, err := anna.Find(within(t), bob.Phone())
	require.NoError(t, err)
	require.Equal(t, addressOf(t, bob), found.Address)
	require.Equal(t, network.Phone(bob.Phone()), found.Alias)
	_, err = anna.Find(within(t), "+4915299999999")
	require.ErrorIs(t, err, network.ErrUnknownPerson)
	_, err = anna.Find(within(t), "0151 2345")
	require.ErrorIs(t, err, network.ErrBadIdentifier)
	known, err := anna.Canonical(t.Context(), network.Phone(bob.Phone()))
	require.NoError(t, err)
	require.Equal(t, addressOf(t, bob), known)
	took, err := anna.Ping(within(t))
	require.NoError(t, err)
	require.Positive(t, took)
}

package delivery

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/network"
)

const linkedLogin = networkid.UserLoginID("whatsapp-lid-77")

// keepsNothing is mode proxy: of everybody but a linked account.
func keepsNothing(o *Options) {
	o.Fleeting = func(login networkid.UserLoginID) bool { return login != linkedLogin }
}

// impatiently gives what was asked for no time at all.
func impatiently(o *Options) { o.Timing.Ask = time.Millisecond }

func asked(t *testing.T, bridge *playedBridge, ids ...string) {
	t.Helper()
	until(t, func() bool { return slices.Equal(ids, bridge.client.askedFor()) }, func() any { return bridge.client.askedFor() })
}

func fails(err error) func(network.MessageEvent) error {
	return func(network.MessageEvent) error { return err }
}

// Nobody can read what a process that keeps nothing leaves behind, not even with the secret; of all others one can.
func TestWhatIsNotKeptDoesNotOpen(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.set(func() { bridge.before = fails(errDown) })
		bridge.change(func() { bridge.clientErr = network.ErrNotConnected })
		p := launch(t, on, bridge, keepsNothing)
		take(t, p, text(anna, "A", "one"))
		require.NoError(t, p.Inbox.Take(t.Context(), linkedLogin, text(bob, "B", "two")))
		accept(t, p, "$1", "three")
		linked := outgoingText("$2", "four")
		linked.Login = linkedLogin
		_, err := p.Outbox.Accept(t.Context(), linked)
		require.NoError(t, err)
		require.NoError(t, p.flush(t.Context()))
		p.die()

		secret, err := OpenSecret(filepath.Join(on.dir, "secret"), false)
		require.NoError(t, err)
		next := boot(t, on, newBridge(), keepsNothing)
		t.Cleanup(func() { next.release() })
		read := map[string]error{}
		for _, state := range []database.InboxState{database.InboxNew, database.InboxRetry} {
			rows, err := next.journal.InboxByState(t.Context(), state, 10)
			require.NoError(t, err)
			for _, row := range rows {
				_, read[row.RemoteID] = secret.unlock(row.Payload, inboxSeal(row)...)
			}
		}
		for _, event := range []string{"$1", "$2"} {
			rows, err := next.journal.OutboxOfEvent(t.Context(), event)
			require.NoError(t, err)
			_, read[event] = secret.unlock(rows[0].Payload, outboxSeal(rows[0])...)
		}
		require.Equal(t, map[string]error{"A": errForgotten, "B": nil, "$1": errForgotten, "$2": nil}, read)
	})
}

// A message that is lost with its process waits for the connection, is asked for and comes again, once and whatever was of it.
func TestALostMessageIsAskedFor(t *testing.T) {
	for name, reached := range map[string]func(b *playedBridge){
		"nothing of it had left":            func(b *playedBridge) { b.before = fails(errDown) },
		"the homeserver had it, we did not": func(b *playedBridge) { b.after, b.scanErr = fails(errDown), errDown },
	} {
		t.Run(name, func(t *testing.T) {
			onDisks(t, func(t *testing.T, on disk) {
				bridge := newBridge()
				bridge.set(func() { reached(bridge) })
				p := launch(t, on, bridge, keepsNothing)
				take(t, p, text(anna, "A", "one"))
				until(t, func() bool { return p.inboxStates(t)[database.InboxRetry] == 1 })
				p.die()

				bridge.set(func() { bridge.before, bridge.after, bridge.scanErr = nil, nil, nil })
				bridge.client.change(func() { bridge.client.away = true })
				next := launch(t, on, bridge, keepsNothing)
				require.Empty(t, bridge.client.askedFor())
				bridge.client.change(func() { bridge.client.away = false })
				next.Inbox.Wake(login)
				asked(t, bridge, "A")
				take(t, next, text(anna, "A", "one"), text(anna, "B", "two"))
				bridge.shows(t, anna, "one", "two")
				require.Equal(t, []string{"A"}, bridge.client.askedFor())
				require.Zero(t, next.inboxStates(t)[database.InboxHeld], "its place is kept no longer")
			})
		})
	}
}

// losesOne is a bridge whose process has died before a message of Anna's reached its room, and whose homeserver is still away.
func losesOne(t *testing.T, on disk) *playedBridge {
	t.Helper()
	bridge := newBridge()
	bridge.set(func() { bridge.before = fails(errDown) })
	p := launch(t, on, bridge, keepsNothing)
	take(t, p, text(anna, "A", "one"))
	require.NoError(t, p.flush(t.Context()))
	p.die()
	return bridge
}

// Where nobody sends it again, something stands in its place, and gives way to it when it comes at last.
func TestALostMessageThatNobodySendsAgain(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := losesOne(t, on)
		bridge.set(func() { bridge.before = nil })
		next := launch(t, on, bridge, keepsNothing, impatiently)
		bridge.shows(t, anna, "network.Undecryptable")
		until(t, func() bool { return next.inboxStates(t)[database.InboxDone] == 1 })
		require.Contains(t, bridge.client.askedFor(), "A")
		bridge.set(func() { clear(bridge.rows) }) // a placeholder gives way
		take(t, next, text(anna, "A", "one"))
		bridge.shows(t, anna, "network.Undecryptable", "one")
	})
}

// Killed again before it has come: it is asked for again, and its place is taken by one thing only.
func TestALostMessageIsLostAgain(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := losesOne(t, on)
		second := launch(t, on, bridge, keepsNothing)
		asked(t, bridge, "A")
		take(t, second, text(anna, "A", "one"))
		require.NoError(t, second.flush(t.Context()))
		second.die()
		bridge.set(func() { bridge.before = nil })
		third := launch(t, on, bridge, keepsNothing)
		asked(t, bridge, "A", "A")
		take(t, third, text(anna, "A", "one"))
		bridge.shows(t, anna, "one")
		require.Zero(t, third.inboxStates(t)[database.InboxHeld], "its place is kept no longer")
	})
}

// What a row says by itself needs nobody to be asked.
func TestALostNoticeIsNotLost(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := boot(t, on, bridge, keepsNothing)
		take(t, p, network.IdentityEvent{Person: anna})
		p.release()
		require.NoError(t, p.db.Close())
		next := launch(t, on, bridge, keepsNothing)
		until(t, func() bool { return next.inboxStates(t)[database.InboxDone] == 1 })
		bridge.set(func() { require.Equal(t, []network.Event{network.IdentityEvent{Person: anna}}, bridge.soft) })
	})
}

// eventOf is a message of Alice's as the homeserver has it.
func eventOf(eventID, body string) string {
	return fmt.Sprintf(`{"type":"m.room.message","room_id":"!room:hs","event_id":%q,"sender":"@alice:hs","content":{"msgtype":"m.text","body":%q}}`, eventID, body)
}

// A message that is lost before it was sent is read from the homeserver again, once it can be, and sent under its id.
func TestALostMessageIsReadAgain(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.change(func() { bridge.clientErr = network.ErrNotConnected })
		p := launch(t, on, bridge, keepsNothing)
		first := accept(t, p, "$1", "hello")
		accept(t, p, "$2", "deleted meanwhile")
		require.NoError(t, p.flush(t.Context()))
		p.die()

		bridge.change(func() {
			bridge.clientErr, bridge.fetchErr = nil, errDown
			bridge.homeserver = map[id.EventID]string{"$1": eventOf("$1", "hello")}
		})
		next := newProcess(t, on, bridge, keepsNothing)
		require.NoError(t, next.Open(t.Context()))
		bridge.change(func() {
			bridge.handling = func(evt *event.Event) { // as bridgev2 and the bridge do
				content := evt.Content.Parsed.(*event.MessageEventContent)
				_, err := next.Outbox.Accept(t.Context(), outgoingText(string(evt.ID), content.Body))
				require.NoError(t, err)
			}
		})
		require.NoError(t, next.Run(t.Context()))
		t.Cleanup(next.die)
		bridge.reported(t, "$1", Delayed)
		require.Empty(t, bridge.client.calls())
		bridge.change(func() { bridge.fetchErr = nil })
		bridge.client.hears(t, "hello")
		require.Equal(t, first.ID, bridge.client.calls()[0].ID.ID)
		require.ErrorIs(t, bridge.reported(t, "$2", Failed).Err, ErrForgotten)
		require.Equal(t, []string{"$1"}, bridge.handledIDs())
	})
}

// Events that were pushed and not handled are read again as well; those of a linked account's rooms are in the journal.
func TestALostEventIsReadAgain(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := boot(t, on, bridge, keepsNothing)
		f := openFront(p)
		require.Equal(t, http.StatusOK, put(f, "1", hsToken, pushed("$1", "$2")).Code)
		p.release()
		require.NoError(t, p.db.Close())

		bridge.change(func() {
			bridge.homeserver = map[id.EventID]string{"$1": eventOf("$1", "hello")}
		})
		next := launch(t, on, bridge, keepsNothing)
		bridge.handles(t, "$1")
		bridge.reported(t, "$2", Failed)
		require.NoError(t, next.flush(t.Context()))
		rows, err := next.journal.OpenMatrix(t.Context(), "!r:hs", 10)
		require.NoError(t, err)
		require.Empty(t, rows)
	})
}

// Signs of life are what users do, not what is done for them.
func TestSignsOfLife(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		var there []string
		p := boot(t, on, newBridge(), func(o *Options) { o.Active = func(user id.UserID) { there = append(there, string(user)) } })
		t.Cleanup(func() { p.release() })
		f := openFront(p)
		for name, c := range map[string]struct {
			body string
			want string
		}{
			"a message":         {pushed("$1", "$2"), "@alice:hs"},
			"the bot's own":     {strings.ReplaceAll(pushed("$3"), "@alice:hs", "@bot:hs"), ""},
			"for them":          {strings.ReplaceAll(pushed("$4"), `"msgtype"`, `"fi.mau.double_puppet_source":"causeway","msgtype"`), ""},
			"an old one":        {strings.ReplaceAll(pushed("$6"), `"sender"`, `"origin_server_ts":1700000000000,"sender"`), ""},
			"state":             {strings.ReplaceAll(pushed("$5"), `"sender"`, `"state_key":"@alice:hs","sender"`), ""},
			"typing":            {`{"ephemeral":[{"type":"m.typing","room_id":"!r:hs","content":{"user_ids":["@bob:hs","@alice:hs"]}}]}`, "@alice:hs @bob:hs"},
			"no longer typing":  {`{"ephemeral":[{"type":"m.typing","room_id":"!r:hs","content":{"user_ids":[]}}]}`, ""},
			"reading":           {`{"de.sorunome.msc2409.ephemeral":[{"type":"m.receipt","content":{"$1":{"m.read":{"@alice:hs":{"ts":1}}}}}]}`, "@alice:hs"},
			"reading, for them": {`{"ephemeral":[{"type":"m.receipt","content":{"$1":{"m.read":{"@alice:hs":{"fi.mau.double_puppet_source":"x"}}}}}]}`, ""},
			"another receipt":   {`{"ephemeral":[{"type":"m.receipt","content":{"$1":{"m.delivered":{"@alice:hs":{"ts":1}}}}}]}`, ""},
			"presence":          {`{"ephemeral":[{"type":"m.presence","sender":"@alice:hs","content":{"presence":"online"}}]}`, "@alice:hs"},
			"active now":        {`{"ephemeral":[{"type":"m.presence","sender":"@alice:hs","content":{"presence":"unavailable","currently_active":true}}]}`, "@alice:hs"},
			"gone":              {`{"ephemeral":[{"type":"m.presence","sender":"@alice:hs","content":{"presence":"offline"}}]}`, ""},
			"nonsense":          {`{"events":[1,"x",{}],"ephemeral":[1,{"type":"m.receipt","content":[]},{"type":"m.typing","content":{"user_ids":3}}]}`, ""},
		} {
			there = nil
			require.Equal(t, http.StatusOK, put(f, "1", hsToken, c.body).Code, name)
			require.Equal(t, c.want, strings.Join(there, " "), name)
		}
		there = nil
		require.Equal(t, http.StatusForbidden, put(f, "z", "wrong", pushed("$9")).Code)
		require.Empty(t, there, "nobody speaks for users")
	})
}

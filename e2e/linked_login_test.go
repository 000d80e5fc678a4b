package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"

	"causeway/e2e/stage"
	"causeway/simulator/meta"
)

// A user links their own account by QR code: they are warned first, and then write and hear as on the phone.
func TestLinkedLoginByQR(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := w.MatrixUser("alice")
	phone, anna := w.Phone("+4915130000001", "Alice"), w.Phone("+4915130000002", "Anna")

	alice.Command("login")
	alice.WaitForNotice("whatsapp-qr", "whatsapp-code")
	alice.Command("login whatsapp-qr")
	alice.WaitForNotice("not an official WhatsApp app", "ban", "open it regularly", "Linked devices")
	lines := alice.bot.Lines()
	require.NotEqual(t, event.MsgImage, lines[len(lines)-1].Content.MsgType, "the warning comes before the code")
	linked := &linkedUser{matrixUser: alice, phone: phone}
	alice.ScansWith(phone)
	require.Len(t, phone.LinkedDevices(), 1)

	anna.WritesTo(linked, "hello from a phone")
	room := alice.WaitForRoom(anna)
	room.WaitForMessage(anna, "hello from a phone")
	room.Says("hello from Matrix")
	require.Equal(t, "hello from Matrix", anna.HearsLinked(linked).Text)
	require.Equal(t, "hello from Matrix", phone.HearsOwn().Text, "the phone has it as well")

	_, err := phone.Say(anna.LID(), "written on the phone")
	require.NoError(t, err)
	room.WaitForOwn("written on the phone")
	room.waitFor("a name that says which network it is", func() bool { return strings.Contains(room.Name(), "(WhatsApp)") })
	var topic struct{ Topic string }
	require.True(t, room.State("m.room.topic", "", &topic))
	require.Contains(t, topic.Topic, "linked device")
	for _, key := range room.StateKeys("m.bridge") {
		var info event.BridgeEventContent
		require.True(t, room.State("m.bridge", key, &info))
		require.Equal(t, "whatsapp-linked", info.Network.ID)
	}
	alice.hasDirectChat(room)
}

// A user links their own account by a code that they type on the phone.
func TestLinkedLoginByCode(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := w.MatrixUser("alice")
	phone, anna := w.Phone("+4915130000003", "Alice"), w.Phone("+4915130000004", "Anna")

	alice.Command("login whatsapp-code")
	alice.WaitForNotice("not an official WhatsApp app")
	alice.WaitForNotice("phone number of your WhatsApp account")
	alice.Command("five")
	alice.WaitForNotice("country code")
	alice.Command(phone.Phone())
	alice.WaitForNotice("Link with phone number instead")
	var code string
	require.NoError(t, alice.client.Wait(w.soon(), "a code", func() bool {
		for _, line := range alice.bot.Lines() {
			if text := strings.TrimSpace(line.Body); len(text) == len("ABCD-EFGH") && text[4] == '-' {
				code = text
			} else if text = strings.Trim(text, "`"); len(text) == len("ABCD-EFGH") && text[4] == '-' {
				code = text
			}
		}
		return code != ""
	}))
	_, err := phone.EnterLinkCode(w.soon(), code)
	require.NoError(t, err)
	alice.WaitForNotice("linked to", phone.Phone())
	alice.waitConnected(phone)
	linked := &linkedUser{matrixUser: alice, phone: phone}
	room := linked.StartsChat(anna)
	room.Says("linked by code")
	require.Equal(t, "linked by code", anna.HearsLinked(linked).Text)
}

// The phone takes the device off; the user is told what to do, and a new link goes on in the same rooms.
func TestLinkedDeviceIsRemovedByThePhone(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000006", "Anna")
	anna.WritesTo(alice, "before")
	room := alice.WaitForRoom(anna)
	room.WaitForMessage(anna, "before")

	require.NoError(t, alice.phone.Unlink(alice.phone.LinkedDevices()[0].Device))
	alice.WaitForNotice("taken this server off", "relogin")
	room.Says("into the void")
	room.WaitForNotice("taken this server off")

	login := "whatsapp-lid-" + alice.phone.lidDigits()
	alice.Command("relogin " + login + " whatsapp-qr")
	alice.ScansWith(alice.phone)
	anna.WritesTo(alice, "after")
	room.WaitForMessage(anna, "after")
	require.Equal(t, room.ID, alice.WaitForRoom(anna).ID)
	room.Says("still here")
	require.Equal(t, "still here", anna.HearsLinked(alice).Text)
}

// The user logs out; the phone has no linked device any more.
func TestLinkedLogout(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	require.Len(t, alice.phone.LinkedDevices(), 1)
	alice.Command("logout whatsapp-lid-" + alice.phone.lidDigits())
	w.eventually("the phone to have no linked device", func() bool { return len(alice.phone.LinkedDevices()) == 0 })
	alice.Command("ping")
	alice.WaitForNotice("not logged in")
}

// One user, two accounts of their own: each has rooms of its own.
func TestTwoLinkedAccounts(t *testing.T) {
	w := newWorld(t, withoutHistory())
	work := newLinked(w)
	private := work.LinksTo(w.Phone("+4915130000007", "Alice at home"))
	anna := w.Phone("+4915130000008", "Anna")
	anna.WritesTo(work, "about work")
	anna.WritesTo(private, "about us")
	w.eventually("two rooms with Anna", func() bool {
		said := map[string]int{}
		for _, candidate := range work.client.Rooms() {
			for _, line := range candidate.Lines() {
				if anna.is(line.Sender) {
					said[line.Body]++
				}
			}
		}
		return said["about work"] == 1 && said["about us"] == 1
	})
	rooms := 0
	for _, candidate := range work.client.Rooms() {
		if bridgedTo(candidate) == anna.conversation() {
			rooms++
			require.Len(t, (&room{Room: candidate, user: work.matrixUser}).Texts(anna), 1)
		}
	}
	require.Equal(t, 2, rooms)
}

// WhatsApp bans the account for a while, or locks it: the user is told why, until when, and what to do.
func TestLinkedAccountIsBanned(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000010", "Anna")
	anna.WritesTo(alice, "before")
	room := alice.WaitForRoom(anna)
	room.WaitForMessage(anna, "before")
	turnedAway := func(params map[string]string) *meta.FaultHandle {
		fault := w.net.Fault(meta.Fault{Kind: meta.FaultLogin, Match: meta.Match{Account: alice.phone.Phone()}, Params: params})
		w.net.DropConnections(alice.phone.LinkedDevices()[0].JID, "close")
		return fault
	}

	alice.Command("help")
	ban := turnedAway(map[string]string{"reason": "402", "code": "101", "expire": "7200"})
	alice.WaitForNotice("banned the account", "do not have you in their address books", "it ends at", "reconnect")
	ban.Remove()
	alice.Command("reconnect")
	alice.waitConnected(alice.phone)
	anna.WritesTo(alice, "after the ban")
	room.WaitForMessage(anna, "after the ban")

	alice.Command("help")
	lock := turnedAway(map[string]string{"reason": "403"})
	alice.WaitForNotice("another phone", "locked", "relogin")
	lock.Remove()
	alice.Command("relogin whatsapp-lid-" + alice.phone.lidDigits() + " whatsapp-qr")
	alice.ScansWith(alice.phone)
	anna.WritesTo(alice, "after the lock")
	room.WaitForMessage(anna, "after the lock")
}

// WhatsApp demands what the bridge cannot give: the user is told so plainly, and what can be done.
func TestLinkedLoginRefusals(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := w.MatrixUser("alice")
	phone := w.Phone("+4915130000009", "Alice")

	w.net.Fault(meta.Fault{Kind: meta.FaultPasskey, Count: 1})
	alice.Command("login whatsapp-qr")
	code := alice.shownCode()
	go func() { _, _ = phone.ScanQR(w.ctx, code) }() // it waits for a passkey that never comes
	alice.WaitForNotice("passkey")
	require.Empty(t, phone.LinkedDevices())

	alice.Command("login whatsapp-qr")
	w.eventually("a code", func() bool { return alice.shownCode() != "" })
	alice.Command("cancel")
	alice.WaitForNotice("cancel")
	require.Empty(t, phone.LinkedDevices())
}

// A login that was made on a simulated network never reaches the real one: not a connection is tried, and its user is told.
func TestLinkedLoginStaysOnItsNetwork(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000011", "Anna")
	anna.WritesTo(alice, "before")
	room := alice.WaitForRoom(anna)
	room.WaitForMessage(anna, "before")

	var asked atomic.Int64
	world := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		answer.WriteHeader(http.StatusForbidden)
	}))
	defer world.Close()
	bridge := w.stage.Bridge
	require.NoError(t, bridge.Stop())
	var host, root any
	require.NoError(t, bridge.Edit(func(config stage.Config) {
		host, root = config.Get("network.endpoint.host"), config.Get("network.endpoint.trust_root")
		config.Set("network.endpoint.host", "")
		config.Set("network.endpoint.trust_root", "")
		config.Set("network.endpoint.proxy", world.URL) // all that would leave the machine comes by here
	}))
	alice.Command("help")
	require.NoError(t, bridge.Start(w.ctx))
	alice.WaitForNotice("made on another network")
	alice.Command("reconnect")
	alice.WaitForNotice("made on another network")
	require.Zero(t, asked.Load(), "nothing was tried")
	alice.Command("login whatsapp-qr")
	alice.WaitForNotice("failed") // a new login would go to the real network, which cannot be reached from here
	require.Positive(t, asked.Load(), "and it would have come by here")

	require.NoError(t, bridge.Stop())
	require.NoError(t, bridge.Edit(func(config stage.Config) {
		config.Set("network.endpoint.host", host)
		config.Set("network.endpoint.trust_root", root)
		config.Set("network.endpoint.proxy", "")
	}))
	require.NoError(t, bridge.Start(w.ctx))
	alice.waitConnected(alice.phone)
	anna.WritesTo(alice, "after")
	room.WaitForMessage(anna, "after")
}

// An account that is linked once more has one device all the same, and goes on in its rooms.
func TestLinkedAgainWhileConnected(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000012", "Anna")
	anna.WritesTo(alice, "before")
	room := alice.WaitForRoom(anna)
	room.WaitForMessage(anna, "before")
	first := alice.phone.LinkedDevices()[0].Device
	alice.LinksTo(alice.phone)
	devices := alice.phone.LinkedDevices()
	require.Len(t, devices, 1)
	require.NotEqual(t, first, devices[0].Device)
	anna.WritesTo(alice, "after")
	room.WaitForMessage(anna, "after")
	room.Says("still here")
	require.Equal(t, "still here", anna.HearsLinked(alice).Text)
	for _, line := range alice.bot.Lines() {
		require.NotContains(t, line.Body, "taken this server off")
	}
}

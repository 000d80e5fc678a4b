package e2e

import (
	"strings"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/e2e/stage"
	"causeway/network"
	"causeway/simulator/meta"
)

// withoutHistory has the bridge take nothing of what a phone hands over, so that rooms come at once.
func withoutHistory() func(*settings) {
	return withConfig(func(config stage.Config) { config.Set("network.linked.history.enabled", false) })
}

// linkedUser is a Matrix user whose own WhatsApp account is linked, with their phone.
type linkedUser struct {
	*matrixUser
	phone *person
}

// Phone is somebody's WhatsApp account with the phone in their hand.
func (w *world) Phone(number, name string) *person {
	w.keepPrivate(strings.TrimPrefix(number, "+"))
	return &person{Person: w.net.WhatsApp(number, name), world: w, side: onWhatsApp(), name: name}
}

// newLinked starts a world in which alice has linked her account.
func newLinked(w *world) *linkedUser {
	w.t.Helper()
	alice := w.MatrixUser("alice")
	return alice.LinksTo(w.Phone("+4915130000000", "Alice"))
}

// LinksTo links a user to their account by QR code, up to a standing connection.
func (u *matrixUser) LinksTo(phone *person) *linkedUser {
	u.house.world.t.Helper()
	u.Command("login whatsapp-qr")
	u.ScansWith(phone)
	return &linkedUser{matrixUser: u, phone: phone}
}

// ScansWith scans the code that the bot shows, and waits until the account is connected.
func (u *matrixUser) ScansWith(phone *person) {
	w := u.house.world
	w.t.Helper()
	code := u.shownCode()
	_, err := phone.ScanQR(w.soon(), code)
	require.NoError(w.t, err)
	u.WaitForNotice("linked to")
	u.waitConnected(phone)
}

// waitConnected waits until the bridge says that the account is connected: its device has published its keys by then.
func (u *matrixUser) waitConnected(phone *person) {
	w := u.house.world
	w.t.Helper()
	w.eventually(phone.name+"'s device to be connected", func() bool {
		u.Command("ping")
		answer := u.WaitForNotice(phone.Phone())
		at := strings.Index(answer, phone.Phone())
		line, _, _ := strings.Cut(answer[at:], "\n")
		return strings.Contains(line, ": connected")
	})
}

// shownCode is the newest QR code that the bot has shown.
func (u *matrixUser) shownCode() string {
	w := u.house.world
	w.t.Helper()
	code, err := u.bot.WaitForCode(w.soon())
	require.NoError(w.t, err)
	return code
}

// lidDigits are those of a person's hidden number.
func (p *person) lidDigits() string {
	digits, _, _ := strings.Cut(p.LID(), "@")
	return digits
}

// WritesTo has a person write to a linked user's account from their phone.
func (p *person) WritesTo(u *linkedUser, text string) (messageID string) {
	p.world.t.Helper()
	p.world.keepSecret(text)
	messageID, err := p.Say(u.phone.LID(), text)
	require.NoError(p.world.t, err)
	return messageID
}

// Sends has a person send any message to a linked user's account, or to a group.
func (p *person) Sends(to string, message *waE2E.Message) (messageID string) {
	p.world.t.Helper()
	messageID, err := p.SendMessage(to, message)
	require.NoError(p.world.t, err)
	return messageID
}

// HearsLinked waits for the next message of a linked account, whatever others say before.
func (p *person) HearsLinked(from *linkedUser) meta.Heard {
	p.world.t.Helper()
	for {
		if heard := p.hearsNext(); !heard.FromMe && heard.From == from.phone.LID() {
			return heard
		}
	}
}

// HearsOwn waits for the copy of a message that the bridge has sent from the phone's account.
func (p *person) HearsOwn() meta.Heard {
	p.world.t.Helper()
	for {
		if heard := p.hearsNext(); heard.FromMe {
			return heard
		}
	}
}

// StartsChat asks the bot for a chat by phone number.
func (u *linkedUser) StartsChat(p *person) *room {
	u.house.world.t.Helper()
	u.Command("start-chat " + p.Phone())
	u.WaitForNotice("chat is ready")
	return u.WaitForRoom(p)
}

// WaitForOwn waits for a text that stands in the room as the user's own, and returns it.
func (r *room) WaitForOwn(text string) client.Line {
	w := r.user.house.world
	w.t.Helper()
	line, err := r.WaitForLine(w.soon(), "the user's own "+text, func(line client.Line) bool {
		return line.Sender == r.user.client.UserID() && line.Body == text
	})
	require.NoError(w.t, err)
	return line
}

// WaitForEvent waits for an event of a type that fits, state aside.
func (r *room) WaitForEvent(kind string, fits func(client.Event) bool) client.Event {
	w := r.user.house.world
	w.t.Helper()
	var found client.Event
	r.waitFor("a "+kind, func() bool {
		for _, evt := range r.Events(kind) {
			if fits(evt) {
				found = evt
				return true
			}
		}
		return false
	})
	return found
}

// WaitForRoomOf waits until the user is in the room of a conversation.
func (u *matrixUser) WaitForRoomOf(conversation network.Address) *room {
	w := u.house.world
	w.t.Helper()
	var found *client.Room
	err := u.client.Wait(w.soon(), "the room of "+conversation.String(), func() bool {
		for _, candidate := range u.client.Rooms() {
			if bridgedTo(candidate) == conversation.String() && candidate.Joined() {
				found = candidate
				return true
			}
		}
		return false
	})
	require.NoError(w.t, err)
	return &room{Room: found, user: u}
}

// replying is a text that replies to an event.
func replying(to id.EventID, text string) *event.MessageEventContent {
	return &event.MessageEventContent{MsgType: event.MsgText, Body: text, RelatesTo: (&event.RelatesTo{}).SetReplyTo(to)}
}

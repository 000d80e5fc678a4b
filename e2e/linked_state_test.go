package e2e

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"

	"causeway/e2e/stage"
)

// Who has read what, and who types, is seen on both sides; what is read on the phone is read in Matrix.
func TestLinkedReceiptsAndTyping_StandIn(t *testing.T) {
	w := newWorld(t, withConfig(func(config stage.Config) {
		config.Set("network.linked.history.enabled", false)
		config.Set("network.linked.online", true)
	}))
	alice := newLinked(w)
	anna := w.Phone("+4915130000041", "Anna")
	sent := anna.WritesTo(alice, "have you read this?")
	room := alice.WaitForRoom(anna)
	line := room.WaitForMessage(anna, "have you read this?")
	require.NoError(t, anna.WaitReceipt(w.soon(), sent, "delivery"))
	require.NoError(t, room.Read(w.soon(), line.ID))
	require.NoError(t, anna.WaitReceipt(w.soon(), sent, "read"))

	said := room.Says("and you?")
	heard := anna.HearsLinked(alice)
	require.NoError(t, anna.Read(heard.ID))
	room.waitFor("Anna's read receipt", func() bool { return room.HasRead(room.ghost(anna), said) })

	require.NoError(t, anna.Typing(alice.phone.LID(), true))
	room.waitFor("Anna to type", func() bool { return room.IsTyping(room.ghost(anna)) })
	require.NoError(t, room.SetTyping(w.soon(), true))
	require.NoError(t, anna.WaitTyping(w.soon(), alice.phone.LID(), true))

	later := anna.WritesTo(alice, "read on the phone")
	line = room.WaitForMessage(anna, "read on the phone")
	alice.phone.hears(later)
	require.NoError(t, alice.phone.Read(later))
	room.waitFor("the user's own mark", func() bool { return room.HasRead(alice.client.UserID(), line.ID) })
}

// hears waits until a phone has shown a message.
func (p *person) hears(messageID string) {
	p.world.t.Helper()
	for {
		if heard := p.hearsNext(); heard.ID == messageID {
			return
		}
	}
}

// People are found by name and number; the address book names the user's own room, and nobody's ghost.
func TestLinkedPeople(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000042", "Anna")
	picture := jpegBytes(t, 6)
	require.NoError(t, anna.SetPicture(picture))
	require.NoError(t, alice.phone.SetContact(anna.LID(), "Aunt Anna"))
	w.eventually("the address book to arrive", func() bool {
		alice.Command("search aunt")
		return strings.Contains(alice.WaitForNotice("search results"), "Aunt Anna")
	})
	alice.Command("list contacts")
	alice.WaitForNotice("1. Aunt Anna")
	alice.Command("start-chat +4915119999999")
	alice.WaitForNotice("no", "WhatsApp")
	room := alice.StartsChat(anna)
	room.waitFor("the address book's name", func() bool { return room.Name() == "Aunt Anna (WhatsApp)" })
	anna.WritesTo(alice, "it's me")
	room.WaitForMessage(anna, "it's me")
	room.waitFor("the name that she gives herself", func() bool { return room.MemberName(room.ghost(anna)) == "Anna (WhatsApp)" })
	hasPicture := func() bool {
		var member event.MemberEventContent
		return room.State("m.room.member", string(room.ghost(anna)), &member) && bytes.Equal(picture, room.download(member.AvatarURL))
	}
	room.waitFor("her picture", hasPicture)
	anna.Rename("Annie")
	anna.WritesTo(alice, "under another name")
	room.WaitForMessage(anna, "under another name")
	room.waitFor("her new name", func() bool { return room.MemberName(room.ghost(anna)) == "Annie (WhatsApp)" })
	require.True(t, hasPicture(), "the picture goes on")
	anna.NewIdentity()
	anna.WritesTo(alice, "on a new phone")
	room.WaitForMessage(anna, "on a new phone")
	room.WaitForNotice("security code", "changed")
}

// How the phone has its chats is how Matrix has them.
func TestLinkedChatState(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000043", "Anna")
	anna.WritesTo(alice, "a chat")
	room := alice.WaitForRoom(anna)
	room.WaitForMessage(anna, "a chat")
	matrix := alice.client.Matrix
	tagged := func(tag string) func() bool {
		return func() bool {
			tags, err := matrix.GetTags(w.ctx, room.ID)
			if err != nil {
				return false
			}
			_, has := tags.Tags[event.RoomTag(tag)]
			return has
		}
	}
	require.NoError(t, alice.phone.Pin(anna.LID(), true))
	w.eventually("the favourite", tagged("m.favourite"))
	require.NoError(t, alice.phone.Archive(anna.LID(), true))
	w.eventually("the archive", tagged("m.lowpriority"))
	require.NoError(t, alice.phone.Mute(anna.LID(), true, time.Time{}))
	w.eventually("the silence", func() bool {
		rules, err := matrix.GetPushRules(w.ctx)
		if err != nil {
			return false
		}
		_, has := rules.Room.Map[string(room.ID)]
		return has
	})
	_, err := anna.SetEphemeral(alice.phone.LID(), 86400)
	require.NoError(t, err)
	room.WaitForNotice("disappearing", "1 day")

	// what the user deletes for themselves goes here too, whoever wrote it
	theirs := anna.WritesTo(alice, "a word too many")
	line := room.WaitForMessage(anna, "a word too many")
	require.NoError(t, alice.phone.DeleteForMe(anna.LID(), theirs, false))
	room.waitFor("her word to be gone", func() bool { return room.Redacted(line.ID) })
	own := room.Says("mine as well")
	heard := anna.HearsLinked(alice)
	require.NoError(t, alice.phone.DeleteForMe(anna.LID(), heard.ID, true))
	room.waitFor("the own word to be gone", func() bool { return room.Redacted(own) })
	require.NoError(t, alice.phone.DeleteChat(anna.LID()))
	room.waitFor("the room to be left", func() bool { return !room.Joined() })
	anna.WritesTo(alice, "a new beginning")
	fresh := alice.WaitForRoom(anna)
	require.NotEqual(t, room.ID, fresh.ID)
	fresh.WaitForMessage(anna, "a new beginning")
}

// The phone is out of sight for long: its user is told in time, and when it is back.
func TestLinkedPhoneIsAway(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000049", "Anna")
	alice.Command("help")
	w.away(func() {
		w.change("UPDATE cw_linked SET phone_seen = $1", ago(11*24*time.Hour))
	})
	alice.WaitForNotice("last seen by WhatsApp", "14 days", "open WhatsApp on your phone")
	_, err := alice.phone.Say(anna.LID(), "back from holiday")
	require.NoError(t, err)
	alice.WaitForNotice("seen your phone again")
}

// What a user asks the bot about a connection and chats is answered.
func TestLinkedCommands(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000050", "Anna")
	room := alice.StartsChat(anna)
	alice.Command("ping")
	alice.WaitForNotice(alice.phone.Phone(), "connected", "answered")
	alice.Command("reconnect")
	alice.waitConnected(alice.phone)
	anna.WritesTo(alice, "after connecting anew")
	room.WaitForMessage(anna, "after connecting anew")
	alice.Command("list")
	alice.WaitForNotice("1. Anna")
	alice.Command("open 2")
	alice.WaitForNotice("Usage", "open <number>")
	alice.Command("open 1")
	alice.WaitForNotice("chat is ready", "Anna")
	alice.Command("sync")
	alice.WaitForNotice("Asked WhatsApp")
}

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
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
	require.NoError(t, anna.SetPicture(jpegBytes(t, 6)))
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
	room.waitFor("her picture", func() bool {
		var member event.MemberEventContent
		return room.State("m.room.member", string(room.ghost(anna)), &member) && member.AvatarURL != "" && len(room.download(member.AvatarURL)) > 0
	})
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

// Two users of one server: nobody sees the other's rooms, and each has their own.
func TestLinkedUsersAreApart(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	bob := w.MatrixUser("bob").LinksTo(w.Phone("+4915130000044", "Bob"))
	anna := w.Phone("+4915130000045", "Anna")
	anna.WritesTo(alice, "for alice only")
	anna.WritesTo(bob, "for bob only")
	alices, bobs := alice.WaitForRoom(anna), bob.WaitForRoom(anna)
	alices.WaitForMessage(anna, "for alice only")
	bobs.WaitForMessage(anna, "for bob only")
	require.NotEqual(t, alices.ID, bobs.ID)

	// an account that is in use here stays with its user, who is told
	alice.Command("help")
	bob.Command("login whatsapp-qr")
	_, err := alice.phone.ScanQR(w.soon(), bob.shownCode())
	require.Error(t, err)
	bob.WaitForNotice("linked by another user", "nothing was linked")
	alice.WaitForNotice("tried to link your WhatsApp account")
	require.Len(t, alice.phone.LinkedDevices(), 1)
	anna.WritesTo(alice, "still for alice")
	alices.WaitForMessage(anna, "still for alice")
	alices.Says("still from alice")
	require.Equal(t, "still from alice", anna.HearsLinked(alice).Text)
}

// An account whose link has ended can be linked by another user: the one before is told, and nothing of theirs goes over.
func TestLinkedAccountChangesHands(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice, bob := newLinked(w), w.MatrixUser("bob")
	anna := w.Phone("+4915130000047", "Anna")
	anna.WritesTo(alice, "for alice only")
	before := alice.WaitForRoom(anna)
	before.WaitForMessage(anna, "for alice only")
	require.NoError(t, alice.phone.Unlink(alice.phone.LinkedDevices()[0].Device))
	alice.WaitForNotice("taken this server off")
	before.Says("never sent by anybody else")
	before.WaitForNotice("taken this server off")

	bobs := bob.LinksTo(alice.phone)
	alice.WaitForNotice("linked by another user of this server now")
	before.WaitForNotice("bridged here no longer")
	anna.WritesTo(bobs, "for bob only")
	after := bob.WaitForRoom(anna)
	after.WaitForMessage(anna, "for bob only")
	require.NotEqual(t, before.ID, after.ID)
	require.Equal(t, []string{"for bob only"}, after.Texts(anna))
	require.Equal(t, []string{"for alice only"}, before.Texts(anna))
	require.Empty(t, before.Member(bob.client.UserID()))
	require.Empty(t, after.Member(alice.client.UserID()))
	after.Says("from bob")
	require.Equal(t, "from bob", anna.HearsLinked(bobs).Text, "what alice wrote last is not sent")
	alice.Command("ping")
	alice.WaitForNotice("not logged in")

	// and back: it is in use now, until bob leaves it
	alice.Command("login whatsapp-qr")
	_, err := alice.phone.ScanQR(w.soon(), alice.shownCode())
	require.Error(t, err)
	alice.WaitForNotice("linked by another user")
	bob.Command("logout whatsapp-lid-" + alice.phone.lidDigits())
	w.eventually("the phone to have no linked device", func() bool { return len(alice.phone.LinkedDevices()) == 0 })
	alice.LinksTo(alice.phone)
	after.WaitForNotice("bridged here no longer")
	anna.WritesTo(alice, "for alice again")
	w.eventually("a room of alice's own", func() bool {
		for _, candidate := range alice.client.Rooms() {
			if bridgedTo(candidate) == anna.conversation() && len((&room{Room: candidate, user: alice.matrixUser}).Texts(anna)) == 1 &&
				candidate.ID != before.ID && candidate.ID != after.ID {
				return true
			}
		}
		return false
	})
}

// A user who gives the bridge their own token is shown as themselves, with no second registration at the homeserver.
func TestLinkedDoublePuppetByToken(t *testing.T) {
	w := newWorld(t, withConfig(func(config stage.Config) {
		config.Set("network.linked.history.enabled", false)
		config.Set("double_puppet.secrets", map[string]any{})
	}))
	alice := newLinked(w)
	anna := w.Phone("+4915130000046", "Anna")
	_, err := alice.phone.Say(anna.LID(), "without a token")
	require.NoError(t, err)
	room := alice.joinsRoomWith(anna)
	_, err = room.WaitForLine(w.soon(), "the user's ghost", func(line client.Line) bool {
		return line.Body == "without a token" && alice.phone.is(line.Sender)
	})
	require.NoError(t, err)
	alice.Command("login-matrix " + alice.client.Matrix.AccessToken)
	alice.WaitForNotice("success")
	_, err = alice.phone.Say(anna.LID(), "with a token")
	require.NoError(t, err)
	room.WaitForOwn("with a token")
}

// The bridge's own registration is enough to show users as themselves, if it covers them; and what they write elsewhere
// leaves nothing in the bridge.
func TestLinkedDoublePuppetByOwnRegistration(t *testing.T) {
	w := newWorld(t, withConfig(func(config stage.Config) {
		config.Set("network.linked.history.enabled", false)
		config.Set("double_puppet.secrets", map[string]any{})
		config.Set("network.double_puppets", true)
	}))
	alice, carol := newLinked(w), w.MatrixUser("carol")
	created, err := alice.client.Matrix.CreateRoom(w.ctx, &mautrix.ReqCreateRoom{Preset: "private_chat", Invite: []id.UserID{carol.client.UserID()}})
	require.NoError(t, err)
	_, err = carol.client.Matrix.JoinRoomByID(w.ctx, created.RoomID)
	require.NoError(t, err)
	_, err = carol.client.Matrix.SendText(w.ctx, created.RoomID, "!cw ping")
	require.NoError(t, err)
	anna := w.Phone("+4915130000048", "Anna")
	_, err = alice.phone.Say(anna.LID(), "from the phone")
	require.NoError(t, err)
	room := alice.WaitForRoom(anna) // joined without a hand, too
	room.WaitForOwn("from the phone")
	require.Equal(t, "from the phone", anna.HearsLinked(alice).Text)
	room.Says("from Matrix")
	require.Equal(t, "from Matrix", anna.HearsLinked(alice).Text)

	w.away(func() {}) // what is known of rooms is found again
	alice.waitConnected(alice.phone)
	room.Says("after a restart")
	require.Equal(t, "after a restart", anna.HearsLinked(alice).Text)
	_, err = carol.client.Matrix.SendText(w.ctx, created.RoomID, "still between us")
	require.NoError(t, err)
	ours := w.rows("cw_mx_inbox WHERE room_id = $1", string(room.ID))
	require.Positive(t, ours)
	room.Says("one more")
	require.Equal(t, "one more", anna.HearsLinked(alice).Text)
	require.Greater(t, w.rows("cw_mx_inbox WHERE room_id = $1", string(room.ID)), ours)
	require.Zero(t, w.rows("cw_mx_inbox WHERE room_id = $1", string(created.RoomID)))
	require.Len(t, carol.client.Room(created.RoomID).Lines(), 2, "the bot has nothing to say there")
}

// joinsRoomWith accepts the invitation into the room of a conversation.
func (u *matrixUser) joinsRoomWith(p *person) *room {
	w := u.house.world
	w.t.Helper()
	w.eventually("an invitation", func() bool {
		for _, candidate := range u.client.Rooms() {
			if !candidate.Joined() {
				_, _ = u.client.Matrix.JoinRoomByID(w.ctx, candidate.ID) // tried again until it works
			}
		}
		return u.findRoom(p) != nil && u.findRoom(p).Joined()
	})
	return u.WaitForRoom(p)
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

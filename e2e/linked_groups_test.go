package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/network"
	"causeway/simulator/meta"
)

// groupAddress is the stored address of a group.
func groupAddress(jid string) network.Address {
	number, _, _ := strings.Cut(jid, "@")
	return network.GroupAddress(number)
}

// ghost is the Matrix account of a person, as members of a room know it.
func (r *room) ghost(p *person) id.UserID {
	for _, user := range r.StateKeys("m.room.member") {
		if p.is(id.UserID(user)) {
			return id.UserID(user)
		}
	}
	return ""
}

// in says whether a person's ghost is in the room.
func (r *room) in(p *person) bool {
	ghost := r.ghost(p)
	return ghost != "" && r.Member(ghost) == event.MembershipJoin
}

// level is the power level of a user in the room.
func (r *room) level(user id.UserID) int {
	var levels event.PowerLevelsEventContent
	r.State("m.room.power_levels", "", &levels)
	return levels.GetUserLevel(user)
}

// group waits until the network has a group so.
func (w *world) group(jid, what string, fits func(meta.GroupInfo) bool) {
	w.t.Helper()
	w.eventually(what, func() bool {
		info, err := w.net.Group(jid)
		return err == nil && fits(info)
	})
}

// A group that somebody makes has a room, in which all talk, and what changes in the group changes in the room.
func TestLinkedGroupFromThePhone(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna, ben := w.Phone("+4915130000021", "Anna"), w.Phone("+4915130000022", "Ben")
	jid, err := anna.CreateGroup("Hiking", alice.phone.LID(), ben.LID())
	require.NoError(t, err)
	room := alice.WaitForRoomOf(groupAddress(jid))
	room.waitFor("the name and the members", func() bool { return room.Name() == "Hiking" && room.in(anna) && room.in(ben) })
	require.Equal(t, 75, room.level(room.ghost(anna)), "she made it")

	_, err = ben.Say(jid, "where to?")
	require.NoError(t, err)
	asked := room.WaitForMessage(ben, "where to?")
	room.sends(event.EventMessage, replying(asked.ID, "to the hut"))
	heard := ben.HearsLinked(alice)
	require.Equal(t, []string{"to the hut", "where to?"}, []string{heard.Text, heard.ReplyText})
	require.Equal(t, "to the hut", anna.textFrom(alice))
	_, err = anna.Mention(jid, "@"+alice.phone.lidDigits()+" brings the map", alice.phone.LID())
	require.NoError(t, err)
	line, err := room.WaitForLine(w.soon(), "a mention", func(line client.Line) bool { return strings.Contains(line.Body, "brings the map") })
	require.NoError(t, err)
	require.Equal(t, []id.UserID{alice.client.UserID()}, line.Content.Mentions.UserIDs)
	require.NotContains(t, line.Body, alice.phone.lidDigits(), "a name, and no number")
	name := "@Ben"
	room.sends(event.EventMessage, &event.MessageEventContent{MsgType: event.MsgText, Body: name + " and @room: now", Format: event.FormatHTML,
		FormattedBody: `<a href="https://matrix.to/#/` + string(room.ghost(ben)) + `">Ben</a> and @room: now`,
		Mentions:      &event.Mentions{UserIDs: []id.UserID{room.ghost(ben)}, Room: true}})
	heard = ben.HearsLinked(alice)
	require.Equal(t, "@"+ben.lidDigits()+" and @all: now", heard.Text)
	require.Equal(t, []string{ben.LID()}, heard.Mentions)

	anna.Sends(jid, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("@all: at nine"),
		ContextInfo: &waE2E.ContextInfo{NonJIDMentions: proto.Uint32(1)}}})
	line, err = room.WaitForLine(w.soon(), "a call to all", func(line client.Line) bool { return strings.Contains(line.Body, "at nine") })
	require.NoError(t, err)
	require.True(t, line.Content.Mentions.Room)
	require.Equal(t, "@room: at nine", line.Body)

	require.NoError(t, anna.SetSubject(jid, "Hiking on Sunday"))
	require.NoError(t, anna.SetDescription(jid, "Bring water."))
	require.NoError(t, anna.SetGroupPicture(jid, jpegBytes(t, 4)))
	room.waitFor("the new name", func() bool { return room.Name() == "Hiking on Sunday" })
	room.waitFor("the new topic", func() bool {
		var topic event.TopicEventContent
		return room.State("m.room.topic", "", &topic) && topic.Topic == "Bring water."
	})
	room.waitFor("the picture", func() bool {
		var avatar event.RoomAvatarEventContent
		return room.State("m.room.avatar", "", &avatar) && avatar.URL != ""
	})
	require.NoError(t, anna.ChangeMembers(jid, "promote", ben.LID()))
	room.waitFor("Ben to be an administrator", func() bool { return room.level(room.ghost(ben)) == 50 })
	require.NoError(t, anna.ChangeMembers(jid, "demote", ben.LID()))
	room.waitFor("Ben to be none any more", func() bool { return room.level(room.ghost(ben)) == 0 })
	require.NoError(t, anna.SetGroupMode(jid, "announcement"))
	room.waitFor("silence", func() bool { return !room.MaySpeak() })
	require.NoError(t, anna.SetGroupMode(jid, "not_announcement"))
	room.waitFor("speech", room.MaySpeak)
	require.NoError(t, anna.SetGroupEphemeral(jid, 86400))
	room.WaitForNotice("disappearing", "1 day")
	require.NoError(t, anna.ChangeMembers(jid, "remove", ben.LID()))
	room.waitFor("Ben to be gone", func() bool { return !room.in(ben) })

	require.NoError(t, anna.ChangeMembers(jid, "remove", alice.phone.LID()))
	room.WaitForNotice("not in this group any more")
	room.waitFor("the room to be read-only", func() bool { return !room.MaySpeak() })
	require.NoError(t, anna.ChangeMembers(jid, "add", alice.phone.LID()))
	room.waitFor("the room to be open again", room.MaySpeak)
}

// textFrom waits for the next text of a linked account, whatever else is heard before.
func (p *person) textFrom(u *linkedUser) string {
	p.world.t.Helper()
	for {
		if heard := p.hearsNext(); heard.From == u.phone.LID() && heard.Text != "" && heard.Reaction == nil {
			return heard.Text
		}
	}
}

// A user makes a group from Matrix and changes it there; the network has it all.
func TestLinkedGroupFromMatrix(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna, ben := w.Phone("+4915130000023", "Anna"), w.Phone("+4915130000024", "Ben")
	annas := alice.StartsChat(anna)
	bens := alice.StartsChat(ben)

	created, err := alice.client.Matrix.CreateRoom(w.soon(), &mautrix.ReqCreateRoom{
		Name: "Reading", Preset: "private_chat", Invite: []id.UserID{annas.ghost(anna), alice.bot.UserID()},
	})
	require.NoError(t, err)
	var jid string
	require.NoError(t, alice.client.Wait(w.soon(), "the bot to join", func() bool {
		joined := alice.client.Room(created.RoomID)
		return joined != nil && joined.Member(alice.bot.UserID()) == event.MembershipJoin
	}))
	room := &room{Room: alice.client.Room(created.RoomID), user: alice.matrixUser}
	room.changesLevels(func(levels *event.PowerLevelsEventContent) { levels.SetUserLevel(alice.bot.UserID(), 100) })
	_, err = alice.client.Matrix.SendText(w.soon(), created.RoomID, "!cw create-group")
	require.NoError(t, err)
	room.waitFor("the room to be bridged", func() bool { return strings.Contains(bridgedTo(room.Room), "group") })
	jid = strings.TrimPrefix(bridgedTo(room.Room), "whatsapp-group-") + "@g.us"
	w.group(jid, "the group", func(g meta.GroupInfo) bool {
		_, in := g.Rank(anna.Person)
		return g.Subject == "Reading" && in
	})
	room.Says("which book?")
	require.Equal(t, "which book?", anna.textFrom(alice))

	matrix := alice.client.Matrix
	_, err = matrix.InviteUser(w.soon(), room.ID, &mautrix.ReqInviteUser{UserID: bens.ghost(ben)})
	require.NoError(t, err)
	w.group(jid, "Ben to be in", func(g meta.GroupInfo) bool { _, in := g.Rank(ben.Person); return in })
	_, err = matrix.SendStateEvent(w.soon(), room.ID, event.StateRoomName, "", &event.RoomNameEventContent{Name: "Reading circle"})
	require.NoError(t, err)
	_, err = matrix.SendStateEvent(w.soon(), room.ID, event.StateTopic, "", &event.TopicEventContent{Topic: "One book a month"})
	require.NoError(t, err)
	uploaded, err := matrix.UploadBytes(w.soon(), pngBytes(t, 3), "image/png")
	require.NoError(t, err)
	_, err = matrix.SendStateEvent(w.soon(), room.ID, event.StateRoomAvatar, "", &event.RoomAvatarEventContent{URL: uploaded.ContentURI.CUString()})
	require.NoError(t, err)
	w.group(jid, "name, description and picture", func(g meta.GroupInfo) bool {
		return g.Subject == "Reading circle" && g.Description == "One book a month" && g.HasPicture
	})

	room.changesLevels(func(levels *event.PowerLevelsEventContent) { levels.SetUserLevel(room.ghost(ben), 50) })
	w.group(jid, "Ben to be an administrator", func(g meta.GroupInfo) bool { rank, _ := g.Rank(ben.Person); return rank == "admin" })
	room.changesLevels(func(levels *event.PowerLevelsEventContent) { levels.SetUserLevel(room.ghost(ben), 0) })
	w.group(jid, "Ben to be none", func(g meta.GroupInfo) bool { rank, _ := g.Rank(ben.Person); return rank == "" })
	room.changesLevels(func(levels *event.PowerLevelsEventContent) { levels.EventsDefault = 50 })
	w.group(jid, "announcements only", func(g meta.GroupInfo) bool { return g.Announce })
	room.changesLevels(func(levels *event.PowerLevelsEventContent) { levels.SetEventLevel(event.StateRoomName, 50) })
	w.group(jid, "the lock", func(g meta.GroupInfo) bool { return g.Locked })

	room.Says("!cw timer 7d")
	w.group(jid, "the timer", func(g meta.GroupInfo) bool { return g.Ephemeral == 7*86400 })
	room.Says("!cw invite-link")
	notice := room.WaitForNotice("https://chat.whatsapp.com/")
	require.Contains(t, notice.Body, "join this group")
	_, err = matrix.KickUser(w.soon(), room.ID, &mautrix.ReqKickUser{UserID: room.ghost(ben)})
	require.NoError(t, err)
	w.group(jid, "Ben to be out", func(g meta.GroupInfo) bool { _, in := g.Rank(ben.Person); return !in })

	room.Says("!cw leave")
	room.WaitForNotice("leave now")
	room.Says("!cw leave now")
	w.group(jid, "alice to be out", func(g meta.GroupInfo) bool { _, in := g.Rank(alice.phone.Person); return !in })
	room.WaitForNotice("not in this group any more")
	room.Says("is anybody there?") // in a room that a user has made nobody can close it for them, but nothing leaves it
	room.WaitForNotice("not a member of this group")
}

// changesLevels changes the power levels of a room as its user.
func (r *room) changesLevels(change func(*event.PowerLevelsEventContent)) {
	w := r.user.house.world
	w.t.Helper()
	var levels event.PowerLevelsEventContent
	require.True(w.t, r.State("m.room.power_levels", "", &levels))
	change(&levels)
	_, err := r.user.client.Matrix.SendStateEvent(w.soon(), r.ID, event.StatePowerLevels, "", &levels)
	require.NoError(w.t, err)
}

// A user looks at a group behind a link, joins it, and follows an invitation.
func TestLinkedGroupsByLinkAndInvitation(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000025", "Anna")
	jid, err := anna.CreateGroup("Singing", w.Phone("+4915130000026", "Ben").LID())
	require.NoError(t, err)
	link, err := anna.InviteLink(jid, false)
	require.NoError(t, err)

	alice.Command("resolve-link " + link)
	alice.WaitForNotice("Singing")
	alice.Command("resolve-link https://chat.whatsapp.com/nothingthere")
	alice.WaitForNotice("does not work")
	alice.Command("join " + link)
	alice.WaitForNotice("have joined")
	room := alice.WaitForRoomOf(groupAddress(jid))
	_, err = anna.Say(jid, "welcome")
	require.NoError(t, err)
	room.WaitForMessage(anna, "welcome")

	require.NoError(t, anna.SetApproval(jid, true))
	room.WaitForNotice("waits for an administrator now")
	require.NoError(t, anna.SetApproval(jid, false))
	room.WaitForNotice("can join it now")
	_, err = anna.InviteLink(jid, true)
	require.NoError(t, err)
	room.WaitForNotice("invitation link was replaced")
	alice.Command("join " + link)
	alice.WaitForNotice("does not work")

	alice.Command("list groups")
	listed := alice.WaitForNotice("Singing")
	require.True(t, strings.HasPrefix(listed, "1. "), listed)
	alice.Command("open 1")
	alice.WaitForNotice("chat is ready", "Singing")
	require.True(t, slices.ContainsFunc(alice.client.Rooms(), func(r *client.Room) bool { return r.ID == room.ID }))
}

// Who is invited by a message joins by `accept`; whom a user cannot add is sent an invitation.
func TestLinkedGroupInvitations(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna, ben := w.Phone("+4915130000027", "Anna"), w.Phone("+4915130000028", "Ben")
	alice.phone.SetPrivacy("groupadd", "none")
	jid, err := anna.CreateGroup("By invitation")
	require.NoError(t, err)
	_, err = anna.InviteTo(jid, alice.phone.LID())
	require.NoError(t, err)
	annas := alice.WaitForRoom(anna)
	_, err = annas.WaitForLine(w.soon(), "the invitation", func(line client.Line) bool {
		return anna.is(line.Sender) && client.ContainsAll(line.Body, "By invitation", "!cw accept")
	})
	require.NoError(t, err)
	annas.Says("!cw accept")
	annas.WaitForNotice("have joined")
	room := alice.WaitForRoomOf(groupAddress(jid))
	w.group(jid, "alice to be in", func(g meta.GroupInfo) bool { _, in := g.Rank(alice.phone.Person); return in })
	annas.Says("!cw accept")
	annas.WaitForNotice("no invitation in this room")

	require.NoError(t, anna.ChangeMembers(jid, "promote", alice.phone.LID()))
	room.waitFor("alice to be an administrator", func() bool { return room.level(alice.client.UserID()) == 50 })
	ben.SetPrivacy("groupadd", "none")
	bens := alice.StartsChat(ben)
	_, err = alice.client.Matrix.InviteUser(w.soon(), room.ID, &mautrix.ReqInviteUser{UserID: bens.ghost(ben)})
	require.NoError(t, err)
	room.WaitForNotice("was sent an invitation instead")
	room.waitFor("Ben not to be in the room", func() bool { return !room.in(ben) })
	invited := ben.HearsLinked(alice).Message.GetGroupInviteMessage()
	require.Equal(t, jid, invited.GetGroupJID())
	_, in := mustGroup(w, jid).Rank(ben.Person)
	require.False(t, in)
}

// Administrators in Matrix hear who wants to come in, and answer; who has to wait themselves is told.
func TestLinkedGroupByLeave(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna, ben, carl := w.Phone("+4915130000033", "Anna"), w.Phone("+4915130000034", "Ben"), w.Phone("+4915130000035", "Carl")
	jid, err := anna.CreateGroup("By leave")
	require.NoError(t, err)
	require.NoError(t, anna.SetApproval(jid, true))
	link, err := anna.InviteLink(jid, false)
	require.NoError(t, err)
	alice.Command("join " + link)
	alice.WaitForNotice("administrator of the group has to agree")
	require.NoError(t, anna.Decide(jid, "approve", alice.phone.LID()))
	room := alice.WaitForRoomOf(groupAddress(jid))
	room.waitFor("speech", room.MaySpeak)
	room.Says("!cw requests")
	room.WaitForNotice("Only an administrator")

	require.NoError(t, anna.ChangeMembers(jid, "promote", alice.phone.LID()))
	room.waitFor("alice to be an administrator", func() bool { return room.level(alice.client.UserID()) == 50 })
	room.Says("!cw requests")
	room.WaitForNotice("Nobody waits")
	for _, who := range []*person{ben, carl} {
		waits, err := who.JoinByLink(link)
		require.NoError(t, err)
		require.True(t, waits)
		room.WaitForNotice("wants to join", "!cw requests")
	}
	room.Says("!cw requests")
	listed := room.WaitForNotice("1. ", "2. ", "approve")
	require.NotContains(t, listed.Body, "$cmdprefix")
	room.Says("!cw approve 3")
	room.WaitForNotice("Usage", "number from")
	room.Says("!cw approve 1")
	room.WaitForNotice("is let in")
	room.waitFor("Ben", func() bool { return room.in(ben) })
	room.Says("!cw refuse all")
	room.WaitForNotice("is turned away")
	w.group(jid, "nobody to wait", func(g meta.GroupInfo) bool { _, in := g.Rank(carl.Person); return !in && len(g.Waiting) == 0 })
	room.Says("!cw approval off")
	room.WaitForNotice("can join it now")
	w.group(jid, "free entry", func(g meta.GroupInfo) bool { return !g.Approval })
	room.Says("!cw approval on")
	w.group(jid, "entry by leave", func(g meta.GroupInfo) bool { return g.Approval })

	room.Says("!cw invite-link reset")
	fresh := room.WaitForNotice("https://chat.whatsapp.com/")
	require.NotContains(t, fresh.Body, link)
	_, err = carl.JoinByLink(link)
	require.Error(t, err)
}

func mustGroup(w *world, jid string) meta.GroupInfo {
	w.t.Helper()
	info, err := w.net.Group(jid)
	require.NoError(w.t, err)
	return info
}

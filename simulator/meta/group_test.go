package meta

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

// TestGroupConversation has people, a linked device and its phone talk in a group, in both directions.
func TestGroupConversation(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob, carol := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob"), w.WhatsApp("+4915110000003", "Carol")
	c := w.linked(anna)
	group, err := bob.CreateGroup("Trip", anna.LID(), carol.LID())
	require.NoError(t, err)
	joined := awaitEvent(c, any1[*events.JoinedGroup])
	require.Equal(t, "Trip", joined.Name)
	require.Equal(t, types.AddressingModeLID, joined.AddressingMode)
	require.Len(t, joined.Participants, 3)

	id, err := bob.Say(group, "hello all")
	require.NoError(t, err)
	m := c.hears("hello all")
	require.Equal(t, group, m.Info.Chat.String())
	require.Equal(t, bob.LID(), m.Info.Sender.String())
	require.Equal(t, bob.user.pn, m.Info.SenderAlt)
	for _, p := range []*Person{anna, carol} {
		h, err := p.Hears(within(t))
		require.NoError(t, err)
		require.Equal(t, "hello all", h.Text)
		require.Equal(t, group, h.Chat)
	}
	require.NoError(t, bob.WaitReceipt(within(t), id, "inactive"))
	require.NoError(t, c.MarkRead(within(t), []string{id}, m.Info.Timestamp, m.Info.Chat, m.Info.Sender))
	require.NoError(t, bob.WaitReceipt(within(t), id, "read"))

	for i := range 3 {
		said := fmt.Sprintf("from the linked device %d", i)
		sent, err := c.SendMessage(within(t), jidOf(t, group), plainText(said))
		require.NoError(t, err)
		for _, p := range []*Person{anna, bob, carol} {
			h, err := p.Hears(within(t))
			require.NoError(t, err)
			require.Equal(t, said, h.Text)
			require.Equal(t, sent.ID, h.ID)
			require.Equal(t, anna.LID(), h.From)
			require.Equal(t, p == anna, h.FromMe)
		}
		require.NoError(t, carol.Read(sent.ID))
		r := c.receipt(sent.ID, types.ReceiptTypeRead)
		require.Equal(t, carol.LID(), r.Sender.String())
		require.Equal(t, group, r.Chat.String())
	}
	require.NoError(t, bob.Typing(group, true))
	awaitEvent(c, func(p *events.ChatPresence) bool {
		return p.Chat.String() == group && p.Sender.User == bob.user.lid.User
	})
}

// TestGroupRetries loses keys on either side; what could not be read comes again, sender keys included.
func TestGroupRetries(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)
	group, err := bob.CreateGroup("Trip", anna.LID())
	require.NoError(t, err)
	_, err = bob.Say(group, "first")
	require.NoError(t, err)
	c.hears("first")

	w.Fault(Fault{Kind: FaultMangle, Match: Match{Account: c.Store.ID.String()}})
	_, err = bob.Say(group, "spoilt")
	require.NoError(t, err)
	c.hears("spoilt")

	bob.mu.Lock()
	bob.signal.senderKeys = map[string][]byte{}
	bob.signal.sessions = map[string][]byte{}
	bob.keyHolders = map[string]map[string]bool{}
	bob.mu.Unlock()
	_, err = c.SendMessage(within(t), jidOf(t, group), plainText("after the loss"))
	require.NoError(t, err)
	h, err := bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "after the loss", h.Text)
}

// TestGroupAdministration uses what the library can do with groups, and what the members hear of it.
func TestGroupAdministration(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob, carol := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob"), w.WhatsApp("+4915110000003", "Carol")
	shy := w.WhatsApp("+4915110000004", "Dave")
	require.NoError(t, shy.SetPrivacy("groupadd", "none"))
	c := w.linked(anna)
	ctx := within(t)
	info, err := c.CreateGroup(ctx, whatsmeow.ReqCreateGroup{Name: "Plan", Participants: []types.JID{bob.user.lid, shy.user.lid}})
	require.NoError(t, err)
	require.Equal(t, "Plan", info.Name)
	require.Len(t, info.Participants, 3)
	require.Equal(t, 403, info.Participants[2].Error)
	require.NotEmpty(t, info.Participants[2].AddRequest.Code)
	group := info.JID
	state := func() GroupInfo {
		g, err := w.Group(group.String())
		require.NoError(t, err)
		return g
	}
	require.Len(t, state().Members, 2)

	changed, err := c.UpdateGroupParticipants(ctx, group, []types.JID{carol.user.lid, bob.user.lid, types.NewJID("1", types.HiddenUserServer)}, whatsmeow.ParticipantChangeAdd)
	require.NoError(t, err)
	require.Equal(t, []int{0, 409, 404}, []int{changed[0].Error, changed[1].Error, changed[2].Error})
	_, err = c.UpdateGroupParticipants(ctx, group, []types.JID{bob.user.lid}, whatsmeow.ParticipantChangePromote)
	require.NoError(t, err)
	rank, _ := state().Rank(bob)
	require.Equal(t, rankAdmin, rank)
	require.NoError(t, c.SetGroupName(ctx, group, "New plan"))
	require.NoError(t, c.SetGroupTopic(ctx, group, "", "", "what it is about"))
	require.NoError(t, c.SetGroupTopic(ctx, group, "", "", "what it is about now"))
	require.NoError(t, c.SetGroupAnnounce(ctx, group, true))
	require.NoError(t, c.SetGroupLocked(ctx, group, true))
	require.NoError(t, c.SetDisappearingTimer(ctx, group, whatsmeow.DisappearingTimer7Days, w.now()))
	require.Error(t, c.SetDisappearingTimer(ctx, group, 17*time.Second, w.now()))
	_, err = c.SetGroupPhoto(ctx, group, []byte("\xff\xd8\xff jpeg"))
	require.NoError(t, err)
	_, err = c.SetGroupPhoto(ctx, group, []byte("png"))
	require.ErrorIs(t, err, whatsmeow.ErrInvalidImageFormat)
	require.Equal(t, GroupInfo{JID: group.String(), Subject: "New plan", Description: "what it is about now", Announce: true, Locked: true,
		Ephemeral: 604800, HasPicture: true, Members: state().Members}, state())
	_, err = carol.Say(group.String(), "not for members")
	require.Error(t, err)
	require.Error(t, carol.SetSubject(group.String(), "not for members"))

	info, err = c.GetGroupInfo(ctx, group)
	require.NoError(t, err)
	require.Equal(t, "what it is about now", info.Topic)
	groups, err := c.GetJoinedGroups(ctx)
	require.NoError(t, err)
	require.Len(t, groups, 1)
	require.NoError(t, bob.ChangeMembers(group.String(), "demote", bob.LID()))
	require.Error(t, bob.ChangeMembers(group.String(), "remove", anna.LID()))

	require.NoError(t, carol.LeaveGroup(group.String()))
	left := awaitEvent(c, func(e *events.GroupInfo) bool { return len(e.Leave) == 1 })
	require.Equal(t, carol.user.lid, left.Leave[0])
	require.Equal(t, carol.user.lid, *left.Sender)
	require.NoError(t, c.LeaveGroup(ctx, group))
	_, err = c.GetGroupInfo(ctx, group)
	require.ErrorIs(t, err, whatsmeow.ErrNotInGroup)
}

func TestGroupLinks(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob, carol := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob"), w.WhatsApp("+4915110000003", "Carol")
	c := w.linked(anna)
	ctx := within(t)
	group, err := bob.CreateGroup("Club")
	require.NoError(t, err)
	old, err := bob.InviteLink(group, false)
	require.NoError(t, err)
	link, err := bob.InviteLink(group, true)
	require.NoError(t, err)
	_, err = c.GetGroupInfoFromLink(ctx, old)
	require.ErrorIs(t, err, whatsmeow.ErrInviteLinkRevoked)
	_, err = c.GetGroupInfoFromLink(ctx, "nonsense")
	require.ErrorIs(t, err, whatsmeow.ErrInviteLinkInvalid)
	info, err := c.GetGroupInfoFromLink(ctx, link)
	require.NoError(t, err)
	require.Equal(t, "Club", info.Name)
	jid, err := c.JoinGroupWithLink(ctx, link)
	require.NoError(t, err)
	require.Equal(t, group, jid.String())
	joined := awaitEvent(c, any1[*events.JoinedGroup])
	require.Equal(t, "invite", joined.Reason)

	require.NoError(t, bob.SetApproval(group, true))
	waits, err := carol.JoinByLink(link)
	require.NoError(t, err)
	require.True(t, waits)
	require.NoError(t, bob.ChangeMembers(group, "promote", anna.LID()))
	awaitEvent(c, func(e *events.GroupInfo) bool { return len(e.Promote) == 1 })
	requests, err := c.GetGroupRequestParticipants(ctx, jid)
	require.NoError(t, err)
	require.Equal(t, carol.user.lid, requests[0].JID)
	_, err = c.UpdateGroupRequestParticipants(ctx, jid, []types.JID{carol.user.lid}, whatsmeow.ParticipantChangeApprove)
	require.NoError(t, err)
	state, err := w.Group(group)
	require.NoError(t, err)
	require.Len(t, state.Members, 3)
	require.Empty(t, state.Waiting)
}

// TestLeaversLoseTheKey proves that somebody who left cannot read on with an old sender key.
func TestLeaversLoseTheKey(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob, carol := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob"), w.WhatsApp("+4915110000003", "Carol")
	group, err := bob.CreateGroup("Club", anna.LID(), carol.LID())
	require.NoError(t, err)
	key := func() string {
		bob.mu.Lock()
		defer bob.mu.Unlock()
		found := regexp.MustCompile(`"KeyID":[0-9]+`).Find(bob.signal.senderKeys[senderKeyID(group, signalAddress(bob.user.lid).String())])
		require.NotEmpty(t, found)
		return string(found)
	}
	_, err = bob.Say(group, "one")
	require.NoError(t, err)
	first := key()
	require.NoError(t, carol.LeaveGroup(group))
	_, err = bob.Say(group, "two")
	require.NoError(t, err)
	require.NotEqual(t, first, key())
	_, err = carol.Say(group, "I am gone")
	require.Error(t, err)
}

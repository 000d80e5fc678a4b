package linked

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/simulator/meta"
)

func (d *device) groupChange(what string, fits func(network.GroupChange) bool) network.GroupEvent {
	d.t.Helper()
	return await(d.told, what, func(e network.GroupEvent) bool { return fits(e.Change) })
}

func square(t *testing.T) []byte {
	t.Helper()
	var file bytes.Buffer
	require.NoError(t, jpeg.Encode(&file, image.NewGray(image.Rect(0, 0, 64, 64)), nil))
	return file.Bytes()
}

// What others do in a group is told, with who did it.
func TestGroupChangesIn(t *testing.T) {
	anna, bob, carl := newDevice(t, "Anna"), person("Bob"), person("Carl")
	group, err := bob.CreateGroup("Friends", anna.owner.LID())
	require.NoError(t, err)
	joined := anna.groupChange("the group", func(c network.GroupChange) bool { return c.Whole != nil })
	require.Equal(t, addressOf(t, bob), joined.By)
	require.Equal(t, network.Phone(bob.Phone()), joined.ByAlias)
	require.Equal(t, []network.Address{anna.Self()}, joined.Change.Added)
	require.Equal(t, "Friends", joined.Change.Whole.Name)
	require.Len(t, joined.Change.Whole.Members, 2)
	for _, member := range joined.Change.Whole.Members {
		require.Equal(t, member.Address == addressOf(t, bob), member.Owner)
	}

	require.NoError(t, bob.SetSubject(group, "Best friends"))
	renamed := anna.groupChange("the name", func(c network.GroupChange) bool { return c.Name != nil })
	require.Equal(t, "Best friends", *renamed.Change.Name)
	require.Equal(t, joined.Group, renamed.Group)
	require.Equal(t, addressOf(t, bob), renamed.By)
	require.NotEmpty(t, renamed.ID)
	require.WithinDuration(t, time.Now(), renamed.Time, time.Minute)
	require.NoError(t, bob.SetDescription(group, "about us"))
	require.Equal(t, "about us", *anna.groupChange("the topic", func(c network.GroupChange) bool { return c.Topic != nil }).Change.Topic)
	require.NoError(t, bob.SetGroupMode(group, "announcement"))
	require.True(t, *anna.groupChange("announcements", func(c network.GroupChange) bool { return c.Announce != nil }).Change.Announce)
	require.NoError(t, bob.SetGroupMode(group, "locked"))
	require.True(t, *anna.groupChange("the lock", func(c network.GroupChange) bool { return c.Locked != nil }).Change.Locked)
	require.NoError(t, bob.SetApproval(group, true))
	require.True(t, *anna.groupChange("approval", func(c network.GroupChange) bool { return c.Approval != nil }).Change.Approval)
	require.NoError(t, bob.SetApproval(group, false))
	require.False(t, *anna.groupChange("no approval", func(c network.GroupChange) bool { return c.Approval != nil }).Change.Approval)
	require.NoError(t, bob.SetApproval(group, true))
	require.NoError(t, bob.SetGroupEphemeral(group, 86400))
	require.Equal(t, 24*time.Hour, *anna.groupChange("the timer", func(c network.GroupChange) bool { return c.Timer != nil }).Change.Timer)
	require.NoError(t, bob.SetGroupEphemeral(group, 0))
	require.Zero(t, *anna.groupChange("the timer's end", func(c network.GroupChange) bool { return c.Timer != nil }).Change.Timer)
	require.NoError(t, bob.SetGroupPicture(group, square(t)))
	picture := anna.groupChange("the picture", func(c network.GroupChange) bool { return c.Picture != nil })
	require.NotEmpty(t, *picture.Change.Picture)
	require.NoError(t, bob.SetGroupPicture(group, nil))
	require.Empty(t, *anna.groupChange("no picture", func(c network.GroupChange) bool { return c.Picture != nil }).Change.Picture)

	them := []network.Address{addressOf(t, carl)}
	require.NoError(t, bob.ChangeMembers(group, "add", carl.LID()))
	require.Equal(t, them, anna.groupChange("Carl", func(c network.GroupChange) bool { return c.Added != nil }).Change.Added)
	require.NoError(t, bob.ChangeMembers(group, "promote", carl.LID()))
	require.Equal(t, them, anna.groupChange("Carl's rise", func(c network.GroupChange) bool { return c.Promoted != nil }).Change.Promoted)
	require.NoError(t, bob.ChangeMembers(group, "demote", carl.LID()))
	require.Equal(t, them, anna.groupChange("Carl's fall", func(c network.GroupChange) bool { return c.Demoted != nil }).Change.Demoted)
	require.NoError(t, bob.ChangeMembers(group, "remove", carl.LID()))
	require.Equal(t, them, anna.groupChange("Carl's end", func(c network.GroupChange) bool { return c.Removed != nil }).Change.Removed)
	_, err = bob.InviteLink(group, true)
	require.NoError(t, err)
	require.NoError(t, bob.SetApproval(group, false))
	link, err := bob.InviteLink(group, false)
	require.NoError(t, err)
	_, err = carl.JoinByLink(link)
	require.NoError(t, err)
	require.Equal(t, them, anna.groupChange("Carl's return", func(c network.GroupChange) bool { return c.Joined != nil }).Change.Joined)
	require.NoError(t, carl.LeaveGroup(group))
	require.Equal(t, them, anna.groupChange("Carl's leave", func(c network.GroupChange) bool { return c.Left != nil }).Change.Left)
	require.NoError(t, bob.ChangeMembers(group, "remove", anna.owner.LID()))
	require.Equal(t, []network.Address{anna.Self()}, anna.groupChange("the end", func(c network.GroupChange) bool { return c.Removed != nil }).Change.Removed)
	require.ErrorIs(t, anna.trySend(joined.Group, network.Text{Body: "late"}), network.ErrNotMember)
}

// What the login does in groups is done, or refused for what it is.
func TestGroupChangesOut(t *testing.T) {
	anna, bob, carl := newDevice(t, "Anna"), person("Bob"), person("Carl")
	ctx := within(t)
	made, failed, err := anna.CreateGroup(ctx, "Ours", []network.Address{addressOf(t, bob)})
	require.NoError(t, err)
	require.Empty(t, failed)
	require.Equal(t, "Ours", made.Name)
	require.Len(t, made.Members, 2)
	group := made.Address
	on := func() meta.GroupInfo {
		t.Helper()
		info, err := simulated.Group(group.User)
		require.NoError(t, err)
		return info
	}

	require.NoError(t, anna.SetGroupName(ctx, group, "Still ours"))
	require.NoError(t, anna.SetGroupTopic(ctx, group, "what for"))
	require.NoError(t, anna.SetGroupTopic(ctx, group, "what else for"))
	require.NoError(t, anna.SetGroupAnnounce(ctx, group, true))
	require.NoError(t, anna.SetGroupLocked(ctx, group, true))
	require.NoError(t, anna.SetTimer(ctx, group, 7*24*time.Hour))
	picture, err := anna.SetGroupPicture(ctx, group, square(t))
	require.NoError(t, err)
	require.NotEmpty(t, picture)
	info := on()
	require.Equal(t, "Still ours", info.Subject)
	require.Equal(t, "what else for", info.Description)
	require.True(t, info.Announce && info.Locked && info.HasPicture)
	require.EqualValues(t, 7*86400, info.Ephemeral)

	got, err := anna.Group(ctx, group)
	require.NoError(t, err)
	require.True(t, got.Announce && got.Locked)
	require.Equal(t, 7*24*time.Hour, got.Timer)
	all, err := anna.Groups(ctx)
	require.NoError(t, err)
	require.Len(t, all, 1)
	shown, err := anna.Picture(ctx, group, "")
	require.NoError(t, err)
	require.Equal(t, picture, shown.ID)
	file, err := shown.Open(ctx)
	require.NoError(t, err)
	data, err := io.ReadAll(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.Equal(t, square(t), data)
	_, err = anna.Picture(ctx, group, picture)
	require.ErrorIs(t, err, network.ErrUnchanged)
	_, err = anna.SetGroupPicture(ctx, group, nil)
	require.NoError(t, err)
	_, err = anna.Picture(ctx, group, "")
	require.ErrorIs(t, err, network.ErrNoPicture)

	them := []network.Address{addressOf(t, carl)}
	for _, step := range []struct {
		change network.MemberChange
		rank   string
		in     bool
	}{{network.AddMember, "", true}, {network.PromoteMember, "admin", true}, {network.DemoteMember, "", true}, {network.RemoveMember, "", false}} {
		failed, err = anna.ChangeMembers(ctx, group, step.change, them)
		require.NoError(t, err)
		require.Empty(t, failed)
		rank, in := on().Rank(carl)
		require.Equal(t, step.in, in, step.change)
		require.Equal(t, step.rank, rank, step.change)
	}

	carl.SetPrivacy("groupadd", "none")
	failed, err = anna.ChangeMembers(ctx, group, network.AddMember, them)
	require.NoError(t, err)
	require.ErrorIs(t, failed[addressOf(t, carl)], network.ErrPrivacy)
	var invite *network.InviteError
	require.True(t, errors.As(failed[addressOf(t, carl)], &invite))
	offered := invite.Invite
	offered.Name = "Still ours"
	id := anna.say(addressOf(t, carl), offered)
	require.Equal(t, offered.Code, heard(t, carl, id).Message.GetGroupInviteMessage().GetInviteCode())

	link, err := anna.InviteLink(ctx, group, false)
	require.NoError(t, err)
	again, err := anna.InviteLink(ctx, group, true)
	require.NoError(t, err)
	require.NotEqual(t, link, again)

	require.NoError(t, anna.LeaveGroup(ctx, group))
	_, in := on().Rank(anna.owner)
	require.False(t, in)
	_, err = anna.Group(ctx, group)
	require.ErrorIs(t, err, network.ErrNotMember)
	_, err = anna.Group(ctx, network.GroupAddress("120363999999999999"))
	require.ErrorIs(t, err, network.ErrUnknownGroup)
}

// Administrators hear who wants to come in, and let them in or turn them away.
func TestJoinRequests(t *testing.T) {
	anna, bob, carl := newDevice(t, "Anna"), person("Bob"), person("Carl")
	ctx := within(t)
	made, _, err := anna.CreateGroup(ctx, "By leave", nil)
	require.NoError(t, err)
	group := made.Address
	require.NoError(t, anna.SetGroupApproval(ctx, group, true))
	link, err := anna.InviteLink(ctx, group, false)
	require.NoError(t, err)
	for _, who := range []*meta.Person{bob, carl} {
		waits, err := who.JoinByLink(link)
		require.NoError(t, err)
		require.True(t, waits)
		asked := anna.groupChange("the request", func(c network.GroupChange) bool { return c.Requested != nil })
		require.Equal(t, []network.Address{addressOf(t, who)}, asked.Change.Requested)
	}
	waiting, err := anna.JoinRequests(ctx, group)
	require.NoError(t, err)
	require.Equal(t, []network.Address{addressOf(t, bob), addressOf(t, carl)}, waiting)
	failed, err := anna.AnswerRequests(ctx, group, true, waiting[:1])
	require.NoError(t, err)
	require.Empty(t, failed)
	failed, err = anna.AnswerRequests(ctx, group, false, waiting[1:])
	require.NoError(t, err)
	require.Empty(t, failed)
	failed, err = anna.AnswerRequests(ctx, group, true, waiting[1:])
	require.NoError(t, err)
	require.ErrorIs(t, failed[waiting[1]], network.ErrUnknownPerson, "answered already")
	info, err := simulated.Group(group.User)
	require.NoError(t, err)
	_, in := info.Rank(bob)
	require.True(t, in)
	_, in = info.Rank(carl)
	require.False(t, in)
	require.Empty(t, info.Waiting)
	_, err = anna.JoinRequests(ctx, network.GroupAddress("120363999999999999"))
	require.ErrorIs(t, err, network.ErrUnknownGroup)
}

func TestJoining(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	ctx := within(t)
	group, err := bob.CreateGroup("Club")
	require.NoError(t, err)
	link, err := bob.InviteLink(group, false)
	require.NoError(t, err)
	seen, err := anna.ResolveLink(ctx, link)
	require.NoError(t, err)
	require.Equal(t, "Club", seen.Name)
	joined, err := anna.JoinByLink(ctx, link)
	require.NoError(t, err)
	require.Equal(t, seen.Address, joined)
	require.ErrorIs(t, anna.SetGroupAnnounce(ctx, joined, true), network.ErrForbidden)
	require.NoError(t, anna.LeaveGroup(ctx, joined))

	require.NoError(t, bob.SetApproval(group, true))
	_, err = anna.JoinByLink(ctx, link)
	require.ErrorIs(t, err, network.ErrApproval)
	require.NoError(t, bob.Decide(group, "approve", anna.owner.LID()))
	await(anna.told, "being let in", func(e network.GroupEvent) bool { return e.Group == joined })

	_, err = bob.InviteLink(group, true)
	require.NoError(t, err)
	_, err = anna.ResolveLink(ctx, link)
	require.ErrorIs(t, err, network.ErrBadInvite)
	_, err = anna.JoinByLink(ctx, "https://chat.whatsapp.com/nonsense")
	require.ErrorIs(t, err, network.ErrBadInvite)

	id, err := bob.SendGroupInvite(anna.owner.LID(), group, "nonsense")
	require.NoError(t, err)
	invite := anna.hears(id).Message.Content.(network.GroupInvite)
	require.Equal(t, joined, invite.Group)
	require.Error(t, anna.AcceptInvite(ctx, invite, addressOf(t, bob)))
}

// In the announcement groups of communities reactions and comments are encrypted with the announcement's own secret.
func TestSealedReactionsAndComments(t *testing.T) {
	anna, bob, carl := newDevice(t, "Anna"), person("Bob"), person("Carl")
	group, err := bob.CreateGroup("Announcements", anna.owner.LID(), carl.LID())
	require.NoError(t, err)
	said, err := bob.Announce(group, "the feast is on Sunday")
	require.NoError(t, err)
	announced := anna.hears(said).Message.ID
	heard(t, carl, said)
	id, err := carl.ReactSealed(group, said, "🎉")
	require.NoError(t, err)
	require.Equal(t, network.Reaction{Target: announced, Emoji: "🎉"}, anna.hears(id).Message.Content)
	id, err = carl.CommentSealed(group, said, "I bring a cake")
	require.NoError(t, err)
	comment := anna.hears(id).Message
	require.Equal(t, network.Text{Body: "I bring a cake"}, comment.Content)
	require.Equal(t, &announced, comment.ReplyTo)
}

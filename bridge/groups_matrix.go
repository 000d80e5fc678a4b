package bridge

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// groupOf is what a group's room needs to change the group.
type groupOf struct {
	network.Groups
	address network.Address
}

// groupOf finds the group behind a room; errors are those of the network, or [errNotAGroup].
func (c *Client) groupOf(room *bridgev2.Portal) (of groupOf, err error) {
	if of.address, err = portal.Conversation(room.PortalKey); err != nil {
		return of, fmt.Errorf("failed to read the room's conversation: %w", err)
	}
	if !of.address.IsGroup() {
		return of, errNotAGroup
	}
	if metadataOf(room).Left {
		return of, network.ErrNotMember
	}
	of.Groups, err = ability[network.Groups](c)
	return of, err
}

// inGroup does something to the group of a room; a failure becomes words, and bridgev2 puts the room back.
func (c *Client) inGroup(ctx context.Context, room *bridgev2.Portal, do func(ctx context.Context, group groupOf) error) error {
	group, err := c.groupOf(room)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		err = do(ctx, group)
	}
	if err != nil {
		return statusOf(err, c.self.Network)
	}
	return nil
}

// HandleMatrixRoomName implements [bridgev2.RoomNameHandlingNetworkAPI]. A direct chat's room may be called anything.
func (c *linkedClient) HandleMatrixRoomName(ctx context.Context, msg *bridgev2.MatrixRoomName) (bool, error) {
	if isDirect(msg.Portal) {
		return false, nil
	}
	name := puppet.Clean(msg.Content.Name)
	err := c.inGroup(ctx, msg.Portal, func(ctx context.Context, group groupOf) error {
		if name == "" {
			return network.ErrRejected
		}
		return group.SetGroupName(ctx, group.address, name)
	})
	if err == nil {
		msg.Portal.Name, msg.Portal.NameSet = msg.Content.Name, true
	}
	return err == nil, err
}

func isDirect(room *bridgev2.Portal) bool {
	conversation, err := portal.Conversation(room.PortalKey)
	return err != nil || !conversation.IsGroup()
}

// HandleMatrixRoomTopic implements [bridgev2.RoomTopicHandlingNetworkAPI].
func (c *linkedClient) HandleMatrixRoomTopic(ctx context.Context, msg *bridgev2.MatrixRoomTopic) (bool, error) {
	if isDirect(msg.Portal) {
		return false, nil
	}
	err := c.inGroup(ctx, msg.Portal, func(ctx context.Context, group groupOf) error {
		return group.SetGroupTopic(ctx, group.address, msg.Content.Topic)
	})
	if err == nil {
		msg.Portal.Topic, msg.Portal.TopicSet = msg.Content.Topic, true
	}
	return err == nil, err
}

// HandleMatrixRoomAvatar implements [bridgev2.RoomAvatarHandlingNetworkAPI].
func (c *linkedClient) HandleMatrixRoomAvatar(ctx context.Context, msg *bridgev2.MatrixRoomAvatar) (bool, error) {
	if isDirect(msg.Portal) {
		return false, nil
	}
	var picture string
	var data []byte
	err := c.inGroup(ctx, msg.Portal, func(ctx context.Context, group groupOf) (err error) {
		if msg.Content.URL != "" {
			if data, err = c.squarePicture(ctx, msg.Content.URL, msg.Content.MSC3414File); err != nil {
				return err
			}
		}
		picture, err = group.SetGroupPicture(ctx, group.address, data)
		return err
	})
	if err != nil {
		return false, err
	}
	room := msg.Portal
	room.AvatarID, room.AvatarMXC, room.AvatarHash, room.AvatarSet = "", msg.Content.URL, [32]byte{}, true
	if data != nil {
		address, _ := portal.Conversation(room.PortalKey)
		room.AvatarID = networkid.AvatarID(address.String() + "/" + picture)
		room.AvatarHash = sha256.Sum256(data)
	}
	metadataOf(room).Picture = picture
	return true, nil
}

// squarePicture downloads a picture and makes of it what the network takes.
func (c *Client) squarePicture(ctx context.Context, url id.ContentURIString, key *event.EncryptedFileInfo) (data []byte, err error) {
	err = c.connector.bridge.Bot.DownloadMediaToFile(ctx, url, key, false, func(file *os.File) error {
		data, err = c.connector.converter.Square(ctx, file)
		return err
	})
	var callback bridgev2.CallbackError
	switch {
	case errors.As(err, &callback):
		return nil, fmt.Errorf("failed to read a picture: %w: %w", network.ErrUnsupported, err)
	case err != nil:
		return nil, fmt.Errorf("failed to download a picture: %w: %w", errNoDownload, err)
	}
	return data, nil
}

// HandleMatrixDisappearingTimer implements [bridgev2.DisappearTimerChangingNetworkAPI].
func (c *linkedClient) HandleMatrixDisappearingTimer(ctx context.Context, msg *bridgev2.MatrixDisappearingTimer) (bool, error) {
	setting := bridgedb.DisappearingSettingFromEvent(msg.Content).Normalize()
	if err := c.setTimer(ctx, msg.Portal, setting.Timer); err != nil {
		return false, statusOf(err, c.self.Network)
	}
	msg.Portal.Disappear = portal.Timer(setting.Timer)
	return true, nil
}

// setTimer sets how long new messages of a room stay.
func (c *Client) setTimer(ctx context.Context, room *bridgev2.Portal, timer time.Duration) error {
	conversation, err := portal.Conversation(room.PortalKey)
	if err != nil {
		return fmt.Errorf("failed to read the room's conversation: %w", err)
	}
	chats, err := ability[network.ChatStates](c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return chats.SetTimer(ctx, conversation, timer)
}

// HandleMatrixMembership implements [bridgev2.MembershipHandlingNetworkAPI]: ghosts are invited and removed, and the user leaves.
func (c *linkedClient) HandleMatrixMembership(ctx context.Context, msg *bridgev2.MatrixMembershipChange) (*bridgev2.MatrixMembershipResult, error) {
	if isDirect(msg.Portal) {
		return nil, nil
	}
	ghost, isGhost := msg.Target.(*bridgev2.Ghost)
	return nil, c.inGroup(ctx, msg.Portal, func(ctx context.Context, group groupOf) error {
		switch {
		case msg.Type == bridgev2.Leave || msg.Type == bridgev2.RejectInvite:
			return c.leaveGroup(ctx, msg.Portal, group)
		case msg.Type == bridgev2.Join || msg.Type == bridgev2.AcceptInvite || msg.Type == bridgev2.ProfileChange:
			return nil
		case !isGhost && msg.Type.To == event.MembershipInvite:
			return errOnlyPeople
		case !isGhost:
			return nil
		case msg.Type.To == event.MembershipInvite:
			return c.invite(ctx, msg, group, ghost)
		case msg.Type.To == event.MembershipBan:
			return errNoBan
		case msg.Type.To == event.MembershipLeave:
			return c.changeMember(ctx, group, network.RemoveMember, ghost)
		}
		return nil
	})
}

// leaveGroup takes the login out of a group. Its room can be read further on.
func (c *Client) leaveGroup(ctx context.Context, _ *bridgev2.Portal, group groupOf) error {
	return group.LeaveGroup(ctx, group.address)
}

// changeMember does one thing to one person of a group.
func (c *Client) changeMember(ctx context.Context, group groupOf, change network.MemberChange, ghost *bridgev2.Ghost) error {
	person, err := puppet.Address(ghost.ID)
	if err != nil {
		return fmt.Errorf("failed to read a ghost's address: %w", network.ErrUnknownPerson)
	}
	failed, err := group.ChangeMembers(ctx, group.address, change, []network.Address{person})
	if err != nil {
		return err
	}
	return failed[person]
}

// invite adds a person to a group. Whoever does not let others do that is sent an invitation instead.
func (c *Client) invite(ctx context.Context, msg *bridgev2.MatrixMembershipChange, group groupOf, ghost *bridgev2.Ghost) error {
	err := c.changeMember(ctx, group, network.AddMember, ghost)
	if err == nil {
		return nil
	}
	c.expel(ctx, msg.Portal, ghost)
	var instead *network.InviteError
	if !errors.As(err, &instead) {
		return err
	}
	person, parseErr := puppet.Address(ghost.ID)
	if parseErr != nil {
		return err
	}
	work := errand{room: msg.Portal, event: msg.Event, to: person}
	if err = c.hand(ctx, work, instead.Invite, nil); err != nil {
		return err
	}
	c.say(ctx, msg.Portal, fmt.Sprintf(textInvitedInstead, c.connector.nameOf(ctx, person)))
	return nil
}

// expel takes a ghost out of a room in which it must not be.
func (c *Client) expel(ctx context.Context, room *bridgev2.Portal, ghost *bridgev2.Ghost) {
	_, err := room.Bridge.Bot.SendState(ctx, room.MXID, event.StateMember, ghost.Intent.GetMXID().String(), &event.Content{
		Parsed: &event.MemberEventContent{Membership: event.MembershipLeave},
	}, time.Now())
	if err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to take back an invitation")
	}
}

// HandleMatrixPowerLevels implements [bridgev2.PowerLevelHandlingNetworkAPI]: administrators are made and unmade, and what
// members may do is set. What there was before is asked of the group: not every homeserver tells it.
func (c *linkedClient) HandleMatrixPowerLevels(ctx context.Context, msg *bridgev2.MatrixPowerLevelChange) (bool, error) {
	if isDirect(msg.Portal) {
		return false, nil
	}
	err := c.inGroup(ctx, msg.Portal, func(ctx context.Context, group groupOf) error {
		now, err := group.Group(ctx, group.address)
		if err != nil {
			return err
		}
		if err = c.setRanks(ctx, msg, group, now); err != nil {
			return err
		}
		return setMode(ctx, msg.Content, group, now)
	})
	if err != nil {
		c.restoreLevels(ctx, msg.Portal)
	}
	return err == nil, err
}

// setRanks makes administrators of those whose level says so, and of no others. Owners stay what they are.
func (c *Client) setRanks(ctx context.Context, msg *bridgev2.MatrixPowerLevelChange, group groupOf, now network.Group) error {
	var promoted, demoted []network.Address
	for _, member := range now.Members {
		if member.Address == c.self || member.Owner {
			continue
		}
		ghost := c.connector.bridge.Matrix.GhostIntent(puppet.ID(member.Address)).GetMXID()
		wanted := portal.IsAdminLevel(msg.Content.GetUserLevel(ghost))
		switch {
		case wanted && !member.Admin:
			promoted = append(promoted, member.Address)
		case !wanted && member.Admin:
			demoted = append(demoted, member.Address)
		}
	}
	for change, people := range map[network.MemberChange][]network.Address{network.PromoteMember: promoted, network.DemoteMember: demoted} {
		if len(people) == 0 {
			continue
		}
		failed, err := group.ChangeMembers(ctx, group.address, change, people)
		for _, why := range failed {
			err = why
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setMode sets what members may do to what the levels say.
func setMode(ctx context.Context, levels *event.PowerLevelsEventContent, group groupOf, now network.Group) error {
	announce, locked := portal.ModeOf(levels)
	if announce != now.Announce {
		if err := group.SetGroupAnnounce(ctx, group.address, announce); err != nil {
			return err
		}
	}
	if locked != now.Locked {
		return group.SetGroupLocked(ctx, group.address, locked)
	}
	return nil
}

// restoreLevels puts a room's power levels back to what the group has: bridgev2 does it for all other state.
func (c *linkedClient) restoreLevels(ctx context.Context, room *bridgev2.Portal) {
	info, err := c.GetChatInfo(ctx, room)
	if err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to restore the power levels of a room")
		return
	}
	room.UpdateInfo(ctx, &bridgev2.ChatInfo{Members: info.Members}, c.login, nil, time.Time{})
}

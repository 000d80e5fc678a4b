package linked

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"

	"causeway/network"
	"causeway/wire"
)

// longestGroupName is how many characters a group's name may have.
const longestGroupName = 100

// readGroup reads what the network says of a group.
func (l *link) readGroup(ctx context.Context, info *types.GroupInfo) (network.Group, error) {
	l.owner.modes.put(plain(info.JID), info.AddressingMode)
	group := network.Group{
		Address: network.GroupAddress(info.JID.User), Name: wire.Clean(info.Name), Topic: wire.Clean(info.Topic),
		Announce: info.IsAnnounce, Locked: info.IsLocked, Approval: info.IsJoinApprovalRequired,
		Community: info.IsParent, Created: info.GroupCreated,
	}
	if info.IsEphemeral {
		group.Timer = time.Duration(info.DisappearingTimer) * time.Second
	}
	if !info.LinkedParentJID.IsEmpty() {
		group.Parent = network.GroupAddress(info.LinkedParentJID.User)
	}
	for _, participant := range info.Participants {
		l.lib.StoreLIDPNMapping(ctx, plain(participant.LID), plain(participant.PhoneNumber))
		person, err := l.own.address(ctx, participant.JID)
		if errors.Is(err, errNobody) {
			continue
		} else if err != nil {
			return group, err
		}
		alias, err := l.own.alias(ctx, person)
		if err != nil {
			return group, err
		}
		group.Members = append(group.Members, network.Member{
			Address: person, Alias: alias, Admin: participant.IsAdmin || participant.IsSuperAdmin, Owner: participant.IsSuperAdmin,
		})
	}
	return group, group.Address.Validate()
}

// inGroup is the connection in use and a group's JID.
func (c *Client) inGroup(group network.Address) (*link, types.JID, error) {
	l, err := c.current()
	if err != nil {
		return nil, types.JID{}, err
	}
	jid, err := groupJID(group)
	return l, jid, err
}

// Group is a group as it is now, see [network.Groups].
func (c *Client) Group(ctx context.Context, group network.Address) (network.Group, error) {
	l, jid, err := c.inGroup(group)
	if err != nil {
		return network.Group{}, err
	}
	info, err := l.lib.GetGroupInfo(ctx, jid)
	if err != nil {
		return network.Group{}, fmt.Errorf("failed to ask for a group: %w", failure(err))
	}
	return l.readGroup(ctx, info)
}

// Groups are all groups that the login is in.
func (c *Client) Groups(ctx context.Context) ([]network.Group, error) {
	l, err := c.current()
	if err != nil {
		return nil, err
	}
	infos, err := l.lib.GetJoinedGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to ask for groups: %w", failure(err))
	}
	groups := make([]network.Group, 0, len(infos))
	for _, info := range infos {
		group, err := l.readGroup(ctx, info)
		if err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// CreateGroup makes a group, see [network.Groups].
func (c *Client) CreateGroup(
	ctx context.Context, name string, members []network.Address,
) (network.Group, map[network.Address]error, error) {
	l, err := c.current()
	if err != nil {
		return network.Group{}, nil, err
	}
	if name == "" || len([]rune(name)) > longestGroupName {
		return network.Group{}, nil, fmt.Errorf("%w: a group's name has 1 to %d characters", network.ErrTooLarge, longestGroupName)
	}
	request := whatsmeow.ReqCreateGroup{Name: name}
	for _, member := range members {
		jid, err := jidOf(member)
		if err != nil {
			return network.Group{}, nil, err
		}
		request.Participants = append(request.Participants, jid)
	}
	info, err := l.lib.CreateGroup(ctx, request)
	if err != nil {
		return network.Group{}, nil, fmt.Errorf("failed to make a group: %w", failure(err))
	}
	failed, err := l.failedMembers(ctx, info.JID, name, info.Participants)
	if err != nil {
		return network.Group{}, nil, err
	}
	group, err := l.readGroup(ctx, info)
	kept := group.Members[:0]
	for _, member := range group.Members {
		if failed[member.Address] == nil {
			kept = append(kept, member)
		}
	}
	group.Members = kept
	return group, failed, err
}

// failedMembers is with whom a change of members did not work.
func (l *link) failedMembers(
	ctx context.Context, group types.JID, name string, participants []types.GroupParticipant,
) (map[network.Address]error, error) {
	failed := map[network.Address]error{}
	for _, participant := range participants {
		l.lib.StoreLIDPNMapping(ctx, plain(participant.LID), plain(participant.PhoneNumber))
		if participant.Error == 0 || participant.Error == 200 {
			continue
		}
		person, err := l.own.address(ctx, participant.JID)
		if errors.Is(err, errNobody) {
			continue
		} else if err != nil {
			return nil, err
		}
		if why := memberFailure(group, name, participant); why != nil {
			failed[person] = why
		}
	}
	return failed, nil
}

// memberFailure is why something did not work with a member.
func memberFailure(group types.JID, name string, participant types.GroupParticipant) error {
	if invite := participant.AddRequest; invite != nil && invite.Code != "" {
		return &network.InviteError{Invite: network.GroupInvite{
			Group: network.GroupAddress(group.User), Name: name, Code: invite.Code, Expires: invite.Expiration,
		}}
	}
	switch participant.Error {
	case 401, 403, 408:
		return network.ErrPrivacy
	case 404, 406:
		return network.ErrUnknownPerson
	case 409:
		return nil // is there, or gone, already
	case 419:
		return network.ErrTooLarge
	}
	return fmt.Errorf("%w (code %d)", network.ErrRejected, participant.Error)
}

// ChangeMembers does one thing to several people, see [network.Groups].
func (c *Client) ChangeMembers(
	ctx context.Context, group network.Address, change network.MemberChange, people []network.Address,
) (map[network.Address]error, error) {
	l, jid, err := c.inGroup(group)
	if err != nil {
		return nil, err
	}
	var members []types.JID
	for _, person := range people {
		member, err := l.memberJID(ctx, jid, person)
		if err != nil {
			return nil, err
		}
		members = append(members, member)
	}
	answers, err := l.lib.UpdateGroupParticipants(ctx, jid, members, whatsmeow.ParticipantChange(change))
	if err != nil {
		return nil, fmt.Errorf("failed to change a group's members: %w", failure(err))
	}
	return l.failedMembers(ctx, jid, "", answers)
}

// changeGroup runs one change of a group.
func (c *Client) changeGroup(group network.Address, what string, change func(l *link, jid types.JID) error) error {
	l, jid, err := c.inGroup(group)
	if err != nil {
		return err
	}
	if err = change(l, jid); err != nil {
		return fmt.Errorf("failed to %s: %w", what, failure(err))
	}
	return nil
}

// LeaveGroup leaves a group.
func (c *Client) LeaveGroup(ctx context.Context, group network.Address) error {
	return c.changeGroup(group, "leave a group", func(l *link, jid types.JID) error { return l.lib.LeaveGroup(ctx, jid) })
}

// SetGroupName names a group.
func (c *Client) SetGroupName(ctx context.Context, group network.Address, name string) error {
	if name == "" || len([]rune(name)) > longestGroupName {
		return fmt.Errorf("%w: a group's name has 1 to %d characters", network.ErrTooLarge, longestGroupName)
	}
	return c.changeGroup(group, "name a group", func(l *link, jid types.JID) error { return l.lib.SetGroupName(ctx, jid, name) })
}

// SetGroupTopic describes a group.
func (c *Client) SetGroupTopic(ctx context.Context, group network.Address, topic string) error {
	return c.changeGroup(group, "describe a group", func(l *link, jid types.JID) error {
		info, err := l.lib.GetGroupInfo(ctx, jid)
		if err != nil {
			return err
		}
		return l.lib.SetGroupTopic(ctx, jid, info.TopicID, "", topic)
	})
}

// SetGroupPicture sets a group's picture, see [network.Groups].
func (c *Client) SetGroupPicture(ctx context.Context, group network.Address, jpeg []byte) (id string, err error) {
	err = c.changeGroup(group, "set a group's picture", func(l *link, jid types.JID) (err error) {
		id, err = l.lib.SetGroupPhoto(ctx, jid, jpeg)
		return err
	})
	if id == "remove" {
		id = ""
	}
	return id, err
}

// SetGroupAnnounce lets only administrators write, or everybody.
func (c *Client) SetGroupAnnounce(ctx context.Context, group network.Address, announce bool) error {
	return c.changeGroup(group, "change who may write", func(l *link, jid types.JID) error {
		return l.lib.SetGroupAnnounce(ctx, jid, announce)
	})
}

// SetGroupLocked lets only administrators change what the group says of itself, or everybody.
func (c *Client) SetGroupLocked(ctx context.Context, group network.Address, locked bool) error {
	return c.changeGroup(group, "change who may change the group", func(l *link, jid types.JID) error {
		return l.lib.SetGroupLocked(ctx, jid, locked)
	})
}

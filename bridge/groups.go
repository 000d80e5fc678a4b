package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rs/zerolog"

	"go.mau.fi/util/ptr"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// omittedCommunity is what holds groups and is no chat itself; its groups have their rooms.
const omittedCommunity = "community"

// maxPicture is how many bytes of a picture are taken.
const maxPicture = 4 << 20

// groupInfo describes a group as it is now. One that the login is not in any more keeps what is known of it.
func (c *Client) groupInfo(ctx context.Context, room *bridgev2.Portal, address network.Address) (*bridgev2.ChatInfo, error) {
	groups, err := ability[network.Groups](c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	group, err := groups.Group(ctx, address)
	if isOutside(err) {
		group, err = network.Group{Address: address, Name: room.Name}, nil
		return c.describeGroup(group, true), err
	}
	if err != nil {
		return nil, fmt.Errorf("failed to ask for a group: %w", err)
	}
	return c.describeGroup(group, false), nil
}

// isOutside says whether an error means that the login is in no such group.
func isOutside(err error) bool {
	return errors.Is(err, network.ErrNotMember) || errors.Is(err, network.ErrUnknownGroup) || errors.Is(err, network.ErrForbidden)
}

// describeGroup is a group as a room, and what has to be remembered of it.
func (c *Client) describeGroup(group network.Group, left bool) *bridgev2.ChatInfo {
	picture := c.groupPicture(group.Address, group.Picture)
	info := portal.GroupInfo(portal.GroupRoom{
		Group: group, Self: c.self, Topic: textLinkedTopic(group.Address.Network), Picture: picture, Left: left,
	})
	info.ExtraUpdates = func(_ context.Context, room *bridgev2.Portal) bool {
		metadata := metadataOf(room)
		before := *metadata
		metadata.Announce, metadata.Locked, metadata.Left, metadata.Picture = group.Announce, group.Locked, left, group.Picture
		return *metadata != before
	}
	for _, member := range group.Members {
		c.connector.alias(member.Address, member.Alias)
	}
	return info
}

// groupPicture is a group's picture by its id, the network's own sign where there is none.
func (c *Client) groupPicture(group network.Address, id string) *bridgev2.Avatar {
	if id == "" {
		return nil
	}
	return c.picture(group, id)
}

// picture is the picture of a person or group, fetched when it is needed.
func (c *Client) picture(of network.Address, id string) *bridgev2.Avatar {
	return &bridgev2.Avatar{
		ID: networkid.AvatarID(of.String() + "/" + id),
		Get: func(ctx context.Context) ([]byte, error) {
			directory, err := ability[network.Directory](c)
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			picture, err := directory.Picture(ctx, of, "")
			if err != nil {
				return nil, fmt.Errorf("failed to ask for a picture: %w", err)
			}
			return readPicture(ctx, picture)
		},
	}
}

func readPicture(ctx context.Context, picture network.Picture) ([]byte, error) {
	in, err := picture.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to open a picture: %w", err)
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxPicture+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("failed to read a picture: %w", err)
	case len(data) > maxPicture:
		return nil, fmt.Errorf("failed to read a picture: %w", network.ErrTooLarge)
	}
	return data, nil
}

// groupChanged shows what has changed in a group.
func (c *Client) groupChanged(ctx context.Context, e network.GroupEvent) error {
	c.connector.alias(e.By, e.ByAlias)
	if e.Change.Whole != nil {
		return c.groupEntered(ctx, e)
	}
	change := &bridgev2.ChatInfoChange{ChatInfo: &bridgev2.ChatInfo{}, MemberChanges: &bridgev2.ChatMemberList{MemberMap: bridgev2.ChatMemberMap{}}}
	by := e.By
	meta := c.meta(ctx, bridgev2.RemoteEventChatInfoChange, e.Group, by)
	meta.Timestamp = e.Time
	meta.PreHandleFunc = func(ctx context.Context, room *bridgev2.Portal) {
		if room.MXID != "" {
			c.fillChange(ctx, room, e, change)
		}
	}
	meta.PostHandleFunc = func(ctx context.Context, room *bridgev2.Portal) {
		if room.MXID != "" {
			c.tellRequests(ctx, room, e.Change)
		}
		switch {
		case room.MXID == "":
		case e.Change.LinkReset:
			c.say(ctx, room, textLinkReset)
		case c.leaves(e.Change):
			c.say(ctx, room, textGroupLeft)
		}
	}
	return ignoring(c.queue(&simplevent.ChatInfoChange{EventMeta: meta, ChatInfoChange: change}))
}

// groupEntered makes or opens the room of a group that the login has come into.
func (c *Client) groupEntered(ctx context.Context, e network.GroupEvent) error {
	group := *e.Change.Whole
	if group.Community {
		c.tellOmitted(ctx, network.OmittedEvent{What: omittedCommunity, Time: e.Time})
		return nil
	}
	// a group that the user makes from a room of theirs gets that one, and no other in the meantime
	c.making.Lock()
	defer c.making.Unlock()
	meta := c.meta(ctx, bridgev2.RemoteEventChatResync, e.Group, network.Address{})
	meta.CreatePortal, meta.Timestamp = true, e.Time
	meta.PreHandleFunc = func(ctx context.Context, room *bridgev2.Portal) {
		if metadataOf(room).Left && room.MXID != "" {
			c.say(ctx, room, textGroupBack)
		}
	}
	meta.PostHandleFunc = c.announce
	return c.queue(&simplevent.ChatResync{EventMeta: meta, ChatInfo: c.describeGroup(group, false)})
}

// leaves says whether a change takes the login out of the group.
func (c *Client) leaves(change network.GroupChange) bool {
	for _, gone := range append(change.Removed, change.Left...) {
		if gone == c.self {
			return true
		}
	}
	return change.Deleted
}

// fillChange writes a group's change as one of its room. It runs in the room's own order, as power levels depend on what was before.
func (c *Client) fillChange(ctx context.Context, room *bridgev2.Portal, e network.GroupEvent, into *bridgev2.ChatInfoChange) {
	news, metadata, info := e.Change, metadataOf(room), into.ChatInfo
	before := *metadata
	if news.Name != nil {
		info.Name = ptr.Ptr(portal.GroupName(*news.Name))
	}
	if news.Topic != nil {
		info.Topic = news.Topic
		if *news.Topic == "" {
			info.Topic = ptr.Ptr(textLinkedTopic(e.Group.Network))
		}
	}
	if news.Picture != nil {
		metadata.Picture = *news.Picture
		info.Avatar = &bridgev2.Avatar{ID: "removed", Remove: true}
		if *news.Picture != "" {
			info.Avatar = c.picture(e.Group, *news.Picture)
		}
	}
	if news.Timer != nil {
		info.Disappear = ptr.Ptr(portal.Timer(*news.Timer))
	}
	if news.Announce != nil {
		metadata.Announce = *news.Announce
	}
	if news.Locked != nil {
		metadata.Locked = *news.Locked
	}
	members := into.MemberChanges.MemberMap
	c.fillMembers(members, news)
	if c.leaves(news) {
		metadata.Left = true
		delete(members, puppet.ID(c.self)) // they keep the room, to read in it
	}
	if *metadata != before {
		into.MemberChanges.PowerLevels = portal.GroupLevels(portal.GroupMode{Announce: metadata.Announce, Locked: metadata.Locked, Left: metadata.Left})
		c.remember(ctx, room)
	}
}

func (c *Client) fillMembers(members bridgev2.ChatMemberMap, news network.GroupChange) {
	for _, list := range []struct {
		people     []network.Address
		membership event.Membership
		rank       *int
	}{
		{news.Added, event.MembershipJoin, ptr.Ptr(portal.Rank(false, false))},
		{news.Joined, event.MembershipJoin, ptr.Ptr(portal.Rank(false, false))},
		{news.Promoted, event.MembershipJoin, ptr.Ptr(portal.Rank(true, false))},
		{news.Demoted, event.MembershipJoin, ptr.Ptr(portal.Rank(false, false))},
		{news.Removed, event.MembershipLeave, nil},
		{news.Left, event.MembershipLeave, nil},
	} {
		for _, person := range list.people {
			member := portal.Member(person, c.self, list.membership)
			member.PowerLevel = list.rank
			members.Set(member)
		}
	}
}

// CreateGroup implements [bridgev2.GroupCreatingNetworkAPI].
func (c *linkedClient) CreateGroup(ctx context.Context, params *bridgev2.GroupCreateParams) (*bridgev2.CreateChatResponse, error) {
	groups, err := ability[network.Groups](c.Client)
	if err != nil {
		return nil, replyOf(err, c.self.Network)
	}
	var members []network.Address
	for _, id := range params.Participants {
		person, err := puppet.Address(id)
		if err != nil {
			return nil, replyOf(network.ErrUnknownPerson, c.self.Network)
		}
		members = append(members, person)
	}
	name := ""
	if params.Name != nil {
		name = puppet.Clean(params.Name.Name)
	}
	c.making.Lock()
	defer c.making.Unlock()
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	group, failed, err := groups.CreateGroup(asking, name, members)
	if err != nil {
		return nil, replyOf(err, c.self.Network)
	}
	if params.Topic != nil && params.Topic.Topic != "" {
		if err = groups.SetGroupTopic(asking, group.Address, params.Topic.Topic); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("Failed to describe a group that was just made")
		} else {
			group.Topic = params.Topic.Topic
		}
	}
	response := &bridgev2.CreateChatResponse{
		PortalKey: portal.Key(group.Address, c.self), PortalInfo: c.describeGroup(group, false),
		FailedParticipants: map[networkid.UserID]*bridgev2.CreateChatFailedParticipant{},
	}
	for person, why := range failed {
		p, _ := findProblem(why)
		response.FailedParticipants[puppet.ID(person)] = &bridgev2.CreateChatFailedParticipant{Reason: p.sentence(c.self.Network)}
	}
	// bridgev2 goes on with the room after it has answered
	return response, c.adopt(context.WithoutCancel(ctx), params, group.Address, response)
}

// adopt makes a room that a user has set up the room of their new group.
func (c *linkedClient) adopt(ctx context.Context, params *bridgev2.GroupCreateParams, group network.Address, made *bridgev2.CreateChatResponse) (err error) {
	if params.RoomID == "" {
		return nil
	}
	if made.Portal, err = c.connector.bridge.GetPortalByKey(ctx, made.PortalKey); err != nil {
		return replyOf(err, c.self.Network)
	}
	err = made.Portal.UpdateMatrixRoomID(ctx, params.RoomID, bridgev2.UpdateMatrixRoomIDParams{
		SyncDBMetadata: func() {
			if params.Name != nil {
				made.Portal.Name, made.Portal.NameSet = params.Name.Name, true
			}
		},
		TombstoneOldRoom: true, DeleteOldRoom: true, ChatInfoSource: c.login,
	})
	if err == nil {
		meta := c.meta(ctx, bridgev2.RemoteEventChatResync, group, network.Address{})
		err = c.queue(&simplevent.ChatResync{EventMeta: meta, ChatInfo: made.PortalInfo})
	}
	if err != nil {
		return replyOf(err, c.self.Network)
	}
	return nil
}

package bridge

import (
	"context"
	"strings"

	"maunium.net/go/mautrix/bridgev2/commands"
	"maunium.net/go/mautrix/id"

	"causeway/network"
	"causeway/portal"
)

func (c *Connector) inviteLink(ce *commands.Event) {
	reset := len(ce.Args) == 1 && strings.EqualFold(ce.Args[0], "reset")
	ofGroup(ce, func(ctx context.Context, _ *Client, group groupOf) error {
		link, err := group.InviteLink(ctx, group.address, reset)
		if err == nil {
			ce.Reply(textInviteLink, link)
		}
		return err
	})
}

func (c *Connector) join(ce *commands.Event) {
	client, groups, ok := groupsOf(ce, textJoinUsage)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ce.Ctx, askTimeout)
	defer cancel()
	address, err := groups.JoinByLink(ctx, ce.Args[0])
	if err != nil {
		ce.Reply("%s", replyOf(err, client.self.Network))
		return
	}
	client.showJoined(ce, address)
}

// groupsOf is the linked login's groups for a command with one argument.
func groupsOf(ce *commands.Event, usage string) (client *Client, groups network.Groups, ok bool) {
	if len(ce.Args) != 1 {
		ce.Reply(usage)
		return nil, nil, false
	}
	if client, ok = linkedOf(ce); !ok {
		return nil, nil, false
	}
	client.settle(ce.Ctx)
	groups, err := ability[network.Groups](client)
	if err != nil {
		ce.Reply("%s", replyOf(err, client.self.Network))
		return nil, nil, false
	}
	return client, groups, true
}

// showJoined makes the room of a group that the login has just joined.
func (c *Client) showJoined(ce *commands.Event, group network.Address) {
	room, err := c.roomOf(ce.Ctx, group)
	if err != nil {
		ce.Reply(textJoinedSoon)
		return
	}
	ce.Reply(textJoined, room.Name, c.linkTo(room))
}

func (c *Connector) resolveLink(ce *commands.Event) {
	client, groups, ok := groupsOf(ce, textResolveUsage)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ce.Ctx, askTimeout)
	defer cancel()
	group, err := groups.ResolveLink(ctx, ce.Args[0])
	if err != nil {
		ce.Reply("%s", replyOf(err, client.self.Network))
		return
	}
	ce.Reply(textResolved, portal.GroupName(group.Name), len(group.Members))
}

// acceptInvitation joins the group that a message invites into: the one that the command replies to, or the newest of the room.
func (c *Client) acceptInvitation(ce *commands.Event) {
	invitation := metadataOf(ce.Portal).Invite
	if chosen := c.invitationIn(ce.Ctx, ce.ReplyTo); chosen != nil {
		invitation = chosen
	}
	if invitation == nil {
		ce.Reply(textNoInvitation)
		return
	}
	invite, inviter, err := invitation.GroupInvite()
	var groups network.Groups
	if err == nil {
		groups, err = ability[network.Groups](c)
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(ce.Ctx, askTimeout)
		defer cancel()
		err = groups.AcceptInvite(ctx, invite, inviter)
	}
	if err != nil {
		ce.Reply("%s", replyOf(err, c.self.Network))
		return
	}
	metadataOf(ce.Portal).Invite = nil
	c.remember(ce.Ctx, ce.Portal)
	c.showJoined(ce, invite.Group)
}

func (c *Client) invitationIn(ctx context.Context, event id.EventID) *portal.Invitation {
	if event == "" {
		return nil
	}
	row, err := c.connector.bridge.DB.Message.GetPartByMXID(ctx, event)
	if err != nil || row == nil {
		return nil
	}
	if metadata, ok := row.Metadata.(*portal.MessageMetadata); ok && metadata != nil {
		return metadata.Invite
	}
	return nil
}

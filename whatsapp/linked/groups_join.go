package linked

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"

	"causeway/network"
)

// This file is how people come into groups: by link, by invitation, by an administrator's leave.

// SetGroupApproval has whoever comes by the link wait for an administrator.
func (c *Client) SetGroupApproval(ctx context.Context, group network.Address, approval bool) error {
	return c.changeGroup(group, "change how people come into a group", func(l *link, jid types.JID) error {
		return l.lib.SetGroupJoinApprovalMode(ctx, jid, approval)
	})
}

// JoinRequests are those who wait for an administrator, see [network.Groups].
func (c *Client) JoinRequests(ctx context.Context, group network.Address) (waiting []network.Address, err error) {
	err = c.changeGroup(group, "ask who waits to come into a group", func(l *link, jid types.JID) error {
		requests, err := l.lib.GetGroupRequestParticipants(ctx, jid)
		if err != nil {
			return err
		}
		slices.SortStableFunc(requests, func(a, b types.GroupParticipantRequest) int { return a.RequestedAt.Compare(b.RequestedAt) })
		var people []types.JID
		for _, request := range requests {
			people = append(people, request.JID)
		}
		waiting, err = l.own.addresses(ctx, people)
		return err
	})
	return waiting, err
}

// AnswerRequests lets people into a group, or turns them away, see [network.Groups].
func (c *Client) AnswerRequests(
	ctx context.Context, group network.Address, admit bool, people []network.Address,
) (failed map[network.Address]error, err error) {
	answer := whatsmeow.ParticipantChangeReject
	if admit {
		answer = whatsmeow.ParticipantChangeApprove
	}
	err = c.changeGroup(group, "answer those who wait to come into a group", func(l *link, jid types.JID) error {
		var waiting []types.JID
		for _, person := range people {
			member, err := l.memberJID(ctx, jid, person)
			if err != nil {
				return err
			}
			waiting = append(waiting, member)
		}
		answers, err := l.lib.UpdateGroupRequestParticipants(ctx, jid, waiting, answer)
		if err == nil {
			failed, err = l.failedMembers(ctx, jid, "", answers)
		}
		return err
	})
	return failed, err
}

// InviteLink is the link by which people join.
func (c *Client) InviteLink(ctx context.Context, group network.Address, reset bool) (address string, err error) {
	err = c.changeGroup(group, "ask for an invitation link", func(l *link, jid types.JID) (err error) {
		address, err = l.lib.GetGroupInviteLink(ctx, jid, reset)
		return err
	})
	return address, err
}

// ResolveLink looks at the group behind a link.
func (c *Client) ResolveLink(ctx context.Context, link string) (network.Group, error) {
	l, err := c.current()
	if err != nil {
		return network.Group{}, err
	}
	info, err := l.lib.GetGroupInfoFromLink(ctx, link)
	if err != nil {
		return network.Group{}, fmt.Errorf("failed to look at a group: %w", linkFailure(err))
	}
	return l.readGroup(ctx, info)
}

// JoinByLink joins the group behind a link.
func (c *Client) JoinByLink(ctx context.Context, link string) (network.Address, error) {
	l, err := c.current()
	if err != nil {
		return network.Address{}, err
	}
	jid, err := l.lib.JoinGroupWithLink(ctx, link)
	if err != nil {
		return network.Address{}, fmt.Errorf("failed to join a group: %w", linkFailure(err))
	}
	group := network.GroupAddress(jid.User)
	if _, err = l.lib.GetGroupInfo(ctx, jid); errors.Is(err, whatsmeow.ErrNotInGroup) {
		return group, network.ErrApproval
	}
	return group, group.Validate()
}

// AcceptInvite joins by an invitation that came as a message.
func (c *Client) AcceptInvite(ctx context.Context, invite network.GroupInvite, inviter network.Address) error {
	l, jid, err := c.inGroup(invite.Group)
	if err != nil {
		return err
	}
	admin, err := jidOf(inviter)
	if err != nil {
		return err
	}
	if err = l.lib.JoinGroupWithInvite(ctx, jid, admin, invite.Code, unix(invite.Expires)); err != nil {
		return fmt.Errorf("failed to join a group: %w", linkFailure(err))
	}
	return nil
}

// linkFailure is failure where what the server does not find, or does not allow, is an invitation.
func linkFailure(err error) error {
	known := failure(err)
	for _, cause := range []error{network.ErrUnknownGroup, network.ErrForbidden, network.ErrUnsupported, network.ErrRejected} {
		if errors.Is(known, cause) {
			return fmt.Errorf("%w: %w", network.ErrBadInvite, err)
		}
	}
	return known
}

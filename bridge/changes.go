package bridge

import (
	"context"

	"maunium.net/go/mautrix/bridgev2"

	"causeway/network"
	"causeway/portal"
)

// HandleMatrixEdit implements [bridgev2.EditHandlingNetworkAPI]. Where the network knows no edits, or not of such a
// message, the new text is sent as a correction that quotes the old one.
func (c *Client) HandleMatrixEdit(ctx context.Context, msg *bridgev2.MatrixEdit) error {
	return c.settled(ctx, msg.Portal, func() error {
		target := portal.ReplyTarget(msg.EditTarget, msg.Portal.PortalKey)
		if target == nil || target.Sender != c.self {
			return errNotHere
		}
		work := errand{room: msg.Portal, event: msg.Event}
		if c.can().Edits && !portal.IsFile(msg.Content) {
			content, err := portal.Correction(msg.Content, "")
			if err != nil {
				return err
			}
			return c.hand(ctx, work, network.Edit{Target: *target, Sent: msg.EditTarget.Timestamp, Content: content}, nil)
		}
		content, err := portal.Correction(msg.Content, textCorrection)
		if err != nil {
			return err
		}
		correction, err := c.handOver(ctx, work, content, target)
		if err != nil {
			return err
		}
		metadataOf(msg.Portal).Corrected(correction, *target)
		c.remember(ctx, msg.Portal)
		return nil
	})
}

// HandleMatrixMessageRemove implements [bridgev2.RedactionHandlingNetworkAPI]. Where the network cannot delete, nothing
// is sent, and the room says so. What somebody else wrote stays with them.
func (c *Client) HandleMatrixMessageRemove(ctx context.Context, msg *bridgev2.MatrixMessageRemove) error {
	target := portal.ReplyTarget(msg.TargetMessage, msg.Portal.PortalKey)
	if target == nil || target.Sender != c.self {
		return nil
	}
	if !c.can().Removals {
		c.say(ctx, msg.Portal, textKeepsCopy)
		return nil
	}
	err := c.hand(ctx, errand{room: msg.Portal, event: msg.Event}, network.Remove{Target: *target, Sent: msg.TargetMessage.Timestamp}, nil)
	if ahead := portal.AheadOf(msg.TargetMessage); err == nil && ahead != nil {
		work := errand{room: msg.Portal, event: msg.Event, part: partAhead}
		err = c.hand(ctx, work, network.Remove{Target: *ahead, Sent: msg.TargetMessage.Timestamp}, nil)
	}
	if err != nil {
		return statusOf(err, c.self.Network)
	}
	return nil
}

// HandleMatrixPollStart implements [bridgev2.PollHandlingNetworkAPI]: a poll is sent as a text with numbered options.
func (c *Client) HandleMatrixPollStart(ctx context.Context, msg *bridgev2.MatrixPollStart) (*bridgev2.MatrixMessageResponse, error) {
	err := c.settled(ctx, msg.Portal, func() error {
		content, err := portal.PollText(msg.Content, textPollHint)
		if err != nil {
			return err
		}
		var replyTo *network.MessageID
		if msg.ReplyTo != nil {
			replyTo = portal.ReplyTarget(msg.ReplyTo, msg.Portal.PortalKey)
		}
		return c.hand(ctx, errand{room: msg.Portal, event: msg.Event, message: &msg.MatrixMessage}, content, replyTo)
	})
	return &bridgev2.MatrixMessageResponse{Pending: true}, err
}

// HandleMatrixPollVote implements [bridgev2.PollHandlingNetworkAPI]: the other side has no poll that could count it.
func (c *Client) HandleMatrixPollVote(context.Context, *bridgev2.MatrixPollVote) (*bridgev2.MatrixMessageResponse, error) {
	return nil, statusOf(errNoVotes, c.self.Network)
}

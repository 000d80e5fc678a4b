package bridge

import (
	"context"

	"maunium.net/go/mautrix/bridgev2"

	"causeway/network"
	"causeway/portal"
)

// HandleMatrixEdit implements [bridgev2.EditHandlingNetworkAPI]: the network knows no edits, so the new text is
// sent as a correction that quotes the old one.
func (c *Client) HandleMatrixEdit(ctx context.Context, msg *bridgev2.MatrixEdit) error {
	return c.settled(ctx, msg.Portal, func() error {
		target := portal.ReplyTarget(msg.EditTarget, msg.Portal.PortalKey)
		if target == nil || target.Sender != c.self {
			return errNotHere
		}
		content, err := portal.Correction(msg.Content, textCorrection)
		if err != nil {
			return err
		}
		return c.hand(ctx, errand{room: msg.Portal, event: msg.Event}, content, target)
	})
}

// HandleMatrixMessageRemove implements [bridgev2.RedactionHandlingNetworkAPI]: nothing is sent, as the network cannot
// delete, and the room says so.
func (c *Client) HandleMatrixMessageRemove(ctx context.Context, msg *bridgev2.MatrixMessageRemove) error {
	target := portal.ReplyTarget(msg.TargetMessage, msg.Portal.PortalKey)
	if target != nil && target.Sender == c.self {
		c.say(ctx, msg.Portal, textKeepsCopy)
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

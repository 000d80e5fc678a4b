package bridge

import (
	"context"
	"fmt"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/simplevent"

	"causeway/network"
	"causeway/portal"
)

// voteArrived shows somebody's vote on a poll that stands in the room.
func (c *Client) voteArrived(ctx context.Context, msg network.Message, vote network.Vote) error {
	var failure error
	meta := c.meta(ctx, bridgev2.RemoteEventMessage, msg.ID.Conversation, msg.ID.Sender)
	meta.Timestamp = msg.Time
	err := c.queue(&simplevent.Message[network.Vote]{
		EventMeta: meta, Data: vote, ID: portal.MessageID(msg.ID), TargetMessage: portal.MessageID(vote.Poll),
		ConvertMessageFunc: func(
			ctx context.Context, room *bridgev2.Portal, _ bridgev2.MatrixAPI, vote network.Vote,
		) (converted *bridgev2.ConvertedMessage, err error) {
			var poll *bridgedb.Message
			poll, failure = c.pollOf(ctx, room, vote.Poll)
			if poll == nil || failure != nil {
				return nil, bridgev2.ErrIgnoringRemoteEvent
			}
			part := portal.VoteToMatrix(vote, poll.MXID, pollMetadata(poll))
			return &bridgev2.ConvertedMessage{Parts: []*bridgev2.ConvertedMessagePart{part}}, nil
		},
	})
	if failure != nil {
		return failure
	}
	return err
}

// pollOf is the row of a poll, nil if the room has none that votes could refer to.
func (c *Client) pollOf(ctx context.Context, room *bridgev2.Portal, id network.MessageID) (*bridgedb.Message, error) {
	row, err := room.Bridge.DB.Message.GetFirstPartByID(ctx, room.Receiver, portal.MessageID(id))
	if err != nil {
		return nil, fmt.Errorf("%w: failed to look up a poll: %w", bridgev2.ErrDatabaseError, err)
	}
	if row == nil || row.HasFakeMXID() || row.Room != room.PortalKey || c.connector.config.Linked.Polls == PollsText {
		return nil, nil
	}
	return row, nil
}

func pollMetadata(row *bridgedb.Message) portal.PollMetadata {
	if metadata, ok := row.Metadata.(*portal.MessageMetadata); ok && metadata != nil {
		return metadata.Poll
	}
	return nil
}

// HandleMatrixPollStart implements [bridgev2.PollHandlingNetworkAPI].
func (c *linkedClient) HandleMatrixPollStart(ctx context.Context, msg *bridgev2.MatrixPollStart) (*bridgev2.MatrixMessageResponse, error) {
	err := c.settled(ctx, msg.Portal, func() error {
		poll, answers, err := portal.PollFromMatrix(msg.Content)
		if err != nil {
			return fmt.Errorf("%w: %w", errBadPoll, err)
		}
		work := errand{
			room: msg.Portal, event: msg.Event, message: &msg.MatrixMessage, metadata: &portal.MessageMetadata{Poll: answers},
		}
		return c.hand(ctx, work, poll, replyTarget(&msg.MatrixMessage))
	})
	return &bridgev2.MatrixMessageResponse{Pending: true}, err
}

// HandleMatrixPollVote implements [bridgev2.PollHandlingNetworkAPI].
func (c *linkedClient) HandleMatrixPollVote(ctx context.Context, msg *bridgev2.MatrixPollVote) (*bridgev2.MatrixMessageResponse, error) {
	err := c.settled(ctx, msg.Portal, func() error {
		target := portal.ReplyTarget(msg.VoteTo, msg.Portal.PortalKey)
		if target == nil {
			return errNotHere
		}
		vote, err := portal.VoteFromMatrix(*target, msg.Content, pollMetadata(msg.VoteTo))
		if err != nil {
			return err
		}
		return c.hand(ctx, errand{room: msg.Portal, event: msg.Event}, vote, nil)
	})
	return &bridgev2.MatrixMessageResponse{Pending: true}, err
}

package bridge

import (
	"context"
	"fmt"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/simplevent"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// Reactions says whether reactions are sent: parsers of older phones may not know them (docs/protocol.md#subset).
type Reactions string

// The ways to treat reactions.
const (
	// ReactionsAuto sends them to those who have sent one themselves.
	ReactionsAuto Reactions = "auto"
	ReactionsOn   Reactions = "on"
	ReactionsOff  Reactions = "off"
)

// reactionArrived shows a reaction, or takes it back. One that could not be shown is passed over.
func (c *Client) reactionArrived(ctx context.Context, msg network.Message, reaction network.Reaction) error {
	if reaction.Target.Conversation != msg.ID.Conversation {
		return nil
	}
	kind := bridgev2.RemoteEventReactionRemove
	emoji, shown := "", true
	if reaction.Emoji != "" {
		kind = bridgev2.RemoteEventReaction
		emoji, shown = portal.ReactionToMatrix(reaction.Emoji)
	}
	if !shown {
		return nil
	}
	meta := c.meta(ctx, kind, msg.ID.Conversation, msg.ID.Sender)
	meta.Timestamp = msg.Time
	shownAs := &simplevent.Reaction{EventMeta: meta, TargetMessage: portal.MessageID(reaction.Target), Emoji: emoji}
	if !c.linked() {
		shownAs.PreHandleFunc = func(ctx context.Context, room *bridgev2.Portal) {
			shownAs.TargetMessage = portal.MessageID(metadataOf(room).Original(reaction.Target))
			c.learnReactions(ctx, room)
		}
	}
	return c.queue(shownAs)
}

// learnReactions notes that the other side knows reactions, and tells the room.
func (c *Client) learnReactions(ctx context.Context, room *bridgev2.Portal) {
	metadata := metadataOf(room)
	if metadata.Reactions || c.can().Reactions || room.MXID == "" {
		return
	}
	metadata.Reactions = true
	c.remember(ctx, room)
	room.UpdateCapabilities(ctx, c.login, true)
}

// reacts says whether reactions are sent to a room's other side.
func (c *Client) reacts(room *bridgev2.Portal) bool {
	if c.linked() {
		return true
	}
	switch c.connector.config.Interop.Reactions {
	case ReactionsOn:
		return true
	case ReactionsOff:
		return false
	}
	return c.can().Reactions || metadataOf(room).Reactions
}

// PreHandleMatrixReaction implements [bridgev2.ReactionHandlingNetworkAPI].
func (c *Client) PreHandleMatrixReaction(_ context.Context, msg *bridgev2.MatrixReaction) (bridgev2.MatrixReactionPreResponse, error) {
	emoji, err := portal.ReactionFromMatrix(msg.Content.RelatesTo.Key)
	switch {
	case !c.reacts(msg.Portal):
		err = errReactionsUnknown
	case err != nil:
		err = fmt.Errorf("%w: %w", errNotAnEmoji, err)
	case portal.ReplyTarget(msg.TargetMessage, msg.Portal.PortalKey) == nil:
		err = errNotHere
	}
	if err != nil {
		return bridgev2.MatrixReactionPreResponse{}, statusOf(err, c.self.Network)
	}
	return bridgev2.MatrixReactionPreResponse{SenderID: puppet.ID(c.self), Emoji: emoji, MaxReactions: 1}, nil
}

// HandleMatrixReaction implements [bridgev2.ReactionHandlingNetworkAPI]. A second reaction takes the place of the first.
func (c *Client) HandleMatrixReaction(ctx context.Context, msg *bridgev2.MatrixReaction) (*bridgedb.Reaction, error) {
	target := portal.ReplyTarget(msg.TargetMessage, msg.Portal.PortalKey)
	if target == nil {
		return nil, statusOf(errNotHere, c.self.Network)
	}
	// a reaction's row refers to its sender's, who may have said nothing so far
	_, err := c.connector.bridge.GetGhostByID(ctx, msg.PreHandleResp.SenderID)
	if err == nil {
		err = c.hand(ctx, errand{room: msg.Portal, event: msg.Event}, network.Reaction{Target: *target, Emoji: msg.PreHandleResp.Emoji}, nil)
	}
	if err != nil {
		return nil, statusOf(err, c.self.Network)
	}
	return &bridgedb.Reaction{}, nil
}

// HandleMatrixReactionRemove implements [bridgev2.ReactionHandlingNetworkAPI].
func (c *Client) HandleMatrixReactionRemove(ctx context.Context, msg *bridgev2.MatrixReactionRemove) error {
	row := msg.TargetReaction
	target := portal.ReplyTarget(&bridgedb.Message{ID: row.MessageID, Room: row.Room}, msg.Portal.PortalKey)
	if target == nil || row.SenderID != puppet.ID(c.self) {
		return statusOf(errNotHere, c.self.Network)
	}
	err := c.hand(ctx, errand{room: msg.Portal, event: msg.Event}, network.Reaction{Target: *target}, nil)
	if err != nil {
		return statusOf(err, c.self.Network)
	}
	return nil
}

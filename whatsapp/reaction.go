package whatsapp

import (
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// encodeReaction names its target from the view of whoever reacts (docs/protocol.md#subset).
func encodeReaction(reaction network.Reaction, own network.MessageID) (*waE2E.Message, error) {
	target := reaction.Target
	if target.ID == "" || target.Conversation != own.Conversation ||
		(target.Sender != own.Sender && target.Sender != own.Conversation) {
		return nil, fmt.Errorf("%w: a reaction to a message of another chat", network.ErrUnsupported)
	}
	key, err := wire.MessageKey(target)
	if err != nil {
		return nil, fmt.Errorf("%w: target of a reaction: %w", network.ErrUnsupported, err)
	}
	return &waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{
		Key: key, Text: proto.String(reaction.Emoji), SenderTimestampMS: proto.Int64(time.Now().UnixMilli()),
	}}, nil
}

// decodeReaction reads the target from the peer's view.
func decodeReaction(reaction *waE2E.ReactionMessage, self, peer network.Address) (network.Content, error) {
	target, err := wire.KeyedMessage(reaction.GetKey(), self, peer)
	if err != nil {
		return nil, err
	}
	return network.Reaction{Target: target, Emoji: wire.Clean(reaction.GetText())}, nil
}

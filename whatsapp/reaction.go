package whatsapp

import (
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"causeway/network"
)

// encodeReaction names its target from the sender's view: the chat is the other
// person, and "from me" means by whoever reacts (docs/protocol.md#subset).
func encodeReaction(reaction network.Reaction, own network.MessageID) (*waE2E.Message, error) {
	target := reaction.Target
	if target.ID == "" || target.Conversation != own.Conversation ||
		(target.Sender != own.Sender && target.Sender != own.Conversation) {
		return nil, fmt.Errorf("%w: a reaction to a message of another chat", network.ErrUnsupported)
	}
	remote, err := textJID(own.Conversation)
	if err != nil {
		return nil, fmt.Errorf("%w: chat of a reaction: %w", network.ErrUnsupported, err)
	}
	return &waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{
		Key: &waCommon.MessageKey{ // assumed: U12
			RemoteJID: proto.String(remote),
			FromMe:    proto.Bool(target.Sender == own.Sender),
			ID:        proto.String(target.ID),
		},
		Text:              proto.String(reaction.Emoji),
		SenderTimestampMS: proto.Int64(time.Now().UnixMilli()),
	}}, nil
}

// decodeReaction reads the target from the peer's view.
func decodeReaction(reaction *waE2E.ReactionMessage, self, peer network.Address) network.Reaction {
	key := reaction.GetKey()
	target := network.MessageID{Conversation: peer, Sender: self, ID: clean(key.GetID())}
	if key.GetFromMe() { // assumed: U12
		target.Sender = peer
	}
	return network.Reaction{Target: target, Emoji: clean(reaction.GetText())}
}

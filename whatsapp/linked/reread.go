package linked

import (
	"context"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"causeway/network"
)

// Reread implements [network.Rereader]: an earlier version of this package did not know the message's kind, or the key of
// what it belongs to had not come.
func (c *Client) Reread(ctx context.Context, msg network.Message) network.Message {
	unread, ok := msg.Content.(network.Unsupported)
	var raw waE2E.Message
	if !ok || len(unread.Payload) == 0 || proto.Unmarshal(unread.Payload, &raw) != nil {
		return msg
	}
	info := types.MessageInfo{ID: msg.ID.ID, Timestamp: msg.Time}
	var err error
	if info.Chat, err = jidOf(msg.ID.Conversation); err == nil {
		info.Sender, err = jidOf(msg.ID.Sender)
	}
	if err != nil {
		return msg
	}
	info.IsFromMe, info.IsGroup = msg.ID.Sender == c.Self(), msg.ID.Conversation.IsGroup()
	read := reader{names: c.store.login(c.Self()), self: c.Self(), keys: noOpener{}}
	if l, err := c.current(); err == nil {
		read.keys = l.lib
	}
	event, err := read.event(ctx, (&events.Message{Info: info, RawMessage: &raw}).UnwrapRaw())
	again, isMessage := event.(network.MessageEvent)
	if err != nil || !isMessage {
		return msg
	}
	if _, still := again.Message.Content.(network.Unsupported); still {
		return msg
	}
	again.Message.ID, again.Message.Time, again.Message.Content = msg.ID, msg.Time, c.openable(again.Message.Content)
	return again.Message
}

// noOpener opens nothing: without a connection there is no library that could.
type noOpener struct{}

func (noOpener) DecryptReaction(context.Context, *events.Message) (*waE2E.ReactionMessage, error) {
	return nil, network.ErrNotConnected
}
func (noOpener) DecryptComment(context.Context, *events.Message) (*waE2E.Message, error) {
	return nil, network.ErrNotConnected
}
func (noOpener) DecryptPollVote(context.Context, *events.Message) (*waE2E.PollVoteMessage, error) {
	return nil, network.ErrNotConnected
}
func (noOpener) DecryptSecretEncryptedMessage(context.Context, *events.Message) (*waE2E.Message, error) {
	return nil, network.ErrNotConnected
}

package linked

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waWeb"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"causeway/network"
	"causeway/wire"
)

// messages reads a part of a conversation: its messages, each followed by what changes it.
func (r *pastReader) messages(ctx context.Context, chat types.JID, part []*waWeb.WebMessageInfo) ([]network.MessageEvent, error) {
	read := reader{names: r.link.own, self: r.link.owner.Self(), keys: r.link.lib}
	var found []network.MessageEvent
	var secrets []store.MessageSecretInsert
	for _, web := range part {
		parsed, err := r.link.lib.ParseWebMessage(chat, web)
		if err != nil || parsed.Message == nil {
			continue // of nobody, or what the network itself says in chats
		}
		if secret := firstSecret(web); len(secret) > 0 {
			secrets = append(secrets, store.MessageSecretInsert{Chat: chat, Sender: plain(parsed.Info.Sender), ID: parsed.Info.ID, Secret: secret})
		}
		event, err := read.event(ctx, parsed)
		if err != nil {
			return nil, err
		}
		message, ok := r.link.openable(event).(network.MessageEvent)
		if !ok {
			continue
		}
		found = append(found, message)
		if found, err = r.changes(ctx, read, found, message.Message.ID, web); err != nil {
			return nil, err
		}
	}
	if len(secrets) > 0 {
		if err := r.link.device.MsgSecrets.PutMessageSecrets(ctx, secrets); err != nil {
			return nil, fmt.Errorf("failed to keep the secrets of messages: %w", err)
		}
	}
	return found, nil
}

func firstSecret(web *waWeb.WebMessageInfo) []byte {
	if secret := web.GetMessageSecret(); len(secret) > 0 {
		return secret
	}
	return web.GetMessage().GetMessageContextInfo().GetMessageSecret()
}

// changes appends the reactions to a message of the past, and the votes on it.
func (r *pastReader) changes(
	ctx context.Context, read reader, found []network.MessageEvent, target network.MessageID, web *waWeb.WebMessageInfo,
) ([]network.MessageEvent, error) {
	for _, reaction := range web.GetReactions() {
		content := network.Reaction{Target: target, Emoji: wire.Clean(reaction.GetText())}
		if content.Emoji == "" {
			continue // taken back
		}
		event, err := read.ofKey(ctx, reaction.GetKey(), target, reaction.GetSenderTimestampMS())
		if err != nil {
			return nil, err
		} else if event != nil {
			event.Message.Content = content
			found = append(found, *event)
		}
	}
	for _, update := range web.GetPollUpdates() {
		event, err := read.ofKey(ctx, update.GetPollUpdateMessageKey(), target, update.GetSenderTimestampMS())
		if err != nil {
			return nil, err
		} else if event != nil {
			event.Message.Content = network.Vote{Poll: target, Options: update.GetVote().GetSelectedOptions()}
			found = append(found, *event)
		}
	}
	return found, nil
}

// ofKey is a message of the past of which only the key is known, nil if that names nobody.
func (r reader) ofKey(ctx context.Context, key *waCommon.MessageKey, target network.MessageID, ms int64) (*network.MessageEvent, error) {
	// the user's own view: what is not from them in a direct chat is from the other side
	id, err := r.target(ctx, key, network.MessageID{Conversation: target.Conversation, Sender: r.self})
	if errors.Is(err, errNobody) || errors.Is(err, errNoTarget) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	event := &network.MessageEvent{Message: network.Message{ID: id}}
	if ms > 0 {
		event.Message.Time = time.UnixMilli(min(ms, 1<<50))
	}
	if id.Sender != r.self {
		event.SenderAlias, err = r.names.alias(ctx, id.Sender)
	}
	return event, err
}

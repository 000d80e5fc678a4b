package linked

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"causeway/network"
	"causeway/wire"
)

// chatChanged takes another state of a chat.
func (l *link) chatChanged(ctx context.Context, chat types.JID, at time.Time, set func(*network.ChatEvent)) error {
	conversation, err := l.own.address(ctx, chat)
	if err != nil {
		return unlessNobody(err)
	}
	event := network.ChatEvent{Conversation: conversation, Time: at}
	set(&event)
	return l.hand(ctx, event)
}

// muted takes how long a chat is silent. The network writes milliseconds, and -1 for good.
func (l *link) muted(ctx context.Context, e *events.Mute) error {
	mute := network.Mute{On: e.Action.GetMuted()}
	if end := e.Action.GetMuteEndTimestamp(); mute.On && end > 0 {
		mute.Until = moment(end)
	}
	return l.chatChanged(ctx, e.JID, e.Timestamp, func(change *network.ChatEvent) { change.Mute = &mute })
}

// markedUnread takes that the user marked a chat as read, or as unread.
func (l *link) markedUnread(ctx context.Context, e *events.MarkChatAsRead) error {
	unread := !e.Action.GetRead()
	return l.chatChanged(ctx, e.JID, e.Timestamp, func(change *network.ChatEvent) { change.Unread = &unread })
}

// deletedForMe takes that the user deleted one message for themselves.
func (l *link) deletedForMe(ctx context.Context, e *events.DeleteForMe) error {
	conversation, err := l.own.address(ctx, e.ChatJID)
	if err != nil || e.FromFullSync {
		return unlessNobody(err)
	}
	message := network.MessageID{Conversation: conversation, Sender: conversation, ID: wire.Clean(e.MessageID)}
	if e.IsFromMe {
		message.Sender = l.owner.Self()
	} else if conversation.IsGroup() {
		if message.Sender, err = l.own.address(ctx, e.SenderJID); err != nil {
			return unlessNobody(err)
		}
	}
	return l.hand(ctx, network.ChatEvent{Conversation: conversation, Message: &message, Time: e.Timestamp})
}

// MuteChat silences a chat, or not any more.
func (c *Client) MuteChat(ctx context.Context, conversation network.Address, mute network.Mute) error {
	return c.putState(ctx, conversation, func(_ *link, chat types.JID) (appstate.PatchInfo, error) {
		var end *int64
		if mute.On && !mute.Until.IsZero() {
			until := mute.Until.UnixMilli()
			end = &until
		}
		return appstate.BuildMuteAbs(chat, mute.On, end), nil
	})
}

// PinChat pins a chat to the top, or not any more.
func (c *Client) PinChat(ctx context.Context, conversation network.Address, pinned bool) error {
	return c.putState(ctx, conversation, func(_ *link, chat types.JID) (appstate.PatchInfo, error) {
		return appstate.BuildPin(chat, pinned), nil
	})
}

// ArchiveChat archives a chat, or brings it back.
func (c *Client) ArchiveChat(ctx context.Context, conversation network.Address, archived bool, newest network.MessageID, at time.Time) error {
	return c.putState(ctx, conversation, func(l *link, chat types.JID) (appstate.PatchInfo, error) {
		key, err := l.newestKey(ctx, chat, newest)
		return appstate.BuildArchive(chat, archived, at, key), err
	})
}

// MarkUnread marks a chat as unread, or as read.
func (c *Client) MarkUnread(ctx context.Context, conversation network.Address, unread bool, newest network.MessageID, at time.Time) error {
	return c.putState(ctx, conversation, func(l *link, chat types.JID) (appstate.PatchInfo, error) {
		key, err := l.newestKey(ctx, chat, newest)
		return appstate.BuildMarkChatAsRead(chat, !unread, at, key), err
	})
}

// newestKey names a chat's newest message, nil if it is not known.
func (l *link) newestKey(ctx context.Context, chat types.JID, newest network.MessageID) (*waCommon.MessageKey, error) {
	if newest.ID == "" {
		return nil, nil
	}
	return writer{link: l, chat: chat}.key(ctx, newest)
}

// putState shares a state of a chat with the user's devices.
func (c *Client) putState(
	ctx context.Context, conversation network.Address, build func(l *link, chat types.JID) (appstate.PatchInfo, error),
) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	chat, err := jidOf(conversation)
	if err != nil {
		return err
	}
	patch, err := build(l, chat)
	if err == nil {
		if err = l.lib.SendAppState(ctx, patch); err != nil && ctx.Err() == nil {
			// The library reads the state back, and stumbles where the server's word of the same change has it do so at that moment.
			// Done twice it is the same.
			err = l.lib.SendAppState(ctx, patch)
		}
	}
	if err != nil {
		return fmt.Errorf("failed to change the state of a chat: %w", failure(err))
	}
	return nil
}

// SetTimer sets how long new messages of a conversation stay.
func (c *Client) SetTimer(ctx context.Context, conversation network.Address, timer time.Duration) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	chat, err := jidOf(conversation)
	if err != nil {
		return err
	}
	switch timer {
	case 0, 24 * time.Hour, 7 * 24 * time.Hour, 90 * 24 * time.Hour:
	default:
		return fmt.Errorf("%w: messages stay for 24 hours, 7 or 90 days, or for good", network.ErrUnsupported)
	}
	sendCtx, end := withSending(ctx)
	defer end()
	if err = l.lib.SetDisappearingTimer(sendCtx, chat, timer, time.Now()); err != nil {
		return fmt.Errorf("failed to set a chat's timer: %w", sendFailure(err))
	}
	return nil
}

// SyncChats asks the network for all states anew, from nothing: it mends a copy that does not fit the network's any more.
func (c *Client) SyncChats(ctx context.Context) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	var failed error
	for _, part := range appstate.AllPatchNames {
		if err := l.lib.FetchAppState(ctx, part, true, false); err != nil {
			failed = errors.Join(failed, fmt.Errorf("failed to fetch the chats' states (%s): %w", part, failure(err)))
		}
	}
	return failed
}

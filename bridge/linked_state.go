package bridge

import (
	"context"
	"fmt"
	"time"

	"maunium.net/go/mautrix/bridgev2"

	"causeway/network"
	"causeway/portal"
)

// inChats tells the user's other devices how they have put a chat in Matrix.
func (c *Client) inChats(ctx context.Context, room *bridgev2.Portal, do func(ctx context.Context, chats network.ChatStates, chat network.Address) error) error {
	conversation, err := portal.Conversation(room.PortalKey)
	if err != nil {
		return fmt.Errorf("failed to read the room's conversation: %w", err)
	}
	chats, err := ability[network.ChatStates](c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return do(ctx, chats, conversation)
}

// HandleMute implements [bridgev2.MuteHandlingNetworkAPI].
func (c *linkedClient) HandleMute(ctx context.Context, msg *bridgev2.MatrixMute) error {
	mute := network.Mute{On: msg.Content.IsMuted()}
	if until := msg.Content.GetMutedUntilTime(); mute.On && until.Before(time.Now().AddDate(10, 0, 0)) {
		mute.Until = until
	}
	return c.inChats(ctx, msg.Portal, func(ctx context.Context, chats network.ChatStates, chat network.Address) error {
		return chats.MuteChat(ctx, chat, mute)
	})
}

// HandleRoomTag implements [bridgev2.TagHandlingNetworkAPI].
func (c *linkedClient) HandleRoomTag(ctx context.Context, msg *bridgev2.MatrixRoomTag) error {
	tags := c.connector.config.Linked.Tags
	_, pinned := msg.Content.Tags[tags.Pinned]
	_, archived := msg.Content.Tags[tags.Archived]
	metadata := metadataOf(msg.Portal)
	return c.inChats(ctx, msg.Portal, func(ctx context.Context, chats network.ChatStates, chat network.Address) error {
		if pinned != metadata.Pinned && tags.Pinned != "" {
			if err := chats.PinChat(ctx, chat, pinned); err != nil {
				return err
			}
			metadata.Pinned = pinned
		}
		if archived != metadata.Archived && tags.Archived != "" {
			newest, at := c.newest(ctx, msg.Portal)
			if err := chats.ArchiveChat(ctx, chat, archived, newest, at); err != nil {
				return err
			}
			metadata.Archived = archived
		}
		c.remember(ctx, msg.Portal)
		return nil
	})
}

// HandleMarkedUnread implements [bridgev2.MarkedUnreadHandlingNetworkAPI].
func (c *linkedClient) HandleMarkedUnread(ctx context.Context, msg *bridgev2.MatrixMarkedUnread) error {
	return c.inChats(ctx, msg.Portal, func(ctx context.Context, chats network.ChatStates, chat network.Address) error {
		newest, at := c.newest(ctx, msg.Portal)
		return chats.MarkUnread(ctx, chat, msg.Content.Unread, newest, at)
	})
}

// newest is the newest message of a chat, zero if nobody knows one.
func (c *Client) newest(ctx context.Context, room *bridgev2.Portal) (network.MessageID, time.Time) {
	row, err := room.Bridge.DB.Message.GetLastPartAtOrBeforeTime(ctx, room.PortalKey, time.Now())
	if err != nil || row == nil {
		return network.MessageID{}, time.Time{}
	}
	id, err := portal.ParseMessageID(row.ID)
	if err != nil {
		return network.MessageID{}, time.Time{}
	}
	return id, row.Timestamp
}

package bridge

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"go.mau.fi/util/ptr"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// deliveryKey is the reaction that shows delivery where it is shown so.
const deliveryKey = "✓"

// GetChatInfo implements [bridgev2.NetworkAPI].
func (c *Client) GetChatInfo(_ context.Context, room *bridgev2.Portal) (*bridgev2.ChatInfo, error) {
	conversation, err := portal.Conversation(room.PortalKey)
	if err != nil {
		return nil, fmt.Errorf("failed to describe a chat: %w", err)
	}
	info := c.chatInfo(conversation, metadataOf(room).ViewOnly)
	if room.MXID == "" {
		// Chats that the user starts are made elsewhere: this one is made by a message from outside.
		info.MessageRequest = ptr.Ptr(true)
	}
	return info, nil
}

// chatInfo describes a direct chat that the user starts.
func (c *Client) chatInfo(conversation network.Address, viewOnly bool) *bridgev2.ChatInfo {
	return portal.Info(portal.Room{Conversation: conversation, Topic: textTopic(conversation.Network), ViewOnly: viewOnly})
}

// metadataOf is what we remember of a room, never nil.
func metadataOf(room *bridgev2.Portal) *portal.Metadata {
	metadata, ok := room.Metadata.(*portal.Metadata)
	if !ok || metadata == nil {
		metadata = &portal.Metadata{}
		room.Metadata = metadata
	}
	return metadata
}

// chatWith is the chat with somebody who was just found: its room is made and
// announced, or opened for writing if it exists.
func (c *Client) chatWith(ctx context.Context, person network.Address) (*bridgev2.CreateChatResponse, error) {
	// Whoever starts a chat wants to hear the answer.
	c.setBlocked(ctx, person, false)
	room, err := c.connector.bridge.GetPortalByKey(ctx, portal.Key(person, c.self))
	if err != nil {
		return nil, fmt.Errorf("failed to get a portal: %w", err)
	}
	if room.MXID == "" {
		info := c.chatInfo(person, false)
		if c.linked() {
			info = c.directInfo(ctx, person)
		}
		if err = room.CreateMatrixRoom(ctx, c.login, info); err != nil {
			return nil, fmt.Errorf("failed to make a room: %w", err)
		}
	}
	err = c.inRoom(ctx, person, func(ctx context.Context, room *bridgev2.Portal) {
		c.announce(ctx, room)
		c.setAccess(ctx, room, false)
		if metadataOf(room).Reserved() {
			c.accept(ctx, room)
		}
	})
	if err != nil {
		return nil, err
	}
	return &bridgev2.CreateChatResponse{PortalKey: room.PortalKey, Portal: room}, nil
}

// CreateChatWithGhost starts a chat with a ghost that a user invited: their room
// becomes the portal, so none is made here, and it is announced with the first message.
func (c *Client) CreateChatWithGhost(_ context.Context, ghost *bridgev2.Ghost) (*bridgev2.CreateChatResponse, error) {
	person, err := puppet.Address(ghost.ID)
	if err != nil || person.Network != c.self.Network || !puppet.IsPerson(person) {
		return nil, bridgev2.ErrResolveIdentifierTryNext
	}
	return &bridgev2.CreateChatResponse{PortalKey: portal.Key(person, c.self), PortalInfo: c.chatInfo(person, false)}, nil
}

// announce says once, in words and as state, what kind of chat the room is
// (docs/protocol.md#consent). It runs in the room's own order.
func (c *Client) announce(ctx context.Context, room *bridgev2.Portal) {
	metadata := metadataOf(room)
	conversation, err := portal.Conversation(room.PortalKey)
	if metadata.Announced || room.MXID == "" || err != nil {
		return
	}
	if c.linked() {
		c.announceLinked(ctx, room)
		return
	}
	encrypted := c.encrypted(ctx, room)
	_, err = room.Bridge.Bot.SendState(ctx, room.MXID, portal.EncryptionState, "", portal.EncryptionContent(encrypted), time.Time{})
	if err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to state where a chat is decrypted")
		return
	}
	name := c.connector.nameOf(ctx, conversation)
	text := textAnnouncement(name, conversation.Network, encrypted)
	if c.follows() {
		text += " " + textStandsIn
	}
	if !c.say(ctx, room, text) {
		return
	}
	metadata.Announced = true
	c.remember(ctx, room)
}

func (c *Client) encrypted(ctx context.Context, room *bridgev2.Portal) bool {
	states, ok := room.Bridge.Matrix.(bridgev2.MatrixConnectorWithArbitraryRoomState)
	if !ok {
		return false
	}
	state, err := states.GetStateEvent(ctx, room.MXID, event.StateEncryption, "")
	return err == nil && state != nil
}

// setAccess closes or opens a room for writing, with a notice when it opens; the
// refused message itself tells why it closes. It runs in the room's own order.
func (c *Client) setAccess(ctx context.Context, room *bridgev2.Portal, viewOnly bool) {
	metadata := metadataOf(room)
	conversation, err := portal.Conversation(room.PortalKey)
	if err == nil {
		c.setOpen(conversation, !viewOnly)
	}
	if metadata.ViewOnly == viewOnly || room.MXID == "" || err != nil {
		return
	}
	room.UpdateInfo(ctx, &bridgev2.ChatInfo{Members: portal.Access(conversation, viewOnly)}, c.login, nil, time.Time{})
	// bridgev2 keeps to itself that the homeserver did not take it
	levels, err := room.Bridge.Matrix.GetPowerLevels(ctx, room.MXID)
	if err != nil || portal.IsViewOnly(levels) != viewOnly {
		zerolog.Ctx(ctx).Warn().Err(err).Bool("view_only", viewOnly).Msg("A room's access could not be changed, it is tried again with what comes next")
		c.setOpen(conversation, false)
		return
	}
	metadata.ViewOnly = viewOnly
	c.remember(ctx, room)
	if !viewOnly {
		c.say(ctx, room, textRoomOpened)
	}
}

// closeAllRooms closes every room of a login that has ended.
func (c *Client) closeAllRooms(ctx context.Context) {
	rooms, err := c.connector.bridge.GetAllPortalsWithMXID(ctx)
	if err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to find the rooms of a login that has ended")
		return
	}
	farewell := strings.ReplaceAll(textRoomWithdrawn, "{network}", c.self.Network.DisplayName())
	for _, room := range rooms {
		conversation, err := portal.Conversation(room.PortalKey)
		if err != nil || room.PortalKey != portal.Key(conversation, c.self) {
			continue
		}
		err = c.inRoom(ctx, conversation, func(ctx context.Context, room *bridgev2.Portal) {
			c.setAccess(ctx, room, true)
			c.say(ctx, room, farewell)
		})
		if err != nil {
			zerolog.Ctx(ctx).Err(err).Msg("Failed to close the room of a login that has ended")
		}
	}
}

// showDelivery marks the newest of the messages as delivered, the way the configuration wants it shown.
func (c *Client) showDelivery(ctx context.Context, room *bridgev2.Portal, targets []networkid.MessageID) {
	if len(targets) == 0 || c.connector.config.Receipts.Delivery == DeliveryOff {
		return
	}
	target, err := room.Bridge.DB.Message.GetLastPartByID(ctx, room.Receiver, targets[len(targets)-1])
	if err != nil || target == nil || target.HasFakeMXID() || target.Room != room.PortalKey {
		return
	}
	if c.connector.config.Receipts.Delivery == DeliveryReaction {
		_, err = room.Bridge.Bot.SendMessage(ctx, room.MXID, event.EventReaction, &event.Content{
			Parsed: &event.ReactionEventContent{RelatesTo: event.RelatesTo{
				Type: event.RelAnnotation, EventID: target.MXID, Key: deliveryKey,
			}},
		}, nil)
	} else {
		err = room.Bridge.Bot.MarkRead(ctx, room.MXID, target.MXID, time.Now())
	}
	if err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to show that a message was delivered")
	}
}

// say puts a notice of the bot into a room, and says whether it is there.
func (c *Client) say(ctx context.Context, room *bridgev2.Portal, text string) bool {
	_, err := room.Bridge.Bot.SendMessage(ctx, room.MXID, event.EventMessage, &event.Content{
		Parsed: &event.MessageEventContent{MsgType: event.MsgNotice, Body: text, Mentions: &event.Mentions{}},
	}, nil)
	if err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to send a notice")
	}
	return err == nil
}

func (c *Client) remember(ctx context.Context, room *bridgev2.Portal) {
	if err := room.Save(ctx); err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to save a portal")
	}
}

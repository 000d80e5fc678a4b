package bridge

import (
	"context"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"

	"causeway/network"
	"causeway/portal"
)

// A first contact from outside is a message request: the user sees it and may answer, and until they accept, the other
// side sees no receipts and no typing. The network is told that a message arrived even so, in a way that phones do not
// show (docs/protocol.md#receipts). The same holds for people whom the user has blocked.

// tellRequest says once in a room that somebody asks to write. It runs in the room's own order.
func (c *Client) tellRequest(ctx context.Context, room *bridgev2.Portal) {
	metadata := metadataOf(room)
	conversation, err := portal.Conversation(room.PortalKey)
	if !room.MessageRequest || metadata.Request != "" || err != nil || room.MXID == "" {
		return
	}
	name, number := c.connector.nameAndNumber(ctx, conversation)
	if c.say(ctx, room, textMessageRequest(name, number, room.Bridge.Config.CommandPrefix)) {
		metadata.Request = portal.RequestOpen
		c.remember(ctx, room)
	}
}

// HandleMatrixAcceptMessageRequest implements [bridgev2.MessageRequestAcceptingNetworkAPI]. An answer accepts too.
func (c *Client) HandleMatrixAcceptMessageRequest(ctx context.Context, msg *bridgev2.MatrixAcceptMessageRequest) error {
	c.accept(ctx, msg.Portal)
	return nil
}

// accept ends a message request with a yes. It runs in the room's own order.
func (c *Client) accept(ctx context.Context, room *bridgev2.Portal) {
	c.answer(ctx, room, portal.RequestAccepted)
}

func (c *Client) answer(ctx context.Context, room *bridgev2.Portal, answer portal.Request) {
	metadataOf(room).Request = answer
	if room.MessageRequest {
		room.MessageRequest = false
		room.UpdateBridgeInfo(ctx)
	}
	c.remember(ctx, room)
	conversation, err := portal.Conversation(room.PortalKey)
	if err != nil {
		return
	}
	c.mutex.Lock()
	delete(c.welcome, conversation)
	c.mutex.Unlock()
	if answer == portal.RequestAccepted {
		c.tellDelivered(ctx, room, conversation)
	}
}

// tellDelivered makes up for the receipts that were withheld, as far as the newest [maxReceipts] messages go.
func (c *Client) tellDelivered(ctx context.Context, room *bridgev2.Portal, conversation network.Address) {
	client, err := c.live()
	if err != nil {
		return
	}
	teller, ok := client.(network.DeliveryTeller)
	if !ok {
		return
	}
	ids, err := c.theirMessages(ctx, room, conversation, time.Unix(0, 0), time.Now())
	if err == nil && len(ids) > 0 {
		ctx, cancel := context.WithTimeout(ctx, signalTimeout)
		defer cancel()
		err = teller.MarkDelivered(ctx, conversation, ids)
	}
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("Somebody whose request was accepted is not told that their messages arrived")
	}
}

// withholds says whether somebody is not to see that their messages arrive: the user has not agreed to the chat, or
// hears nothing of them. It is asked by the connection, apart from the room's own order, so it reads what is on disk.
func (c *Client) withholds(ctx context.Context, person network.Address) bool {
	if c.isBlocked(person) {
		return true
	}
	c.mutex.Lock()
	known := c.welcome[person]
	c.mutex.Unlock()
	if known {
		return false
	}
	room, err := c.connector.bridge.DB.Portal.GetByKey(ctx, portal.Key(person, c.self))
	if err != nil || room == nil || room.MXID == "" || room.MessageRequest {
		return true
	}
	if metadata, ok := room.Metadata.(*portal.Metadata); ok && metadata.Reserved() {
		return true
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.welcome == nil {
		c.welcome = make(map[network.Address]bool)
	}
	c.welcome[person] = true
	return false
}

// isBlocked says whether the user wants to hear nothing of somebody.
func (c *Client) isBlocked(person network.Address) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.login == nil {
		return false
	}
	metadata, ok := c.login.Metadata.(*LoginMetadata)
	return ok && metadata != nil && slices.Contains(metadata.Blocked, person.String())
}

// setBlocked begins or ends ignoring somebody, and says whether that changed anything. The network has no block that a
// provider's user could set, so nothing is sent (docs/protocol.md#consent).
func (c *Client) setBlocked(ctx context.Context, person network.Address, blocked bool) bool {
	if c.isBlocked(person) == blocked {
		return false
	}
	c.mutex.Lock()
	metadata, ok := c.login.Metadata.(*LoginMetadata)
	if !ok || metadata == nil {
		metadata = &LoginMetadata{}
		c.login.Metadata = metadata
	}
	others := slices.DeleteFunc(slices.Clone(metadata.Blocked), func(a string) bool { return a == person.String() })
	if blocked {
		others = append(others, person.String())
	}
	metadata.Blocked = others
	c.mutex.Unlock()
	if err := c.login.Save(ctx); err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to save who is blocked")
	}
	return true
}

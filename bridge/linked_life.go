package bridge

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"

	"causeway/network"
	"causeway/portal"
	"causeway/whatsapp/linked"
)

// pieceQueue is how many pieces of the past may have come unnoticed; they only set a clock back.
const pieceQueue = 64

// accompany starts what a linked login does beside its connection, until ctx ends. The mutex is held.
func (c *Client) accompany(ctx context.Context) {
	pictures, pieces := make(chan network.Address, pictureQueue), make(chan network.HistoryEvent, pieceQueue)
	c.pictures, c.pieces = pictures, pieces
	if c.pictured == nil {
		c.pictured = map[network.Address]time.Time{}
	}
	ctx = c.login.Log.WithContext(ctx)
	c.work.Go(func() { c.fetchPictures(ctx, pictures) })
	if metadata, ok := c.login.Metadata.(*LoginMetadata); ok && metadata.Gathering {
		c.work.Go(func() { c.gather(ctx, pieces) })
	}
}

// waitsForPast says whether an event must not reach its room before the past has.
func waitsForPast(e network.Event) bool {
	switch e.(type) {
	case network.MessageEvent, network.GroupEvent, network.ChatEvent, network.CallEvent, network.IdentityEvent:
		return true
	}
	return false
}

// announceLinked states in a room where its messages are decrypted; in words the topic says so.
func (c *Client) announceLinked(ctx context.Context, room *bridgev2.Portal) {
	encrypted := c.encrypted(ctx, room)
	_, err := room.Bridge.Bot.SendState(ctx, room.MXID, portal.EncryptionState, "", portal.EncryptionContent(encrypted), time.Time{})
	if err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to state where a chat is decrypted")
		return
	}
	metadataOf(room).Announced = true
	c.remember(ctx, room)
}

// unlinkStray takes a device off an account that must not be linked after all. If the network cannot be told, the device stays
// in the phone's list until its owner removes it there; it has no keys any more.
func (c *Connector) unlinkStray(ctx context.Context, account network.Address) {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	answered := make(chan network.ConnectionEvent, 1)
	stray := linked.New(linked.Config{Self: account, Store: c.links, Log: *zerolog.Ctx(ctx), Handler: func(_ context.Context, e network.Event) error {
		change, ok := e.(network.ConnectionEvent)
		if !ok {
			return network.ErrNotConnected // whatever comes for this device is not ours to take
		}
		if change.State == network.Connected || change.State == network.Refused {
			select {
			case answered <- change:
			default:
			}
		}
		return nil
	}})
	err := stray.Connect(ctx)
	if err == nil {
		select {
		case <-answered:
		case <-ctx.Done():
		}
		err = stray.Unlink(ctx)
	}
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("Failed to take a stray link off an account")
	}
}

// groupCreation is what a user may say of a group that they make.
func groupCreation() map[string]bridgev2.GroupTypeCapabilities {
	return map[string]bridgev2.GroupTypeCapabilities{"group": {
		TypeDescription: "a WhatsApp group",
		Name:            bridgev2.GroupFieldCapability{Allowed: true, Required: true, MinLength: 1, MaxLength: 100},
		Topic:           bridgev2.GroupFieldCapability{Allowed: true, MaxLength: 2048},
		Participants:    bridgev2.GroupFieldCapability{Allowed: true, MaxLength: 1023},
	}}
}

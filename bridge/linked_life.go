package bridge

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"

	"causeway/network"
	"causeway/portal"
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

// unlinkStray forgets the keys of a device that must not be linked after all. The phone lists it until its owner removes it
// there, and what they are told says so.
func (c *Connector) unlinkStray(ctx context.Context, account network.Address) {
	if err := c.links.Forget(ctx, account); err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to forget the keys of a stray link")
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

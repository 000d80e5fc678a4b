package bridge

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
	"causeway/portal"
)

// proofLife is how long a message can be reported with what shows who sent it (docs/protocol.md#messenger).
const proofLife = 7 * 24 * time.Hour

// sealOfProof binds a proof to its row.
func sealOfProof(login, message string) []string { return []string{"cw_proof", login, message} }

// keepProof keeps what shows who sent a message, sealed, for a report within some days. A message arrives without it too.
func (c *Client) keepProof(ctx context.Context, e network.MessageEvent) {
	if len(e.Proof) == 0 || c.follows() { // which keeps no messages
		return
	}
	login, message := c.self.String(), e.Message.ID.String()
	sealed := c.connector.delivery.Seal(e.Proof, sealOfProof(login, message)...)
	if err := c.connector.db.KeepProof(ctx, login, message, sealed, time.Now(), proofLife); err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to keep what a report of a message would need")
	}
}

// proofOf is what shows who sent the message of an event, nil if nothing was kept of it.
func (c *Client) proofOf(ctx context.Context, room *bridgev2.Portal, eventID id.EventID) ([]byte, error) {
	row, err := c.connector.bridge.DB.Message.GetPartByMXID(ctx, eventID)
	if err != nil {
		return nil, fmt.Errorf("failed to look up a message: %w", err)
	}
	target := portal.ReplyTarget(row, room.PortalKey)
	if target == nil {
		return nil, nil
	}
	login, message := c.self.String(), target.String()
	sealed, err := c.connector.db.Proof(ctx, login, message)
	if err != nil || sealed == nil {
		return nil, err
	}
	return c.connector.delivery.Unseal(sealed, sealOfProof(login, message)...)
}

// sendProof gives an administrator a proof as a file.
func (c *Connector) sendProof(ctx context.Context, room id.RoomID, proof []byte) error {
	url, key, err := c.bridge.Bot.UploadMedia(ctx, room, proof, textProofFileName, "application/json")
	if err != nil {
		return fmt.Errorf("failed to upload a proof: %w", err)
	}
	_, err = c.bridge.Bot.SendMessage(ctx, room, event.EventMessage, &event.Content{Parsed: &event.MessageEventContent{
		MsgType: event.MsgFile, Body: textProofFileName, URL: url, File: key, Mentions: &event.Mentions{},
		Info: &event.FileInfo{MimeType: "application/json", Size: len(proof)},
	}}, nil)
	return err
}

package delivery

import (
	"context"
	"fmt"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"

	"causeway/failpoint"
)

// SaveMapping writes bridgev2's row for a message that [Outbox.Accept] has taken, unless it is there. bridgev2
// would write it only after the message is sent, and answers to it may come before that. row has its id, its sender and its metadata.
func SaveMapping(ctx context.Context, msg *bridgev2.MatrixMessage, row *database.Message) error {
	if err := failpoint.Hit(failpoint.OutboxBeforeMapping); err != nil {
		return err
	}
	bridge := msg.Portal.Bridge
	known, err := bridge.DB.Message.GetPartByMXID(ctx, msg.Event.ID)
	if err != nil {
		return fmt.Errorf("failed to look for a message's row: %w", err)
	}
	if known != nil {
		return nil
	}
	row.MXID, row.Room, row.SenderMXID = msg.Event.ID, msg.Portal.PortalKey, msg.Event.Sender
	if row.Timestamp.IsZero() {
		row.Timestamp = time.UnixMilli(msg.Event.Timestamp)
	}
	if msg.ReplyTo != nil && row.ReplyTo.MessageID == "" {
		row.ReplyTo.MessageID, row.ReplyTo.PartID = msg.ReplyTo.ID, &msg.ReplyTo.PartID
	}
	// a message's row refers to its sender's
	if _, err = bridge.GetGhostByID(ctx, row.SenderID); err != nil {
		return fmt.Errorf("failed to look up a message's sender: %w", err)
	}
	if err = bridge.DB.Message.Insert(ctx, row); err != nil {
		return fmt.Errorf("failed to save a message's row: %w", err)
	}
	return nil
}

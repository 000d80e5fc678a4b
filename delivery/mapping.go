package delivery

import (
	"context"
	"fmt"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"

	"causeway/failpoint"
	"causeway/network"
)

// Record is what the bridge itself remembers of a message that [Outbox.Accept] takes.
type Record interface {
	// Prepare is called before the transaction, with whose locks others must not have to wait.
	Prepare(ctx context.Context) error
	// Write only writes, in the transaction that ctx is in; it may be called again.
	Write(ctx context.Context, id network.MessageID) error
}

// record is what has to be written with a message, which may be nothing.
func (msg Outgoing) record() Record {
	if msg.Record == nil {
		return noRecord{}
	}
	return msg.Record
}

type noRecord struct{}

func (noRecord) Prepare(context.Context) error                  { return nil }
func (noRecord) Write(context.Context, network.MessageID) error { return nil }

// Mapping is bridgev2's row for a message. bridgev2 would write it only after the message is sent, and answers to it may
// come before that.
type Mapping struct {
	Message *bridgev2.MatrixMessage
	// Row has what is not in Message: the sender and the metadata.
	Row database.Message
	// ID is the row's id for the message's.
	ID func(network.MessageID) networkid.MessageID
}

// Prepare has bridgev2 know the sender, to whose row that of the message refers: bridgev2's cache has a lock.
func (m *Mapping) Prepare(ctx context.Context) error {
	if _, err := m.Message.Portal.Bridge.GetGhostByID(ctx, m.Row.SenderID); err != nil {
		return fmt.Errorf("failed to look up a message's sender: %w", err)
	}
	return nil
}

// Write writes the row, unless it is there.
func (m *Mapping) Write(ctx context.Context, id network.MessageID) error {
	if err := failpoint.Hit(failpoint.OutboxBeforeMapping); err != nil {
		return err
	}
	messages := m.Message.Portal.Bridge.DB.Message
	known, err := messages.GetPartByMXID(ctx, m.Message.Event.ID)
	if err != nil {
		return fmt.Errorf("failed to look for a message's row: %w", err)
	}
	if known != nil {
		return nil
	}
	row := m.Row
	row.ID, row.MXID, row.Room, row.SenderMXID = m.ID(id), m.Message.Event.ID, m.Message.Portal.PortalKey, m.Message.Event.Sender
	row.Timestamp = time.UnixMilli(m.Message.Event.Timestamp)
	if m.Message.ReplyTo != nil {
		row.ReplyTo.MessageID, row.ReplyTo.PartID = m.Message.ReplyTo.ID, &m.Message.ReplyTo.PartID
	}
	if err = messages.Insert(ctx, &row); err != nil {
		return fmt.Errorf("failed to save a message's row: %w", err)
	}
	return nil
}

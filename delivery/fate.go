package delivery

import (
	"context"
	"fmt"

	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/network"
)

// Waiting counts what is under way.
func (d *Delivery) Waiting(ctx context.Context) ([]database.Waiting, error) {
	return d.journal.Waiting(ctx)
}

// Kept counts what failed and can be brought back.
func (d *Delivery) Kept(ctx context.Context) (map[database.Way]int, error) {
	return d.journal.Kept(ctx)
}

// DiskLow says whether nothing is taken in for want of space on the disk.
func (d *Delivery) DiskLow() bool { return d.disk.low.Load() }

// SentAs returns what a Matrix event has become on its way to a network, nothing if it was never accepted.
func (d *Delivery) SentAs(ctx context.Context, event id.EventID) ([]database.OutboxRow, error) {
	return d.journal.OutboxOfEvent(ctx, string(event))
}

// CameAs returns the journal's rows about a message of a network, as one login has got it.
func (d *Delivery) CameAs(ctx context.Context, login networkid.UserLoginID, message network.MessageID) ([]database.Entry, error) {
	chat := string(d.bridge.PortalKey(login, message.Conversation).ID)
	seqs, err := d.journal.InboxOfMessage(ctx, string(login), chat, message.Sender.String(), message.ID)
	if err != nil {
		return nil, fmt.Errorf("failed to look for a message in the journal: %w", err)
	}
	var entries []database.Entry
	for _, seq := range seqs {
		entry, err := d.journal.Entry(ctx, seq)
		if err != nil {
			return nil, err
		}
		if entry != nil {
			entries = append(entries, *entry)
		}
	}
	return entries, nil
}

// Retry has a row tried again now that failed or was set aside. It returns false for a row in another state.
func (d *Delivery) Retry(ctx context.Context, way database.Way, seq int64) (done bool, err error) {
	err = d.writer.do(ctx, func(ctx context.Context) (err error) {
		done, err = d.journal.Retry(ctx, way, seq, d.now().UnixMilli())
		return err
	})
	if err == nil && done {
		err = d.look(ctx)
	}
	return done, err
}

// Drop gives up a message of a Matrix user. One that is on its way is not tried again; its author is told when its lane
// comes to it. It returns false for one that was sent, or dropped before.
func (out *Outbox) Drop(ctx context.Context, row database.OutboxRow) (done bool, err error) {
	switch row.State {
	case database.OutboxReady, database.OutboxUnknown:
		out.dropped.Store(row.Seq, true)
		key := database.OutboxLane{Login: row.Login, Chat: row.Chat}
		out.lanes.wakeWhere(func(other database.OutboxLane) bool { return other == key })
		return true, nil
	case database.OutboxFailed:
		err = out.d.writer.do(ctx, func(ctx context.Context) (err error) {
			done, err = out.d.journal.DropEnded(ctx, database.WayOut, row.Seq, out.d.now().UnixMilli())
			return err
		})
	}
	return done, err
}

package delivery

import (
	"context"
	"errors"

	"maunium.net/go/mautrix/bridgev2/networkid"

	"causeway/database"
	"causeway/network"
)

// lookForRows finds rows that were given back to their lanes past this process, by an operator's command.
func (d *Delivery) lookForRows(ctx context.Context) {
	for sleep(ctx, d.timing.Look) {
		if err := d.look(ctx); err != nil && ctx.Err() == nil {
			d.log.Err(err).Msg("Failed to look for rows that were given back")
		}
	}
}

func (d *Delivery) look(ctx context.Context) error {
	in, err := d.journal.InboxLanes(ctx)
	d.Inbox.lanes.notice(in)
	out, outErr := d.journal.OutboxLanes(ctx)
	d.Outbox.lanes.notice(out)
	rooms, roomErr := d.journal.MatrixRooms(ctx)
	d.matrix.lanes.notice(rooms)
	return errors.Join(err, outErr, roomErr)
}

// noteArrival notes on the messages that a receipt is about what it says of them.
func (d *Delivery) noteArrival(ctx context.Context, login networkid.UserLoginID, e network.ReceiptEvent, ids []string) error {
	lane := database.OutboxLane{Login: string(login), Chat: e.Conversation.String()}
	for _, id := range ids {
		if err := d.journal.Arrived(ctx, lane, id, e.Kind == network.Read, millis(e.Time)); err != nil {
			return err
		}
	}
	return nil
}

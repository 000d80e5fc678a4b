package delivery

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"
	"maunium.net/go/mautrix/bridgev2/networkid"

	"causeway/database"
	"causeway/network"
)

// survive counts the death of this process at a row beforehand, if the row has outlived another process already. One that
// too many processes have died at is shown as a placeholder, and set aside if they go on dying at that. ok is whether the row may be tried.
func (in *Inbox) survive(ctx context.Context, row *database.InboxRow, event network.Event) (v verdict, ok bool) {
	if row.Epoch == in.d.instance.Epoch {
		return verdict{}, true
	}
	limit := in.d.timing.DeadlyTries
	switch {
	case row.Deaths >= 2*limit, row.Deaths >= limit && !isMessage(event):
		return in.quarantine(ctx, row, event, faultDeadly), false
	case row.Deaths >= limit && row.ErrorClass != endPlaceholder:
		zerolog.Ctx(ctx).Error().Int64("seq", row.Seq).Int("deaths", row.Deaths).Msg("Setting a placeholder for an event at which the program died again and again")
		row.Attempts, row.ErrorClass = 0, endPlaceholder
	}
	deaths := row.Deaths + 1
	// also while stopping: a try that is counted must be made, since its end takes the count back
	err := in.d.writer.do(context.WithoutCancel(ctx), func(ctx context.Context) error { return in.d.journal.RiskInbox(ctx, row.Seq, deaths) })
	return verdict{wait: in.d.timing.RetryFirst}, err == nil
}

// reread reads content again that could not be read when it came.
func (in *Inbox) reread(ctx context.Context, row *database.InboxRow, event network.Event) (read network.Event, err error) {
	message, ok := event.(network.MessageEvent)
	if !ok || !unread(event) {
		return event, nil
	}
	defer func() {
		if r := recover(); r != nil {
			read, err = event, fmt.Errorf("%w: %v", errPanicked, r)
		}
	}()
	again, err := in.d.bridge.Reread(ctx, networkid.UserLoginID(row.Login), message.Message)
	if err != nil {
		return event, err
	}
	message.Message = again
	return message, nil
}

// unread says whether an event holds content that a later version of the program may be able to read.
func unread(event network.Event) bool {
	message, ok := event.(network.MessageEvent)
	content, unsupported := message.Message.Content.(network.Unsupported)
	return ok && unsupported && len(content.Payload) > 0
}

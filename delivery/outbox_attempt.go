package delivery

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"causeway/database"
	"causeway/network"
)

// attempt sends a row once. An author whose message becomes old enough meanwhile is told so, and a file that has held up its
// chat for too long is given up: what comes after it has waited as long.
func (out *Outbox) attempt(ctx context.Context, row *outgoing, age time.Duration) (network.Sent, error) {
	began := out.d.now()
	var told atomic.Bool
	if !row.delayed {
		kept := row.OutboxRow
		clock := time.AfterFunc(max(out.d.timing.Delayed/2, out.d.timing.Delayed-age), func() {
			told.Store(true)
			out.told.run(func() { out.tellDelayed(ctx, kept, ErrSlow) })
		})
		defer clock.Stop()
	}
	sent, err := out.send(ctx, row)
	row.delayed = row.delayed || told.Load()
	if err == nil || !row.file {
		return sent, err
	}
	row.spent += out.d.now().Sub(began)
	if row.spent >= out.d.timing.FilePatience && ctx.Err() == nil {
		return sent, fmt.Errorf("%w: tried for %s: %w", ErrSlow, row.spent.Round(time.Second), err)
	}
	return sent, err
}

func (out *Outbox) tellDelayed(ctx context.Context, row database.OutboxRow, reason error) {
	if err := out.d.bridge.Report(ctx, reportOf(row, Delayed, reason)); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("Failed to tell an author about a delay")
	}
}

// unseal opens a row's message.
func (out *Outbox) unseal(row database.OutboxRow) (network.Message, error) {
	payload, err := out.d.secret.unlock(row.Payload, outboxSeal(row)...)
	if err != nil {
		return network.Message{}, err
	}
	return decodeMessage(payload)
}

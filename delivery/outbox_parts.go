package delivery

import (
	"context"
	"errors"
	"fmt"

	"causeway/database"
)

// rows are the rows of a message, in the order in which they are sent: what goes ahead of it, and itself. Only
// the last says whether the whole has arrived, and a part that fails takes those after it along.
func (out *Outbox) rows(msg Outgoing) ([]database.OutboxRow, error) {
	var rows []database.OutboxRow
	for i, content := range msg.Ahead {
		piece := msg
		piece.Part = msg.Part + 1 + i
		piece.Message.Content = content
		if i > 0 {
			piece.Message.ReplyTo = nil
		}
		row, err := out.row(piece)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		msg.Message.ReplyTo = nil // the first piece has it
	}
	row, err := out.row(msg)
	return append(rows, row), err
}

// stored is a row as the journal has it; added is false if it had it before.
type stored struct {
	row   database.OutboxRow
	added bool
}

// store commits rows and with them what save writes, all or none, if need be after a few tries. Only the first try
// saves: what keeps the record from being written must not keep the message.
func (out *Outbox) store(
	ctx context.Context, rows []database.OutboxRow, save func(ctx context.Context, last database.OutboxRow) error,
) (kept []stored, saved bool, err error) {
	for try := 1; ; try++ {
		saved = try == 1
		err = out.d.writer.do(ctx, func(ctx context.Context) error {
			kept = kept[:0]
			for _, row := range rows {
				known, added, err := out.d.journal.AddOutbox(ctx, row)
				if err == nil && !added {
					err = out.refill(ctx, &known, row.Payload)
				}
				if err != nil {
					return err
				}
				kept = append(kept, stored{known, added})
			}
			if saved {
				return save(ctx, kept[len(kept)-1].row)
			}
			return nil
		})
		if err == nil || try == acceptTries || errors.Is(err, errWriterClosed) || errors.Is(err, database.ErrFenced) {
			return kept, saved, err
		}
		if !sleep(ctx, backoff(out.d.timing.RetryFirst, out.d.timing.RetryLimit, try)) {
			return kept, saved, err
		}
	}
}

// broken says whether a part that went before a row has failed: then the row has been closed with it.
func (out *Outbox) broken(row database.OutboxRow) bool {
	before, failed := out.failed.Load(row.EventID)
	if !failed || row.Seq <= before.(int64) {
		return false
	}
	if row.Part == 0 {
		out.failed.Delete(row.EventID)
	}
	out.d.metrics.failed.Add(1)
	if row.Epoch != database.GivenBack {
		out.flood.count(row.Author, -1)
	}
	return true
}

// close writes the end of a row, and with the failure of a part that goes ahead the end of those after it.
func (out *Outbox) close(ctx context.Context, row database.OutboxRow) error {
	if err := out.d.journal.EndOutbox(ctx, row); err != nil {
		return fmt.Errorf("failed to close an outbox row: %w", err)
	}
	if row.Part == 0 || row.State != database.OutboxFailed {
		return nil
	}
	return out.d.journal.EndRest(ctx, row)
}

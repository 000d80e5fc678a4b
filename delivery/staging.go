package delivery

import (
	"context"
	"fmt"

	"maunium.net/go/mautrix/bridgev2/networkid"

	"causeway/database"
	"causeway/network"
)

// stageBatch is how many events are stored in one commit at most.
const stageBatch = 256

// ReleaseLimits bound what is brought to Matrix of the past that was set aside. Negative is all.
type ReleaseLimits struct {
	// Chats counts the conversations, Messages those of each; the newest are taken.
	Chats, Messages int
}

// Released is what was brought on its way.
type Released struct {
	Chats, Messages int
	// LeftOut counts the events beyond the limits.
	LeftOut int
}

// Stage stores events of the past for good and sets them aside until [Inbox.Release]. Events of one call are
// in their order; between calls the network's time decides. A repeat of a known event is a success.
func (in *Inbox) Stage(ctx context.Context, login networkid.UserLoginID, events []network.Event) error {
	return in.stage(ctx, login, events, database.Staged)
}

// StageLive is [Inbox.Stage] for what happens meanwhile: no limit of a release leaves it out.
func (in *Inbox) StageLive(ctx context.Context, login networkid.UserLoginID, event network.Event) error {
	return in.stage(ctx, login, []network.Event{event}, database.StagedLive)
}

func (in *Inbox) stage(ctx context.Context, login networkid.UserLoginID, events []network.Event, hold int64) error {
	for len(events) > 0 {
		batch := events[:min(len(events), stageBatch)]
		events = events[len(batch):]
		rows := make([]database.InboxRow, 0, len(batch))
		for _, event := range batch {
			row, err := in.row(login, event)
			if err != nil {
				return fmt.Errorf("failed to spell an event of the past: %w", err)
			}
			row.State, row.HoldUntil = database.InboxHeld, hold
			rows = append(rows, row)
		}
		added := 0
		err := in.d.writer.do(ctx, func(ctx context.Context) (err error) {
			added, err = in.d.journal.AddInboxRows(ctx, rows)
			return err
		})
		if err != nil {
			return fmt.Errorf("failed to set events aside: %w", err)
		}
		in.count(string(login), added)
		in.d.metrics.repeats.Add(int64(len(rows) - added))
	}
	return nil
}

// Release puts all that was set aside for a login in the order of its conversations and lets it go to Matrix. Calling it
// again releases what was set aside since.
func (in *Inbox) Release(ctx context.Context, login networkid.UserLoginID, limits ReleaseLimits) (Released, error) {
	var result Released
	lanes, err := in.d.journal.StagedLanes(ctx, string(login))
	if err != nil {
		return result, fmt.Errorf("failed to list what was set aside: %w", err)
	}
	for i, lane := range lanes {
		keep := limits.Messages
		if limits.Chats >= 0 && i >= limits.Chats {
			keep = 0
		}
		var released, dropped int
		err = in.d.writer.do(ctx, func(ctx context.Context) (err error) {
			released, dropped, err = in.d.journal.ReleaseStaged(ctx, lane, keep, func() int64 { return in.d.seq.Add(1) })
			return err
		})
		if err != nil {
			return result, fmt.Errorf("failed to release what was set aside: %w", err)
		}
		in.count(string(login), -dropped)
		result.LeftOut += dropped
		if released > 0 {
			result.Chats++
			result.Messages += released
			in.lanes.reload(lane.InboxLane)
		}
	}
	return result, nil
}

// Waiting is how many events of a login Matrix does not have yet.
func (in *Inbox) Waiting(login networkid.UserLoginID) int { return in.count(string(login), 0) }

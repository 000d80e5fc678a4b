package database

import (
	"context"
	"fmt"
	"math"

	"go.mau.fi/util/dbutil"
)

// Staged is the HoldUntil of rows of the past that were set aside until they are put in order, StagedLive of those of
// what has happened since.
const (
	Staged     int64 = math.MaxInt64
	StagedLive       = Staged - 1
)

// StagedLane is a lane with rows that were set aside for a login.
type StagedLane struct {
	InboxLane
	Login string
}

const (
	stagedLanesQuery = `SELECT chat_id, receiver, login_id FROM cw_inbox WHERE bridge_id = $1 AND login_id = $2 AND state = 'held' AND hold_until >= $3
		GROUP BY chat_id, receiver, login_id ORDER BY MAX(order_ts) DESC`
	stagedRowsQuery = `SELECT seq, hold_until FROM cw_inbox WHERE bridge_id = $1 AND login_id = $2 AND chat_id = $3 AND receiver = $4
		AND state = 'held' AND hold_until >= $5 ORDER BY order_ts, seq`
	releaseStagedQuery = `UPDATE cw_inbox SET seq = $3, state = 'new', hold_until = 0 WHERE bridge_id = $1 AND seq = $2`
	dropStagedQuery    = `UPDATE cw_inbox SET state = 'done', hold_until = 0, done_at = received_at, payload = NULL, error_class = 'left_out'
		WHERE bridge_id = $1 AND seq = $2`
)

// AddInboxRows stores several events and returns how many of them were not known.
func (j *Journal) AddInboxRows(ctx context.Context, rows []InboxRow) (added int, err error) {
	for _, row := range rows {
		isNew, err := j.AddInbox(ctx, row)
		if err != nil {
			return 0, err
		}
		if isNew {
			added++
		}
	}
	return added, nil
}

// StagedLanes lists the lanes with rows that were set aside for a login, the one with the newest first.
func (j *Journal) StagedLanes(ctx context.Context, login string) ([]StagedLane, error) {
	return collect(ctx, j, func(row dbutil.Scannable) (lane StagedLane, err error) {
		err = row.Scan(&lane.Chat, &lane.Receiver, &lane.Login)
		return lane, err
	}, stagedLanesQuery, j.bridgeID, login, StagedLive)
}

// ReleaseStaged opens the rows of a lane that were set aside: by the network's time they get new numbers from seq. Of the
// past only the newest keep rows are taken, all if it is negative; the rest of it is closed.
func (j *Journal) ReleaseStaged(ctx context.Context, lane StagedLane, keep int, seq func() int64) (released, dropped int, err error) {
	type staged struct{ seq, hold int64 }
	past := 0
	rows, err := collect(ctx, j, func(row dbutil.Scannable) (r staged, err error) {
		err = row.Scan(&r.seq, &r.hold)
		if r.hold == Staged {
			past++
		}
		return r, err
	}, stagedRowsQuery, j.bridgeID, lane.Login, lane.Chat, lane.Receiver, StagedLive)
	if err != nil {
		return 0, 0, fmt.Errorf("failed to list rows that were set aside: %w", err)
	}
	left := 0
	if keep >= 0 {
		left = max(0, past-keep)
	}
	for _, row := range rows {
		if row.hold == Staged && dropped < left {
			_, err = j.db.Exec(ctx, dropStagedQuery, j.bridgeID, row.seq)
			dropped++
		} else {
			_, err = j.db.Exec(ctx, releaseStagedQuery, j.bridgeID, row.seq, seq())
			released++
		}
		if err != nil {
			return 0, 0, fmt.Errorf("failed to release a row: %w", err)
		}
	}
	return released, dropped, nil
}

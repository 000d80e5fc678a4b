package database

import (
	"context"
	"fmt"

	"go.mau.fi/util/dbutil"
)

// Waiting is what of a way is open. Oldest is the arrival of its oldest row in Unix milliseconds, zero if there is none.
type Waiting struct {
	// Login is empty where rows of a way belong to none.
	Login  string
	Way    Way
	State  string
	Rows   int
	Oldest int64
}

const (
	waitingQuery = `
		SELECT login_id, 'in' AS way, state, COUNT(*), MIN(received_at) FROM cw_inbox
			WHERE bridge_id = $1 AND state IN ('new', 'retry') GROUP BY login_id, state
		UNION ALL SELECT login_id, 'in', state, COUNT(*), MIN(received_at) FROM cw_inbox WHERE bridge_id = $1 AND state = 'held' GROUP BY login_id, state
		UNION ALL SELECT login_id, 'out', state, COUNT(*), MIN(created_at) FROM cw_outbox
			WHERE bridge_id = $1 AND state IN ('ready', 'unknown') GROUP BY login_id, state
		UNION ALL SELECT '', 'matrix', state, COUNT(*), MIN(received_at) FROM cw_mx_inbox WHERE bridge_id = $1 AND state = 'new' GROUP BY state`
	keptQuery = `
		SELECT 'in', COUNT(*) FROM cw_inbox WHERE bridge_id = $1 AND state IN ('done', 'quarantined') AND payload IS NOT NULL
		UNION ALL SELECT 'out', COUNT(*) FROM cw_outbox WHERE bridge_id = $1 AND state = 'failed' AND payload IS NOT NULL
		UNION ALL SELECT 'matrix', COUNT(*) FROM cw_mx_inbox WHERE bridge_id = $1 AND state = 'quarantined' AND raw IS NOT NULL`
	unshownQuery = `UPDATE cw_inbox SET state = 'new', attempts = 0, deaths = 0, hold_until = $2, done_at = 0, epoch = 0, error_class = ''
		WHERE bridge_id = $1 AND payload IS NOT NULL AND (state = 'done' OR state = 'quarantined' AND error_class IN ('ours', 'unreadable'))`
	inboxOfMessageQuery = `SELECT seq FROM cw_inbox WHERE bridge_id = $1 AND login_id = $2 AND chat_id = $3 AND sender_id = $4 AND remote_id = $5 ORDER BY seq`
)

// Waiting counts the open rows of each login, way and state.
func (j *Journal) Waiting(ctx context.Context) ([]Waiting, error) {
	return collect(ctx, j, func(row dbutil.Scannable) (w Waiting, err error) {
		err = row.Scan(&w.Login, &w.Way, &w.State, &w.Rows, &w.Oldest)
		return w, err
	}, waitingQuery, j.bridgeID)
}

// Kept counts, for each way, the rows that ended in trouble and can be brought back.
func (j *Journal) Kept(ctx context.Context) (map[Way]int, error) {
	counts, err := j.countBy(ctx, keptQuery, j.bridgeID)
	of := map[Way]int{}
	for way, rows := range counts {
		of[Way(way)] = rows
	}
	return of, err
}

// RetryUnshown opens what could not be shown again, for a program that may know better. It returns how many rows that were.
func (j *Journal) RetryUnshown(ctx context.Context, now int64) (int64, error) {
	result, err := j.db.Exec(ctx, unshownQuery, j.bridgeID, now)
	if err != nil {
		return 0, fmt.Errorf("failed to open rows again: %w", err)
	}
	return result.RowsAffected()
}

// InboxOfMessage returns the sequence numbers of a login's rows about one message.
func (j *Journal) InboxOfMessage(ctx context.Context, login, chat, sender, remoteID string) ([]int64, error) {
	return collect(ctx, j, dbutil.ScanSingleColumn[int64], inboxOfMessageQuery, j.bridgeID, login, chat, sender, remoteID)
}

package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"go.mau.fi/util/dbutil"
)

// Way says which of the journal's tables a row is in.
type Way string

// The ways of the journal.
const (
	// WayIn is from a network to Matrix.
	WayIn Way = "in"
	// WayOut is from Matrix to a network.
	WayOut Way = "out"
	// WayMatrix is from the homeserver to the bridge.
	WayMatrix Way = "matrix"
)

// Entry is a row of any way as an operator sees it. Times are Unix milliseconds, zero for none.
type Entry struct {
	Seq   int64
	Way   Way
	State string
	// Login and Chat are empty for [WayMatrix], Room and Event for [WayIn].
	Login, Chat, Room, Event string
	// Kind is what the row is about: a kind of the inbox, or the type of a Matrix event.
	Kind string
	// Class is why the last try failed, or how the row ended if not plainly.
	Class            string
	Attempts, Deaths int
	At, DoneAt       int64
	DeliveredAt      int64
	ReadAt           int64
	// Kept says that the content is still there.
	Kept bool
}

// entryParts are the tables in one shape; each takes the bridge id as $1.
var entryParts = [...]string{
	`SELECT seq, 'in' AS way, state, login_id, chat_id, '' AS room_id, '' AS event_id, kind, error_class, attempts, deaths,
		received_at AS at, done_at, 0 AS delivered_at, 0 AS read_at, payload IS NOT NULL AS kept FROM cw_inbox WHERE bridge_id = $1`,
	`SELECT seq, 'out' AS way, state, login_id, chat_id, room_id, event_id, event_type AS kind, error_class, attempts, 0 AS deaths,
		created_at AS at, done_at, delivered_at, read_at, payload IS NOT NULL AS kept FROM cw_outbox WHERE bridge_id = $1`,
	`SELECT seq, 'matrix' AS way, state, '' AS login_id, '' AS chat_id, room_id, event_id, '' AS kind, error_class, attempts, 0 AS deaths,
		received_at AS at, done_at, 0 AS delivered_at, 0 AS read_at, raw IS NOT NULL AS kept FROM cw_mx_inbox WHERE bridge_id = $1`,
}

const (
	openEntries     = `state IN ('new', 'retry', 'held', 'ready', 'unknown')`
	troubledEntries = `(state IN ('quarantined', 'failed') OR state = 'done' AND error_class = 'placeholder') AND kept`
	dropOpenInbox   = `UPDATE cw_inbox SET state = 'done', error_class = 'dropped', done_at = $3, payload = NULL WHERE bridge_id = $1 AND seq = $2 AND state IN ('new', 'retry', 'held')`
	dropOpenOutbox  = `UPDATE cw_outbox SET state = 'failed', error_class = $4, done_at = $3, payload = NULL WHERE bridge_id = $1 AND seq = $2 AND state IN ('ready', 'unknown')`
	dropOpenMatrix  = `UPDATE cw_mx_inbox SET state = 'done', error_class = 'dropped', done_at = $3, raw = NULL WHERE bridge_id = $1 AND seq = $2 AND state = 'new'`
	dropEndedInbox  = `UPDATE cw_inbox SET state = 'done', error_class = 'dropped', done_at = $3, payload = NULL WHERE bridge_id = $1 AND seq = $2 AND state IN ('quarantined', 'done') AND payload IS NOT NULL`
	dropEndedOutbox = `UPDATE cw_outbox SET payload = NULL WHERE bridge_id = $1 AND seq = $2 AND state = 'failed' AND payload IS NOT NULL`
	dropEndedMatrix = `UPDATE cw_mx_inbox SET state = 'done', error_class = 'dropped', done_at = $3, raw = NULL WHERE bridge_id = $1 AND seq = $2 AND state = 'quarantined'`
	retryEndedInbox = `UPDATE cw_inbox SET state = 'new', attempts = 0, deaths = 0, hold_until = $3, done_at = 0, error_class = '',
		epoch = CASE WHEN state = 'held' THEN epoch ELSE 0 END
		WHERE bridge_id = $1 AND seq = $2 AND payload IS NOT NULL AND (state = 'quarantined' OR state = 'held' AND hold_until <> 9223372036854775807 OR state = 'done' AND error_class = 'placeholder')`
	retryEndedOutbox = `UPDATE cw_outbox SET state = 'ready', attempts = 0, created_at = $3, done_at = 0, reported = false, epoch = 0 WHERE bridge_id = $1 AND seq = $2 AND state = 'failed' AND payload IS NOT NULL`
	retryEndedMatrix = `UPDATE cw_mx_inbox SET state = 'new', attempts = 0, done_at = 0, error_class = '' WHERE bridge_id = $1 AND seq = $2 AND state = 'quarantined' AND raw IS NOT NULL`
)

// Entries is which rows [Journal.Entries] lists.
type Entries struct {
	// Open lists what is on its way, Troubled what failed and can be brought back, Ended all the rest.
	Open, Troubled, Ended bool
	// Login and Way leave out other rows, unless empty.
	Login string
	Way   Way
	Limit int
}

// Entries lists rows of all ways, the oldest first; of more than the limit the newest.
func (j *Journal) Entries(ctx context.Context, which Entries) ([]Entry, error) {
	var wanted []string
	for _, part := range []struct {
		asked bool
		where string
	}{{which.Open, openEntries}, {which.Troubled, troubledEntries}, {which.Ended, `NOT ` + openEntries + ` AND NOT (` + troubledEntries + `)`}} {
		if part.asked {
			wanted = append(wanted, "("+part.where+")")
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	query := `SELECT * FROM (SELECT * FROM (` + strings.Join(entryParts[:], ` UNION ALL `) + `) AS every
		WHERE ($2 = '' OR login_id = $2) AND ($3 = '' OR way = $3) AND (` + strings.Join(wanted, ` OR `) + `)
		ORDER BY seq DESC LIMIT $4) AS newest ORDER BY seq`
	return collect(ctx, j, scanEntry, query, j.bridgeID, which.Login, string(which.Way), which.Limit)
}

// Entry returns a row of any way, nil if there is none of the number.
func (j *Journal) Entry(ctx context.Context, seq int64) (*Entry, error) {
	query := `SELECT * FROM (` + strings.Join(entryParts[:], ` UNION ALL `) + `) AS every WHERE seq = $2`
	entry, err := scanEntry(j.db.QueryRow(ctx, query, j.bridgeID, seq))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("failed to read a journal row: %w", err)
	}
	return &entry, nil
}

func scanEntry(row dbutil.Scannable) (e Entry, err error) {
	err = row.Scan(&e.Seq, &e.Way, &e.State, &e.Login, &e.Chat, &e.Room, &e.Event, &e.Kind, &e.Class, &e.Attempts, &e.Deaths,
		&e.At, &e.DoneAt, &e.DeliveredAt, &e.ReadAt, &e.Kept)
	return e, err
}

// Retry opens a row again that has ended in trouble or is held; its lane tries it like a new one. It returns
// false for a row that is in no such state or whose content is gone. No process has such rows in
// memory, so a running one need not be asked; its lanes find the row.
func (j *Journal) Retry(ctx context.Context, way Way, seq, now int64) (bool, error) {
	query := map[Way]string{WayIn: retryEndedInbox, WayOut: retryEndedOutbox, WayMatrix: retryEndedMatrix}[way]
	if way == WayMatrix {
		return changed(j.db.Exec(ctx, query, j.bridgeID, seq))
	}
	return changed(j.db.Exec(ctx, query, j.bridgeID, seq, now))
}

// DropEnded forgets the content of a row that has ended in trouble, so that nothing brings it back. It returns
// false for a row in another state. A running process has no such row in memory either.
func (j *Journal) DropEnded(ctx context.Context, way Way, seq, now int64) (bool, error) {
	query := map[Way]string{WayIn: dropEndedInbox, WayOut: dropEndedOutbox, WayMatrix: dropEndedMatrix}[way]
	if way == WayOut {
		return changed(j.db.Exec(ctx, query, j.bridgeID, seq))
	}
	return changed(j.db.Exec(ctx, query, j.bridgeID, seq, now))
}

// DropOpen ends a row that is on its way. It is only for whoever holds the lock of the database: a running process
// may be about to send the row. class is what authors of Matrix messages are told at the next start.
func (j *Journal) DropOpen(ctx context.Context, way Way, seq, now int64, class string) (bool, error) {
	query := map[Way]string{WayIn: dropOpenInbox, WayOut: dropOpenOutbox, WayMatrix: dropOpenMatrix}[way]
	if way == WayOut {
		return changed(j.db.Exec(ctx, query, j.bridgeID, seq, now, class))
	}
	return changed(j.db.Exec(ctx, query, j.bridgeID, seq, now))
}

// Content is a row as it is stored, sealed.
type Content struct {
	Inbox  *InboxRow
	Outbox *OutboxRow
	Matrix *MatrixRow
}

// Content returns the stored row of an entry.
func (j *Journal) Content(ctx context.Context, e Entry) (c Content, err error) {
	switch e.Way {
	case WayIn:
		row, err := scanInbox(j.db.QueryRow(ctx, `SELECT `+inboxColumns+` FROM cw_inbox WHERE bridge_id = $1 AND seq = $2`, j.bridgeID, e.Seq))
		return Content{Inbox: &row}, err
	case WayOut:
		row, err := scanOutbox(j.db.QueryRow(ctx, `SELECT `+outboxColumns+` FROM cw_outbox WHERE bridge_id = $1 AND seq = $2`, j.bridgeID, e.Seq))
		return Content{Outbox: &row}, err
	}
	row, err := scanMatrix(j.db.QueryRow(ctx, `SELECT `+matrixColumns+` FROM cw_mx_inbox WHERE bridge_id = $1 AND seq = $2`, j.bridgeID, e.Seq))
	return Content{Matrix: &row}, err
}

// Current says whether the schema is the one that this program works with.
func (db *Database) Current(ctx context.Context) (bool, error) {
	query := `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1)`
	if db.Dialect == dbutil.Postgres {
		query = `SELECT to_regclass($1) IS NOT NULL` // other schemas of the server are none of ours
	}
	var exists bool
	err := db.QueryRow(ctx, query, versionTable).Scan(&exists)
	if err != nil || !exists {
		return false, err
	}
	var version int
	err = db.QueryRow(ctx, `SELECT version FROM `+versionTable).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("failed to read the schema's version: %w", err)
	}
	return version == len(db.UpgradeTable), nil
}

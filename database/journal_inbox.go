package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"go.mau.fi/util/dbutil"
)

// InboxState is how far an inbox row has come.
type InboxState string

// The states of an inbox row. New and retry rows are open; done and quarantined rows have no payload that anybody needs.
const (
	InboxNew         InboxState = "new"
	InboxRetry       InboxState = "retry"
	InboxHeld        InboxState = "held"
	InboxDone        InboxState = "done"
	InboxQuarantined InboxState = "quarantined"
)

// InboxRow is one event of a network on its way to Matrix. Times are Unix milliseconds.
type InboxRow struct {
	Seq int64
	// Login, Chat, Sender, RemoteID and Kind together are the event's identity.
	Login, Chat, Sender, RemoteID, Kind string
	// Receiver is the login that a chat's room belongs to, empty for rooms that logins share.
	Receiver string
	// Target is the message that the event changes, empty for messages.
	Target string
	// OrderTS is the network's time of the event, never later than ReceivedAt. It tells how far back to look for
	// the event in its room; the order is that of Seq, since the network's clock is coarse and may be off.
	OrderTS, ReceivedAt int64
	Payload             []byte
	State               InboxState
	Attempts            int
	ErrorClass          string
	HoldUntil, DoneAt   int64
	// Epoch is the one in which the row was stored, [GivenBack] if it was ended before and opened again.
	Epoch int64
	// Deaths counts the processes that have died while they were at the row.
	Deaths int
}

// GivenBack is the epoch of rows that were ended once and opened again.
const GivenBack = 0

// InboxLane names the rows that must be delivered in order: those of one room.
type InboxLane struct{ Chat, Receiver string }

const (
	inboxColumns = `seq, login_id, chat_id, receiver, sender_id, remote_id, kind, target_id, order_ts, received_at,
		payload, state, attempts, error_class, hold_until, done_at, epoch, deaths`
	insertInboxQuery = `INSERT INTO cw_inbox (bridge_id, ` + inboxColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) ON CONFLICT DO NOTHING`
	openInboxQuery = `SELECT ` + inboxColumns + ` FROM cw_inbox
		WHERE bridge_id = $1 AND chat_id = $2 AND receiver = $3 AND state IN ('new', 'retry') ORDER BY seq LIMIT $4`
	inboxLanesQuery = `SELECT DISTINCT chat_id, receiver FROM cw_inbox WHERE bridge_id = $1 AND state IN ('new', 'retry')`
	countInboxQuery = `SELECT login_id, COUNT(*) FROM cw_inbox WHERE bridge_id = $1 AND state IN ('new', 'retry', 'held')
		AND epoch <> 0 GROUP BY login_id`
	retryInboxQuery = `UPDATE cw_inbox SET state = 'retry', attempts = $3, error_class = $4, deaths = $5
		WHERE bridge_id = $1 AND seq = $2 AND state IN ('new', 'retry')`
	riskInboxQuery = `UPDATE cw_inbox SET deaths = $3 WHERE bridge_id = $1 AND seq = $2`
	endInboxQuery  = `UPDATE cw_inbox SET state = $3, attempts = $4, error_class = $5, done_at = $6, payload = $7
		WHERE bridge_id = $1 AND seq = $2`
	holdInboxQuery    = `UPDATE cw_inbox SET state = 'held', hold_until = $3 WHERE bridge_id = $1 AND seq = $2`
	releaseInboxQuery = `UPDATE cw_inbox SET state = 'new', hold_until = 0
		WHERE bridge_id = $1 AND chat_id = $2 AND receiver = $3 AND target_id = $4 AND state = 'held'`
	// The row of a message that did not open at first is there already if it was asked for before.
	dropAskedQuery = `DELETE FROM cw_inbox WHERE bridge_id = $1 AND seq = $2 AND EXISTS (SELECT 1 FROM cw_inbox other
		WHERE other.bridge_id = $1 AND other.login_id = $3 AND other.chat_id = $4 AND other.sender_id = $5 AND other.remote_id = $6
		AND other.kind = $7 AND other.seq <> $2)`
	dropPlaceQuery = `DELETE FROM cw_inbox WHERE bridge_id = $1 AND login_id = $2 AND chat_id = $3 AND sender_id = $4 AND remote_id = $5
		AND kind = $6 AND state = 'held'`
	askedInboxQuery = `UPDATE cw_inbox SET kind = $3, target_id = $4, payload = $5, state = 'held', hold_until = $6
		WHERE bridge_id = $1 AND seq = $2`
	countHeldQuery        = `SELECT COUNT(*) FROM cw_inbox WHERE bridge_id = $1 AND state = 'held'`
	overdueInboxQuery     = `SELECT DISTINCT chat_id, receiver FROM cw_inbox WHERE bridge_id = $1 AND state = 'held' AND hold_until < $2`
	openOverdueInboxQuery = `UPDATE cw_inbox SET state = 'new' WHERE bridge_id = $1 AND state = 'held' AND hold_until < $2`
	unsettledInboxQuery   = `SELECT EXISTS (SELECT 1 FROM cw_inbox
		WHERE bridge_id = $1 AND chat_id = $2 AND receiver = $3 AND state IN ('new', 'retry') AND (epoch <> $4 OR attempts > 0))`
	// What did not open at first is known by where it came first; lanes are in order, so that what is before a row is not still to come.
	inboxOvertakenQuery = `SELECT EXISTS (SELECT 1 FROM cw_inbox came JOIN cw_inbox later ON later.bridge_id = came.bridge_id
		AND later.login_id = came.login_id AND later.chat_id = came.chat_id AND later.sender_id = came.sender_id
		WHERE came.bridge_id = $1 AND came.login_id = $2 AND came.chat_id = $3 AND came.sender_id = $4 AND came.remote_id = $5
		AND came.kind = 'undecryptable' AND later.kind = $6 AND later.target_id = $7 AND later.seq < $8
		AND later.state IN ('new', 'retry', 'done') AND later.error_class <> 'dropped'
		AND came.seq < COALESCE((SELECT seq FROM cw_inbox WHERE bridge_id = $1 AND login_id = $2 AND chat_id = $3 AND sender_id = $4
			AND remote_id = later.remote_id AND kind = 'undecryptable'), later.seq))`
	inboxBeforeQuery = `SELECT state FROM cw_inbox WHERE bridge_id = $1 AND chat_id = $2 AND receiver = $3 AND target_id = $4 AND seq < $5
		AND (state IN ('new', 'retry') OR state = 'held' AND hold_until < $6) ORDER BY seq LIMIT 1`
	inboxByStateQuery = `SELECT ` + inboxColumns + ` FROM cw_inbox WHERE bridge_id = $1 AND state = $2 ORDER BY seq LIMIT $3`
)

// InboxUnsettled says whether a lane has open rows that may have had their effect: in an earlier epoch, or in a try that failed.
func (j *Journal) InboxUnsettled(ctx context.Context, lane InboxLane, epoch int64) (unsettled bool, err error) {
	if err = j.db.QueryRow(ctx, unsettledInboxQuery, j.bridgeID, lane.Chat, lane.Receiver, epoch).Scan(&unsettled); err != nil {
		return false, fmt.Errorf("failed to look for unsettled inbox rows: %w", err)
	}
	return unsettled, nil
}

// InboxOvertaken says whether a change could not be opened when it came, and a later one of the same kind by the same sender
// to the same message was before it when it was sent again.
func (j *Journal) InboxOvertaken(ctx context.Context, r InboxRow) (overtaken bool, err error) {
	err = j.db.QueryRow(ctx, inboxOvertakenQuery, j.bridgeID, r.Login, r.Chat, r.Sender, r.RemoteID, r.Kind, r.Target, r.Seq).Scan(&overtaken)
	if err != nil {
		return false, fmt.Errorf("failed to look for what has overtaken an inbox row: %w", err)
	}
	return overtaken, nil
}

// InboxBefore is the state of the oldest change to the same message that came before a row and has not ended, empty if all have.
func (j *Journal) InboxBefore(ctx context.Context, r InboxRow) (state InboxState, err error) {
	err = j.db.QueryRow(ctx, inboxBeforeQuery, j.bridgeID, r.Chat, r.Receiver, r.Target, r.Seq, StagedLive).Scan(&state)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("failed to look for what an inbox row has to wait for: %w", err)
	}
	return state, nil
}

// AddInbox stores an event. It returns false if its identity is known already, in whatever state.
func (j *Journal) AddInbox(ctx context.Context, r InboxRow) (bool, error) {
	added, err := changed(j.db.Exec(ctx, insertInboxQuery, j.bridgeID, r.Seq, r.Login, r.Chat, r.Receiver, r.Sender, r.RemoteID,
		r.Kind, r.Target, r.OrderTS, r.ReceivedAt, r.Payload, r.State, r.Attempts, r.ErrorClass, r.HoldUntil, r.DoneAt, r.Epoch, r.Deaths))
	if err != nil {
		return false, fmt.Errorf("failed to store an inbox row: %w", err)
	}
	return added, nil
}

// OpenInbox returns the oldest open rows of a lane, in the order in which they must be delivered.
func (j *Journal) OpenInbox(ctx context.Context, lane InboxLane, limit int) ([]InboxRow, error) {
	return collect(ctx, j, scanInbox, openInboxQuery, j.bridgeID, lane.Chat, lane.Receiver, limit)
}

// InboxByState lists the oldest rows in a state, for operators.
func (j *Journal) InboxByState(ctx context.Context, state InboxState, limit int) ([]InboxRow, error) {
	return collect(ctx, j, scanInbox, inboxByStateQuery, j.bridgeID, state, limit)
}

// InboxLanes lists the lanes that have open rows.
func (j *Journal) InboxLanes(ctx context.Context) ([]InboxLane, error) {
	return collect(ctx, j, scanInboxLane, inboxLanesQuery, j.bridgeID)
}

func scanInboxLane(row dbutil.Scannable) (lane InboxLane, err error) {
	err = row.Scan(&lane.Chat, &lane.Receiver)
	return lane, err
}

// CountInbox counts the rows of each login that Matrix does not have yet, without those that were given back.
func (j *Journal) CountInbox(ctx context.Context) (map[string]int, error) {
	return j.countBy(ctx, countInboxQuery, j.bridgeID)
}

// RetryInbox notes a failed try of an open row, which the process has outlived.
func (j *Journal) RetryInbox(ctx context.Context, r InboxRow) error {
	_, err := j.db.Exec(ctx, retryInboxQuery, j.bridgeID, r.Seq, r.Attempts, r.ErrorClass, r.Deaths)
	return err
}

// RiskInbox counts the death of the process at a row beforehand.
func (j *Journal) RiskInbox(ctx context.Context, seq int64, deaths int) error {
	_, err := j.db.Exec(ctx, riskInboxQuery, j.bridgeID, seq, deaths)
	return err
}

// EndInbox closes a row as done or quarantined. The payload is kept only where it is given.
func (j *Journal) EndInbox(ctx context.Context, r InboxRow) error {
	_, err := j.db.Exec(ctx, endInboxQuery, j.bridgeID, r.Seq, r.State, r.Attempts, r.ErrorClass, r.DoneAt, r.Payload)
	return err
}

// HoldInbox sets a row aside until its target is there, at most until a time.
func (j *Journal) HoldInbox(ctx context.Context, seq, until int64) error {
	_, err := j.db.Exec(ctx, holdInboxQuery, j.bridgeID, seq, until)
	return err
}

// ForgetInbox makes the row of a message whose content is gone one of another kind, so that the message can come again, and
// holds it. It returns false if there is such a row already; then this one is deleted.
func (j *Journal) ForgetInbox(ctx context.Context, r InboxRow) (bool, error) {
	dropped, err := changed(j.db.Exec(ctx, dropAskedQuery, j.bridgeID, r.Seq, r.Login, r.Chat, r.Sender, r.RemoteID, r.Kind))
	if err != nil || dropped {
		return false, err
	}
	_, err = j.db.Exec(ctx, askedInboxQuery, j.bridgeID, r.Seq, r.Kind, r.Target, r.Payload, r.HoldUntil)
	return err == nil, err
}

// DropAsked deletes the held row of a kind that keeps the place of a message which has come. It returns false if there is none.
func (j *Journal) DropAsked(ctx context.Context, r InboxRow, kind string) (bool, error) {
	return changed(j.db.Exec(ctx, dropPlaceQuery, j.bridgeID, r.Login, r.Chat, r.Sender, r.RemoteID, kind))
}

// CountHeld counts the rows that wait for a message.
func (j *Journal) CountHeld(ctx context.Context) (count int64, err error) {
	err = j.db.QueryRow(ctx, countHeldQuery, j.bridgeID).Scan(&count)
	return count, err
}

// ReleaseInbox opens the rows that wait for a message. It returns how many there were.
func (j *Journal) ReleaseInbox(ctx context.Context, lane InboxLane, target string) (int64, error) {
	result, err := j.db.Exec(ctx, releaseInboxQuery, j.bridgeID, lane.Chat, lane.Receiver, target)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// ReleaseOverdueInbox opens the held rows whose time is over, for one last try: they keep their HoldUntil.
// It returns their lanes.
func (j *Journal) ReleaseOverdueInbox(ctx context.Context, now int64) ([]InboxLane, error) {
	lanes, err := collect(ctx, j, scanInboxLane, overdueInboxQuery, j.bridgeID, now)
	if err != nil || len(lanes) == 0 {
		return nil, err
	}
	_, err = j.db.Exec(ctx, openOverdueInboxQuery, j.bridgeID, now)
	return lanes, err
}

func scanInbox(row dbutil.Scannable) (r InboxRow, err error) {
	err = row.Scan(&r.Seq, &r.Login, &r.Chat, &r.Receiver, &r.Sender, &r.RemoteID, &r.Kind, &r.Target, &r.OrderTS, &r.ReceivedAt,
		&r.Payload, &r.State, &r.Attempts, &r.ErrorClass, &r.HoldUntil, &r.DoneAt, &r.Epoch, &r.Deaths)
	return r, err
}

// ReceiptRow is the newest receipt of one reader and kind in a chat that Matrix has not shown yet.
type ReceiptRow struct {
	Login, Chat, Reader, Kind string
	Payload                   []byte
	UpdatedAt                 int64
}

const (
	putReceiptQuery = `INSERT INTO cw_receipt (bridge_id, login_id, chat_id, reader_id, kind, payload, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (bridge_id, login_id, chat_id, reader_id, kind) DO UPDATE SET payload = excluded.payload, updated_at = excluded.updated_at`
	dropReceiptQuery = `DELETE FROM cw_receipt WHERE bridge_id = $1 AND login_id = $2 AND chat_id = $3 AND reader_id = $4
		AND kind = $5 AND updated_at <= $6`
	allReceiptsQuery = `SELECT login_id, chat_id, reader_id, kind, payload, updated_at FROM cw_receipt WHERE bridge_id = $1 ORDER BY updated_at`
)

// PutReceipt stores a receipt over the last one of the same reader and kind.
func (j *Journal) PutReceipt(ctx context.Context, r ReceiptRow) error {
	_, err := j.db.Exec(ctx, putReceiptQuery, j.bridgeID, r.Login, r.Chat, r.Reader, r.Kind, r.Payload, r.UpdatedAt)
	return err
}

// DropReceipt forgets a receipt that was shown, unless a newer one has replaced it.
func (j *Journal) DropReceipt(ctx context.Context, r ReceiptRow) error {
	_, err := j.db.Exec(ctx, dropReceiptQuery, j.bridgeID, r.Login, r.Chat, r.Reader, r.Kind, r.UpdatedAt)
	return err
}

// Receipts returns all receipts that Matrix has not shown yet.
func (j *Journal) Receipts(ctx context.Context) ([]ReceiptRow, error) {
	return collect(ctx, j, func(row dbutil.Scannable) (r ReceiptRow, err error) {
		err = row.Scan(&r.Login, &r.Chat, &r.Reader, &r.Kind, &r.Payload, &r.UpdatedAt)
		return r, err
	}, allReceiptsQuery, j.bridgeID)
}

package database

import (
	"context"
	"fmt"

	"go.mau.fi/util/dbutil"
)

// OutboxState is how far an outbox row has come.
type OutboxState string

// The states of an outbox row. Ready and unknown rows are open: an unknown one may have arrived,
// and is sent again under the same id until the network says so.
const (
	OutboxReady   OutboxState = "ready"
	OutboxUnknown OutboxState = "unknown"
	OutboxSent    OutboxState = "sent"
	OutboxFailed  OutboxState = "failed"
)

// OutboxRow is one message of a Matrix user on its way to a network. Times are Unix milliseconds.
type OutboxRow struct {
	EventID string
	// Part counts the messages that one Matrix event becomes, from zero.
	Part                             int
	Seq                              int64
	Login, Chat                      string
	Room, Author, EventType, MsgType string
	RemoteID                         string
	Payload                          []byte
	State                            OutboxState
	Attempts                         int
	CreatedAt                        int64
	// ServerTS is the network's time of the message, once it is sent.
	ServerTS   int64
	ErrorClass string
	Reported   bool
	DoneAt     int64
	Epoch      int64
	// DeliveredAt and ReadAt are when the other side said so, zero if it never did.
	DeliveredAt, ReadAt int64
}

// OutboxLane names the rows that must be sent in order: those of one login in one chat.
type OutboxLane struct{ Login, Chat string }

const (
	outboxColumns = `event_id, part, seq, login_id, chat_id, room_id, sender_mxid, event_type, msg_type, remote_id, payload, state,
		attempts, created_at, server_ts, error_class, reported, done_at, epoch, delivered_at, read_at`
	insertOutboxQuery = `INSERT INTO cw_outbox (bridge_id, ` + outboxColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
		ON CONFLICT (bridge_id, event_id, part) DO NOTHING`
	getOutboxQuery  = `SELECT ` + outboxColumns + ` FROM cw_outbox WHERE bridge_id = $1 AND event_id = $2 AND part = $3`
	openOutboxQuery = `SELECT ` + outboxColumns + ` FROM cw_outbox
		WHERE bridge_id = $1 AND login_id = $2 AND chat_id = $3 AND state IN ('ready', 'unknown') ORDER BY seq LIMIT $4`
	outboxLanesQuery = `SELECT DISTINCT login_id, chat_id FROM cw_outbox WHERE bridge_id = $1 AND state IN ('ready', 'unknown')`
	countOutboxQuery = `SELECT sender_mxid, COUNT(*) FROM cw_outbox WHERE bridge_id = $1 AND state IN ('ready', 'unknown') AND epoch <> 0
		GROUP BY sender_mxid`
	tryOutboxQuery    = `UPDATE cw_outbox SET state = $4, attempts = $5, error_class = $6 WHERE bridge_id = $1 AND event_id = $2 AND part = $3`
	refillOutboxQuery = `UPDATE cw_outbox SET payload = $4 WHERE bridge_id = $1 AND event_id = $2 AND part = $3`
	endOutboxQuery    = `UPDATE cw_outbox SET state = $4, attempts = $5, error_class = $6, server_ts = $7, done_at = $8, payload = $9
		WHERE bridge_id = $1 AND event_id = $2 AND part = $3`
	outboxOfEventQuery   = `SELECT ` + outboxColumns + ` FROM cw_outbox WHERE bridge_id = $1 AND event_id = $2 ORDER BY part`
	failedOutboxQuery    = `SELECT EXISTS (SELECT 1 FROM cw_outbox WHERE bridge_id = $1 AND login_id = $2 AND chat_id = $3 AND remote_id = $4 AND state = 'failed')`
	deliveredOutboxQuery = `UPDATE cw_outbox SET delivered_at = $5 WHERE bridge_id = $1 AND login_id = $2 AND chat_id = $3 AND remote_id = $4 AND delivered_at = 0`
	readOutboxQuery      = `UPDATE cw_outbox SET read_at = $5 WHERE bridge_id = $1 AND login_id = $2 AND chat_id = $3 AND remote_id = $4 AND read_at = 0`
	endRestQuery         = `UPDATE cw_outbox SET state = 'failed', error_class = $4, done_at = $5, reported = true
		WHERE bridge_id = $1 AND event_id = $2 AND seq > $3 AND state IN ('ready', 'unknown')`
	reportedOutboxQuery   = `UPDATE cw_outbox SET reported = true WHERE bridge_id = $1 AND event_id = $2 AND part = $3`
	unreportedOutboxQuery = `SELECT ` + outboxColumns + ` FROM cw_outbox
		WHERE bridge_id = $1 AND state IN ('sent', 'failed') AND NOT reported ORDER BY seq`
)

// OutboxFailed says whether a message of a lane has failed for good.
func (j *Journal) OutboxFailed(ctx context.Context, lane OutboxLane, remoteID string) (failed bool, err error) {
	if err = j.db.QueryRow(ctx, failedOutboxQuery, j.bridgeID, lane.Login, lane.Chat, remoteID).Scan(&failed); err != nil {
		return false, fmt.Errorf("failed to look for a message that has failed: %w", err)
	}
	return failed, nil
}

// AddOutbox stores a message that the network must get. It returns the row that counts, which
// is an older one if the same part of the same Matrix event was stored before.
func (j *Journal) AddOutbox(ctx context.Context, r OutboxRow) (OutboxRow, bool, error) {
	added, err := changed(j.db.Exec(ctx, insertOutboxQuery, j.bridgeID, r.EventID, r.Part, r.Seq, r.Login, r.Chat, r.Room, r.Author, r.EventType,
		r.MsgType, r.RemoteID, r.Payload, r.State, r.Attempts, r.CreatedAt, r.ServerTS, r.ErrorClass, r.Reported, r.DoneAt, r.Epoch, r.DeliveredAt, r.ReadAt))
	if err != nil {
		return OutboxRow{}, false, fmt.Errorf("failed to store an outbox row: %w", err)
	}
	if added {
		return r, true, nil
	}
	old, err := scanOutbox(j.db.QueryRow(ctx, getOutboxQuery, j.bridgeID, r.EventID, r.Part))
	if err != nil {
		return OutboxRow{}, false, fmt.Errorf("failed to read an outbox row: %w", err)
	}
	return old, false, nil
}

// OpenOutbox returns the oldest open rows of a lane.
func (j *Journal) OpenOutbox(ctx context.Context, lane OutboxLane, limit int) ([]OutboxRow, error) {
	return collect(ctx, j, scanOutbox, openOutboxQuery, j.bridgeID, lane.Login, lane.Chat, limit)
}

// OutboxLanes lists the lanes that have open rows.
func (j *Journal) OutboxLanes(ctx context.Context) ([]OutboxLane, error) {
	return collect(ctx, j, func(row dbutil.Scannable) (lane OutboxLane, err error) {
		err = row.Scan(&lane.Login, &lane.Chat)
		return lane, err
	}, outboxLanesQuery, j.bridgeID)
}

// CountOutbox counts the rows of each author that the network has not acknowledged yet, without those that were given back.
func (j *Journal) CountOutbox(ctx context.Context) (map[string]int, error) {
	return j.countBy(ctx, countOutboxQuery, j.bridgeID)
}

// RetryOutbox notes a try without a final outcome.
func (j *Journal) RetryOutbox(ctx context.Context, r OutboxRow) error {
	_, err := j.db.Exec(ctx, tryOutboxQuery, j.bridgeID, r.EventID, r.Part, r.State, r.Attempts, r.ErrorClass)
	return err
}

// RefillOutbox gives a row its content again.
func (j *Journal) RefillOutbox(ctx context.Context, r OutboxRow) error {
	_, err := j.db.Exec(ctx, refillOutboxQuery, j.bridgeID, r.EventID, r.Part, r.Payload)
	return err
}

// EndOutbox closes a row as sent or failed. The content is kept only where it is given.
func (j *Journal) EndOutbox(ctx context.Context, r OutboxRow) error {
	_, err := j.db.Exec(ctx, endOutboxQuery, j.bridgeID, r.EventID, r.Part, r.State, r.Attempts, r.ErrorClass, r.ServerTS, r.DoneAt, r.Payload)
	return err
}

// EndRest closes the parts of an event that come after one that failed, as failed like it; the author knows by that one.
func (j *Journal) EndRest(ctx context.Context, r OutboxRow) error {
	if _, err := j.db.Exec(ctx, endRestQuery, j.bridgeID, r.EventID, r.Seq, r.ErrorClass, r.DoneAt); err != nil {
		return fmt.Errorf("failed to close the rest of a message: %w", err)
	}
	return nil
}

// ReportedOutbox notes that the author knows the final state.
func (j *Journal) ReportedOutbox(ctx context.Context, eventID string, part int) error {
	_, err := j.db.Exec(ctx, reportedOutboxQuery, j.bridgeID, eventID, part)
	return err
}

// OutboxOfEvent returns all parts of what a Matrix event has become.
func (j *Journal) OutboxOfEvent(ctx context.Context, eventID string) ([]OutboxRow, error) {
	return collect(ctx, j, scanOutbox, outboxOfEventQuery, j.bridgeID, eventID)
}

// Arrived notes when the other side says that it has, or has read, a message.
func (j *Journal) Arrived(ctx context.Context, lane OutboxLane, remoteID string, read bool, at int64) error {
	query := deliveredOutboxQuery
	if read {
		query = readOutboxQuery
	}
	_, err := j.db.Exec(ctx, query, j.bridgeID, lane.Login, lane.Chat, remoteID, at)
	return err
}

// UnreportedOutbox returns the closed rows whose authors have not been told.
func (j *Journal) UnreportedOutbox(ctx context.Context) ([]OutboxRow, error) {
	return collect(ctx, j, scanOutbox, unreportedOutboxQuery, j.bridgeID)
}

func scanOutbox(row dbutil.Scannable) (r OutboxRow, err error) {
	err = row.Scan(&r.EventID, &r.Part, &r.Seq, &r.Login, &r.Chat, &r.Room, &r.Author, &r.EventType, &r.MsgType, &r.RemoteID,
		&r.Payload, &r.State, &r.Attempts, &r.CreatedAt, &r.ServerTS, &r.ErrorClass, &r.Reported, &r.DoneAt, &r.Epoch,
		&r.DeliveredAt, &r.ReadAt)
	return r, err
}

// PendingRoom is a room that is being created for a conversation.
type PendingRoom struct {
	PortalID, Receiver, Marker string
	// Room is empty until the homeserver has answered.
	Room      string
	CreatedAt int64
}

const (
	putPendingRoomQuery = `INSERT INTO cw_portal_pending (bridge_id, portal_id, receiver, marker, room_id, created_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (bridge_id, portal_id, receiver) DO UPDATE SET room_id = excluded.room_id`
	dropPendingRoomQuery = `DELETE FROM cw_portal_pending WHERE bridge_id = $1 AND portal_id = $2 AND receiver = $3`
	pendingRoomsQuery    = `SELECT portal_id, receiver, marker, room_id, created_at FROM cw_portal_pending WHERE bridge_id = $1 ORDER BY created_at`
)

// PutPendingRoom notes that a room is being created, or which one it has become.
func (j *Journal) PutPendingRoom(ctx context.Context, r PendingRoom) error {
	_, err := j.db.Exec(ctx, putPendingRoomQuery, j.bridgeID, r.PortalID, r.Receiver, r.Marker, r.Room, r.CreatedAt)
	return err
}

// DropPendingRoom forgets a creation that is complete.
func (j *Journal) DropPendingRoom(ctx context.Context, portalID, receiver string) error {
	_, err := j.db.Exec(ctx, dropPendingRoomQuery, j.bridgeID, portalID, receiver)
	return err
}

// PendingRooms returns the creations that are not complete.
func (j *Journal) PendingRooms(ctx context.Context) ([]PendingRoom, error) {
	return collect(ctx, j, func(row dbutil.Scannable) (r PendingRoom, err error) {
		err = row.Scan(&r.PortalID, &r.Receiver, &r.Marker, &r.Room, &r.CreatedAt)
		return r, err
	}, pendingRoomsQuery, j.bridgeID)
}

package database

import (
	"context"
	"fmt"

	"go.mau.fi/util/dbutil"
)

// MatrixRow is a Matrix event that the homeserver pushed. ReceivedAt is in Unix milliseconds.
type MatrixRow struct {
	EventID    string
	Seq        int64
	Room       string
	Raw        []byte
	Attempts   int
	ReceivedAt int64
	Epoch      int64
}

const (
	insertMatrixQuery = `INSERT INTO cw_mx_inbox (bridge_id, event_id, seq, room_id, raw, state, received_at, epoch)
		VALUES ($1, $2, $3, $4, $5, 'new', $6, $7) ON CONFLICT DO NOTHING`
	matrixColumns   = `event_id, seq, room_id, raw, attempts, received_at, epoch`
	openMatrixQuery = `SELECT ` + matrixColumns + ` FROM cw_mx_inbox
		WHERE bridge_id = $1 AND room_id = $2 AND state = 'new' ORDER BY seq LIMIT $3`
	matrixRoomsQuery  = `SELECT DISTINCT room_id FROM cw_mx_inbox WHERE bridge_id = $1 AND state = 'new'`
	countMatrixQuery  = `SELECT COUNT(*) FROM cw_mx_inbox WHERE bridge_id = $1 AND state = 'new'`
	doneMatrixQuery   = `UPDATE cw_mx_inbox SET state = 'done', done_at = $3, raw = NULL WHERE bridge_id = $1 AND event_id = $2`
	failedMatrixQuery = `UPDATE cw_mx_inbox SET state = 'quarantined', done_at = $3, error_class = $4
		WHERE bridge_id = $1 AND event_id = $2`
	triedMatrixQuery = `UPDATE cw_mx_inbox SET attempts = attempts + 1 WHERE bridge_id = $1 AND event_id = $2`
)

// AddMatrix stores a Matrix event. It returns false if the event is known already, in whatever state.
func (j *Journal) AddMatrix(ctx context.Context, r MatrixRow) (bool, error) {
	added, err := changed(j.db.Exec(ctx, insertMatrixQuery, j.bridgeID, r.EventID, r.Seq, r.Room, r.Raw, r.ReceivedAt, r.Epoch))
	if err != nil {
		return false, fmt.Errorf("failed to store a Matrix event: %w", err)
	}
	return added, nil
}

// OpenMatrix returns the oldest unhandled events of a room.
func (j *Journal) OpenMatrix(ctx context.Context, room string, limit int) ([]MatrixRow, error) {
	return collect(ctx, j, scanMatrix, openMatrixQuery, j.bridgeID, room, limit)
}

func scanMatrix(row dbutil.Scannable) (r MatrixRow, err error) {
	err = row.Scan(&r.EventID, &r.Seq, &r.Room, &r.Raw, &r.Attempts, &r.ReceivedAt, &r.Epoch)
	return r, err
}

// MatrixRooms lists the rooms that have unhandled events.
func (j *Journal) MatrixRooms(ctx context.Context) ([]string, error) {
	return collect(ctx, j, dbutil.ScanSingleColumn[string], matrixRoomsQuery, j.bridgeID)
}

// CountMatrix counts the unhandled events of all rooms.
func (j *Journal) CountMatrix(ctx context.Context) (count int, err error) {
	err = j.db.QueryRow(ctx, countMatrixQuery, j.bridgeID).Scan(&count)
	return count, err
}

// DoneMatrix closes an event and forgets its content.
func (j *Journal) DoneMatrix(ctx context.Context, eventID string, now int64) error {
	_, err := j.db.Exec(ctx, doneMatrixQuery, j.bridgeID, eventID, now)
	return err
}

// QuarantineMatrix sets an event aside that cannot be handled; its content stays for an operator.
func (j *Journal) QuarantineMatrix(ctx context.Context, eventID string, now int64, class string) error {
	_, err := j.db.Exec(ctx, failedMatrixQuery, j.bridgeID, eventID, now, class)
	return err
}

// TriedMatrix counts a try, before it is made: an event that ends the process each time must not be tried for ever.
func (j *Journal) TriedMatrix(ctx context.Context, eventID string) error {
	_, err := j.db.Exec(ctx, triedMatrixQuery, j.bridgeID, eventID)
	return err
}

// ToDeviceRow is a to-device event; Hash stands for its identity.
type ToDeviceRow struct {
	Hash       string
	Seq        int64
	Raw        []byte
	ReceivedAt int64
}

const (
	insertToDeviceQuery = `INSERT INTO cw_mx_todevice (bridge_id, hash, seq, raw, state, received_at)
		VALUES ($1, $2, $3, $4, 'new', $5) ON CONFLICT DO NOTHING`
	openToDeviceQuery = `SELECT hash, seq, raw, received_at FROM cw_mx_todevice WHERE bridge_id = $1 AND state = 'new' ORDER BY seq`
	doneToDeviceQuery = `UPDATE cw_mx_todevice SET state = 'done', raw = NULL WHERE bridge_id = $1 AND hash = $2`
	putLatestQuery    = `INSERT INTO cw_mx_latest (bridge_id, kind, item, value, updated_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (bridge_id, kind, item) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`
	dropLatestQuery = `DELETE FROM cw_mx_latest WHERE bridge_id = $1 AND kind = $2 AND item = $3 AND updated_at <= $4`
	allLatestQuery  = `SELECT kind, item, value, updated_at FROM cw_mx_latest WHERE bridge_id = $1 ORDER BY updated_at`
)

// AddToDevice stores a to-device event. It returns false if the same one is known already.
func (j *Journal) AddToDevice(ctx context.Context, r ToDeviceRow) (bool, error) {
	return changed(j.db.Exec(ctx, insertToDeviceQuery, j.bridgeID, r.Hash, r.Seq, r.Raw, r.ReceivedAt))
}

// OpenToDevice returns the unhandled to-device events in order of arrival.
func (j *Journal) OpenToDevice(ctx context.Context) ([]ToDeviceRow, error) {
	return collect(ctx, j, func(row dbutil.Scannable) (r ToDeviceRow, err error) {
		err = row.Scan(&r.Hash, &r.Seq, &r.Raw, &r.ReceivedAt)
		return r, err
	}, openToDeviceQuery, j.bridgeID)
}

// DoneToDevice closes a to-device event and forgets its content.
func (j *Journal) DoneToDevice(ctx context.Context, hash string) error {
	_, err := j.db.Exec(ctx, doneToDeviceQuery, j.bridgeID, hash)
	return err
}

// LatestRow is a value of a transaction of which only the newest counts.
type LatestRow struct {
	Kind, Item string
	Value      []byte
	UpdatedAt  int64
}

// PutLatest stores a value over the last one of its kind and item.
func (j *Journal) PutLatest(ctx context.Context, r LatestRow) error {
	_, err := j.db.Exec(ctx, putLatestQuery, j.bridgeID, r.Kind, r.Item, r.Value, r.UpdatedAt)
	return err
}

// DropLatest forgets a value that was handled, unless a newer one has replaced it.
func (j *Journal) DropLatest(ctx context.Context, r LatestRow) error {
	_, err := j.db.Exec(ctx, dropLatestQuery, j.bridgeID, r.Kind, r.Item, r.UpdatedAt)
	return err
}

// Latest returns the values that have not been handled.
func (j *Journal) Latest(ctx context.Context) ([]LatestRow, error) {
	return collect(ctx, j, func(row dbutil.Scannable) (r LatestRow, err error) {
		err = row.Scan(&r.Kind, &r.Item, &r.Value, &r.UpdatedAt)
		return r, err
	}, allLatestQuery, j.bridgeID)
}

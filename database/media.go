package database

import (
	"context"
	"fmt"
	"time"

	"go.mau.fi/util/dbutil"
)

const (
	mediaColumns = `id, login_id, size, sha256, ready, created_at, expires_at`

	insertMediaQuery = `
		INSERT INTO cw_media (` + mediaColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	readyMediaQuery = `
		UPDATE cw_media SET ready=TRUE, expires_at=$2 WHERE id=$1`
	getMediaQuery = `
		SELECT ` + mediaColumns + ` FROM cw_media WHERE id=$1`
	getMediaUsageQuery = `
		SELECT COALESCE(SUM(CASE WHEN login_id=$1 THEN size ELSE 0 END), 0), COALESCE(SUM(size), 0) FROM cw_media`
	deleteMediaQuery = `
		DELETE FROM cw_media WHERE id=$1`
	deleteMediaOfQuery = `
		DELETE FROM cw_media WHERE login_id=$1 RETURNING id`
	deleteExpiredMediaQuery = `
		DELETE FROM cw_media WHERE expires_at<=$1 RETURNING id`
)

// Media is the record of an encrypted file that is hosted for a login.
type Media struct {
	// ID names the file, on disk too.
	ID string
	// LoginID is the owner's network.Address as text.
	LoginID string
	// Size is in bytes.
	Size int64
	// SHA256 is the file's hash, in hex.
	SHA256 string
	// Ready is set once the whole file is stored.
	Ready     bool
	CreatedAt time.Time
	ExpiresAt time.Time
}

// InsertMedia adds a row.
func (db *Database) InsertMedia(ctx context.Context, m Media) error {
	_, err := db.Exec(ctx, insertMediaQuery, m.ID, m.LoginID, m.Size, m.SHA256, m.Ready, m.CreatedAt.UnixMilli(), m.ExpiresAt.UnixMilli())
	if err != nil {
		return fmt.Errorf("failed to insert media: %w", err)
	}
	return nil
}

// ReadyMedia marks a file as stored, to live until a time; false means that its row was deleted meanwhile.
func (db *Database) ReadyMedia(ctx context.Context, id string, expires time.Time) (bool, error) {
	result, err := db.Exec(ctx, readyMediaQuery, id, expires.UnixMilli())
	if err != nil {
		return false, fmt.Errorf("failed to mark media as stored: %w", err)
	}
	changed, err := result.RowsAffected()
	return changed == 1, err
}

// Media is the row with this id, nil if there is none.
func (db *Database) Media(ctx context.Context, id string) (*Media, error) {
	return one(scanMedia(db.QueryRow(ctx, getMediaQuery, id)))
}

// MediaUsage is how many bytes are hosted for a login, and in all.
func (db *Database) MediaUsage(ctx context.Context, loginID string) (own, all int64, err error) {
	if err = db.QueryRow(ctx, getMediaUsageQuery, loginID).Scan(&own, &all); err != nil {
		return 0, 0, fmt.Errorf("failed to sum up media: %w", err)
	}
	return own, all, nil
}

// DeleteMedia removes a row; that it is not there is no error.
func (db *Database) DeleteMedia(ctx context.Context, id string) error {
	if _, err := db.Exec(ctx, deleteMediaQuery, id); err != nil {
		return fmt.Errorf("failed to delete media: %w", err)
	}
	return nil
}

// DeleteMediaOf removes all rows of a login and returns their ids.
func (db *Database) DeleteMediaOf(ctx context.Context, loginID string) ([]string, error) {
	return db.ids(ctx, "failed to delete a login's media", deleteMediaOfQuery, loginID)
}

// DeleteExpiredMedia removes the rows whose time is over and returns their ids.
func (db *Database) DeleteExpiredMedia(ctx context.Context, now time.Time) ([]string, error) {
	return db.ids(ctx, "failed to delete expired media", deleteExpiredMediaQuery, now.UnixMilli())
}

// ids runs a query whose rows are one text each.
func (db *Database) ids(ctx context.Context, failure, query string, args ...any) ([]string, error) {
	rows, err := db.Query(ctx, query, args...)
	ids, err := dbutil.NewRowIterWithError(rows, dbutil.ScanSingleColumn[string], err).AsList()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", failure, err)
	}
	return ids, nil
}

func scanMedia(row dbutil.Scannable) (*Media, error) {
	var m Media
	var created, expires int64
	if err := row.Scan(&m.ID, &m.LoginID, &m.Size, &m.SHA256, &m.Ready, &created, &expires); err != nil {
		return nil, fmt.Errorf("failed to read media: %w", err)
	}
	m.CreatedAt, m.ExpiresAt = time.UnixMilli(created), time.UnixMilli(expires)
	return &m, nil
}

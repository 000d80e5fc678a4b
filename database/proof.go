package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	keepProofQuery = `
		INSERT INTO cw_proof (login_id, message_id, payload, kept_at) VALUES ($1, $2, $3, $4) ON CONFLICT (login_id, message_id) DO NOTHING`
	getProofQuery = `
		SELECT payload FROM cw_proof WHERE login_id=$1 AND message_id=$2`
	deleteOldProofsQuery = `
		DELETE FROM cw_proof WHERE kept_at<$1`
	deleteProofsOfQuery = `
		DELETE FROM cw_proof WHERE login_id=$1`
)

// KeepProof keeps what shows who sent a message, sealed by the caller, and forgets what is older than life. What is kept stays as it is.
func (db *Database) KeepProof(ctx context.Context, loginID, messageID string, payload []byte, now time.Time, life time.Duration) error {
	if _, err := db.Exec(ctx, deleteOldProofsQuery, now.Add(-life).UnixMilli()); err != nil {
		return fmt.Errorf("failed to forget old proofs: %w", err)
	}
	if _, err := db.Exec(ctx, keepProofQuery, loginID, messageID, payload, now.UnixMilli()); err != nil {
		return fmt.Errorf("failed to keep a proof: %w", err)
	}
	return nil
}

// Proof is what was kept of a message, nil if there is nothing.
func (db *Database) Proof(ctx context.Context, loginID, messageID string) (payload []byte, err error) {
	err = db.QueryRow(ctx, getProofQuery, loginID, messageID).Scan(&payload)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("failed to read a proof: %w", err)
	}
	return payload, nil
}

// DeleteProofsOf forgets all that was kept for a login.
func (db *Database) DeleteProofsOf(ctx context.Context, loginID string) error {
	if _, err := db.Exec(ctx, deleteProofsOfQuery, loginID); err != nil {
		return fmt.Errorf("failed to forget a login's proofs: %w", err)
	}
	return nil
}

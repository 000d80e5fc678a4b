package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	getOpenedQuery   = `SELECT plaintext, opened_at FROM cw_signal_opened WHERE login_id = $1 AND hash = $2`
	clearOpenedQuery = `UPDATE cw_signal_opened SET plaintext = NULL WHERE login_id = $1 AND hash = $2`
	putOpenedQuery   = `INSERT INTO cw_signal_opened (login_id, hash, plaintext, opened_at) VALUES ($1, $2, $3, $4)`
	pruneOpenedQuery = `DELETE FROM cw_signal_opened WHERE login_id = $1 AND opened_at < $2 AND plaintext IS NULL`

	getSentQuery   = `SELECT kind, plaintext FROM cw_signal_sent WHERE login_id = $1 AND recipient = $2 AND id = $3`
	pruneSentQuery = `DELETE FROM cw_signal_sent WHERE login_id = $1 AND sent_at < $2`
	putSentQuery   = `
		INSERT INTO cw_signal_sent (login_id, recipient, id, kind, plaintext, sent_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (login_id, recipient, id) DO UPDATE
		SET kind = excluded.kind, plaintext = excluded.plaintext, sent_at = excluded.sent_at`
)

// Opened is what is known of a ciphertext: not found, opened, or opened and taken (nil plaintext).
func (s *SignalStore) Opened(ctx context.Context, hash []byte) (plaintext []byte, at time.Time, found bool, err error) {
	var millis int64
	err = s.db.QueryRow(ctx, getOpenedQuery, s.loginID, hash).Scan(&plaintext, &millis)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, time.Time{}, false, nil
	} else if err != nil {
		return nil, time.Time{}, false, fmt.Errorf("failed to read an opened message: %w", err)
	}
	return plaintext, fromMillis(millis), true, nil
}

// PutOpened keeps the plaintext of a ciphertext until it was taken.
func (s *SignalStore) PutOpened(ctx context.Context, hash, plaintext []byte, at time.Time) error {
	return s.exec(ctx, putOpenedQuery, s.loginID, hash, plaintext, at.UnixMilli())
}

// ClearOpened drops the plaintext of a ciphertext and keeps its hash.
func (s *SignalStore) ClearOpened(ctx context.Context, hash []byte) error {
	return s.exec(ctx, clearOpenedQuery, s.loginID, hash)
}

// PutSent keeps what was sent to somebody under an id.
func (s *SignalStore) PutSent(ctx context.Context, to, id, kind string, plaintext []byte, at time.Time) error {
	return s.exec(ctx, putSentQuery, s.loginID, to, id, kind, plaintext, at.UnixMilli())
}

// Sent is what was sent to somebody under an id, nil if unknown.
func (s *SignalStore) Sent(ctx context.Context, to, id string) (kind string, plaintext []byte, err error) {
	err = s.db.QueryRow(ctx, getSentQuery, s.loginID, to, id).Scan(&kind, &plaintext)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil, nil
	} else if err != nil {
		return "", nil, fmt.Errorf("failed to read a sent message: %w", err)
	}
	return kind, plaintext, nil
}

// Prune deletes what was opened or sent before a time. Plaintexts that nobody has taken yet are kept.
func (s *SignalStore) Prune(ctx context.Context, before time.Time) error {
	return s.Transaction(ctx, func(ctx context.Context) error {
		if err := s.exec(ctx, pruneOpenedQuery, s.loginID, before.UnixMilli()); err != nil {
			return err
		}
		return s.exec(ctx, pruneSentQuery, s.loginID, before.UnixMilli())
	})
}

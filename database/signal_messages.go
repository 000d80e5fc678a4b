package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	markOpenedQuery  = `INSERT INTO cw_signal_opened (login_id, hash, plaintext, opened_at) VALUES ($1, $2, NULL, $3) ON CONFLICT DO NOTHING`
	getOpenedQuery   = `SELECT plaintext FROM cw_signal_opened WHERE login_id = $1 AND hash = $2`
	clearOpenedQuery = `UPDATE cw_signal_opened SET plaintext = NULL WHERE login_id = $1 AND hash = $2`
	pruneOpenedQuery = `DELETE FROM cw_signal_opened WHERE login_id = $1 AND opened_at < $2 AND plaintext IS NULL`

	getSentQuery   = `SELECT kind, plaintext FROM cw_signal_sent WHERE login_id = $1 AND recipient = $2 AND id = $3`
	pruneSentQuery = `DELETE FROM cw_signal_sent WHERE login_id = $1 AND sent_at < $2`
	putSentQuery   = `
		INSERT INTO cw_signal_sent (login_id, recipient, id, kind, plaintext, sent_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (login_id, recipient, id) DO UPDATE
		SET kind = excluded.kind, plaintext = excluded.plaintext, sent_at = excluded.sent_at`
)

// MarkOpened notes that a ciphertext is taken. fresh is whether it was not noted before; if it was, kept is the plaintext
// that a former version of the program has kept for it and nobody has taken, nil otherwise.
func (s *SignalStore) MarkOpened(ctx context.Context, hash []byte, at time.Time) (fresh bool, kept []byte, err error) {
	fresh, err = changed(s.db.Exec(ctx, markOpenedQuery, s.loginID, hash, at.UnixMilli()))
	if err != nil {
		return false, nil, fmt.Errorf("failed to mark an opened message: %w", err)
	}
	if fresh {
		return true, nil, nil
	}
	if kept, err = s.bytes(ctx, getOpenedQuery, s.loginID, hash); err != nil || kept == nil {
		return false, nil, err
	}
	return false, kept, s.exec(ctx, clearOpenedQuery, s.loginID, hash)
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

package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"go.mau.fi/util/dbutil"
)

const (
	getPreKeyQuery      = `SELECT key FROM cw_signal_prekey WHERE login_id = $1 AND id = $2`
	deletePreKeyQuery   = `DELETE FROM cw_signal_prekey WHERE login_id = $1 AND id = $2`
	countPreKeysQuery   = `SELECT COUNT(*) FROM cw_signal_prekey WHERE login_id = $1 AND uploaded`
	markPreKeysQuery    = `UPDATE cw_signal_prekey SET uploaded = true WHERE login_id = $1 AND id <= $2`
	putPreKeysQuery     = `INSERT INTO cw_signal_prekey (login_id, id, key, uploaded) VALUES %s`
	lastPreKeyQuery     = `SELECT last_id FROM cw_signal_prekey_counter WHERE login_id = $1`
	pendingPreKeysQuery = `
		SELECT id, key FROM cw_signal_prekey WHERE login_id = $1 AND NOT uploaded ORDER BY id LIMIT $2`
	countUpPreKeyQuery = `
		INSERT INTO cw_signal_prekey_counter (login_id, last_id) VALUES ($1, $2)
		ON CONFLICT (login_id) DO UPDATE SET last_id = excluded.last_id
		WHERE excluded.last_id > cw_signal_prekey_counter.last_id`
)

// PreKey is the private half of a one-time prekey.
func (s *SignalStore) PreKey(ctx context.Context, id uint32) ([]byte, error) {
	return s.bytes(ctx, getPreKeyQuery, s.loginID, int64(id))
}

// PendingPreKeys are prekeys that the server does not have, lowest ids first.
func (s *SignalStore) PendingPreKeys(ctx context.Context, limit uint32) (map[uint32][]byte, error) {
	found := make(map[uint32][]byte)
	rows, err := s.db.Query(ctx, pendingPreKeysQuery, s.loginID, int64(limit))
	err = dbutil.NewRowIterWithError(rows, scanKeyed[uint32], err).Iter(func(row keyed[uint32]) (bool, error) {
		found[row.key] = row.value
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("failed to read prekeys: %w", err)
	}
	return found, nil
}

// LastPreKeyID is the highest prekey id ever stored, zero before the first.
func (s *SignalStore) LastPreKeyID(ctx context.Context) (id uint32, err error) {
	err = s.db.QueryRow(ctx, lastPreKeyQuery, s.loginID).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	} else if err != nil {
		return 0, fmt.Errorf("failed to read the last prekey id: %w", err)
	}
	return id, nil
}

// PutPreKeys stores new prekeys.
func (s *SignalStore) PutPreKeys(ctx context.Context, keys map[uint32][]byte, uploaded bool) error {
	if len(keys) == 0 {
		return nil
	}
	var tuples []string
	var last uint32
	args := []any{s.loginID, uploaded}
	for id, key := range keys {
		args = append(args, int64(id), key)
		tuples = append(tuples, fmt.Sprintf("($1, $%d, $%d, $2)", len(args)-1, len(args)))
		last = max(last, id)
	}
	return s.Transaction(ctx, func(ctx context.Context) error {
		if err := s.exec(ctx, fmt.Sprintf(putPreKeysQuery, strings.Join(tuples, ", ")), args...); err != nil {
			return err
		}
		return s.exec(ctx, countUpPreKeyQuery, s.loginID, int64(last))
	})
}

// MarkPreKeysUploaded marks the prekeys up to and including an id as known to the server.
func (s *SignalStore) MarkPreKeysUploaded(ctx context.Context, upTo uint32) error {
	return s.exec(ctx, markPreKeysQuery, s.loginID, int64(upTo))
}

// CountUploadedPreKeys is how many unused prekeys the server was given.
func (s *SignalStore) CountUploadedPreKeys(ctx context.Context) (count int, err error) {
	if err = s.db.QueryRow(ctx, countPreKeysQuery, s.loginID).Scan(&count); err != nil {
		return 0, fmt.Errorf("failed to count prekeys: %w", err)
	}
	return count, nil
}

// DeletePreKey deletes a prekey that was used.
func (s *SignalStore) DeletePreKey(ctx context.Context, id uint32) error {
	return s.exec(ctx, deletePreKeyQuery, s.loginID, int64(id))
}

const (
	getSignedPreKeysQuery = `SELECT id, packed FROM cw_signal_signed_prekey WHERE login_id = $1`
	putSignedPreKeyQuery  = `
		INSERT INTO cw_signal_signed_prekey (login_id, id, packed) VALUES ($1, $2, $3)
		ON CONFLICT (login_id, id) DO UPDATE SET packed = excluded.packed`
	deleteSignedPreKeyQuery = `DELETE FROM cw_signal_signed_prekey WHERE login_id = $1 AND id = $2`
)

// SignedPreKeys are the login's signed prekeys by id, as they were put.
func (s *SignalStore) SignedPreKeys(ctx context.Context) (map[uint32][]byte, error) {
	rows, err := s.db.Query(ctx, getSignedPreKeysQuery, s.loginID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := make(map[uint32][]byte)
	for rows.Next() {
		var id uint32
		var packed []byte
		if err = rows.Scan(&id, &packed); err != nil {
			return nil, err
		}
		found[id] = packed
	}
	return found, rows.Err()
}

// PutSignedPreKey stores a signed prekey, or its new state.
func (s *SignalStore) PutSignedPreKey(ctx context.Context, id uint32, packed []byte) error {
	return s.exec(ctx, putSignedPreKeyQuery, s.loginID, id, packed)
}

// DeleteSignedPreKey forgets a signed prekey.
func (s *SignalStore) DeleteSignedPreKey(ctx context.Context, id uint32) error {
	return s.exec(ctx, deleteSignedPreKeyQuery, s.loginID, id)
}

package wire

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// keptEvents is how long hashes of opened messages, and what was sent, are kept.
const keptEvents = 14 * 24 * time.Hour

// GetBufferedEvent is what is known of a ciphertext that was opened before.
func (s *signalState) GetBufferedEvent(ctx context.Context, hash [32]byte) (*store.BufferedEvent, error) {
	plaintext, at, found, err := s.rows.Opened(ctx, hash[:])
	if err != nil || !found {
		return nil, storeFailure("read an opened message", err)
	}
	return &store.BufferedEvent{Plaintext: plaintext, InsertTime: at, ServerTime: at}, nil
}

// PutBufferedEvent keeps a plaintext until it was taken, in the ratchet's own transaction.
func (s *signalState) PutBufferedEvent(ctx context.Context, hash [32]byte, plaintext []byte, _ time.Time) error {
	return storeFailure("keep an opened message", s.rows.PutOpened(ctx, hash[:], plaintext, time.Now()))
}

// DoDecryptionTxn runs fn as holder of the session guard and in one transaction.
func (s *signalState) DoDecryptionTxn(ctx context.Context, fn func(context.Context) error) error {
	return s.change(ctx, fn)
}

// ClearBufferedEventPlaintext drops a plaintext that was taken, and keeps its hash.
func (s *signalState) ClearBufferedEventPlaintext(ctx context.Context, hash [32]byte) error {
	return storeFailure("clear an opened message", s.rows.ClearOpened(ctx, hash[:]))
}

// DeleteOldBufferedHashes forgets what is too old to come again.
func (s *signalState) DeleteOldBufferedHashes(ctx context.Context) error {
	return storeFailure("prune", s.rows.Prune(ctx, time.Now().Add(-keptEvents)))
}

// GetOutgoingEvent finds nothing: answers to retry receipts are made here, from the rows (see retry.go).
func (s *signalState) GetOutgoingEvent(context.Context, types.JID, types.JID, types.MessageID) (string, []byte, error) {
	return "", nil, nil
}

// AddOutgoingEvent keeps nothing, as sending goes through [Client.Send].
func (s *signalState) AddOutgoingEvent(context.Context, types.JID, types.MessageID, string, []byte) error {
	return nil
}

// DeleteOldOutgoingEvents is done by DeleteOldBufferedHashes.
func (s *signalState) DeleteOldOutgoingEvents(context.Context) error { return nil }

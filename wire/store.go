package wire

import (
	"context"
	"time"
)

// Store keeps the Signal state of one login. Only plain types, so that package
// database satisfies it without knowing this package. Missing rows are nil, not
// an error. A context handed down by [Store.Transaction] makes the calls part of
// that transaction.
type Store interface {
	// Transaction runs fn in one transaction; an error of fn undoes all that it wrote.
	Transaction(ctx context.Context, fn func(context.Context) error) error

	// PrivateKeys are the login's own keys as [Keys] packs them, nil before they were made.
	PrivateKeys(ctx context.Context) ([]byte, error)
	// PutPrivateKeys stores the login's own keys; they are never overwritten, a second call is an error.
	PutPrivateKeys(ctx context.Context, packed []byte) error

	// SignedPreKeys are the login's signed prekeys by id, as they were put; PutSignedPreKey stores one, or its new state.
	SignedPreKeys(ctx context.Context) (map[uint32][]byte, error)
	PutSignedPreKey(ctx context.Context, id uint32, packed []byte) error
	DeleteSignedPreKey(ctx context.Context, id uint32) error

	// Identity is the identity key last seen of a Signal address.
	Identity(ctx context.Context, address string) ([]byte, error)
	PutIdentity(ctx context.Context, address string, key []byte) error
	DeleteIdentity(ctx context.Context, address string) error

	// Sessions are the Signal sessions of addresses; addresses without one are absent.
	Sessions(ctx context.Context, addresses []string) (map[string][]byte, error)
	// PutSessions stores all sessions in one statement.
	PutSessions(ctx context.Context, sessions map[string][]byte) error
	DeleteSession(ctx context.Context, address string) error

	// PreKey is the private half of a one-time prekey.
	PreKey(ctx context.Context, id uint32) ([]byte, error)
	// PendingPreKeys are the private halves of up to limit prekeys that were not uploaded yet.
	PendingPreKeys(ctx context.Context, limit uint32) (map[uint32][]byte, error)
	// LastPreKeyID is the highest id ever used, zero before the first.
	LastPreKeyID(ctx context.Context) (uint32, error)
	PutPreKeys(ctx context.Context, keys map[uint32][]byte, uploaded bool) error
	// MarkPreKeysUploaded marks all prekeys up to and including an id.
	MarkPreKeysUploaded(ctx context.Context, upTo uint32) error
	CountUploadedPreKeys(ctx context.Context) (int, error)
	DeletePreKey(ctx context.Context, id uint32) error

	// MarkOpened notes that a ciphertext (by hash) is taken. fresh is whether it was not noted before; if it was, kept is
	// the plaintext that a former version of the program has kept for it and nobody has taken, nil otherwise.
	MarkOpened(ctx context.Context, hash []byte, at time.Time) (fresh bool, kept []byte, err error)

	// PutSent keeps what was sent, so that a device which could not open it can be answered.
	PutSent(ctx context.Context, to, id, kind string, plaintext []byte, at time.Time) error
	// Sent is what [Store.PutSent] kept, nil if unknown.
	Sent(ctx context.Context, to, id string) (kind string, plaintext []byte, err error)

	// Prune deletes opened and sent rows from before a time.
	Prune(ctx context.Context, before time.Time) error
}

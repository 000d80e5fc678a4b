package interop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/rs/zerolog"
)

const (
	keyFile = "provider-keys.json"
	// minPublished is how long a key is published before it signs: twice the key set's max-age (docs/protocol.md#keyset).
	minPublished = 2 * keySetMaxAge
	// maxPublished is how large a key set may be at most (docs/protocol.md#keyset).
	maxPublished = 16
)

// signingKey is one key of the ring with the times of its life.
type signingKey struct {
	Key jose.JSONWebKey `json:"key"`
	// Published is when the key came into the key set; Used when it began to sign,
	// nil for the next key; Retired when it stopped, nil until then.
	Published time.Time  `json:"published"`
	Used      *time.Time `json:"used,omitempty"`
	Retired   *time.Time `json:"retired,omitempty"`
}

// keyring keeps the keys that sign tokens, in one private file: the current one, the
// next one, and retired ones for as long as tokens of theirs may be in use. It
// rotates when it is asked for a key and the time has come.
type keyring struct {
	path                 string
	rotateEvery, overlap time.Duration
	now                  func() time.Time
	log                  zerolog.Logger

	mutex sync.Mutex
	// keys is empty until open.
	keys []signingKey
}

func newKeyring(dir string, rotateEvery, overlap time.Duration, now func() time.Time, log zerolog.Logger) *keyring {
	return &keyring{path: filepath.Join(dir, keyFile), rotateEvery: rotateEvery, overlap: overlap, now: now, log: log}
}

// open reads the ring, or makes its first two keys where there is none yet.
func (k *keyring) open() error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	keys, err := readKeys(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		now := k.now()
		current, errCurrent := newSigningKey(now)
		next, errNext := newSigningKey(now)
		if err := errors.Join(errCurrent, errNext); err != nil {
			return err
		}
		current.Used = &now
		keys = []signingKey{current, next}
		if err := writeKeys(k.path, keys); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	k.keys = keys
	return nil
}

// current is the key that signs now.
func (k *keyring) current() (jose.JSONWebKey, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if err := k.turn(); err != nil {
		return jose.JSONWebKey{}, err
	}
	return k.keys[position(k.keys, isCurrent)].Key, nil
}

// published is the public half of every key that a verifier must know now.
func (k *keyring) published() ([]jose.JSONWebKey, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if err := k.turn(); err != nil {
		return nil, err
	}
	keys := make([]jose.JSONWebKey, len(k.keys))
	for i, key := range k.keys {
		keys[i] = key.Key.Public()
	}
	return keys, nil
}

// rotate makes the next key the current one, due or not.
func (k *keyring) rotate() error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if len(k.keys) == 0 {
		return ErrNotStarted
	}
	next := k.keys[position(k.keys, isNext)]
	if k.now().Sub(next.Published) < minPublished {
		k.log.Warn().Str("kid", next.Key.KeyID).Msg("Signing key is used before every verifier can have read it; they must fetch the key set again")
	}
	return k.advance()
}

// turn does what is due: dropping keys whose overlap is over, and the scheduled
// rotation. If the new ring cannot be written the old one stays good.
func (k *keyring) turn() error {
	if len(k.keys) == 0 {
		return ErrNotStarted
	}
	now := k.now()
	k.keys = slices.DeleteFunc(slices.Clone(k.keys), func(key signingKey) bool { return k.isOver(key, now) })
	current, next := k.keys[position(k.keys, isCurrent)], k.keys[position(k.keys, isNext)]
	if now.Sub(*current.Used) < k.rotateEvery || now.Sub(next.Published) < minPublished {
		return nil
	}
	if err := k.advance(); err != nil {
		k.log.Err(err).Msg("Failed to rotate the signing key; the old one is kept in use")
	}
	return nil
}

// advance retires the current key, takes the next one into use and publishes a new next one.
func (k *keyring) advance() error {
	now := k.now()
	fresh, err := newSigningKey(now)
	if err != nil {
		return err
	}
	keys := slices.DeleteFunc(slices.Clone(k.keys), func(key signingKey) bool { return k.isOver(key, now) })
	if len(keys) >= maxPublished {
		return fmt.Errorf("failed to rotate: %d keys are published, which is as many as verifiers read; wait for token.overlap", len(keys))
	}
	current, next := position(keys, isCurrent), position(keys, isNext)
	keys[current].Retired, keys[next].Used = &now, &now
	keys = append(keys, fresh)
	if err := writeKeys(k.path, keys); err != nil {
		return err
	}
	k.keys = keys
	k.log.Info().Str("kid", keys[next].Key.KeyID).Msg("Signing key rotated")
	return nil
}

func (k *keyring) isOver(key signingKey, now time.Time) bool {
	return key.Retired != nil && now.Sub(*key.Retired) >= k.overlap
}

func isCurrent(key signingKey) bool { return key.Used != nil && key.Retired == nil }
func isNext(key signingKey) bool    { return key.Used == nil }

// position is where the one key of a kind is; [checkRing] made sure that it exists.
func position(keys []signingKey, kind func(signingKey) bool) int { return slices.IndexFunc(keys, kind) }

// newSigningKey makes an ES256 key whose id is its RFC 7638 thumbprint.
func newSigningKey(now time.Time) (signingKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return signingKey{}, fmt.Errorf("failed to make a signing key: %w", err)
	}
	key := jose.JSONWebKey{Key: private, Algorithm: string(jose.ES256), Use: "sig"}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return signingKey{}, fmt.Errorf("failed to name a signing key: %w", err)
	}
	key.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	return signingKey{Key: key, Published: now}, nil
}

package wire

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/util/keys"
)

// ErrNoKeys says that a store holds no keys yet.
var ErrNoKeys = errors.New("the login has no keys")

const (
	// packedVersion is the first byte of packed keys; another one is refused.
	packedVersion = 1
	packedSize    = 1 + 4 + 32 + 32 + 4 + 32 + 64
	// firstSignedPrekeyID is the id of a login's first signed prekey.
	firstSignedPrekeyID = 1
	// maxRegistrationID keeps registration ids to 14 bits, as Signal has them.
	maxRegistrationID = 0x3fff
)

// Keys are the private keys of one interop login (docs/protocol.md#keys).
// The zero value holds none; make them with [GenerateKeys] or [LoadKeys].
type Keys struct {
	registrationID uint32
	noise          *keys.KeyPair
	identity       *keys.KeyPair
	signedPrekey   *keys.PreKey
}

// PublicKeys is what the network may know of a login's keys. Keys are raw
// Curve25519, without the type byte.
type PublicKeys struct {
	RegistrationID        uint32
	Identity              [32]byte
	Noise                 [32]byte
	SignedPrekeyID        uint32
	SignedPrekey          [32]byte
	SignedPrekeySignature [64]byte
}

// GenerateKeys makes a fresh set of keys.
func GenerateKeys() (Keys, error) {
	var raw [4]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return Keys{}, fmt.Errorf("failed to draw a registration id: %w", err)
	}
	identity := keys.NewKeyPair()
	return Keys{
		registrationID: binary.BigEndian.Uint32(raw[:])%maxRegistrationID + 1,
		noise:          keys.NewKeyPair(),
		identity:       identity,
		signedPrekey:   identity.CreateSignedPreKey(firstSignedPrekeyID),
	}, nil
}

// CreateKeys makes a login's keys and stores them. A store that has keys keeps them: they are returned.
func CreateKeys(ctx context.Context, store Store) (Keys, error) {
	existing, err := LoadKeys(ctx, store)
	if !errors.Is(err, ErrNoKeys) {
		return existing, err
	}
	fresh, err := GenerateKeys()
	if err != nil {
		return Keys{}, err
	}
	if err = store.PutPrivateKeys(ctx, fresh.pack()); err != nil {
		return Keys{}, fmt.Errorf("failed to store keys: %w", err)
	}
	return fresh, nil
}

// LoadKeys reads a login's keys; [ErrNoKeys] if there are none.
func LoadKeys(ctx context.Context, store Store) (Keys, error) {
	packed, err := store.PrivateKeys(ctx)
	if err != nil {
		return Keys{}, fmt.Errorf("failed to read keys: %w", err)
	} else if packed == nil {
		return Keys{}, ErrNoKeys
	}
	loaded, err := unpackKeys(packed)
	if err != nil {
		return Keys{}, err
	}
	newer, err := newestPublished(ctx, store)
	if newer != nil {
		loaded.signedPrekey = newer
	}
	return loaded, err
}

// IsZero says whether there are no keys.
func (k Keys) IsZero() bool { return k.identity == nil }

// Public is the public side of the keys.
func (k Keys) Public() PublicKeys {
	return PublicKeys{
		RegistrationID:        k.registrationID,
		Identity:              *k.identity.Pub,
		Noise:                 *k.noise.Pub,
		SignedPrekeyID:        k.signedPrekey.KeyID,
		SignedPrekey:          *k.signedPrekey.Pub,
		SignedPrekeySignature: *k.signedPrekey.Signature,
	}
}

// Sign signs a message with the identity key (XEdDSA).
func (k Keys) Sign(message []byte) [64]byte {
	return ecc.CalculateSignature(ecc.NewDjbECPrivateKey(*k.identity.Priv), message)
}

func (k Keys) pack() []byte {
	packed := make([]byte, 0, packedSize)
	packed = append(packed, packedVersion)
	packed = binary.BigEndian.AppendUint32(packed, k.registrationID)
	packed = append(packed, k.noise.Priv[:]...)
	packed = append(packed, k.identity.Priv[:]...)
	packed = binary.BigEndian.AppendUint32(packed, k.signedPrekey.KeyID)
	packed = append(packed, k.signedPrekey.Priv[:]...)
	return append(packed, k.signedPrekey.Signature[:]...)
}

func unpackKeys(packed []byte) (Keys, error) {
	if len(packed) != packedSize || packed[0] != packedVersion {
		return Keys{}, fmt.Errorf("failed to read keys: %d bytes of an unknown layout", len(packed))
	}
	rest := packed[1:]
	take := func(n int) []byte {
		part := rest[:n]
		rest = rest[n:]
		return part
	}
	k := Keys{registrationID: binary.BigEndian.Uint32(take(4))}
	k.noise = keys.NewKeyPairFromPrivateKey([32]byte(take(32)))
	k.identity = keys.NewKeyPairFromPrivateKey([32]byte(take(32)))
	id := binary.BigEndian.Uint32(take(4))
	pair := keys.NewKeyPairFromPrivateKey([32]byte(take(32)))
	signature := [64]byte(take(64))
	k.signedPrekey = &keys.PreKey{KeyPair: *pair, KeyID: id, Signature: &signature}
	return k, nil
}

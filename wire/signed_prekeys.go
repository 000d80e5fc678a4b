package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/util/keys"
)

const (
	// signedPrekeyLife is how long one signed prekey is given out to those who write first (docs/protocol.md#keys).
	signedPrekeyLife = 7 * 24 * time.Hour // assumed: U10
	// signedPrekeyKept is how long after that messages under it are still opened.
	signedPrekeyKept = 30 * 24 * time.Hour
	// packedSignedSize is the private key, its signature, when it was made, and whether the network has it.
	packedSignedSize = 32 + 64 + 8 + 1
)

// signedPrekey is one of a login's signed prekeys as its row has it.
type signedPrekey struct {
	key       *keys.PreKey
	madeAt    time.Time
	published bool
}

func (k signedPrekey) pack() []byte {
	packed := slices.Concat(k.key.Priv[:], k.key.Signature[:], binary.BigEndian.AppendUint64(nil, uint64(k.madeAt.UnixMilli())))
	if k.published {
		return append(packed, 1)
	}
	return append(packed, 0)
}

func unpackSigned(id uint32, packed []byte) (signedPrekey, error) {
	if len(packed) != packedSignedSize {
		return signedPrekey{}, fmt.Errorf("%w: signed prekey %d has %d bytes", errStore, id, len(packed))
	}
	signature := [64]byte(packed[32:96])
	return signedPrekey{
		key:       &keys.PreKey{KeyPair: *keys.NewKeyPairFromPrivateKey([32]byte(packed[:32])), KeyID: id, Signature: &signature},
		madeAt:    time.UnixMilli(int64(binary.BigEndian.Uint64(packed[96:104]))),
		published: packed[104] == 1,
	}, nil
}

// signedPrekeys are a login's signed prekeys by rising id, without the first where it was never noted.
func signedPrekeys(ctx context.Context, rows Store) ([]signedPrekey, error) {
	packed, err := rows.SignedPreKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to read signed prekeys: %w", err)
	}
	var found []signedPrekey
	for _, id := range slices.Sorted(maps.Keys(packed)) {
		key, err := unpackSigned(id, packed[id])
		if err != nil {
			return nil, err
		}
		found = append(found, key)
	}
	return found, nil
}

// rotateSignedPrekey has a new signed prekey published when the one in use has been long enough. The new one is stored before,
// so that what is encrypted to it opens however the publishing ends; it is in use once the network has surely taken it, and
// until then published again. What is too old goes.
func rotateSignedPrekey(ctx context.Context, rows Store, now time.Time, publish func(context.Context, PublicKeys) error) error {
	var next *signedPrekey
	var base Keys
	err := rows.Transaction(ctx, func(ctx context.Context) (err error) {
		if base, err = LoadKeys(ctx, rows); err != nil {
			return err
		}
		next, err = nextSignedPrekey(ctx, rows, base, now)
		return err
	})
	if err != nil || next == nil {
		return err
	}
	base.signedPrekey = next.key
	if err = publish(ctx, base.Public()); err != nil {
		return fmt.Errorf("failed to publish a signed prekey: %w", err)
	}
	next.published = true
	// The network has it now: that must be remembered even if the caller is gone.
	return storeFailure("note a signed prekey", rows.PutSignedPreKey(context.WithoutCancel(ctx), next.key.KeyID, next.pack()))
}

// nextSignedPrekey is the key to be published now, made if need be, nil for none. It runs in a transaction.
func nextSignedPrekey(ctx context.Context, rows Store, base Keys, now time.Time) (*signedPrekey, error) {
	known, err := signedPrekeys(ctx, rows)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 { // the first one came with the account, and its time begins now
		first := signedPrekey{key: base.signedPrekey, madeAt: now, published: true}
		return nil, storeFailure("note a signed prekey", rows.PutSignedPreKey(ctx, first.key.KeyID, first.pack()))
	}
	newest := known[len(known)-1]
	if !newest.published {
		return &newest, nil
	}
	for i, former := range known[:len(known)-1] {
		if now.Sub(known[i+1].madeAt) > signedPrekeyKept {
			if err = rows.DeleteSignedPreKey(ctx, former.key.KeyID); err != nil {
				return nil, storeFailure("forget a signed prekey", err)
			}
		}
	}
	if now.Sub(newest.madeAt) < signedPrekeyLife || newest.key.KeyID >= maxPreKeyID {
		return nil, nil
	}
	fresh := signedPrekey{key: base.identity.CreateSignedPreKey(newest.key.KeyID + 1), madeAt: now}
	return &fresh, storeFailure("store a signed prekey", rows.PutSignedPreKey(ctx, fresh.key.KeyID, fresh.pack()))
}

// newestPublished is the signed prekey in use, nil where that is still the first.
func newestPublished(ctx context.Context, rows Store) (*keys.PreKey, error) {
	known, err := signedPrekeys(ctx, rows)
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Backward(known) {
		if key.published {
			return key.key, nil
		}
	}
	return nil, nil
}

// signalDevice is the library's device with all of a login's signed prekeys, not the one in use alone.
type signalDevice struct {
	*store.Device
	rows Store
}

// LoadSignedPreKey implements the Signal library's store.
func (d signalDevice) LoadSignedPreKey(ctx context.Context, id uint32) (*record.SignedPreKey, error) {
	if d.SignedPreKey.KeyID == id {
		return d.Device.LoadSignedPreKey(ctx, id)
	}
	known, err := signedPrekeys(ctx, d.rows)
	if err != nil {
		return nil, err
	}
	index := slices.IndexFunc(known, func(key signedPrekey) bool { return key.key.KeyID == id })
	if index < 0 {
		return nil, errors.New("a signed prekey that is not known, or not any more")
	}
	key := known[index].key
	return record.NewSignedPreKey(id, 0, ecc.NewECKeyPair(ecc.NewDjbECPublicKey(*key.Pub), ecc.NewDjbECPrivateKey(*key.Priv)), *key.Signature, nil), nil
}

package wire

import (
	"context"
	"fmt"
	"slices"

	"go.mau.fi/whatsmeow/util/keys"
)

// maxPreKeyID is the largest id that fits the wire's three bytes.
const maxPreKeyID = 0xffffff

// GetOrGenPreKeys is count prekeys that were not uploaded, made as far as they are missing, by rising id.
func (s *signalState) GetOrGenPreKeys(ctx context.Context, count uint32) (found []*keys.PreKey, err error) {
	err = s.rows.Transaction(ctx, func(ctx context.Context) error {
		pending, err := s.rows.PendingPreKeys(ctx, count)
		if err != nil {
			return err
		}
		for id, private := range pending {
			key, err := preKey(id, private)
			if err != nil {
				return err
			}
			found = append(found, key)
		}
		fresh, err := s.makePreKeys(ctx, count-uint32(len(found)), false)
		found = append(found, fresh...)
		return err
	})
	slices.SortFunc(found, func(a, b *keys.PreKey) int { return int(a.KeyID) - int(b.KeyID) })
	return found, storeFailure("make prekeys", err)
}

// GenOnePreKey is a prekey of its own, handed out in a retry receipt.
func (s *signalState) GenOnePreKey(ctx context.Context) (key *keys.PreKey, err error) {
	err = s.rows.Transaction(ctx, func(ctx context.Context) error {
		fresh, err := s.makePreKeys(ctx, 1, true)
		if err == nil {
			key = fresh[0]
		}
		return err
	})
	return key, storeFailure("make a prekey", err)
}

func (s *signalState) makePreKeys(ctx context.Context, count uint32, uploaded bool) ([]*keys.PreKey, error) {
	if count == 0 {
		return nil, nil
	}
	last, err := s.rows.LastPreKeyID(ctx)
	if err != nil {
		return nil, err
	} else if last+count > maxPreKeyID {
		return nil, fmt.Errorf("the login used up its %d prekey ids", maxPreKeyID)
	}
	fresh := make([]*keys.PreKey, count)
	rows := make(map[uint32][]byte, count)
	for i := range fresh {
		fresh[i] = keys.NewPreKey(last + 1 + uint32(i))
		rows[fresh[i].KeyID] = fresh[i].Priv[:]
	}
	return fresh, s.rows.PutPreKeys(ctx, rows, uploaded)
}

// GetPreKey is one prekey, nil if it is unknown or was used.
func (s *signalState) GetPreKey(ctx context.Context, id uint32) (*keys.PreKey, error) {
	private, err := s.rows.PreKey(ctx, id)
	if err != nil || private == nil {
		return nil, storeFailure("read a prekey", err)
	}
	return preKey(id, private)
}

// RemovePreKey forgets a prekey, in the transaction of the session that used it.
func (s *signalState) RemovePreKey(ctx context.Context, id uint32) error {
	return storeFailure("delete a prekey", s.rows.DeletePreKey(ctx, id))
}

// MarkPreKeysAsUploaded marks what the server has.
func (s *signalState) MarkPreKeysAsUploaded(ctx context.Context, upTo uint32) error {
	return storeFailure("mark prekeys", s.rows.MarkPreKeysUploaded(ctx, upTo))
}

// UploadedPreKeyCount is how many prekeys the server should have.
func (s *signalState) UploadedPreKeyCount(ctx context.Context) (int, error) {
	count, err := s.rows.CountUploadedPreKeys(ctx)
	return count, storeFailure("count prekeys", err)
}

func preKey(id uint32, private []byte) (*keys.PreKey, error) {
	if len(private) != 32 {
		return nil, fmt.Errorf("%w: prekey %d has %d bytes", errStore, id, len(private))
	}
	return &keys.PreKey{KeyPair: *keys.NewKeyPairFromPrivateKey([32]byte(private)), KeyID: id}, nil
}

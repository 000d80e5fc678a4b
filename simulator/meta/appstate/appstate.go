// Package appstate writes and reads the state that the devices of one account share: which
// chats are muted, pinned or archived, and what contacts are called. A collection is a sequence of patches, each of
// them encrypted and authenticated under keys that only the account's devices have, over a hash
// of everything that is set. It knows nothing of servers, stanzas or people.
package appstate

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"

	"go.mau.fi/whatsmeow/proto/waServerSync"
	"go.mau.fi/whatsmeow/proto/waSyncAction"
	"google.golang.org/protobuf/proto"
)

// ErrInvalid says that a patch does not hold: a MAC, the hash, or the form.
var ErrInvalid = errors.New("app state patch does not hold")

const macSize = 32

// Key is one of the keys that an account's devices share.
type Key struct {
	ID, Data                                  []byte
	index, encryption, value, snapshot, patch []byte
}

// NewKey makes a key of an id and 32 bytes.
func NewKey(id, data []byte) (*Key, error) {
	out, err := hkdf.Key(sha256.New, data, nil, "WhatsApp Mutation Keys", 160)
	if err != nil {
		return nil, fmt.Errorf("failed to expand an app state key: %w", err)
	}
	return &Key{id, data, out[:32], out[32:64], out[64:96], out[96:128], out[128:160]}, nil
}

func mac(algorithm func() hash.Hash, key []byte, parts ...[]byte) []byte {
	h := hmac.New(algorithm, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func number(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// Change is one thing that is set or removed.
type Change struct {
	// Index names the thing: what it is, and of which chat or person.
	Index   []string
	Version int32
	// Value is what it is set to, nil to remove it.
	Value *waSyncAction.SyncActionValue
}

// IndexText is an index as the network spells it.
func IndexText(index []string) (string, error) {
	data, err := json.Marshal(index)
	return string(data), err
}

// Seal encrypts a change.
func (k *Key) Seal(c Change) (*waServerSync.SyncdMutation, error) {
	index, err := IndexText(c.Index)
	if err != nil {
		return nil, err
	}
	operation := waServerSync.SyncdMutation_SET
	value := c.Value
	if value == nil {
		operation, value = waServerSync.SyncdMutation_REMOVE, &waSyncAction.SyncActionValue{}
	}
	plain, err := proto.Marshal(&waSyncAction.SyncActionData{Index: []byte(index), Value: value, Padding: []byte{}, Version: &c.Version})
	if err != nil {
		return nil, fmt.Errorf("failed to write a change: %w", err)
	}
	block, err := aes.NewCipher(k.encryption)
	if err != nil {
		return nil, err
	}
	fill := aes.BlockSize - len(plain)%aes.BlockSize
	plain = append(plain, bytes.Repeat([]byte{byte(fill)}, fill)...)
	sealed := make([]byte, aes.BlockSize, aes.BlockSize+len(plain)+macSize)
	_, _ = rand.Read(sealed) // never fails
	iv := slices.Clone(sealed)
	sealed = append(sealed, plain...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(sealed[aes.BlockSize:], plain)
	return &waServerSync.SyncdMutation{Operation: operation.Enum(), Record: &waServerSync.SyncdRecord{
		Index: &waServerSync.SyncdIndex{Blob: mac(sha256.New, k.index, []byte(index))},
		Value: &waServerSync.SyncdValue{Blob: append(sealed, k.contentMAC(operation, sealed)...)},
		KeyID: &waServerSync.KeyId{ID: k.ID}}}, nil
}

func (k *Key) contentMAC(operation waServerSync.SyncdMutation_SyncdOperation, sealed []byte) []byte {
	return mac(sha512.New, k.value, []byte{byte(operation) + 1}, k.ID, sealed, number(uint64(len(k.ID)+1)))[:macSize]
}

// Open checks and decrypts a change.
func (k *Key) Open(m *waServerSync.SyncdMutation) (c Change, err error) {
	blob := m.GetRecord().GetValue().GetBlob()
	if len(blob) < 2*aes.BlockSize+macSize || (len(blob)-macSize)%aes.BlockSize != 0 {
		return c, fmt.Errorf("a value of %d bytes: %w", len(blob), ErrInvalid)
	}
	sealed, tag := blob[:len(blob)-macSize], blob[len(blob)-macSize:]
	if !hmac.Equal(tag, k.contentMAC(m.GetOperation(), sealed)) {
		return c, fmt.Errorf("MAC of a value: %w", ErrInvalid)
	}
	block, err := aes.NewCipher(k.encryption)
	if err != nil {
		return c, err
	}
	plain := make([]byte, len(sealed)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, sealed[:aes.BlockSize]).CryptBlocks(plain, sealed[aes.BlockSize:])
	fill := int(plain[len(plain)-1])
	if fill < 1 || fill > aes.BlockSize {
		return c, fmt.Errorf("padding of a value: %w", ErrInvalid)
	}
	var data waSyncAction.SyncActionData
	if err = proto.Unmarshal(plain[:len(plain)-fill], &data); err != nil {
		return c, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !hmac.Equal(mac(sha256.New, k.index, data.Index), m.GetRecord().GetIndex().GetBlob()) {
		return c, fmt.Errorf("MAC of an index: %w", ErrInvalid)
	}
	if err = json.Unmarshal(data.Index, &c.Index); err != nil || len(c.Index) == 0 {
		return c, fmt.Errorf("index %q: %w", data.Index, ErrInvalid)
	}
	c.Version = data.GetVersion()
	if m.GetOperation() == waServerSync.SyncdMutation_SET {
		c.Value = data.GetValue()
	}
	return c, nil
}

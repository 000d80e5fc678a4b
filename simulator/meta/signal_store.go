package meta

import (
	"context"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/util/optional"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
)

// signalStore is a phone's Signal state in memory. The person's lock guards it.
type signalStore struct {
	*store.NoopStore
	device     *store.Device
	identities map[string][32]byte
	sessions   map[string][]byte
	senderKeys map[string][]byte // by [senderKeyID]
	preKeys    map[uint32]*keys.PreKey
	lastKey    uint32
}

func newSignalStore(registration uint32) *signalStore {
	s := &signalStore{NoopStore: &store.NoopStore{}, identities: map[string][32]byte{},
		sessions: map[string][]byte{}, senderKeys: map[string][]byte{}, preKeys: map[uint32]*keys.PreKey{}}
	identityKey := keys.NewKeyPair()
	s.device = &store.Device{IdentityKey: identityKey, SignedPreKey: identityKey.CreateSignedPreKey(1), RegistrationID: registration}
	s.device.SetAllStores(s)
	return s
}

// generate makes count one-time keys and returns their public halves.
func (s *signalStore) generate(count int) []oneTimeKey {
	fresh := make([]oneTimeKey, count)
	for i := range fresh {
		s.lastKey++
		key := keys.NewPreKey(s.lastKey)
		s.preKeys[s.lastKey] = key
		fresh[i] = oneTimeKey{s.lastKey, *key.Pub}
	}
	return fresh
}

func (s *signalStore) public() publicKeys {
	signed := s.device.SignedPreKey
	return publicKeys{registration: s.device.RegistrationID, identity: *s.device.IdentityKey.Pub,
		signed: signedKey{signed.KeyID, *signed.Pub, *signed.Signature}}
}

// PutIdentity implements [store.IdentityStore].
func (s *signalStore) PutIdentity(_ context.Context, address string, key [32]byte) error {
	s.identities[address] = key
	return nil
}

// IsTrustedIdentity implements [store.IdentityStore]: phones go on when a contact's key changes.
func (s *signalStore) IsTrustedIdentity(context.Context, string, [32]byte) (bool, error) {
	return true, nil
}

// GetSession implements [store.SessionStore].
func (s *signalStore) GetSession(_ context.Context, address string) ([]byte, error) {
	return s.sessions[address], nil
}

// HasSession implements [store.SessionStore].
func (s *signalStore) HasSession(_ context.Context, address string) (bool, error) {
	return s.sessions[address] != nil, nil
}

// PutSession implements [store.SessionStore].
func (s *signalStore) PutSession(_ context.Context, address string, record []byte) error {
	if before := s.sessions[address]; before != nil {
		mended, err := withOnlyCurrentChanged(before, record)
		if err != nil {
			return err
		}
		record = mended
	}
	s.sessions[address] = record
	return nil
}

func senderKeyID(group, sender string) string { return group + "/" + sender }

// PutSenderKey implements [store.SenderKeyStore].
func (s *signalStore) PutSenderKey(_ context.Context, group, sender string, key []byte) error {
	s.senderKeys[senderKeyID(group, sender)] = key
	return nil
}

// GetSenderKey implements [store.SenderKeyStore].
func (s *signalStore) GetSenderKey(_ context.Context, group, sender string) ([]byte, error) {
	return s.senderKeys[senderKeyID(group, sender)], nil
}

// GetPreKey implements [store.PreKeyStore].
func (s *signalStore) GetPreKey(_ context.Context, id uint32) (*keys.PreKey, error) {
	return s.preKeys[id], nil
}

// RemovePreKey implements [store.PreKeyStore].
func (s *signalStore) RemovePreKey(_ context.Context, id uint32) error {
	delete(s.preKeys, id)
	return nil
}

// signalAddress keeps the integrator in the name, so that equal account numbers stay apart.
func signalAddress(jid types.JID) *protocol.SignalAddress {
	return protocol.NewSignalAddress(jidText(jid), uint32(jid.Device))
}

func (s *signalStore) cipher(jid types.JID) (*session.Builder, *session.Cipher) {
	address := signalAddress(jid)
	builder := session.NewBuilderFromSignal(s.device, address, store.SignalProtobufSerializer)
	return builder, session.NewCipher(builder, address)
}

// encrypt seals padded plaintext; there must be a session.
func (s *signalStore) encrypt(to types.JID, plaintext []byte) (binary.Node, error) {
	_, cipher := s.cipher(to)
	sealed, err := cipher.Encrypt(context.Background(), plaintext)
	if err != nil {
		return binary.Node{}, err
	}
	kind := "msg"
	if sealed.Type() == protocol.PREKEY_TYPE {
		kind = "pkmsg"
	}
	return binary.Node{Tag: "enc", Attrs: binary.Attrs{"v": "2", "type": kind}, Content: sealed.Serialize()}, nil
}

// decrypt opens a ciphertext; the plaintext is still padded.
func (s *signalStore) decrypt(from types.JID, enc binary.Node) ([]byte, error) {
	_, cipher := s.cipher(from)
	data, _ := enc.Content.([]byte)
	serializer := store.SignalProtobufSerializer
	if enc.Attrs["type"] == "pkmsg" {
		message, err := protocol.NewPreKeySignalMessageFromBytes(data, serializer.PreKeySignalMessage, serializer.SignalMessage)
		if err != nil {
			return nil, err
		}
		return cipher.DecryptMessage(context.Background(), message)
	}
	message, err := protocol.NewSignalMessageFromBytes(data, serializer.SignalMessage)
	if err != nil {
		return nil, err
	}
	return cipher.Decrypt(context.Background(), message)
}

// startSession begins a session from a bundle.
func (s *signalStore) startSession(with types.JID, k publicKeys) error {
	builder, _ := s.cipher(with)
	preKeyID, preKey := optional.NewEmptyUint32(), ecc.ECPublicKeyable(nil)
	if len(k.oneTime) > 0 {
		preKeyID, preKey = optional.NewOptionalUint32(k.oneTime[0].id), ecc.NewDjbECPublicKey(k.oneTime[0].public)
	}
	return builder.ProcessBundle(context.Background(), prekey.NewBundle(
		k.registration, uint32(with.Device), preKeyID, k.signed.id, preKey, ecc.NewDjbECPublicKey(k.signed.public), k.signed.signature,
		identity.NewKey(ecc.NewDjbECPublicKey(k.identity))))
}

func (s *signalStore) hasSession(with types.JID) bool {
	return s.sessions[signalAddress(with).String()] != nil
}

package wire

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/util/optional"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// side is one of two people who write to each other through their own stores.
type side struct {
	t      *testing.T
	jid    types.JID
	rows   *memory
	signal *signalState
	device *store.Device
	keys   Keys
}

func newSide(t *testing.T, lid string) *side {
	t.Helper()
	quietSignalLibrary()
	keys, err := GenerateKeys()
	require.NoError(t, err)
	s := &side{t: t, jid: types.NewJID(lid, types.HiddenUserServer), rows: newMemory()}
	s.signal = newSignalState(s.rows)
	s.use(keys)
	return s
}

func (s *side) use(keys Keys) {
	s.keys = keys
	s.device = &store.Device{
		IdentityKey: keys.identity, SignedPreKey: keys.signedPrekey, RegistrationID: keys.registrationID,
		Identities: s.signal, Sessions: s.signal, PreKeys: s.signal,
	}
}

func (s *side) bundle() *prekey.Bundle {
	once, err := s.signal.GenOnePreKey(s.t.Context())
	require.NoError(s.t, err)
	public := s.keys.Public()
	return prekey.NewBundle(public.RegistrationID, 0, optional.NewOptionalUint32(once.KeyID), public.SignedPrekeyID,
		ecc.NewDjbECPublicKey(*once.Pub), ecc.NewDjbECPublicKey(public.SignedPrekey), public.SignedPrekeySignature,
		identity.NewKey(ecc.NewDjbECPublicKey(public.Identity)))
}

type sealed struct {
	kind string
	data []byte
}

// seal encrypts for another side, with a new session if there is none.
func (s *side) seal(to *side, text string) (out sealed) {
	s.t.Helper()
	err := s.signal.change(s.t.Context(), func(ctx context.Context) error {
		address := to.jid.SignalAddress()
		builder := session.NewBuilderFromSignal(s.device, address, serializer)
		known, err := s.signal.HasSession(ctx, address.String())
		if err != nil {
			return err
		}
		if !known {
			if err = builder.ProcessBundle(ctx, to.bundle()); err != nil {
				return err
			}
		}
		message, err := session.NewCipher(builder, address).Encrypt(ctx, append([]byte(text), 2, 2))
		if err != nil {
			return err
		}
		out = sealed{"msg", message.Serialize()}
		if message.Type() == protocol.PREKEY_TYPE {
			out.kind = "pkmsg"
		}
		return nil
	})
	require.NoError(s.t, err)
	return out
}

func (s *side) open(from *side, message sealed) (got opened, err error) {
	err = s.openFor(from, message, func(_ context.Context, message opened) error {
		got = message
		return nil
	})
	return got, err
}

func (s *side) openFor(from *side, message sealed, take func(context.Context, opened) error) error {
	return s.signal.open(s.t.Context(), s.device, from.jid, message.kind, bytes.Clone(message.data), take)
}

func (s *side) reads(from *side, message sealed, want string) {
	s.t.Helper()
	got, err := s.open(from, message)
	require.NoError(s.t, err)
	require.Equal(s.t, want, string(got.plaintext))
}

func TestOpenTwice(t *testing.T) {
	anna, ben := newSide(t, "1001"), newSide(t, "1002")
	message := anna.seal(ben, "hello")
	before := ben.rows.copy()
	require.ErrorIs(t, ben.openFor(anna, message, func(context.Context, opened) error { return errBroken }), errBroken)
	require.Equal(t, before, ben.rows.rows, "what was not taken can be had again")
	ben.reads(anna, message, "hello")
	require.ErrorIs(t, ben.openFor(anna, message, func(context.Context, opened) error {
		t.Error("taken twice")
		return nil
	}), errTaken)
	ben.reads(anna, anna.seal(ben, "next"), "next")
}

func TestOpenWhatAFormerVersionHasKept(t *testing.T) {
	anna, ben := newSide(t, "1001"), newSide(t, "1002")
	message := anna.seal(ben, "hello")
	ben.reads(anna, message, "hello")
	for hash := range ben.rows.rows.taken {
		ben.rows.rows.taken[hash] = []byte("kept")
	}
	ben.reads(anna, message, "kept")
	_, err := ben.open(anna, message)
	require.ErrorIs(t, err, errTaken)
}

func TestOpenWhenBothWriteFirst(t *testing.T) {
	anna, ben := newSide(t, "1001"), newSide(t, "1002")
	for round := range 60 {
		// Each writes three before the other's arrive, in every round: sessions cross.
		var fromAnna, fromBen []sealed
		for i := range 3 {
			fromAnna = append(fromAnna, anna.seal(ben, fmt.Sprintf("anna %d/%d", round, i)))
			fromBen = append(fromBen, ben.seal(anna, fmt.Sprintf("ben %d/%d", round, i)))
		}
		for i := range 3 {
			ben.reads(anna, fromAnna[i], fmt.Sprintf("anna %d/%d", round, i))
			anna.reads(ben, fromBen[i], fmt.Sprintf("ben %d/%d", round, i))
		}
	}
	require.Less(t, len(ben.rows.rows.sessions[anna.jid.SignalAddress().String()]), 8192, "session rows must not grow")
}

func TestOpenOutOfOrder(t *testing.T) {
	anna, ben := newSide(t, "1001"), newSide(t, "1002")
	ben.reads(anna, anna.seal(ben, "first"), "first")
	anna.reads(ben, ben.seal(anna, "second"), "second")
	one, two, three := anna.seal(ben, "one"), anna.seal(ben, "two"), anna.seal(ben, "three")
	ben.reads(anna, three, "three")
	ben.reads(anna, one, "one")
	ben.reads(anna, two, "two")
}

func TestOpenForgedLeavesTheSession(t *testing.T) {
	anna, ben := newSide(t, "1001"), newSide(t, "1002")
	ben.reads(anna, anna.seal(ben, "first"), "first")
	anna.reads(ben, ben.seal(anna, "second"), "second")
	good := anna.seal(ben, "good")
	before := ben.rows.copy()
	for i := range good.data {
		forged := sealed{good.kind, bytes.Clone(good.data)}
		forged.data[i] ^= 0x40
		var got opened
		err := guarded(func() (err error) { got, err = ben.open(anna, forged); return err })
		if err != nil {
			require.Equal(t, before, ben.rows.rows, "byte %d", i)
			continue
		}
		// The Signal library authenticates the fields, not their encoding; what they say must be the same.
		require.Equal(t, "good", string(got.plaintext), "byte %d", i)
		ben.rows.rows = before
		before = ben.rows.copy()
		ben.signal.sessions.clear()
	}
	ben.reads(anna, good, "good")
}

func TestOpenNewIdentity(t *testing.T) {
	anna, ben := newSide(t, "1001"), newSide(t, "1002")
	ben.reads(anna, anna.seal(ben, "old phone"), "old phone")
	other := newSide(t, "1001")
	got, err := ben.open(other, other.seal(ben, "new phone"))
	require.NoError(t, err)
	require.True(t, got.changed)
	require.Equal(t, "new phone", string(got.plaintext))
	key, err := ben.signal.identity(t.Context(), other.jid.SignalAddress().String())
	require.NoError(t, err)
	public := other.keys.Public().Identity
	require.Equal(t, public[:], key)
}

func TestOpenUndoesAll(t *testing.T) {
	anna, ben := newSide(t, "1001"), newSide(t, "1002")
	message := anna.seal(ben, "hello")
	before := ben.rows.copy()
	for name, failing := range map[string]func(){
		"store fails": func() { ben.rows.fail = errBroken },
		"panic":       func() { ben.device.SignedPreKey = nil },
	} {
		failing()
		_, err := ben.open(anna, message)
		require.Error(t, err, name)
		require.Equal(t, before, ben.rows.rows, name)
		ben.use(ben.keys)
	}
	ben.reads(anna, message, "hello")
	require.Len(t, ben.rows.rows.prekeys, 0, "the one-time prekey goes with the session that it made")
}

func TestUnpad(t *testing.T) {
	for padded, want := range map[string]string{"ab\x01": "ab", "ab\x03\x03\x03": "ab", "\x02\x02": ""} {
		got, err := unpad([]byte(padded))
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	for _, broken := range []string{"", "ab\x00", "a\x05", "ab\x02\x03\x03"} {
		_, err := unpad([]byte(broken))
		require.ErrorIs(t, err, errPadding, "%q", broken)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("pkmsg", []byte{0x33, 0x08, 0x01})
	f.Add("msg", []byte{0x33})
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		anna, ben := newSide(t, "1001"), newSide(t, "1002")
		ben.reads(anna, anna.seal(ben, "first"), "first")
		err := guarded(func() error { _, err := ben.open(anna, sealed{kind, data}); return err })
		if err == nil {
			t.Fatal("opened what nobody sealed")
		}
		ben.reads(anna, anna.seal(ben, "next"), "next")
	})
}

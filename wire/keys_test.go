package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/ecc"
)

func TestKeysAreMadeOnce(t *testing.T) {
	rows := newMemory()
	_, err := LoadKeys(t.Context(), rows)
	require.ErrorIs(t, err, ErrNoKeys)
	made, err := CreateKeys(t.Context(), rows)
	require.NoError(t, err)
	again, err := CreateKeys(t.Context(), rows)
	require.NoError(t, err)
	require.Equal(t, made, again)
	loaded, err := LoadKeys(t.Context(), rows)
	require.NoError(t, err)
	require.Equal(t, made.Public(), loaded.Public())
	require.NotZero(t, made.Public().RegistrationID)
}

func TestKeysSign(t *testing.T) {
	keys, err := GenerateKeys()
	require.NoError(t, err)
	public := keys.Public()
	identity := ecc.NewDjbECPublicKey(public.Identity)
	prekey := append([]byte{ecc.DjbType}, public.SignedPrekey[:]...)
	require.True(t, ecc.VerifySignature(identity, prekey, public.SignedPrekeySignature))
	require.True(t, ecc.VerifySignature(identity, []byte("hello"), keys.Sign([]byte("hello"))))
	require.False(t, ecc.VerifySignature(identity, []byte("hallo"), keys.Sign([]byte("hello"))))
}

func TestUnpackKeysRefuses(t *testing.T) {
	keys, err := GenerateKeys()
	require.NoError(t, err)
	packed := keys.pack()
	for name, broken := range map[string][]byte{
		"empty": {}, "short": packed[:len(packed)-1], "long": append(packed[:len(packed):len(packed)], 0),
		"other version": append([]byte{9}, packed[1:]...),
	} {
		_, err = unpackKeys(broken)
		require.Error(t, err, name)
	}
}

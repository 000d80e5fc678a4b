package wire

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/ecc"
)

func TestSignedPrekeysRotate(t *testing.T) {
	rows, now := newMemory(), time.UnixMilli(1_790_000_000_000)
	first, err := CreateKeys(t.Context(), rows)
	require.NoError(t, err)
	var published []PublicKeys
	var failure error
	rotate := func(after time.Duration) Keys {
		t.Helper()
		now = now.Add(after)
		err := rotateSignedPrekey(t.Context(), rows, now, func(_ context.Context, keys PublicKeys) error {
			published = append(published, keys)
			return failure
		})
		require.ErrorIs(t, err, failure)
		loaded, err := LoadKeys(t.Context(), rows)
		require.NoError(t, err)
		return loaded
	}
	require.Equal(t, first.Public(), rotate(0).Public(), "its time begins now")
	require.Equal(t, first.Public(), rotate(signedPrekeyLife-time.Second).Public())
	require.Empty(t, published)

	failure = errors.New("the network is away")
	require.Equal(t, first.Public(), rotate(time.Second).Public(), "what is not published is not in use")
	failure = nil
	second := rotate(time.Second)
	require.Len(t, published, 2)
	require.Equal(t, published[0], published[1], "the same key is published again")
	require.Equal(t, second.Public(), published[1])
	require.Equal(t, first.Public().Identity, second.Public().Identity)
	require.NotEqual(t, first.Public().SignedPrekey, second.Public().SignedPrekey)
	require.EqualValues(t, firstSignedPrekeyID+1, second.Public().SignedPrekeyID)
	public := second.Public()
	require.True(t, ecc.VerifySignature(ecc.NewDjbECPublicKey(public.Identity), append([]byte{ecc.DjbType}, public.SignedPrekey[:]...), public.SignedPrekeySignature))
	require.Equal(t, second.Public(), rotate(time.Hour).Public())

	require.Len(t, rows.rows.signed, 2, "the former one still opens messages")
	third := rotate(signedPrekeyLife)
	require.EqualValues(t, firstSignedPrekeyID+2, third.Public().SignedPrekeyID)
	rotate(signedPrekeyKept)
	require.NotContains(t, rows.rows.signed, uint32(firstSignedPrekeyID), "and goes when its time is over")
	rows.rows.signed[99] = []byte("damaged")
	_, err = LoadKeys(t.Context(), rows)
	require.ErrorIs(t, err, errStore)
}

package wire

import (
	"crypto/sha512"
	"fmt"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/ecc"
)

// officialSafetyNumber is the published test vector of Signal's numeric fingerprint for
// the two keys and phone numbers of TestSafetyNumberVector.
const officialSafetyNumber = "300354477692869396892869876765458257569162576843440918079131"

func TestSafetyNumberVector(t *testing.T) {
	alice := [32]byte{
		0x06, 0x86, 0x3b, 0xc6, 0x6d, 0x02, 0xb4, 0x0d, 0x27, 0xb8, 0xd4, 0x9c, 0xa7, 0xc0, 0x9e, 0x92,
		0x39, 0x23, 0x6f, 0x9d, 0x7d, 0x25, 0xd6, 0xfc, 0xca, 0x5c, 0xe1, 0x3c, 0x70, 0x64, 0xd8, 0x68,
	}
	bob := [32]byte{
		0xf7, 0x81, 0xb6, 0xfb, 0x32, 0xfe, 0xd9, 0xba, 0x1c, 0xf2, 0xde, 0x97, 0x8d, 0x4d, 0x5d, 0xa2,
		0x8d, 0xc3, 0x40, 0x46, 0xae, 0x81, 0x44, 0x02, 0xb5, 0xc0, 0xdb, 0xd9, 0x6f, 0xda, 0x90, 0x7b,
	}
	got, err := SafetyNumber(Identity{Key: alice, ID: "+14152222222"}, Identity{Key: bob, ID: "+14153333333"})
	require.NoError(t, err)
	require.Equal(t, officialSafetyNumber, got)
}

func TestSafetyNumberProperties(t *testing.T) {
	one, two, three := randomIdentity(t, "a"), randomIdentity(t, "b"), randomIdentity(t, "b")
	number, err := SafetyNumber(one, two)
	require.NoError(t, err)
	require.Regexp(t, `^[0-9]{60}$`, number)
	turned, err := SafetyNumber(two, one)
	require.NoError(t, err)
	require.Equal(t, number, turned)
	other, err := SafetyNumber(one, three)
	require.NoError(t, err)
	require.NotEqual(t, number, other, "another key is another number")
	two.ID = "c"
	other, err = SafetyNumber(one, two)
	require.NoError(t, err)
	require.NotEqual(t, number, other, "another person is another number")
	for _, broken := range []Identity{{ID: "a"}, {Key: one.Key}} {
		_, err = SafetyNumber(one, broken)
		require.Error(t, err)
		_, err = SafetyNumber(broken, one)
		require.Error(t, err)
	}
}

// TestSafetyNumberAgainstDefinition computes a side the slow way, straight from the
// definition, and requires that the key's type byte is part of it.
func TestSafetyNumberAgainstDefinition(t *testing.T) {
	side := randomIdentity(t, "12-105012705411308@interop")
	define := func(kind byte) (digits string) {
		key := append([]byte{kind}, side.Key[:]...)
		hash := append(append([]byte{0, 0}, key...), side.ID...)
		for range 5200 {
			sum := sha512.Sum512(append(append([]byte{}, hash...), key...))
			hash = sum[:]
		}
		for i := 0; i < 30; i += 5 {
			part := new(big.Int).SetBytes(hash[i : i+5])
			digits += fmt.Sprintf("%05d", part.Mod(part, big.NewInt(100000)))
		}
		return digits
	}
	got, err := side.digits()
	require.NoError(t, err)
	require.Equal(t, define(ecc.DjbType), got)
	require.NotEqual(t, define(6), got)
}

func randomIdentity(t *testing.T, id string) Identity {
	t.Helper()
	keys, err := GenerateKeys()
	require.NoError(t, err)
	return Identity{Key: keys.Public().Identity, ID: id}
}

package wire

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/ecc"
	waBinary "go.mau.fi/whatsmeow/binary"

	"causeway/network"
)

// bundleNode is a good answer of the network, which tests bend.
func bundleNode(t *testing.T) waBinary.Node {
	t.Helper()
	keys, err := GenerateKeys()
	require.NoError(t, err)
	once, err := newSignalState(newMemory()).GenOnePreKey(t.Context())
	require.NoError(t, err)
	return waBinary.Node{Tag: "user", Content: []waBinary.Node{
		{Tag: "registration", Content: []byte{0, 0, 0, 9}},
		{Tag: "type", Content: []byte{ecc.DjbType}},
		{Tag: "identity", Content: keys.identity.Pub[:]},
		keyNode("key", once), keyNode("skey", keys.signedPrekey),
	}}
}

func TestReadBundle(t *testing.T) {
	bundle, err := readBundle(bundleNode(t))
	require.NoError(t, err)
	require.EqualValues(t, 9, bundle.RegistrationID())
	require.False(t, bundle.PreKeyID().IsEmpty)

	node := bundleNode(t)
	children := node.GetChildren()
	node.Content = append(children[:3:3], children[4])
	bundle, err = readBundle(node)
	require.NoError(t, err, "one-time prekeys may have run out")
	require.True(t, bundle.PreKeyID().IsEmpty)
	require.Nil(t, bundle.PreKey())
}

func TestReadBundleRefuses(t *testing.T) {
	lowOrder, err := hex.DecodeString("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
	require.NoError(t, err)
	for name, bend := range map[string]func(children []waBinary.Node){
		"no registration":    func(c []waBinary.Node) { c[0].Tag = "other" },
		"short registration": func(c []waBinary.Node) { c[0].Content = []byte{1} },
		"zero identity":      func(c []waBinary.Node) { c[2].Content = make([]byte, 32) },
		"low-order identity": func(c []waBinary.Node) { c[2].Content = lowOrder },
		"long identity":      func(c []waBinary.Node) { c[2].Content = make([]byte, 33) },
		"zero one-time key":  func(c []waBinary.Node) { c[3].Content.([]waBinary.Node)[1].Content = make([]byte, 32) },
		"no signed prekey":   func(c []waBinary.Node) { c[4].Tag = "other" },
		"short signature":    func(c []waBinary.Node) { c[4].Content.([]waBinary.Node)[2].Content = make([]byte, 63) },
		"id of four bytes":   func(c []waBinary.Node) { c[4].Content.([]waBinary.Node)[0].Content = make([]byte, 4) },
		"text for a key":     func(c []waBinary.Node) { c[2].Content = "key" },
	} {
		node := bundleNode(t)
		bend(node.GetChildren())
		_, err := readBundle(node)
		require.ErrorIs(t, err, network.ErrNoEncryption, name)
	}
}

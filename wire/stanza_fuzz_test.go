package wire

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// FuzzStanza reads any stanza as each of the kinds that carry what strangers or their phones have sent.
func FuzzStanza(f *testing.F) {
	anna := types.NewJID("90000000000001", types.HiddenUserServer)
	for _, node := range []waBinary.Node{
		{Tag: "message", Attrs: waBinary.Attrs{"from": anna, "id": "1", "t": "1790000000", "type": "text"}, Content: []waBinary.Node{
			{Tag: "enc", Attrs: waBinary.Attrs{"type": "msg", "v": "2"}, Content: []byte{0x33}},
		}},
		{Tag: "receipt", Attrs: waBinary.Attrs{"from": anna, "id": "1", "type": "retry"}, Content: []waBinary.Node{
			{Tag: "retry", Attrs: waBinary.Attrs{"id": "1", "count": "2", "v": "1"}}, {Tag: "registration", Content: []byte{0, 0, 0, 9}},
		}},
		{Tag: "iq", Attrs: waBinary.Attrs{"type": "result"}, Content: []waBinary.Node{{Tag: "wa_users", Content: []waBinary.Node{
			{Tag: "user", Attrs: waBinary.Attrs{"phone": "+4915110000001", "jid": anna}},
		}}}},
		{Tag: "iq", Content: []waBinary.Node{{Tag: "media_conn", Attrs: waBinary.Attrs{"ttl": "300"}, Content: []waBinary.Node{
			{Tag: "host", Attrs: waBinary.Attrs{"hostname": "media.example"}},
		}}}},
		{Tag: "receipt", Attrs: waBinary.Attrs{"from": anna, "id": "1", "type": "retry"}, Content: []waBinary.Node{
			{Tag: "registration", Content: []byte{0, 0, 0, 9}}, {Tag: "keys", Content: []waBinary.Node{{Tag: "identity", Content: make([]byte, 32)}}},
		}},
		{Tag: "failure", Attrs: waBinary.Attrs{"reason": "402", "code": "451"}},
		{Tag: "stream:error", Attrs: waBinary.Attrs{"code": "401"}},
	} {
		data, err := waBinary.Marshal(node)
		require.NoError(f, err)
		f.Add(data[1:])
	}
	l := &link{owner: &Client{cfg: Config{PeerServer: types.HiddenUserServer}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		node, err := unmarshal(data)
		if err != nil {
			return
		}
		in, envelope, refusal := l.readMessage(node)
		if refusal == 0 {
			require.NotNil(t, envelope)
			require.NotEmpty(t, in.ID)
			require.Equal(t, types.HiddenUserServer, in.From.Server)
			require.Zero(t, in.From.Device)
		}
		if found, err := lookupAnswer(node, ByPhone, "+4915110000001"); err == nil {
			require.False(t, found.JID.IsEmpty())
		}
		if names, _, err := mediaHostsAnswer(node); err == nil {
			require.NotEmpty(t, names)
		}
		if bundle, err := readBundle(*node); err == nil {
			require.NotNil(t, bundle)
		}
		if bundle, err := l.retryBundle(t.Context(), node, anna, 1); err == nil && len(node.GetChildrenByTag("keys")) > 0 {
			require.NotNil(t, bundle)
		}
		require.Error(t, loginFailure(node))
		require.Error(t, streamFailure(node))
		_ = stampOf(node)
		_ = frankingTag(node)
	})
}

// unmarshal keeps the library's panics over malformed frames to itself: they end a connection, and are not what is looked for.
func unmarshal(data []byte) (node *waBinary.Node, err error) {
	err = guarded(func() (err error) {
		node, err = waBinary.Unmarshal(data)
		return err
	})
	return node, err
}

// FuzzMediaPath makes addresses of the paths that strangers' messages name: they never lead to another host, nor out of https.
func FuzzMediaPath(f *testing.F) {
	for _, path := range []string{"/mms/abc?oe=1", "//other.example/x", "/../x", "/@other.example/", "/\\other.example", "/x?y#z", "/x y", "/%2e%2e/%00", "/x?a=%zz"} {
		f.Add(path, []byte{1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, path string, sum []byte) {
		address, err := mediaURL("media.example:443", MediaRef{Path: path, EncSHA256: sum, Type: MediaImage})
		if err != nil {
			return
		}
		request, err := http.NewRequest(http.MethodGet, address, nil)
		require.NoError(t, err)
		require.Equal(t, "media.example:443", request.URL.Host)
		require.Equal(t, "https", request.URL.Scheme)
		require.Nil(t, request.URL.User)
	})
}

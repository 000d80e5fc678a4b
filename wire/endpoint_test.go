package wire

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
)

func TestEndpointValidate(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint Endpoint
		fault    string
	}{
		"production":      {Endpoint{}, ""},
		"loopback":        {Endpoint{Host: "127.0.0.1:1234"}, ""},
		"loopback v6":     {Endpoint{Host: "[::1]:1234", TrustRoot: make([]byte, 32)}, ""},
		"proxy":           {Endpoint{Proxy: "socks5://user:secret@127.0.0.1:1080"}, ""},
		"not loopback":    {Endpoint{Host: "192.0.2.1:443"}, "loopback"},
		"a name":          {Endpoint{Host: "localhost:443"}, "address:port"},
		"no port":         {Endpoint{Host: "127.0.0.1"}, "address:port"},
		"short root":      {Endpoint{TrustRoot: []byte{1}}, "32 bytes"},
		"both":            {Endpoint{Host: "127.0.0.1:1", Proxy: "http://127.0.0.1:2"}, "proxy"},
		"no certificate":  {Endpoint{TrustRoot: make([]byte, 32), CA: []byte("nothing")}, "no certificate"},
		"ca without root": {Endpoint{CA: []byte("nothing")}, "trust root of their own"},
		"proxy of a file": {Endpoint{Proxy: "file:///etc"}, "unsupported scheme"},
	} {
		err := test.endpoint.Validate()
		if test.fault == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, test.fault, name)
		}
	}
	err := Endpoint{Proxy: "http://user:secret@[::1"}.Validate()
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

func TestEndpointRedirects(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Host))
	}))
	defer server.Close()
	client, err := Endpoint{Host: server.Listener.Addr().(*net.TCPAddr).String()}.HTTPClient()
	require.NoError(t, err)
	for _, address := range []string{"https://web.whatsapp.com/ws/chat", "http://web.whatsapp.com/"} {
		response, err := client.Get(address)
		require.NoError(t, err)
		body := make([]byte, 64)
		n, _ := response.Body.Read(body)
		require.NoError(t, response.Body.Close())
		require.Equal(t, "web.whatsapp.com", string(body[:n]), "the name stays, the connection goes to loopback")
	}
}

func TestEndpointPinsOneRoot(t *testing.T) {
	root, other := make([]byte, 32), make([]byte, 32)
	root[0], other[0] = 1, 2
	require.NoError(t, Endpoint{TrustRoot: root}.Pin())
	require.NoError(t, Endpoint{TrustRoot: root}.Pin())
	require.Equal(t, [32]byte(root), whatsmeow.WACertPubKey)
	require.Error(t, Endpoint{TrustRoot: other}.Pin())
	require.Error(t, Endpoint{}.Pin(), "the real network is another root, too")
	require.Equal(t, [32]byte(root), whatsmeow.WACertPubKey)
}

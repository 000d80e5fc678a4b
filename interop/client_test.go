package interop

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

func TestClientStaysOnItsHost(t *testing.T) {
	reached := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	service := newTestService(t, server.URL, newTestIssuer(t, newClock()))
	_, err := service.List(t.Context(), network.WhatsApp)
	require.ErrorIs(t, err, errRedirect)
	require.ErrorIs(t, err, network.ErrRejected)
	require.False(t, reached, "the token went to another host")
}

func TestClientEndsRedirectLoops(t *testing.T) {
	count := 0
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count++
		http.Redirect(w, r, server.URL+"/again", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	service := newTestService(t, server.URL, newTestIssuer(t, newClock()))
	_, err := service.List(t.Context(), network.WhatsApp)
	require.ErrorIs(t, err, errRedirect)
	require.Equal(t, 1+maxRedirects, count)
}

func TestClientVerifiesCertificates(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	service := newTestService(t, server.URL, newTestIssuer(t, newClock()))
	_, err := service.List(t.Context(), network.WhatsApp)
	require.ErrorContains(t, err, "certificate")
	require.ErrorIs(t, err, network.ErrRejected, "asking again would not help")
}

func TestClientConnectsToPublicAddressesOnly(t *testing.T) {
	for address, public := range map[string]bool{
		"93.184.216.34:443": true, "[2606:4700::1]:443": true,
		"127.0.0.1:443": false, "[::1]:443": false, "10.1.2.3:443": false, "192.168.1.1:443": false, "169.254.169.254:80": false,
		"100.64.0.1:443": false, "0.0.0.0:443": false, "224.0.0.1:443": false, "[fd00::1]:443": false, "[fe80::1]:443": false,
		"[::ffff:10.0.0.1]:443": false, "[64:ff9b::a00:1]:443": false,
	} {
		require.Equal(t, public, dialControl(false)("tcp", address, nil) == nil, address)
	}
	require.NoError(t, dialControl(true)("tcp", "127.0.0.1:1", nil))
	require.ErrorIs(t, dialControl(true)("tcp", "93.184.216.34:443", nil), errNotPublic, "a service of this machine is on this machine")
}

func TestClientIgnoresProxiesOfTheEnvironment(t *testing.T) {
	base, err := url.Parse("https://enlist.example.com")
	require.NoError(t, err)
	require.Nil(t, newHTTPClient(base).Transport.(*http.Transport).Proxy)
}

package e2e

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// front stands before the bridge's key set, as a proxy on the way would, and may give out foreign keys.
type front struct {
	*httptest.Server
	forge atomic.Bool
}

// newFront passes everything on to the bridge.
func newFront(t *testing.T, bridge string) *front {
	target, err := url.Parse(bridge)
	require.NoError(t, err)
	f := &front{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("If-None-Match")
		},
		ModifyResponse: f.change,
	}
	f.Server = httptest.NewServer(proxy)
	t.Cleanup(f.Close)
	return f
}

// change forbids caching, and swaps the keys when forging.
func (f *front) change(answer *http.Response) error {
	answer.Header.Set("Cache-Control", "max-age=0")
	answer.Header.Del("Etag")
	if answer.StatusCode != http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if f.forge.Load() {
		if body, err = foreignKeys(body); err != nil {
			return err
		}
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	answer.ContentLength = int64(len(body))
	answer.Header.Del("Content-Length")
	return nil
}

// foreignKeys is a key set with somebody else's key in place of the bridge's; other documents stay as they are.
func foreignKeys(body []byte) ([]byte, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil || len(set.Keys) == 0 {
		return body, err
	}
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key := jose.JSONWebKey{Key: foreign.Public(), Algorithm: string(jose.ES256), Use: "sig"}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	key.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}})
}

// The network refuses a token that was not signed by the published key, and the user is told.
func TestWrongSigningKey(t *testing.T) {
	var keys *front
	w := newWorld(t, func(s *settings) {
		s.issuer = func(bridge string) string {
			keys = newFront(t, bridge)
			return keys.URL
		}
	})
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("hello")
	anna.HearsText(alice, "hello")

	keys.forge.Store(true)
	w.net.DropConnections(alice.jid, "close")
	alice.WaitForNotice("refused")
	require.False(t, alice.connected())

	keys.forge.Store(false)
	alice.Command("reconnect")
	w.eventually("alice to be connected again", alice.connected)
}

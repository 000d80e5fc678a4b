package meta

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// mediaHost is a provider's end of the media proxy: it serves one file to everybody and keeps what it was asked.
type mediaHost struct {
	server   *httptest.Server
	file     []byte
	asked    []*http.Request
	change   func(http.Header)
	status   int
	spoilTag bool
}

func newMediaHost(t *testing.T, w *world) *mediaHost {
	t.Helper()
	h := &mediaHost{file: bytes.Repeat([]byte("ciphertext"), 1000)}
	h.server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		h.asked = append(h.asked, r)
		if h.status != 0 {
			out.WriteHeader(h.status)
			return
		}
		sum := sha256.Sum256(h.file)
		if h.spoilTag {
			sum[0] ^= 1
		}
		for name, value := range map[string]string{"Content-Type": "application/octet-stream", "Cache-Control": "private, max-age=0",
			"X-Content-Type-Options": "nosniff", "ETag": `"` + base64.RawURLEncoding.EncodeToString(sum[:]) + `"`} {
			out.Header().Set(name, value)
		}
		if h.change != nil {
			h.change(out.Header())
		}
		http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(h.file))
	}))
	t.Cleanup(h.server.Close)
	_, err := w.ChangeIntegrator(testIntegrator, func(i *Integrator) { i.MediaBase = h.server.URL + "/files" })
	require.NoError(t, err)
	return h
}

// proxied is a direct path of the provider.
const proxied = "/i/12/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA?oe=6ac43b80&oh=xyz"

func (w *world) fetch(path string, header http.Header) (*http.Response, []byte) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.ChatAddr()+path, nil)
	require.NoError(w.t, err)
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := loopbackClient(patience).Do(request)
	require.NoError(w.t, err)
	content, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, response.Body.Close())
	return response, content
}

// keyOf reads the published key of Meta's tokens.
func (w *world) keyOf(kid string) any {
	w.t.Helper()
	response, err := loopbackClient(patience).Get(w.MetaIssuer() + "/.well-known/jwks.json")
	require.NoError(w.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	keys, err := parseKeySet(body, []string{"ES256"})
	require.NoError(w.t, err)
	require.Contains(w.t, keys, kid)
	return keys[kid].Public
}

func TestMediaProxyAsksProviders(t *testing.T) {
	w := newWorld(t)
	h := newMediaHost(t, w)
	response, content := w.fetch(proxied+"&hash=x&mms-type=image&__wa-mms=", http.Header{"Cookie": {"a=b"}, "X-Phone": {"1"}})
	require.Equal(t, 200, response.StatusCode)
	require.Equal(t, h.file, content)
	asked := h.asked[0]
	require.Equal(t, "/files/"+strings.Repeat("A", 43)+"?oe=6ac43b80&oh=xyz", asked.URL.String(), "the rest of the query stays behind")
	require.Empty(t, asked.Header.Get("Cookie")+asked.Header.Get("X-Phone"))

	text, found := strings.CutPrefix(asked.Header.Get("Authorization"), "Bearer ")
	require.True(t, found)
	claims := jwt.MapClaims{}
	token, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(w.MetaIssuer()), jwt.WithAudience(h.server.URL),
		jwt.WithSubject("media-proxy"), jwt.WithExpirationRequired()).ParseWithClaims(text, claims, func(token *jwt.Token) (any, error) {
		return w.keyOf(token.Header["kid"].(string)), nil
	})
	require.NoError(t, err)
	require.True(t, token.Valid)
	require.Equal(t, "/"+strings.Repeat("A", 43), claims["path"])
	require.EqualValues(t, 300, claims["exp"].(float64)-claims["iat"].(float64))

	response, content = w.fetch(proxied, http.Header{"Range": {"bytes=5-9"}})
	require.Equal(t, 206, response.StatusCode)
	require.Equal(t, h.file[5:10], content)
	require.NotEqual(t, asked.Header.Get("Authorization"), h.asked[1].Header.Get("Authorization"), "each request has a token of its own")
	fetches := w.MediaFetches()
	require.Len(t, fetches, 2)
	require.EqualValues(t, len(h.file), fetches[0].Bytes)
	require.Equal(t, "bytes=5-9", fetches[1].Range)
	require.Equal(t, 206, fetches[1].Status)
}

func TestMediaProxyKnowsWhomToAsk(t *testing.T) {
	w := newWorld(t)
	h := newMediaHost(t, w)
	for _, path := range []string{"/i/13/" + strings.Repeat("A", 43), "/i/x/" + strings.Repeat("A", 43), "/i/12/short", "/i/12/"} {
		response, _ := w.fetch(path, nil)
		require.Equal(t, 404, response.StatusCode, path)
	}
	require.Empty(t, h.asked)
	_, err := w.ChangeIntegrator(testIntegrator, func(i *Integrator) { i.MediaBase = "http://192.0.2.1/files" })
	require.NoError(t, err)
	response, _ := w.fetch(proxied, nil)
	require.Equal(t, 502, response.StatusCode)
	require.Contains(t, w.MediaFetches()[0].Error, "not on loopback")
}

// What a media host must not do is found.
func TestMediaHostFindings(t *testing.T) {
	for kind, spoil := range map[string]func(w *world, h *mediaHost){
		"media-host-head": func(_ *world, h *mediaHost) {
			h.change = func(head http.Header) { head.Set("Cache-Control", "public") }
		},
		"media-host-hash":   func(_ *world, h *mediaHost) { h.spoilTag = true },
		"media-host-status": func(_ *world, h *mediaHost) { h.status = 302 },
		"media-host-closed": func(_ *world, h *mediaHost) { h.status = 401 },
		"media-host-open": func(w *world, _ *mediaHost) {
			w.Fault(Fault{Kind: FaultMediaProxy, Params: map[string]string{"token": "missing"}})
		},
	} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			w.ExpectFinding(kind)
			h := newMediaHost(t, w)
			spoil(w, h)
			w.fetch(proxied, nil)
			require.Eventually(t, func() bool { return len(w.Findings()) == 1 }, patience, time.Millisecond)
			require.Equal(t, kind, w.Findings()[0].Kind)
		})
	}
	w := newWorld(t)
	h := newMediaHost(t, w)
	w.Fault(Fault{Kind: FaultMediaProxy, Params: map[string]string{"status": "503"}})
	response, _ := w.fetch(proxied, nil)
	require.Equal(t, 503, response.StatusCode)
	require.Empty(t, h.asked)
}

package interop

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

func newTestWeb(t *testing.T, c *clock, trustedProxy string) (*web, *issuer) {
	t.Helper()
	issuer := newTestIssuer(t, c)
	return newWeb(issuer, newTestReceiver(c.now), nil, nil, trustedProxy, c.now, zerolog.Nop()), issuer
}

// newTestReceiver is one that was not opened.
func newTestReceiver(now func() time.Time) *pushReceiver {
	return newPushReceiver(completeConfig().withDefaults(), Environment{}, nil, now, zerolog.Nop())
}

func ask(handler http.Handler, method, path string, header http.Header) *http.Response {
	request := httptest.NewRequest(method, path, nil)
	for name, values := range header {
		request.Header[name] = values
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder.Result()
}

func body(t *testing.T, response *http.Response) string {
	t.Helper()
	content := make([]byte, maxBody)
	n, _ := response.Body.Read(content)
	require.NoError(t, response.Body.Close())
	return string(content[:n])
}

func TestWebServesDocuments(t *testing.T) {
	web, issuer := newTestWeb(t, newClock(), "")
	keySet, err := issuer.KeySet()
	require.NoError(t, err)
	discovery, err := issuer.Discovery()
	require.NoError(t, err)
	for path, want := range map[string]struct{ contentType, content string }{
		"/.well-known/jwks.json":            {"application/jwk-set+json", string(keySet)},
		"/.well-known/openid-configuration": {"application/json", string(discovery)},
	} {
		t.Run(path, func(t *testing.T) {
			response := ask(web, http.MethodGet, path, nil)
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.Equal(t, want.contentType, response.Header.Get("Content-Type"))
			require.Equal(t, "public, max-age=300", response.Header.Get("Cache-Control"))
			require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
			require.NotEmpty(t, response.Header.Get("Strict-Transport-Security"))
			require.NotEmpty(t, response.Header.Get("X-Request-Id"))
			require.Empty(t, response.Header.Get("Set-Cookie"))
			require.Equal(t, want.content, body(t, response))

			head := ask(web, http.MethodHead, path, nil)
			require.Equal(t, http.StatusOK, head.StatusCode)
			require.Equal(t, response.Header.Get("ETag"), head.Header.Get("ETag"))
			require.Empty(t, body(t, head))
		})
	}
}

func TestWebKnowsWhatHasChanged(t *testing.T) {
	web, issuer := newTestWeb(t, newClock(), "")
	tag := ask(web, http.MethodGet, keySetPath, nil).Header.Get("ETag")
	require.Regexp(t, `^"[\w-]+"$`, tag)
	for _, condition := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
		response := ask(web, http.MethodGet, keySetPath, http.Header{"If-None-Match": {condition}})
		require.Equal(t, http.StatusNotModified, response.StatusCode, condition)
		require.Equal(t, tag, response.Header.Get("ETag"))
		require.Equal(t, "public, max-age=300", response.Header.Get("Cache-Control"))
		require.Empty(t, body(t, response))
	}
	require.NoError(t, issuer.keys.rotate())
	response := ask(web, http.MethodGet, keySetPath, http.Header{"If-None-Match": {tag}})
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.NotEqual(t, tag, response.Header.Get("ETag"))
}

func TestWebRefusalsLookAlike(t *testing.T) {
	web, _ := newTestWeb(t, newClock(), "")
	unopened := newKeyring(t.TempDir(), time.Hour, time.Hour, time.Now, zerolog.Nop())
	closed := newWeb(newTokenIssuer(completeConfig(), unopened, time.Now), newTestReceiver(time.Now), nil, nil, "", time.Now, zerolog.Nop())
	for name, test := range map[string]struct {
		handler      http.Handler
		method, path string
		status       int
	}{
		"unknown path":    {web, http.MethodGet, "/", http.StatusNotFound},
		"path below":      {web, http.MethodGet, keySetPath + "/x", http.StatusNotFound},
		"post":            {web, http.MethodPost, keySetPath, http.StatusMethodNotAllowed},
		"delete":          {web, http.MethodDelete, discoveryPath, http.StatusMethodNotAllowed},
		"keys not opened": {closed, http.MethodGet, keySetPath, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			response := ask(test.handler, test.method, test.path, nil)
			require.Equal(t, test.status, response.StatusCode)
			require.Equal(t, "application/json", response.Header.Get("Content-Type"))
			require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
			require.Equal(t, `{"error":"refused"}`, body(t, response))
			if test.status == http.StatusMethodNotAllowed {
				require.Equal(t, "GET, HEAD", response.Header.Get("Allow"))
			}
		})
	}
}

func TestWebLimitsEachAddress(t *testing.T) {
	c := newClock()
	web, _ := newTestWeb(t, c, "192.0.2.1") // httptest's requests come from there
	from := func(address string) int {
		return ask(web, http.MethodGet, keySetPath, http.Header{"X-Forwarded-For": {"10.0.0.1, " + address}}).StatusCode
	}
	for range requestsPerMinutePerAddress {
		require.Equal(t, http.StatusOK, from("198.51.100.1"))
	}
	require.Equal(t, http.StatusTooManyRequests, from("198.51.100.1"))
	require.Equal(t, http.StatusOK, from("198.51.100.2"), "others are not held up")
	c.advance(time.Second)
	require.Equal(t, http.StatusOK, from("198.51.100.1"))
	require.Equal(t, http.StatusTooManyRequests, from("198.51.100.1"))
}

func TestWebBelievesOnlyTheTrustedProxy(t *testing.T) {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("X-Forwarded-For", "203.0.113.9, 198.51.100.1")
	require.Equal(t, "192.0.2.1", clientAddress(request, ""))
	require.Equal(t, "192.0.2.1", clientAddress(request, "192.0.2.2"))
	require.Equal(t, "198.51.100.1", clientAddress(request, "192.0.2.1"))
}

func TestLimiterLimitsAllTogether(t *testing.T) {
	c := newClock()
	limiter := newLimiter(c.now)
	allowed := 0
	for i := range maxAddresses + 10 {
		if limiter.allow(string(rune('a'+i%26)) + time.Duration(i).String()) {
			allowed++
		}
	}
	require.Equal(t, requestsPerSecond, allowed)
	require.LessOrEqual(t, len(limiter.addresses), maxAddresses)
}

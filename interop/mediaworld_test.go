package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"causeway/database"
)

const (
	mediaBase   = "https://bridge.example.eu/media"
	mediaOrigin = "https://bridge.example.eu"
)

// playedProxy is the network's media proxy, with the issuer of its tokens.
type playedProxy struct {
	t      *testing.T
	now    func() time.Time
	key    *ecdsa.PrivateKey
	kid    string
	server *httptest.Server

	mutex sync.Mutex
	reads int
	// answer replaces the key set while it is not nil.
	answer func(w http.ResponseWriter)
}

func newPlayedProxy(t *testing.T, now func() time.Time) *playedProxy {
	t.Helper()
	p := &playedProxy{t: t, now: now}
	p.rotate()
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.reads++
		if p.answer != nil {
			p.answer(w)
			return
		}
		if r.URL.Path != "/.well-known/jwks.json" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(p.keySet())
	}))
	t.Cleanup(p.server.Close)
	return p
}

// rotate replaces the signing key.
func (p *playedProxy) rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(p.t, err)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.key, p.kid = key, thumbprint(p.t, &key.PublicKey)
}

func (p *playedProxy) keySet() []byte {
	point, err := p.key.PublicKey.Bytes()
	require.NoError(p.t, err)
	encode := base64.RawURLEncoding.EncodeToString
	content, err := json.Marshal(map[string]any{"keys": []map[string]string{{"kty": "EC", "crv": "P-256", "kid": p.kid, "use": "sig",
		"alg": "ES256", "x": encode(point[1:33]), "y": encode(point[33:])}}})
	require.NoError(p.t, err)
	return content
}

func (p *playedProxy) answerWith(answer func(w http.ResponseWriter)) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.answer = answer
}

func (p *playedProxy) readSoFar() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.reads
}

// claims are those of a good token for a file.
func (p *playedProxy) claims(blob string) jwt.MapClaims {
	now := p.now().Unix()
	return jwt.MapClaims{"iss": p.server.URL, "sub": "media-proxy", "aud": mediaOrigin, "iat": now, "exp": now + 300,
		"jti": newID(""), "path": "/" + blob}
}

// sign makes a token of claims, after a change to its head.
func (p *playedProxy) sign(claims jwt.Claims, changes ...func(*jwt.Token)) string {
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["kid"] = p.kid
	for _, change := range changes {
		change(token)
	}
	signed, err := token.SignedString(p.key)
	require.NoError(p.t, err)
	return signed
}

func (p *playedProxy) token(blob string) string { return p.sign(p.claims(blob)) }

// mediaWorld is a provider that hosts files, and the proxy that fetches them.
type mediaWorld struct {
	*world
	proxy *playedProxy
	owner Enlistment
	asked int
}

func newMediaWorld(t *testing.T) *mediaWorld {
	t.Helper()
	c := newClock()
	proxy := newPlayedProxy(t, c.now)
	w := &mediaWorld{proxy: proxy, world: &world{clock: c, registry: newRegistry(t, c.now), db: openDatabase(t), dir: t.TempDir()}}
	w.restart(t)
	w.owner = w.enlisted(t, annaID)
	return w
}

func (w *mediaWorld) restart(t *testing.T) {
	t.Helper()
	w.startSettled(t, func(cfg *Config) {
		cfg.MetaIssuer, cfg.Media.BaseURL = w.proxy.server.URL, mediaBase
	})
}

// hosted is a file that the owner hosts, as a message names it.
func (w *mediaWorld) hosted(t *testing.T, content []byte) hostedFile {
	t.Helper()
	directPath, err := w.Host(t.Context(), w.owner.Address, bytes.NewReader(content), int64(len(content)), sha256.Sum256(content))
	require.NoError(t, err)
	return readDirectPath(t, directPath)
}

// hostedFile is a direct path in its parts.
type hostedFile struct{ blob, oe, oh string }

func readDirectPath(t *testing.T, directPath string) hostedFile {
	t.Helper()
	u, err := url.Parse(directPath)
	require.NoError(t, err)
	blob, found := strings.CutPrefix(u.Path, "/i/12/")
	require.True(t, found, directPath)
	require.Equal(t, directPath, "/i/12/"+blob+"?oe="+u.Query().Get("oe")+"&oh="+u.Query().Get("oh"))
	return hostedFile{blob: blob, oe: u.Query().Get("oe"), oh: u.Query().Get("oh")}
}

func (f hostedFile) target() string { return "/media/" + f.blob + "?oe=" + f.oe + "&oh=" + f.oh }

// ask requests a target of the provider from an address of its own, so that no limit is in the way.
func (w *mediaWorld) ask(method, target, token string, header http.Header) *http.Response {
	w.asked++
	w.clock.advance(10 * time.Millisecond)
	request := httptest.NewRequest(method, target, nil)
	request.RemoteAddr = fmt.Sprintf("198.51.%d.%d:1", w.asked/250, w.asked%250)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	recorder := httptest.NewRecorder()
	w.Handler().ServeHTTP(recorder, request)
	return recorder.Result()
}

// fetch asks for a file as the proxy does.
func (w *mediaWorld) fetch(f hostedFile, header http.Header) *http.Response {
	return w.ask(http.MethodGet, f.target(), w.proxy.token(f.blob), header)
}

func mediaRow(sum [32]byte, now time.Time) database.Media {
	return database.Media{ID: strings.Repeat("A", 43), Size: 10, SHA256: hex.EncodeToString(sum[:]), Ready: true, ExpiresAt: now.Add(time.Hour)}
}

func parseQuery(t testing.TB, text string) url.Values {
	t.Helper()
	query, err := url.ParseQuery(text)
	require.NoError(t, err)
	return query
}

package meta

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/ecc"
)

// fakeClock is a wall clock that tests turn.
type fakeClock struct {
	mu sync.Mutex
	at time.Time
}

func newFakeClock() *fakeClock { return &fakeClock{at: time.Now().Truncate(time.Second)} }

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// signingKey is one key of a test provider.
type signingKey struct {
	kid, alg string
	private  crypto.Signer
	public   map[string]any
}

func encode64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func newSigningKey(t *testing.T, alg string) *signingKey {
	t.Helper()
	k := &signingKey{alg: alg}
	var thumb string
	switch alg {
	case "ES256":
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		point, err := private.PublicKey.Bytes()
		require.NoError(t, err)
		x, y := encode64(point[1:33]), encode64(point[33:])
		k.private, k.public = private, map[string]any{"kty": "EC", "crv": "P-256", "x": x, "y": y}
		thumb = `{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`
	case "EdDSA":
		public, private, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		k.private, k.public = private, map[string]any{"kty": "OKP", "crv": "Ed25519", "x": encode64(public)}
		thumb = `{"crv":"Ed25519","kty":"OKP","x":"` + encode64(public) + `"}`
	}
	sum := sha256.Sum256([]byte(thumb))
	k.kid = encode64(sum[:])
	maps.Copy(k.public, map[string]any{"kid": k.kid, "use": "sig", "alg": alg})
	return k
}

// testProvider is a provider as a test plays it: key set, users, calls to the Enlistment API.
type testProvider struct {
	t     *testing.T
	n     *Network
	clock *fakeClock
	key   *signingKey
	url   string

	mu        sync.Mutex
	published []map[string]any
	answer    func(http.ResponseWriter, *http.Request) bool // takes over an answer
	reads     int
}

const testIntegrator = 12

func newTestProvider(t *testing.T, opts ...Option) *testProvider {
	t.Helper()
	p := &testProvider{t: t, clock: newFakeClock(), key: newSigningKey(t, "ES256")}
	p.published = []map[string]any{p.key.public}
	n, err := New(append([]Option{Seed(7), Profile(Calm), Logf(t.Logf), WithClock(p.clock.now)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(n.Close)
	p.n = n
	server := httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(server.Close)
	p.url = server.URL
	require.NoError(t, n.AddIntegrator(Integrator{ID: testIntegrator, Name: "Causeway", IdentifierType: "email", Issuer: p.url}))
	return p
}

func (p *testProvider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answer != nil && p.answer(w, r) {
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": p.url, "jwks_uri": p.url + "/.well-known/jwks.json",
			"id_token_signing_alg_values_supported": []string{"ES256", "EdDSA"}})
	case "/.well-known/jwks.json":
		p.reads++
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": p.published})
	default:
		http.NotFound(w, r)
	}
}

func (p *testProvider) publish(keys ...*signingKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = nil
	for _, key := range keys {
		p.published = append(p.published, key.public)
	}
}

func (p *testProvider) answerWith(answer func(http.ResponseWriter, *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *testProvider) keySetReads() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads
}

// testUser is one user of the provider, with the keys of one client.
type testUser struct {
	subject, email string
	noise          [32]byte
	identity       *ecc.ECKeyPair
	prekey         *ecc.ECKeyPair
	prekeySigned   string // once, for XEdDSA signatures differ each time
	registration   uint32
}

func newTestUser(t *testing.T, subject, email string) *testUser {
	t.Helper()
	u := &testUser{subject: subject, email: email, registration: 4711}
	var err error
	u.identity, err = ecc.GenerateKeyPair()
	require.NoError(t, err)
	u.prekey, err = ecc.GenerateKeyPair()
	require.NoError(t, err)
	public := u.prekey.PublicKey().PublicKey()
	u.prekeySigned = u.sign(append([]byte{5}, public[:]...))
	noise, err := ecc.GenerateKeyPair()
	require.NoError(t, err)
	u.noise = noise.PublicKey().PublicKey()
	return u
}

func (u *testUser) sign(message []byte) string {
	signature := ecc.CalculateSignature(u.identity.PrivateKey(), message)
	return encode64(signature[:])
}

func newJTI() string {
	var random [16]byte
	_, _ = rand.Read(random[:])
	return encode64(random[:])
}

// claims are those of a good token of the user.
func (p *testProvider) claims(u *testUser, purpose string) map[string]any {
	now := p.n.now().Unix()
	return map[string]any{
		"iss": p.url, "sub": u.subject, "aud": "urn:meta:interop:whatsapp", "purpose": purpose,
		"iat": now, "nbf": now, "exp": now + 300, "jti": newJTI(), "auth_time": now - 100,
		"cnf":             map[string]any{"jwk": map[string]any{"kty": "OKP", "crv": "X25519", "x": encode64(u.noise[:])}},
		"identifier_type": "email", "identifier": u.email, "email": u.email, "email_verified": true, "name": "Anna",
	}
}

func (p *testProvider) partnerClaims() map[string]any {
	now := p.n.now().Unix()
	return map[string]any{"iss": p.url, "sub": "partner", "aud": "urn:meta:interop:whatsapp", "purpose": "partner",
		"iat": now, "nbf": now, "exp": now + 300, "jti": newJTI()}
}

func (p *testProvider) header() map[string]any {
	return map[string]any{"typ": "JWT", "alg": p.key.alg, "kid": p.key.kid}
}

func (p *testProvider) token(claims map[string]any) string { return p.sign(p.header(), claims) }

func (p *testProvider) sign(header, claims map[string]any) string {
	p.t.Helper()
	h, err := json.Marshal(header)
	require.NoError(p.t, err)
	c, err := json.Marshal(claims)
	require.NoError(p.t, err)
	return p.signText(string(h), string(c))
}

func (p *testProvider) signText(header, claims string) string {
	p.t.Helper()
	signed := encode64([]byte(header)) + "." + encode64([]byte(claims))
	signature, err := jwt.GetSigningMethod(p.key.alg).Sign(signed, p.key.private)
	require.NoError(p.t, err)
	return signed + "." + encode64(signature)
}

// request is a call to the Enlistment API that tests bend before it goes out.
type request struct {
	method, path, token string
	body                map[string]any
	raw                 []byte // instead of body
	header              map[string]string
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func (a answer) code() string {
	refused, _ := a.body["error"].(map[string]any)
	code, _ := refused["code"].(string)
	return code
}

func (a answer) text(name string) string {
	text, _ := a.body[name].(string)
	return text
}

func (p *testProvider) do(r request) answer {
	p.t.Helper()
	a, err := p.try(r)
	require.NoError(p.t, err)
	return a
}

func (p *testProvider) try(r request) (a answer, err error) {
	data := r.raw
	if data == nil && r.body != nil {
		if data, err = json.Marshal(r.body); err != nil {
			return a, err
		}
	}
	req, err := http.NewRequest(r.method, p.n.EnlistmentURL()+r.path, bytes.NewReader(data))
	if err != nil {
		return a, err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Request-Id", uuid.NewString())
	if r.method == http.MethodPost || r.method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", uuid.NewString())
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	a = answer{status: resp.StatusCode, header: resp.Header, raw: string(content)}
	if len(content) > 0 {
		err = json.Unmarshal(content, &a.body)
	}
	return a, err
}

// enlistRequest is a good POST for the user.
func (p *testProvider) enlistRequest(u *testUser) request {
	r := request{method: http.MethodPost, path: "/v1/enlistments", token: p.token(p.claims(u, "enlist"))}
	r.body = map[string]any{
		"product": "whatsapp", "identifier": map[string]any{"type": "email", "value": u.email}, "display_name": "Anna",
		"keys": u.keys(), "possession": u.possession(r.token),
		"client":  map[string]any{"mode": "client", "ip": "203.0.113.7", "country": "DE", "software": "test/1"},
		"consent": map[string]any{"notice_version": "2026-01", "accepted_at": p.n.now().Unix()},
	}
	return r
}

func (u *testUser) keys() map[string]any {
	identity, prekey := u.identity.PublicKey().PublicKey(), u.prekey.PublicKey().PublicKey()
	return map[string]any{"registration_id": u.registration, "identity_key": encode64(identity[:]), "noise_key": encode64(u.noise[:]),
		"signed_prekey": map[string]any{"id": 1, "public_key": encode64(prekey[:]), "signature": u.prekeySigned}}
}

func (u *testUser) possession(token string) string {
	hash := sha256.Sum256([]byte(token))
	return u.sign(slices.Concat([]byte("causeway-enlist-v1"), []byte{0}, hash[:]))
}

// enlist makes the user known and returns the answer of 201.
func (p *testProvider) enlist(u *testUser) answer {
	p.t.Helper()
	a := p.do(p.enlistRequest(u))
	require.Equal(p.t, http.StatusCreated, a.status, a.raw)
	return a
}

// set changes a member of a nested body, named by a dotted path; nil removes it.
func set(body map[string]any, path string, value any) {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		body = body[name].(map[string]any)
	}
	if last := names[len(names)-1]; value == nil {
		delete(body, last)
	} else {
		body[last] = value
	}
}

func userNumber(t *testing.T, i int) *testUser {
	return newTestUser(t, fmt.Sprintf("u_%04d", i), fmt.Sprintf("user%d@example.eu", i))
}

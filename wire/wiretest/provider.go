package wiretest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"causeway/network"
	"causeway/wire"
)

// Integrator is the number of the world's provider.
const Integrator = 12

// mediaPath is where the network fetches files.
const mediaPath = "/media/"

// provider is a third-party provider as far as a login needs one: a key set that
// the network reads, tokens, and enlistment.
type provider struct {
	server *httptest.Server
	media  mediaHost
	key    *ecdsa.PrivateKey
	kid    string
	public map[string]any
	// trouble says how the key set misbehaves, see [World.KeySet].
	trouble atomic.Value
}

func newProvider() (*provider, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	x, y := base64url(point[1:33]), base64url(point[33:])
	thumb := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	p := &provider{key: key, kid: base64url(thumb[:])}
	p.public = map[string]any{"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": p.kid, "use": "sig", "alg": "ES256"}
	p.server = httptest.NewServer(http.HandlerFunc(p.serve))
	return p, nil
}

func (p *provider) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, mediaPath) {
		p.media.ServeHTTP(w, r)
		return
	}
	switch trouble, _ := p.trouble.Load().(string); trouble {
	case "unreachable":
		panic(http.ErrAbortHandler)
	case "garbage":
		_, _ = io.WriteString(w, "<html>") // whoever has gone away needs it not
		return
	}
	var body any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		w.Header().Set("Content-Type", "application/json")
		body = map[string]any{
			"issuer": p.server.URL, "jwks_uri": p.server.URL + "/.well-known/jwks.json",
			"id_token_signing_alg_values_supported": []string{"ES256"},
		}
	case "/.well-known/jwks.json":
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		body = map[string]any{"keys": []any{p.public}}
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(body)
}

// account is one user of the provider.
type account struct {
	provider *provider
	product  network.Network
	keys     wire.Keys
	subject  string
	email    string
	number   string // the account id, once enlisted
	record   string // the enlistment's id, likewise
	chatURL  string

	mu      sync.Mutex
	expired bool
	foreign bool
	change  func(claims map[string]any)
}

// token mints a token for a purpose, as good or bad as the account's state says.
func (a *account) token(purpose string) (string, error) {
	a.mu.Lock()
	expired, foreign, change := a.expired, a.foreign, a.change
	a.mu.Unlock()
	now := time.Now()
	if expired {
		now = now.Add(-time.Hour)
	}
	noise := a.keys.Public().Noise
	claims := map[string]any{
		"iss": a.provider.server.URL, "sub": a.subject, "aud": "urn:meta:interop:" + string(a.product), "purpose": purpose,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Unix() + 300, "jti": base64url(random16()), "auth_time": now.Unix() - 60,
		"cnf":             map[string]any{"jwk": map[string]any{"kty": "OKP", "crv": "X25519", "x": base64url(noise[:])}},
		"identifier_type": "email", "identifier": a.email, "email": a.email, "email_verified": true,
	}
	if a.number != "" {
		claims["account_id"] = a.number
	}
	if change != nil {
		change(claims)
	}
	key := a.provider.key
	if foreign {
		stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return "", err
		}
		key = stranger
	}
	return sign(key, map[string]any{"typ": "JWT", "alg": "ES256", "kid": a.provider.kid}, claims)
}

func sign(key *ecdsa.PrivateKey, header, claims map[string]any) (string, error) {
	h, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := base64url(h) + "." + base64url(c)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return "", err
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64url(signature[:]), nil
}

// enlist makes the account known to the network.
func (a *account) enlist(base string) error {
	token, err := a.token("enlist")
	if err != nil {
		return err
	}
	hash, public := sha256.Sum256([]byte(token)), a.keys.Public()
	possession := a.keys.Sign(append([]byte("causeway-enlist-v1\x00"), hash[:]...))
	body, err := json.Marshal(map[string]any{
		"product": a.product, "identifier": map[string]any{"type": "email", "value": a.email}, "display_name": "Alice",
		"keys": map[string]any{
			"registration_id": public.RegistrationID, "identity_key": base64url(public.Identity[:]), "noise_key": base64url(public.Noise[:]),
			"signed_prekey": map[string]any{
				"id": public.SignedPrekeyID, "public_key": base64url(public.SignedPrekey[:]), "signature": base64url(public.SignedPrekeySignature[:]),
			},
		},
		"possession": base64url(possession[:]),
		"client":     map[string]any{"mode": "client", "ip": "203.0.113.7", "country": "DE", "software": "test/1"},
		"consent":    map[string]any{"notice_version": "2026-01", "accepted_at": time.Now().Unix()},
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, base+"/v1/enlistments", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Request-Id", uuidText())
	request.Header.Set("Idempotency-Key", uuidText())
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Record  string `json:"enlistment_id"`
		Account string `json:"account_id"`
		Chat    struct {
			URL string `json:"url"`
		} `json:"chat"`
	}
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("enlistment answered %d: %s", response.StatusCode, content)
	} else if err = json.Unmarshal(content, &answer); err != nil {
		return err
	}
	a.record, a.number, a.chatURL = answer.Record, answer.Account, answer.Chat.URL
	return nil
}

// publish makes the network know a new signed prekey.
func (a *account) publish(base string, keys wire.PublicKeys) error {
	number := a.number
	a.number = "" // tokens for enlisting name no account
	token, err := a.token("enlist")
	a.number = number
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"keys": map[string]any{"signed_prekey": map[string]any{
		"id": keys.SignedPrekeyID, "public_key": base64url(keys.SignedPrekey[:]), "signature": base64url(keys.SignedPrekeySignature[:]),
	}}})
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPatch, base+"/v1/enlistments/"+a.record, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + token, "Accept": "application/json", "Content-Type": "application/json",
		"X-Request-Id": uuidText(), "Idempotency-Key": uuidText()} {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the change was answered with %d", response.StatusCode)
	}
	return nil
}

func base64url(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func random16() []byte {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return b
}

func uuidText() string {
	b := random16()
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

package meta

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// FaultMediaProxy is trouble between a phone and a provider's media host. Params["status"]
// answers the phone without asking; Params["token"] asks with a token that is missing,
// expired, for another path (other_path) or audience, or by a foreign key.
const FaultMediaProxy FaultKind = "media_proxy"

const (
	proxySubject   = "media-proxy"   // assumed: U15
	proxyTokenLife = 5 * time.Minute // assumed: U15
	blobTextLength = 43              // characters: 32 bytes in base64url, assumed: U15
)

// MediaFetch is one request of the media proxy to a provider's media host.
type MediaFetch struct {
	Integrator int       `json:"integrator_id"`
	Blob       string    `json:"blob"`
	Method     string    `json:"method"`
	Range      string    `json:"range,omitempty"`
	Time       time.Time `json:"time"`
	// Status is zero if there was no answer, for the reason in Error.
	Status int    `json:"status"`
	Bytes  int64  `json:"bytes"`
	ETag   string `json:"etag,omitempty"`
	// Token says what was wrong with the token, on purpose.
	Token string `json:"token,omitempty"`
	Error string `json:"error,omitempty"`
}

// mediaProxy fetches providers' files for phones, and proves with its tokens that it is Meta's.
type mediaProxy struct {
	key, foreign *ecdsa.PrivateKey
	jwk          jwk

	mu      sync.Mutex
	fetches []MediaFetch
}

func newMediaProxy() (*mediaProxy, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("failed to make the media proxy's key: %w", err)
	}
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("failed to make a foreign key: %w", err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, fmt.Errorf("failed to publish the media proxy's key: %w", err)
	}
	public := jwk{Type: "EC", Curve: "P-256", Use: "sig", Algorithm: "ES256",
		X: base64.RawURLEncoding.EncodeToString(point[1:33]), Y: base64.RawURLEncoding.EncodeToString(point[33:])}
	public.ID = public.thumbprint()
	return &mediaProxy{key: key, foreign: foreign, jwk: public}, nil
}

// serveKeySet publishes the keys of Meta's own tokens (docs/protocol.md#media). assumed: U15
func (n *Network) serveKeySet(w http.ResponseWriter, _ *http.Request) {
	k := n.proxy.jwk
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{"kty": k.Type, "crv": k.Curve, "kid": k.ID,
		"use": k.Use, "alg": k.Algorithm, "x": k.X, "y": k.Y}}}) // a reader that has gone away is its own affair
}

// MediaFetches lists what the media proxy asked of providers, in order.
func (n *Network) MediaFetches() []MediaFetch {
	n.proxy.mu.Lock()
	defer n.proxy.mu.Unlock()
	return slices.Clone(n.proxy.fetches)
}

// serveProxy answers a phone that asks for a provider's file (docs/protocol.md#media). assumed: U15
func (n *Network) serveProxy(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("integrator"))
	blob := r.PathValue("blob")
	n.mu.Lock()
	known := n.integrators[id]
	base := ""
	if known != nil {
		base = known.MediaBase
	}
	n.mu.Unlock()
	if err != nil || base == "" || len(blob) != blobTextLength {
		http.Error(w, "", http.StatusNotFound)
		return
	}
	fetch := MediaFetch{Integrator: id, Blob: blob, Method: r.Method, Range: r.Header.Get("Range"), Time: n.now()}
	if f := n.strikes(FaultMediaProxy, subject{}); f != nil {
		if status := atoi(f.Params["status"], 0); status != 0 {
			http.Error(w, "", status)
			return
		}
		fetch.Token = f.Params["token"]
	}
	n.passFile(w, r, base, &fetch)
	n.transcript.note(n.now(), fmt.Sprintf("media proxy: %s of integrator %d -> %d, %d bytes", r.Method, id, fetch.Status, fetch.Bytes))
	n.proxy.mu.Lock()
	defer n.proxy.mu.Unlock()
	n.proxy.fetches = append(n.proxy.fetches, fetch)
}

// passFile asks the provider and streams the answer to the phone.
func (n *Network) passFile(w http.ResponseWriter, r *http.Request, base string, fetch *MediaFetch) {
	response, err := n.askHost(r, base, fetch)
	if err != nil {
		fetch.Error = err.Error()
		http.Error(w, "", http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	fetch.Status, fetch.ETag = response.StatusCode, response.Header.Get("ETag")
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusPartialContent {
		n.checkRefusal(response, fetch)
		http.Error(w, "", response.StatusCode)
		return
	}
	n.checkHead(response, fetch)
	n.checkOwner(fetch)
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "ETag"} {
		if value := response.Header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(response.StatusCode)
	sum := sha256.New()
	fetch.Bytes, err = io.Copy(w, io.TeeReader(response.Body, io.MultiWriter(sum, n.scan("a provider's file"))))
	if err != nil {
		fetch.Error = err.Error()
		return
	}
	n.checkBody(response, fetch, sum.Sum(nil))
}

// askHost makes the request: the prefix is stripped, and of the query only what the host gave out is left. assumed: U15
func (n *Network) askHost(r *http.Request, base string, fetch *MediaFetch) (*http.Response, error) {
	query := url.Values{}
	for _, name := range []string{"oe", "oh"} {
		query[name] = r.URL.Query()[name]
	}
	request, err := http.NewRequestWithContext(r.Context(), r.Method, base+"/"+fetch.Blob+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	if fetch.Range != "" {
		request.Header.Set("Range", fetch.Range)
	}
	token, err := n.proxyToken(base, fetch)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return loopbackClient(0).Do(request)
}

// proxyToken is a token for one file, with what the fetch says is wrong with it. assumed: U15
func (n *Network) proxyToken(base string, fetch *MediaFetch) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	issued, key := n.now(), n.proxy.key
	audience, path := u.Scheme+"://"+u.Host, "/"+fetch.Blob
	switch fetch.Token {
	case "missing":
		return "", nil
	case "expired":
		issued = issued.Add(-time.Hour)
	case "other_path":
		path = "/" + strings.Repeat("A", blobTextLength)
	case "audience":
		audience = "https://other.example"
	case "foreign":
		key = n.proxy.foreign
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": n.MetaIssuer(), "sub": proxySubject, "aud": audience, "path": path, "iat": issued.Unix(),
		"exp": issued.Add(proxyTokenLife).Unix(), "jti": base64.RawURLEncoding.EncodeToString(random[:]),
	})
	token.Header["kid"] = n.proxy.jwk.ID
	return token.SignedString(key)
}

// checkHead holds what a media host says of a file against docs/protocol.md#media. assumed: U15
func (n *Network) checkHead(response *http.Response, fetch *MediaFetch) {
	for name, want := range map[string]string{
		"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", "Cache-Control": "private, max-age=0",
		"X-Content-Type-Options": "nosniff",
	} {
		if got := response.Header.Get(name); got != want {
			n.finding("media-host-head", fmt.Sprintf("integrator %d: %s is %q", fetch.Integrator, name, got))
		}
	}
	if fetch.Token != "" {
		n.finding("media-host-open", fmt.Sprintf("integrator %d gives files to a token that is %s", fetch.Integrator, fetch.Token))
	}
	if response.ContentLength < 0 {
		n.finding("media-host-head", fmt.Sprintf("integrator %d: no Content-Length", fetch.Integrator))
	}
}

// checkBody holds a whole file against its tag. assumed: U15
func (n *Network) checkBody(response *http.Response, fetch *MediaFetch, sum []byte) {
	if fetch.Method != http.MethodGet || response.StatusCode != http.StatusOK {
		return
	}
	if want := `"` + base64.RawURLEncoding.EncodeToString(sum) + `"`; fetch.ETag != want {
		n.finding("media-host-hash", fmt.Sprintf("integrator %d: a file does not have the hash of its tag", fetch.Integrator))
	}
}

// checkRefusal knows the statuses of docs/protocol.md#media; a good token must not be refused. assumed: U15
func (n *Network) checkRefusal(response *http.Response, fetch *MediaFetch) {
	switch status := response.StatusCode; {
	case !slices.Contains([]int{401, 403, 404, 416, 429, 503}, status):
		n.finding("media-host-status", fmt.Sprintf("integrator %d: HTTP %d", fetch.Integrator, status))
	case (status == 401 || status == 403) && fetch.Token == "":
		n.finding("media-host-closed", fmt.Sprintf("integrator %d refuses a good token with %d", fetch.Integrator, status))
	case (status == 429 || status == 503) && response.Header.Get("Retry-After") == "":
		n.finding("media-host-head", fmt.Sprintf("integrator %d: HTTP %d without Retry-After", fetch.Integrator, status))
	}
}

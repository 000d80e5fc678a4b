package meta

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of a provider's key set. docs/protocol.md#keyset
const (
	maxKeySetBytes   = 64 << 10
	maxKeySetKeys    = 16
	keySetTimeout    = 5 * time.Second
	lastGoodLife     = 24 * time.Hour // how long a set serves while its issuer cannot be read
	defaultKeySetAge = time.Minute    // for an answer without max-age
)

// errKeyUnknown says that no key with the wanted kid could be had from the issuer.
var errKeyUnknown = errors.New("no such key in the issuer's key set")

// verificationKey is one public key of a provider; its algorithm is fixed by the
// key set, so that a token's header can only agree or be refused.
type verificationKey struct {
	Algorithm string
	Public    crypto.PublicKey
}

// keySet is what was last read from one issuer.
type keySet struct {
	mu       sync.Mutex // held while reading, so that concurrent tokens share one request
	keys     map[string]verificationKey
	etag     string
	read     time.Time
	expires  time.Time
	lastMiss time.Time
}

// keySets reads and keeps the key sets of all issuers.
type keySets struct {
	now    func() time.Time
	pause  time.Duration // at most one re-read in this time because of an unknown kid
	client *http.Client

	mu   sync.Mutex
	sets map[string]*keySet
}

func newKeySets(now func() time.Time, pause time.Duration) *keySets {
	return &keySets{now: now, pause: pause, client: loopbackClient(keySetTimeout), sets: make(map[string]*keySet)}
}

// forget drops everything that was read from an issuer: a cold cache.
func (k *keySets) forget(issuer string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.sets, issuer)
}

// find returns the issuer's key with the given id. It reads the set when it is
// too old, and once more when the id is unknown.
func (k *keySets) find(ctx context.Context, issuer, kid string) (verificationKey, error) {
	k.mu.Lock()
	set, ok := k.sets[issuer]
	if !ok {
		set = &keySet{}
		k.sets[issuer] = set
	}
	k.mu.Unlock()

	set.mu.Lock()
	defer set.mu.Unlock()
	now := k.now()
	fresh := set.keys != nil && now.Before(set.expires)
	if !fresh {
		if err := k.read(ctx, issuer, set); err != nil && (set.keys == nil || now.Sub(set.read) > lastGoodLife) {
			return verificationKey{}, fmt.Errorf("%w: failed to read key set: %w", errKeyUnknown, err)
		}
	}
	if key, ok := set.keys[kid]; ok {
		return key, nil
	}
	if !fresh || now.Sub(set.lastMiss) < k.pause {
		return verificationKey{}, errKeyUnknown
	}
	set.lastMiss = now
	if err := k.read(ctx, issuer, set); err != nil {
		return verificationKey{}, fmt.Errorf("%w: failed to re-read key set: %w", errKeyUnknown, err)
	}
	if key, ok := set.keys[kid]; ok {
		return key, nil
	}
	return verificationKey{}, errKeyUnknown
}

// read fetches the discovery document and the key set; set changes only on success.
func (k *keySets) read(ctx context.Context, issuer string, set *keySet) error {
	ctx, cancel := context.WithTimeout(ctx, keySetTimeout)
	defer cancel()
	discovery, _, err := k.get(ctx, issuer+"/.well-known/openid-configuration", "application/json", "")
	if err != nil {
		return err
	}
	var document struct {
		Issuer     string   `json:"issuer"`
		KeySetURL  string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err = checkJSON(discovery); err != nil {
		return fmt.Errorf("openid-configuration: %w", err)
	} else if err = json.Unmarshal(discovery, &document); err != nil {
		return fmt.Errorf("openid-configuration: %w", err)
	} else if document.Issuer != issuer {
		return errors.New("openid-configuration names another issuer")
	} else if !sameOrigin(issuer, document.KeySetURL) {
		return errors.New("jwks_uri leaves the issuer's origin")
	}
	body, header, err := k.get(ctx, document.KeySetURL, "application/jwk-set+json", set.etag)
	if err != nil {
		return err
	}
	if body != nil {
		keys, err := parseKeySet(body, document.Algorithms)
		if err != nil {
			return err
		}
		set.keys, set.etag = keys, header.Get("ETag")
	}
	set.read = k.now()
	set.expires = set.read.Add(maxAge(header.Get("Cache-Control")))
	return nil
}

// get returns a body of the wanted media type, or nil when the server answers
// that the entity with this tag is unchanged.
func (k *keySets) get(ctx context.Context, address, mediaType, etag string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", mediaType)
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified && etag != "" {
		return nil, resp.Header, nil
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s answered %d", req.URL.Path, resp.StatusCode)
	}
	if got, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); got != mediaType {
		return nil, nil, fmt.Errorf("%s has media type %q, not %q", req.URL.Path, got, mediaType)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySetBytes+1))
	if err != nil {
		return nil, nil, err
	} else if len(body) > maxKeySetBytes {
		return nil, nil, fmt.Errorf("%s is larger than %d bytes", req.URL.Path, maxKeySetBytes)
	}
	return body, resp.Header, nil
}

// jwk is a JSON Web Key (RFC 7517, RFC 8037). D is here to be refused.
type jwk struct {
	Type      string           `json:"kty"`
	Curve     string           `json:"crv"`
	ID        string           `json:"kid"`
	Use       string           `json:"use"`
	Algorithm string           `json:"alg"`
	X         string           `json:"x"`
	Y         string           `json:"y"`
	D         *json.RawMessage `json:"d"`
	K         *json.RawMessage `json:"k"`
}

// parseKeySet reads a key set. Keys of foreign types are skipped; a broken key,
// or one that should not be public, spoils the whole set.
func parseKeySet(body []byte, algorithms []string) (map[string]verificationKey, error) {
	var document struct {
		Keys []jwk `json:"keys"`
	}
	if err := checkJSON(body); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	} else if err = json.Unmarshal(body, &document); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	} else if len(document.Keys) > maxKeySetKeys {
		return nil, fmt.Errorf("key set has %d keys, %d are allowed", len(document.Keys), maxKeySetKeys)
	}
	keys := make(map[string]verificationKey)
	for i, key := range document.Keys {
		if key.D != nil || key.K != nil {
			return nil, fmt.Errorf("key %d of the set shows secret members", i)
		} else if key.Type != "EC" && key.Type != "OKP" || key.Use != "sig" {
			continue
		}
		public, err := key.public()
		if err != nil {
			return nil, fmt.Errorf("key %d of the set: %w", i, err)
		} else if !slices.Contains(algorithms, key.Algorithm) {
			return nil, fmt.Errorf("key %d of the set: algorithm is not announced", i)
		} else if _, twice := keys[key.ID]; twice {
			return nil, fmt.Errorf("key %d of the set: kid is not unique", i)
		}
		keys[key.ID] = verificationKey{Algorithm: key.Algorithm, Public: public}
	}
	return keys, nil
}

// public returns the key after checking that its kid is its thumbprint.
func (k jwk) public() (crypto.PublicKey, error) {
	x, err := decodeSegment(k.X)
	if err != nil || len(x) != 32 {
		return nil, errors.New("x is not 32 bytes")
	}
	if k.ID != k.thumbprint() {
		return nil, errors.New("kid is not the RFC 7638 thumbprint")
	}
	switch {
	case k.Type == "OKP" && k.Curve == "Ed25519" && k.Algorithm == "EdDSA":
		return ed25519.PublicKey(x), nil
	case k.Type == "EC" && k.Curve == "P-256" && k.Algorithm == "ES256":
		y, err := decodeSegment(k.Y)
		if err != nil || len(y) != 32 {
			return nil, errors.New("y is not 32 bytes")
		}
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	}
	return nil, fmt.Errorf("%s %s with %s is not served", k.Type, k.Curve, k.Algorithm)
}

// thumbprint is RFC 7638: the required members in lexical order, hashed.
func (k jwk) thumbprint() string {
	form := fmt.Sprintf(`{"crv":%q,"kty":%q,"x":%q}`, k.Curve, k.Type, k.X)
	if k.Type == "EC" {
		form = fmt.Sprintf(`{"crv":%q,"kty":%q,"x":%q,"y":%q}`, k.Curve, k.Type, k.X, k.Y)
	}
	sum := sha256.Sum256([]byte(form))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// maxAge reads the time that an answer may be kept.
func maxAge(cacheControl string) time.Duration {
	for directive := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if strings.EqualFold(name, "max-age") {
			if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
				return min(time.Duration(seconds)*time.Second, lastGoodLife)
			}
		}
	}
	return defaultKeySetAge
}

func sameOrigin(a, b string) bool {
	first, err := url.Parse(a)
	if err != nil {
		return false
	}
	second, err := url.Parse(b)
	return err == nil && first.Host != "" && first.Scheme == second.Scheme && first.Host == second.Host
}

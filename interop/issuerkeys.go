package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

const (
	maxKeySetBytes = 64 << 10
	keySetTimeout  = 5 * time.Second
	// lastGoodLife is how long a set serves while its issuer cannot be read.
	lastGoodLife = 24 * time.Hour
)

// errNoKeySet: the issuer's keys cannot be had, so that nothing can be said about a token.
var errNoKeySet = errors.New("the issuer's key set cannot be read")

// issuerKeys reads and keeps the key set of one issuer (docs/protocol.md#keyset). It asks at
// most once in keyPause, whatever tokens strangers show.
type issuerKeys struct {
	url    string
	client *http.Client
	now    func() time.Time

	// mutex is held while reading, so that concurrent tokens share one request.
	mutex sync.Mutex
	keys  map[string]*ecdsa.PublicKey
	// read is when keys were read, expires until when they are fresh, asked when they were last asked for.
	read, expires, asked time.Time
	failure              error
}

func newIssuerKeys(issuer string, now func() time.Time) (*issuerKeys, error) {
	base, err := url.Parse(issuer)
	if err != nil {
		return nil, fmt.Errorf("failed to read %smeta_issuer: %w", configPath, err)
	}
	client := newHTTPClient(base)
	client.Timeout = keySetTimeout
	return &issuerKeys{url: issuer + keySetPath, client: client, now: now}, nil
}

// find is the key with this id. It reads the set when it is too old, or does not have the id.
func (k *issuerKeys) find(ctx context.Context, kid string) (*ecdsa.PublicKey, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	now := k.now()
	_, known := k.keys[kid]
	if (!known || !now.Before(k.expires)) && (k.asked.IsZero() || now.Sub(k.asked) >= keyPause) {
		k.asked = now
		// Whoever shows a token may go away; the keys are for all.
		k.failure = k.fetch(context.WithoutCancel(ctx))
	}
	if k.keys == nil || now.Sub(k.read) > lastGoodLife {
		return nil, fmt.Errorf("%w: %w", errNoKeySet, k.failure)
	}
	key := k.keys[kid]
	if key == nil {
		return nil, fmt.Errorf("%w: signed with an unknown key", errToken)
	}
	return key, nil
}

// fetch reads the set; what is known changes only on success.
func (k *issuerKeys) fetch(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := k.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", response.StatusCode)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxKeySetBytes+1))
	if err != nil {
		return err
	}
	keys, err := parseIssuerKeys(content)
	if err != nil {
		return err
	}
	k.keys, k.read = keys, k.now()
	k.expires = k.read.Add(maxAge(response.Header.Get("Cache-Control")))
	return nil
}

// parseIssuerKeys reads a key set. Keys that are not for ES256 signatures are passed over.
func parseIssuerKeys(content []byte) (map[string]*ecdsa.PublicKey, error) {
	if len(content) > maxKeySetBytes {
		return nil, errors.New("the key set is too large")
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(content, &set); err != nil {
		return nil, fmt.Errorf("the key set is no JSON: %w", err)
	}
	if len(set.Keys) > maxPublished {
		return nil, errors.New("the key set has too many keys")
	}
	keys := make(map[string]*ecdsa.PublicKey)
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(raw); err != nil {
			continue // of a kind that this library does not know
		}
		public, ok := key.Key.(*ecdsa.PublicKey)
		if !ok || public.Curve != elliptic.P256() || key.Algorithm != string(jose.ES256) || key.Use != "sig" || key.KeyID == "" {
			continue
		}
		if keys[key.KeyID] != nil {
			return nil, errors.New("the key set has one id twice")
		}
		keys[key.KeyID] = public
	}
	if len(keys) == 0 {
		return nil, errors.New("the key set has no key for ES256")
	}
	return keys, nil
}

// maxAge is how long an answer may be kept, at most as long as we keep any key set.
func maxAge(cacheControl string) time.Duration {
	for directive := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if strings.EqualFold(name, "max-age") {
			if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
				return min(time.Duration(seconds)*time.Second, lastGoodLife)
			}
		}
	}
	return keySetMaxAge
}

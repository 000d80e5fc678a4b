package interop

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Limits of a token that is shown to us (docs/protocol.md#token).
const (
	maxTokenBytes = 8 << 10
	maxTokenID    = 128
	clockSkew     = time.Minute
)

// errToken is every reason to refuse a token; what exactly was wrong stands behind it.
var errToken = errors.New("token refused")

// proxyVerifier checks the tokens by which the network's media proxy makes itself known.
type proxyVerifier struct {
	issuer, audience string
	keys             *issuerKeys
	now              func() time.Time

	mutex sync.Mutex
	// used is the tokens that were shown, until they are too old anyway. A restart
	// forgets them: a token opens one file only, and for five minutes.
	used map[string]time.Time
}

func newProxyVerifier(issuer, audience string, now func() time.Time) (*proxyVerifier, error) {
	keys, err := newIssuerKeys(issuer, now)
	if err != nil {
		return nil, err
	}
	return &proxyVerifier{issuer: issuer, audience: audience, keys: keys, now: now, used: make(map[string]time.Time)}, nil
}

// verify returns the path that the token in the header is good for. The error is errToken, or errNoKeySet.
func (v *proxyVerifier) verify(ctx context.Context, authorization []string) (string, error) {
	if len(authorization) != 1 {
		return "", fmt.Errorf("%w: no token", errToken)
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", fmt.Errorf("%w: not a bearer", errToken)
	}
	kid, err := readTokenHead(token)
	if err != nil {
		return "", err
	}
	key, err := v.keys.find(ctx, kid)
	if err != nil {
		return "", err
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return "", fmt.Errorf("%w: %w", errToken, err)
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errToken, err)
	}
	var c proxyClaims
	if err = json.Unmarshal(payload, &c); err != nil {
		return "", fmt.Errorf("%w: %w", errToken, err)
	}
	if err = v.check(c); err != nil {
		return "", err
	}
	return c.Path, nil
}

// readTokenHead checks the outer form of a token, before any of it is believed, and returns the id of its key.
func readTokenHead(token string) (kid string, err error) {
	parts := strings.Split(token, ".")
	if len(token) > maxTokenBytes || len(parts) != 3 || strings.ContainsAny(token, "\r\n") {
		return "", fmt.Errorf("%w: not of the form of a token", errToken)
	}
	var decoded [3][]byte
	for i, part := range parts {
		// Strict: one signature must not have several spellings.
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return "", fmt.Errorf("%w: not base64url without padding", errToken)
		}
	}
	var header map[string]any
	if err = json.Unmarshal(decoded[0], &header); err != nil {
		return "", fmt.Errorf("%w: %w", errToken, err)
	}
	for _, foreign := range []string{"jku", "x5u", "x5c", "x5t", "jwk", "crit", "zip", "b64"} {
		if _, found := header[foreign]; found {
			return "", fmt.Errorf("%w: its head has %s", errToken, foreign)
		}
	}
	kid, _ = header["kid"].(string)
	if header["typ"] != "JWT" || header["alg"] != string(jose.ES256) || kid == "" {
		return "", fmt.Errorf("%w: its head is not that of the proxy's tokens", errToken)
	}
	return kid, nil
}

// check compares the claims with what the proxy must say, and lets a token pass once.
func (v *proxyVerifier) check(c proxyClaims) error {
	now := v.now()
	issued, expires := time.Unix(c.IssuedAt, 0), time.Unix(c.Expires, 0)
	switch {
	case c.Issuer != v.issuer, c.Audience != v.audience, c.Subject != proxySubject:
		return fmt.Errorf("%w: of another issuer, or for somebody else", errToken)
	case c.IssuedAt <= 0, !expires.After(issued), expires.Sub(issued) > proxyLifetime:
		return fmt.Errorf("%w: its life is too long", errToken)
	case !now.Before(expires.Add(clockSkew)):
		return fmt.Errorf("%w: it has expired", errToken)
	case issued.After(now.Add(clockSkew)), time.Unix(c.NotBefore, 0).After(now.Add(clockSkew)):
		return fmt.Errorf("%w: it is not valid yet", errToken)
	case c.ID == "" || len(c.ID) > maxTokenID:
		return fmt.Errorf("%w: it has no id", errToken)
	}
	v.mutex.Lock()
	defer v.mutex.Unlock()
	for id, until := range v.used {
		if !now.Before(until) {
			delete(v.used, id)
		}
	}
	if _, found := v.used[c.ID]; found {
		return fmt.Errorf("%w: it was shown before", errToken)
	}
	v.used[c.ID] = expires.Add(clockSkew)
	return nil
}

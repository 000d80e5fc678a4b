package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"causeway/network"
)

// thumbprint is RFC 7638 written out by hand: the required members in order, hashed.
func thumbprint(t *testing.T, key *ecdsa.PublicKey) string {
	t.Helper()
	point, err := key.Bytes()
	require.NoError(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, encode(point[1:33]), encode(point[33:])))
	return encode(sum[:])
}

// verify reads a token with another library than the one that made it, against a published key set.
func verify(t *testing.T, token string, keySet []byte, now time.Time) (header, claims map[string]any) {
	t.Helper()
	var set struct {
		Keys []struct{ Kty, Crv, Kid, Use, Alg, X, Y string }
	}
	require.NoError(t, json.Unmarshal(keySet, &set))
	payload := jwt.MapClaims{}
	parsed, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithTimeFunc(func() time.Time { return now }),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding()).
		ParseWithClaims(token, payload, func(token *jwt.Token) (any, error) {
			for _, key := range set.Keys {
				if key.Kid != token.Header["kid"] {
					continue
				}
				x, errX := base64.RawURLEncoding.DecodeString(key.X)
				y, errY := base64.RawURLEncoding.DecodeString(key.Y)
				require.NoError(t, errX)
				require.NoError(t, errY)
				public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
				require.NoError(t, err)
				require.Equal(t, key.Kid, thumbprint(t, public))
				return public, nil
			}
			return nil, fmt.Errorf("unknown key %v", token.Header["kid"])
		})
	require.NoError(t, err)
	return parsed.Header, payload
}

func newTestIssuer(t *testing.T, c *clock) *issuer {
	t.Helper()
	cfg := completeConfig().withDefaults()
	return newTokenIssuer(cfg, openRing(t, t.TempDir(), c), c.now)
}

func anna(c *clock) Bearer {
	bearer := Bearer{Subject: "u_7f3a9c", IdentifierType: Email, Identifier: "anna@example.eu", DisplayName: "Anna",
		ProvedAt: c.now().Add(-time.Hour), AccountID: "105012705411308"}
	for i := range bearer.NoiseKey {
		bearer.NoiseKey[i] = byte(i)
	}
	return bearer
}

func TestTokenClaims(t *testing.T) {
	c := newClock()
	issuer := newTestIssuer(t, c)
	keySet, err := issuer.KeySet()
	require.NoError(t, err)
	now := float64(c.now().Unix())
	common := map[string]any{"iss": "https://bridge.example.eu", "iat": now, "nbf": now, "exp": now + 300}
	user := map[string]any{
		"sub": "u_7f3a9c", "auth_time": now - 3600, "name": "Anna",
		"cnf": map[string]any{"jwk": map[string]any{"kty": "OKP", "crv": "X25519", "x": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}},
	}
	email := map[string]any{"identifier_type": "email", "identifier": "anna@example.eu", "email": "anna@example.eu", "email_verified": true}
	username := anna(c)
	username.IdentifierType, username.Identifier, username.DisplayName = Username, "anna", ""

	for name, test := range map[string]struct {
		purpose Purpose
		product network.Network
		bearer  Bearer
		want    []map[string]any
		without []string
	}{
		"enlist": {PurposeEnlist, network.WhatsApp, anna(c), []map[string]any{user, email,
			{"purpose": "enlist", "aud": "urn:meta:interop:whatsapp"}}, nil},
		"connect": {PurposeConnect, network.Messenger, anna(c), []map[string]any{user, email,
			{"purpose": "connect", "aud": "urn:meta:interop:messenger", "account_id": "105012705411308"}}, nil},
		"connect by username": {PurposeConnect, network.WhatsApp, username, []map[string]any{user,
			{"identifier_type": "username", "identifier": "anna", "preferred_username": "anna"},
			{"purpose": "connect", "aud": "urn:meta:interop:whatsapp", "account_id": "105012705411308"}}, []string{"name"}},
		"partner": {PurposePartner, network.WhatsApp, anna(c), []map[string]any{
			{"purpose": "partner", "aud": "urn:meta:interop:whatsapp", "sub": "partner"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := issuer.Mint(test.purpose, test.product, test.bearer)
			require.NoError(t, err)
			header, claims := verify(t, token, keySet, c.now())
			require.Equal(t, map[string]any{"alg": "ES256", "typ": "JWT", "kid": header["kid"]}, header)
			random, err := base64.RawURLEncoding.Strict().DecodeString(claims["jti"].(string))
			require.NoError(t, err)
			require.Len(t, random, 16)
			want := map[string]any{"jti": claims["jti"]}
			for _, part := range append(test.want, common) {
				for name, value := range part {
					want[name] = value
				}
			}
			for _, name := range test.without {
				delete(want, name)
			}
			require.Equal(t, want, map[string]any(claims), "these claims and no others")
			require.NotContains(t, token, "=")
		})
	}
}

func TestTokensAreNeverTheSame(t *testing.T) {
	c := newClock()
	issuer := newTestIssuer(t, c)
	keySet, err := issuer.KeySet()
	require.NoError(t, err)
	seen := map[any]bool{}
	for range 20 {
		token, err := issuer.Mint(PurposeConnect, network.WhatsApp, anna(c))
		require.NoError(t, err)
		_, claims := verify(t, token, keySet, c.now())
		require.False(t, seen[claims["jti"]])
		seen[claims["jti"]] = true
	}
}

// A verifier that last read the key set before the rotation can check tokens made
// after it, and one that reads it afterwards can check those made before.
func TestTokensAcrossRotation(t *testing.T) {
	c := newClock()
	issuer := newTestIssuer(t, c)
	before, err := issuer.KeySet()
	require.NoError(t, err)
	old, err := issuer.Mint(PurposeConnect, network.WhatsApp, anna(c))
	require.NoError(t, err)
	require.NoError(t, issuer.keys.rotate())
	after, err := issuer.KeySet()
	require.NoError(t, err)
	fresh, err := issuer.Mint(PurposeConnect, network.WhatsApp, anna(c))
	require.NoError(t, err)
	oldHeader, _ := verify(t, old, after, c.now())
	freshHeader, _ := verify(t, fresh, before, c.now())
	require.NotEqual(t, oldHeader["kid"], freshHeader["kid"])
}

func TestKeySetIsPublic(t *testing.T) {
	issuer := newTestIssuer(t, newClock())
	keySet, err := issuer.KeySet()
	require.NoError(t, err)
	var set struct{ Keys []map[string]string }
	require.NoError(t, json.Unmarshal(keySet, &set))
	require.Len(t, set.Keys, 2)
	for _, key := range set.Keys {
		require.Equal(t, "EC P-256 sig ES256", strings.Join([]string{key["kty"], key["crv"], key["use"], key["alg"]}, " "))
		for name := range key {
			require.Contains(t, []string{"kty", "crv", "kid", "use", "alg", "x", "y"}, name)
		}
	}
	discovery, err := issuer.Discovery()
	require.NoError(t, err)
	require.JSONEq(t, `{"issuer":"https://bridge.example.eu","jwks_uri":"https://bridge.example.eu/.well-known/jwks.json",
		"id_token_signing_alg_values_supported":["ES256"]}`, string(discovery))
}

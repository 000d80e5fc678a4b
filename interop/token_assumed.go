package interop

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"causeway/failpoint"
	"causeway/network"
)

// Purpose is what a token is good for.
type Purpose string

// The purposes of tokens (docs/protocol.md#token).
const (
	PurposeEnlist  Purpose = "enlist"  // assumed: U2
	PurposeConnect Purpose = "connect" // assumed: U2
	PurposePartner Purpose = "partner" // assumed: U2
)

// keySetMaxAge is how long a verifier may keep our key set.
const keySetMaxAge = 5 * time.Minute // assumed: U2

// partnerSubject is the subject of tokens that speak for the provider itself.
const partnerSubject = "partner" // assumed: U2

// TokenIssuer mints the tokens that prove who a user is, and publishes the keys that they are checked with.
type TokenIssuer interface {
	// Mint signs a token of one purpose for one network; a partner token takes no bearer.
	Mint(purpose Purpose, product network.Network, bearer Bearer) (string, error)
	// KeySet is the public keys as they are published.
	KeySet() ([]byte, error)
	// Discovery is the document that points at the key set.
	Discovery() ([]byte, error)
}

// Bearer is the user whom a token is about.
type Bearer struct {
	// Subject is random and stable, another one for each network.
	Subject        string
	IdentifierType IdentifierType
	Identifier     string
	DisplayName    string
	// ProvedAt is when the user last proved to be the owner of the account.
	ProvedAt time.Time
	// NoiseKey binds the token to one connection key.
	NoiseKey [32]byte
	// AccountID is the network's number of the user, for connecting only.
	AccountID string
}

// claims is a token's payload.
type claims struct {
	Issuer            string        `json:"iss"`                          // assumed: U2
	Subject           string        `json:"sub"`                          // assumed: U2
	Audience          string        `json:"aud"`                          // assumed: U2
	Purpose           Purpose       `json:"purpose"`                      // assumed: U2
	IssuedAt          int64         `json:"iat"`                          // assumed: U2
	NotBefore         int64         `json:"nbf"`                          // assumed: U2
	Expires           int64         `json:"exp"`                          // assumed: U2
	ID                string        `json:"jti"`                          // assumed: U2
	AuthTime          int64         `json:"auth_time,omitempty"`          // assumed: U2
	Confirmation      *confirmation `json:"cnf,omitempty"`                // assumed: U3
	IdentifierType    string        `json:"identifier_type,omitempty"`    // assumed: U2
	Identifier        string        `json:"identifier,omitempty"`         // assumed: U2
	Email             string        `json:"email,omitempty"`              // assumed: U2
	EmailVerified     *bool         `json:"email_verified,omitempty"`     // assumed: U2
	PreferredUsername string        `json:"preferred_username,omitempty"` // assumed: U2
	AccountID         string        `json:"account_id,omitempty"`         // assumed: U2
	Name              string        `json:"name,omitempty"`               // assumed: U2
}

// confirmation binds a token to a Noise static key.
type confirmation struct {
	Key noiseJWK `json:"jwk"` // assumed: U3
}

type noiseJWK struct {
	KeyType string `json:"kty"` // assumed: U3
	Curve   string `json:"crv"` // assumed: U3
	X       string `json:"x"`   // assumed: U3
}

type issuer struct {
	origin   string
	lifetime time.Duration
	keys     *keyring
	now      func() time.Time
}

var _ TokenIssuer = (*issuer)(nil)

func newTokenIssuer(cfg Config, keys *keyring, now func() time.Time) *issuer {
	return &issuer{origin: cfg.Token.Issuer, lifetime: time.Duration(cfg.Token.Lifetime), keys: keys, now: now}
}

func (i *issuer) Mint(purpose Purpose, product network.Network, bearer Bearer) (string, error) {
	now := i.now()
	c := claims{
		Issuer: i.origin, Audience: audience(product), Purpose: purpose, ID: newID(""),
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Expires: now.Add(i.lifetime).Unix(),
	}
	if purpose == PurposePartner {
		c.Subject = partnerSubject
	} else {
		c.describe(bearer)
	}
	if purpose == PurposeConnect {
		c.AccountID = bearer.AccountID
	}
	token, err := i.sign(c)
	if err == nil {
		err = failpoint.Hit(failpoint.TokenIssued)
	}
	return token, err
}

// describe fills in what a token says about its user.
func (c *claims) describe(b Bearer) {
	c.Subject, c.Name, c.AuthTime = b.Subject, b.DisplayName, b.ProvedAt.Unix()
	// assumed: U3
	c.Confirmation = &confirmation{Key: noiseJWK{KeyType: "OKP", Curve: "X25519", X: base64.RawURLEncoding.EncodeToString(b.NoiseKey[:])}}
	c.IdentifierType, c.Identifier = string(b.IdentifierType), b.Identifier
	switch b.IdentifierType {
	case Email: // assumed: U2
		verified := true
		c.Email, c.EmailVerified = b.Identifier, &verified
	case Username: // assumed: U2
		c.PreferredUsername = b.Identifier
	}
}

func (i *issuer) sign(c claims) (string, error) {
	key, err := i.keys.current()
	if err != nil {
		return "", fmt.Errorf("failed to sign a token: %w", err)
	}
	// assumed: U2
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("failed to sign a token: %w", err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("failed to sign a token: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("failed to sign a token: %w", err)
	}
	return signed.CompactSerialize()
}

func (i *issuer) KeySet() ([]byte, error) {
	keys, err := i.keys.published()
	if err != nil {
		return nil, err
	}
	return json.Marshal(jose.JSONWebKeySet{Keys: keys})
}

func (i *issuer) Discovery() ([]byte, error) {
	return json.Marshal(map[string]any{
		"issuer":   i.origin,              // assumed: U2
		"jwks_uri": i.origin + keySetPath, // assumed: U2
		// assumed: U2
		"id_token_signing_alg_values_supported": []string{string(jose.ES256)},
	})
}

// Where the provider's documents lie below the issuer.
const (
	discoveryPath = "/.well-known/openid-configuration" // assumed: U2
	keySetPath    = "/.well-known/jwks.json"            // assumed: U2
)

// audience names a network in a token; a token is good for exactly one.
func audience(product network.Network) string {
	return "urn:meta:interop:" + string(product) // assumed: U2
}

// newID is 128 random bits behind a prefix.
func newID(prefix string) string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails, crypto/rand ends the program instead
	return prefix + base64.RawURLEncoding.EncodeToString(random[:])
}

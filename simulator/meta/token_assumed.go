package meta

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// The purposes of a token. assumed: U2
const (
	purposeEnlist  = "enlist"
	purposeConnect = "connect"
	purposePartner = "partner"
)

// Limits of a token. assumed: U2
const (
	maxTokenBytes = 8 << 10
	maxTokenLife  = 600 * time.Second
	clockSkew     = 60 * time.Second
	audiencePath  = "urn:meta:interop:"
)

// The reasons to refuse a token, as the Enlistment API names them. assumed: U1
const (
	codeTokenInvalid       = "token_invalid"
	codeTokenExpired       = "token_expired"
	codeTokenReplayed      = "token_replayed"
	codeKeyUnknown         = "key_unknown"
	codeIntegratorInactive = "integrator_inactive"
)

// tokenError says why a token was refused. Reason is for people and holds no part of the token.
type tokenError struct {
	Code   string
	Reason string
}

func (e *tokenError) Error() string { return e.Code + ": " + e.Reason }

func tokenInvalid(format string, args ...any) *tokenError {
	return &tokenError{Code: codeTokenInvalid, Reason: fmt.Sprintf(format, args...)}
}

// claims are what a verified user token says.
type claims struct {
	Issuer, Subject, Audience string
	// Product is the last part of Audience: whatsapp or messenger.
	Product string
	// AccountID is set for purpose connect only; the identifier and NoiseKey are for all but partner.
	AccountID, IdentifierType, Identifier string
	NoiseKey                              [32]byte
	Integrator                            int
}

// verifier checks the user tokens of all providers and remembers the used ones.
type verifier struct {
	n    *Network
	keys *keySets

	mu   sync.Mutex
	used map[string]time.Time // audience and jti, until the token is dead anyway
	seen map[string]int       // tokens so far, by purpose and identifier
}

func newVerifier(n *Network) *verifier {
	return &verifier{n: n, keys: newKeySets(n.now, n.cfg.tokenRefetchPause), used: make(map[string]time.Time), seen: make(map[string]int)}
}

// verifyToken checks a compact JWT in the order of docs/protocol.md#token; the
// first failure decides. An empty product stands for either. What the token is
// bound to (account, Noise key, enlistment) is for the caller to compare. It may
// read the issuer's key set over HTTP, so the model must not be locked.
func (n *Network) verifyToken(raw, purpose, product string) (*claims, *tokenError) {
	c, refused := n.tokens.verify(n.ctx, raw, purpose, product)
	if refused != nil && refused.Code == codeTokenReplayed {
		n.finding("token-replayed", purpose+" token: "+refused.Reason)
	}
	if refused != nil && refused.Code == codeTokenInvalid {
		n.finding("token-invalid", purpose+" token: "+refused.Reason)
	}
	return c, refused
}

func (v *verifier) verify(ctx context.Context, raw, purpose, product string) (*claims, *tokenError) {
	token, refused := splitToken(raw)
	if refused != nil {
		return nil, refused
	}
	c := &claims{Issuer: token.text("iss"), Subject: token.text("sub"), Audience: token.text("aud")}
	if c.Integrator, refused = v.integratorOf(c.Issuer); refused != nil {
		return nil, refused
	}
	if refused = v.checkSignature(ctx, token, c.Issuer); refused != nil {
		return nil, refused
	}
	if refused = c.checkAudience(token, purpose, product); refused != nil {
		return nil, refused
	}
	now := v.n.now()
	expires, refused := token.checkTimes(now)
	if refused != nil {
		return nil, refused
	}
	if refused = v.use(c.Audience, token.text("jti"), now, expires.Add(clockSkew)); refused != nil {
		return nil, refused
	}
	if purpose == purposePartner {
		if c.Subject != purposePartner {
			return nil, tokenInvalid("sub of a partner token is not %q", purposePartner)
		}
		return c, nil
	}
	if refused = token.checkProof(now); refused != nil {
		return nil, refused
	}
	if refused = c.readUser(token, purpose); refused != nil {
		return nil, refused
	}
	return c, nil
}

// checkSignature reads the key that the token names from its issuer.
func (v *verifier) checkSignature(ctx context.Context, token *parsedToken, issuer string) *tokenError {
	if v.n.Profile() != Calm && v.n.roll("cold-key-set", v.ordinal(token)) < 0.05 {
		v.keys.forget(issuer) // a key set may be fetched at any time
	}
	key, err := v.keys.find(ctx, issuer, token.kid)
	if err != nil {
		return &tokenError{Code: codeKeyUnknown, Reason: err.Error()}
	}
	return token.verifySignature(key)
}

// ordinal names a token by whose it is and how many came before, which unlike the
// random parts of a token is the same in each run.
func (v *verifier) ordinal(token *parsedToken) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	name := token.text("purpose") + "/" + token.text("identifier")
	v.seen[name]++
	return fmt.Sprintf("%s/%d", name, v.seen[name])
}

// parsedToken is a token taken apart, not yet trusted.
type parsedToken struct {
	alg, kid  string
	signed    string // what the signature is over
	signature []byte
	claims    map[string]any
}

// splitToken reads the three parts and the header.
func splitToken(raw string) (*parsedToken, *tokenError) {
	if len(raw) > maxTokenBytes {
		return nil, tokenInvalid("longer than %d bytes", maxTokenBytes)
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, tokenInvalid("%d parts instead of 3", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = decodeSegment(part); err != nil {
			return nil, tokenInvalid("part %d is not strict unpadded base64url", i)
		}
	}
	header, err := decodeObject(decoded[0])
	if err != nil {
		return nil, tokenInvalid("header: %v", err)
	}
	token := &parsedToken{signed: parts[0] + "." + parts[1], signature: decoded[2]}
	if refused := token.readHeader(header); refused != nil {
		return nil, refused
	}
	if token.claims, err = decodeObject(decoded[1]); err != nil {
		return nil, tokenInvalid("claims: %v", err)
	}
	return token, nil
}

// readHeader takes alg, kid and typ. Every other parameter is refused: those that bring
// or name keys (jku, x5u, x5c, jwk) and those that change the reading (crit, zip) among them.
func (t *parsedToken) readHeader(header map[string]any) *tokenError {
	for name, value := range header {
		text, isText := value.(string)
		if !isText {
			return tokenInvalid("header parameter %q is not a string", name)
		}
		switch name {
		case "alg":
			t.alg = text
		case "kid":
			t.kid = text
		case "typ":
			if text != "JWT" {
				return tokenInvalid("typ is not JWT")
			}
		default:
			return tokenInvalid("header parameter %q", name)
		}
	}
	if t.alg != jwt.SigningMethodES256.Alg() && t.alg != jwt.SigningMethodEdDSA.Alg() {
		return tokenInvalid("alg is neither ES256 nor EdDSA")
	} else if t.kid == "" {
		return tokenInvalid("no kid")
	} else if _, typed := header["typ"]; !typed {
		return tokenInvalid("no typ")
	}
	return nil
}

// verifySignature checks the signature with the algorithm of the key, never with the header's choice.
func (t *parsedToken) verifySignature(key verificationKey) *tokenError {
	if t.alg != key.Algorithm {
		return tokenInvalid("alg is not the one of the key")
	}
	if jwt.GetSigningMethod(key.Algorithm).Verify(t.signed, t.signature, key.Public) != nil {
		return tokenInvalid("signature does not verify")
	}
	return nil
}

// text is a claim of type string; any other type reads as empty.
func (t *parsedToken) text(name string) string {
	text, _ := t.claims[name].(string)
	return text
}

// seconds is a claim of whole Unix seconds.
func (t *parsedToken) seconds(name string) (time.Time, *tokenError) {
	number, _ := t.claims[name].(json.Number)
	seconds, err := number.Int64()
	if err != nil || seconds < 0 {
		return time.Time{}, tokenInvalid("%s is not a time in seconds", name)
	}
	return time.Unix(seconds, 0), nil
}

// checkTimes returns when the token expires.
func (t *parsedToken) checkTimes(now time.Time) (time.Time, *tokenError) {
	var times [3]time.Time
	for i, name := range []string{"iat", "nbf", "exp"} {
		var refused *tokenError
		if times[i], refused = t.seconds(name); refused != nil {
			return time.Time{}, refused
		}
	}
	issued, notBefore, expires := times[0], times[1], times[2]
	expired := func(reason string) (time.Time, *tokenError) {
		return time.Time{}, &tokenError{Code: codeTokenExpired, Reason: reason}
	}
	switch life := expires.Sub(issued); {
	case life <= 0 || life > maxTokenLife:
		return expired(fmt.Sprintf("life is not within %s", maxTokenLife))
	case !now.Before(expires.Add(clockSkew)):
		return expired("exp has passed")
	case issued.After(now.Add(clockSkew)) || notBefore.After(now.Add(clockSkew)):
		return expired("not valid yet")
	}
	return expires, nil
}

// checkProof checks when the user last proved to own the account.
func (t *parsedToken) checkProof(now time.Time) *tokenError {
	proved, refused := t.seconds("auth_time")
	if refused == nil && proved.After(now.Add(clockSkew)) {
		return tokenInvalid("auth_time is in the future")
	}
	return refused
}

// integratorOf finds the provider that signs under the issuer, which alone tells who is calling.
func (v *verifier) integratorOf(issuer string) (int, *tokenError) {
	if origin, err := url.Parse(issuer); err != nil || origin.Host == "" {
		return 0, tokenInvalid("iss is not an origin")
	}
	v.n.mu.Lock()
	defer v.n.mu.Unlock()
	integrator := v.n.integratorByIssuer(issuer)
	if integrator == nil {
		return 0, tokenInvalid("iss is not known")
	} else if integrator.Status != integratorActive {
		return 0, &tokenError{Code: codeIntegratorInactive, Reason: "integrator is " + integrator.Status}
	}
	return integrator.ID, nil
}

// use marks a token as used, once per audience.
func (v *verifier) use(audience, id string, now, until time.Time) *tokenError {
	if random, err := decodeSegment(id); err != nil || len(random) < 16 || len(id) > 64 {
		return tokenInvalid("jti is not 128 bits in base64url")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for old, dead := range v.used {
		if now.After(dead) {
			delete(v.used, old)
		}
	}
	if _, replayed := v.used[audience+" "+id]; replayed {
		return &tokenError{Code: codeTokenReplayed, Reason: "jti was used before"}
	}
	v.used[audience+" "+id] = until
	return nil
}

func (c *claims) checkAudience(token *parsedToken, purpose, product string) *tokenError {
	if _, single := token.claims["aud"].(string); !single {
		return tokenInvalid("aud is not a single string")
	}
	named, ok := strings.CutPrefix(c.Audience, audiencePath)
	if !ok || named != productWhatsApp && named != productMessenger || product != "" && named != product {
		return tokenInvalid("aud is for another place")
	}
	c.Product = named
	if token.text("purpose") != purpose {
		return tokenInvalid("purpose is not %s", purpose)
	}
	return nil
}

// readUser takes the claims about the user: who, by which name, with which Noise key. assumed: U3
func (c *claims) readUser(token *parsedToken, purpose string) *tokenError {
	if length := utf8.RuneCountInString(c.Subject); length < 1 || length > 64 || c.Subject == purposePartner {
		return tokenInvalid("sub is not 1 to 64 characters")
	}
	c.IdentifierType, c.Identifier = token.text("identifier_type"), token.text("identifier")
	if normalized, ok := normalizeIdentifier(c.IdentifierType, c.Identifier); !ok || normalized != c.Identifier {
		return tokenInvalid("identifier is not normalised")
	}
	claim, proof := "preferred_username", ""
	switch c.IdentifierType {
	case "email":
		claim, proof = "email", "email_verified"
	case "pn":
		claim, proof = "phone_number", "phone_number_verified"
	}
	if token.text(claim) != c.Identifier || proof != "" && token.claims[proof] != true {
		return tokenInvalid("%s does not agree with identifier, or is not verified", claim)
	}
	if name, present := token.claims["name"]; present {
		if text, isText := name.(string); !isText || !isDisplayName(text) {
			return tokenInvalid("name is not 1 to 64 characters")
		}
	}
	account, present := token.claims["account_id"]
	if c.AccountID = token.text("account_id"); purpose == purposeConnect && !isAccount(c.AccountID) {
		return tokenInvalid("account_id is not an account")
	} else if purpose != purposeConnect && present {
		return tokenInvalid("account_id %v in a token that is not for connecting", account)
	}
	return c.readNoiseKey(token)
}

func (c *claims) readNoiseKey(token *parsedToken) *tokenError {
	confirmation, _ := token.claims["cnf"].(map[string]any)
	key, _ := confirmation["jwk"].(map[string]any)
	if len(confirmation) != 1 || len(key) != 3 || key["kty"] != "OKP" || key["crv"] != "X25519" {
		return tokenInvalid("cnf is not one X25519 key")
	}
	text, _ := key["x"].(string)
	public, err := decodeSegment(text)
	if err != nil || len(public) != len(c.NoiseKey) {
		return tokenInvalid("cnf key is not 32 bytes")
	}
	copy(c.NoiseKey[:], public)
	return nil
}

// decodeSegment reads strict base64url: no padding, no line breaks, no stray bits.
func decodeSegment(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") { // which encoding/base64 passes over even when strict
		return nil, base64.CorruptInputError(strings.IndexAny(text, "\r\n"))
	}
	return base64.RawURLEncoding.Strict().DecodeString(text)
}

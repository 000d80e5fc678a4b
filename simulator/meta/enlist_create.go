package meta

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand"
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"go.mau.fi/libsignal/ecc"
)

// create enlists the user of the token. docs/protocol.md#enlistment-api
func (c *enlistCall) create() (*reply, *refusal) {
	var body enlistRequest
	if err := decodeRequest(c.body, &body); err != nil {
		return nil, refuse(apiInvalidRequest, "", err.Error())
	}
	wanted, refused := c.readEnlistment(&body)
	if refused != nil {
		return nil, refused
	}
	return c.once(func() (*reply, *refusal) {
		n := c.service.n
		n.mu.Lock()
		defer n.mu.Unlock()
		if known := c.sameSubject(wanted.Product); known != nil {
			if known.Status != enlistmentWithdrawn {
				return c.createAgain(known, wanted)
			} else if body.Consent.AcceptedAt < known.Updated.Unix() {
				return nil, refuse(apiEnlistmentWithdrawn, "consent.accepted_at", "the user withdrew after this consent")
			}
		}
		if n.identifierTaken(wanted) {
			return nil, refuse(apiIdentifierTaken, "identifier.value", "enlisted for another subject")
		}
		account, err := n.newAccount(wanted.Product, wanted.Integrator)
		if err != nil {
			return nil, refuse(apiInternal, "", err.Error())
		}
		wanted.ID, wanted.Account = n.newEnlistmentID(), account
		if wanted.Status = enlistmentActive; c.startsPending() {
			wanted.Status = enlistmentPending
		}
		wanted.Created = n.now()
		wanted.Updated = wanted.Created
		n.enlistments[wanted.ID] = wanted
		return c.replyWith(wanted, http.StatusCreated), nil
	})
}

// createAgain answers a subject that is enlisted already: the same keys are taken as a
// repetition, other keys are refused until the user has confirmed them with PATCH.
func (c *enlistCall) createAgain(known, wanted *enlistment) (*reply, *refusal) {
	switch {
	case known.Status == enlistmentSuspended && !c.service.pausedByProvider(known):
		return nil, refuse(apiAccountSuspended, "", "suspended")
	case known.Normalized != wanted.Normalized:
		return nil, refuse(apiIdentityMismatch, "identifier.value", "another identifier under the same subject")
	case known.IdentityKey != wanted.IdentityKey || known.NoiseKey != wanted.NoiseKey || known.RegistrationID != wanted.RegistrationID:
		return nil, refuse(apiIdentityMismatch, "keys", "other keys under the same subject")
	}
	known.DisplayName, known.Country = wanted.DisplayName, wanted.Country
	known.SignedPrekeyID, known.SignedPrekey, known.SignedPrekeySignature =
		wanted.SignedPrekeyID, wanted.SignedPrekey, wanted.SignedPrekeySignature
	known.Updated = c.service.n.now()
	c.service.n.enlistmentChanged(known)
	return c.replyWith(known, http.StatusOK), nil
}

// readEnlistment checks a whole request against its rules and its token.
func (c *enlistCall) readEnlistment(body *enlistRequest) (*enlistment, *refusal) {
	switch {
	case body.Status != "":
		return nil, refuse(apiInvalidRequest, "status", "not for POST")
	case body.Identifier == nil:
		return nil, refuse(apiInvalidRequest, "identifier", "missing")
	case body.Keys == nil:
		return nil, refuse(apiInvalidRequest, "keys", "missing")
	case body.Client == nil:
		return nil, refuse(apiInvalidRequest, "client", "missing")
	case body.Product != productWhatsApp && body.Product != productMessenger:
		return nil, refuse(apiInvalidRequest, "product", "neither whatsapp nor messenger")
	case body.Product != c.claims.Product:
		return nil, refuse(codeTokenInvalid, "product", "the token is for another product")
	}
	e := &enlistment{Product: body.Product, Integrator: c.claims.Integrator, Subject: c.claims.Subject}
	integrator := c.integratorRecord()
	if !slices.Contains(integrator.Products, e.Product) {
		return nil, refuse(apiInvalidRequest, "product", "not offered to this integrator")
	}
	if refused := c.readIdentifier(e, body.Identifier, integrator.IdentifierType); refused != nil {
		return nil, refused
	}
	if body.DisplayName == nil || !isDisplayName(*body.DisplayName) {
		return nil, refuse(apiDisplayNameInvalid, "display_name", "not 1 to 64 characters without controls")
	}
	e.DisplayName = *body.DisplayName
	if refused := c.readConsent(body.Consent); refused != nil {
		return nil, refused
	}
	if refused := readClient(e, body.Client, integrator.ModeAllowed); refused != nil {
		return nil, refused
	}
	return e, c.readKeys(e, body, true)
}

func (c *enlistCall) readIdentifier(e *enlistment, identifier *requestIdentifier, offered string) *refusal {
	normalized, ok := normalizeIdentifier(identifier.Type, identifier.Value)
	switch {
	case identifier.Type != offered || !ok:
		return refuse(apiIdentifierUnusable, "identifier", "not of the integrator's type")
	case identifier.Type != c.claims.IdentifierType || normalized != c.claims.Identifier:
		return refuse(codeTokenInvalid, "identifier.value", "the token is about another identifier")
	}
	e.IdentifierType, e.Identifier, e.Normalized = identifier.Type, identifier.Value, normalized
	return nil
}

func (c *enlistCall) readConsent(consent *requestConsent) *refusal {
	if consent == nil || consent.NoticeVersion == "" || consent.AcceptedAt <= 0 {
		return refuse(apiConsentMissing, "consent", "the user has not accepted a notice")
	} else if consent.AcceptedAt > c.service.n.now().Add(clockSkew).Unix() {
		return refuse(apiInvalidRequest, "consent.accepted_at", "in the future")
	}
	return nil
}

func readClient(e *enlistment, client *requestClient, allowed string) *refusal {
	if client.Mode != modeClient && client.Mode != modeProxy || allowed != "both" && client.Mode != allowed {
		return refuse(apiInvalidRequest, "client.mode", "not client or proxy, or not agreed on")
	}
	if _, err := netip.ParseAddr(client.IP); client.IP != "" && err != nil {
		return refuse(apiInvalidRequest, "client.ip", "not an address")
	}
	if len(client.Country) != 2 || client.Country[0] < 'A' || client.Country[0] > 'Z' || client.Country[1] < 'A' || client.Country[1] > 'Z' {
		return refuse(apiInvalidRequest, "client.country", "not an ISO 3166-1 alpha-2 code")
	} else if !inEEA(client.Country) {
		return refuse(apiRegionNotAllowed, "client.country", "outside the EEA")
	}
	e.Country = client.Country
	return nil
}

// readKeys checks keys, that the token is bound to the Noise key, and that whoever asks
// holds the identity key. Of a change, which need not be complete, only what is there is read.
func (c *enlistCall) readKeys(e *enlistment, body *enlistRequest, complete bool) *refusal {
	keys := body.Keys
	if complete && (keys.RegistrationID == nil || keys.IdentityKey == "" || keys.NoiseKey == "" || keys.SignedPrekey == nil) {
		return refuse(apiInvalidRequest, "keys", "incomplete")
	}
	if keys.NoiseKey != "" {
		if !readKey(keys.NoiseKey, e.NoiseKey[:]) {
			return refuse(apiInvalidRequest, "keys.noise_key", "not a key of 32 bytes")
		} else if e.NoiseKey != c.claims.NoiseKey {
			return refuse(codeTokenInvalid, "keys.noise_key", "the token is bound to another key")
		}
	}
	if keys.RegistrationID != nil {
		e.RegistrationID = *keys.RegistrationID
	}
	if keys.IdentityKey != "" {
		if !readKey(keys.IdentityKey, e.IdentityKey[:]) {
			return refuse(apiInvalidRequest, "keys.identity_key", "not a key of 32 bytes")
		}
		var possession [64]byte
		hash := sha256.Sum256([]byte(c.token))
		if !readKey(body.Possession, possession[:]) ||
			!ecc.VerifySignature(ecc.NewDjbECPublicKey(e.IdentityKey), append([]byte(possessionContext), hash[:]...), possession) {
			return refuse(apiKeySignatureInvalid, "possession", "not signed by the identity key")
		}
		if keys.SignedPrekey == nil {
			return refuse(apiInvalidRequest, "keys.signed_prekey", "a new identity needs a new signed prekey")
		}
	}
	if keys.SignedPrekey != nil {
		return readSignedPrekey(e, keys.SignedPrekey)
	}
	return nil
}

func readSignedPrekey(e *enlistment, prekey *requestPrekey) *refusal {
	if prekey.ID < 1 || prekey.ID > maxPrekeyID || !readKey(prekey.PublicKey, e.SignedPrekey[:]) {
		return refuse(apiInvalidRequest, "keys.signed_prekey", "not a key of 32 bytes with an id of 24 bits")
	}
	key := signedKey{id: prekey.ID, public: e.SignedPrekey}
	if !readKey(prekey.Signature, key.signature[:]) || !key.signedBy(e.IdentityKey) {
		return refuse(apiKeySignatureInvalid, "keys.signed_prekey.signature", "not signed by the identity key")
	}
	e.SignedPrekeyID, e.SignedPrekeySignature = key.id, key.signature
	return nil
}

// readKey decodes base64url of exactly the length of to; all zeros is no key.
func readKey(text string, to []byte) bool {
	data, err := decodeSegment(text)
	if err != nil || len(data) != len(to) || !slices.ContainsFunc(data, func(b byte) bool { return b != 0 }) {
		return false
	}
	copy(to, data)
	return true
}

// sameSubject finds the latest enlistment of the token's subject. The model must be locked.
func (c *enlistCall) sameSubject(product string) *enlistment {
	var latest *enlistment
	for _, e := range c.service.n.enlistments {
		if e.Integrator == c.claims.Integrator && e.Product == product && e.Subject == c.claims.Subject &&
			(latest == nil || e.Status != enlistmentWithdrawn || latest.Status == enlistmentWithdrawn && e.Created.After(latest.Created)) {
			latest = e
		}
	}
	return latest
}

// identifierTaken tells whether another subject has the identifier. The model must be locked.
func (n *Network) identifierTaken(wanted *enlistment) bool {
	for _, e := range n.enlistments {
		if e.Integrator == wanted.Integrator && e.Product == wanted.Product && e.Normalized == wanted.Normalized &&
			e.Subject != wanted.Subject && e.Status != enlistmentWithdrawn {
			return true
		}
	}
	return false
}

// newEnlistmentID draws an opaque id. The model must be locked.
func (n *Network) newEnlistmentID() string {
	var id [16]byte
	n.random(func(r *rand.Rand) { r.Read(id[:]) })
	return "e_" + base64.RawURLEncoding.EncodeToString(id[:])
}

// newAccount draws an account id which is no number, LID or other account in use, or under
// [ShortAccountIDs] one that is. The model must be locked.
func (n *Network) newAccount(product string, integrator int) (string, error) {
	const tries = 1000
	for try := range tries {
		var account string
		if n.cfg.shortAccounts { // the numbers that people in tests have, from the first on for every integrator
			if account = strconv.Itoa(4915110000001 + try); n.enlistmentByAccount(product, integrator, account) == nil {
				return account, nil
			}
			continue
		}
		n.random(func(r *rand.Rand) { account = strconv.FormatInt(1e14+r.Int63n(9e14), 10) })
		if !n.accountInUse(account) && !n.numberInUse(account) {
			return account, nil
		}
	}
	return "", fmt.Errorf("no account id is free after %d tries", tries)
}

// enlistmentChanged brings the device of a connected user in step with its enlistment. The
// connection stays; what the user may do on it is looked up each time. The model must be locked.
func (n *Network) enlistmentChanged(e *enlistment) {
	if n.devices[e.deviceName()] != nil {
		n.deviceOf(e)
	}
}

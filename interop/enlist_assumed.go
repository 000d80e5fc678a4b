package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"causeway/network"
)

// Enlister is the gatekeeper's enlistment service. Its calls repeat themselves with
// growing pauses until ctx ends where that can help; errors wrap the sentinels of package network.
type Enlister interface {
	// Enlist makes a user known, and waits until the network has decided.
	Enlist(ctx context.Context, request EnlistRequest) (Record, error)
	// Change tells the network what is new about an enlisted user.
	Change(ctx context.Context, product network.Network, id string, user Bearer, change EnlistChange) error
	// Withdraw ends an enlistment; one that is gone already is no error.
	Withdraw(ctx context.Context, product network.Network, id, reason string) error
	// List reads all enlistments of this provider.
	List(ctx context.Context, product network.Network) ([]Record, error)
}

// EnlistRequest is what the network is told of a user.
type EnlistRequest struct {
	Product network.Network
	Bearer  Bearer
	Keys    PublicKeys
	// Sign signs with the identity key.
	Sign       func(message []byte) ([64]byte, error)
	Country    string
	Terms      string
	AcceptedAt time.Time
}

// EnlistChange is what is new about an enlisted user; what is empty stays as it is.
type EnlistChange struct {
	// Terms is the version of the terms that the user has agreed to, at AcceptedAt.
	Terms      string
	AcceptedAt time.Time
	// Keys are those with a new signed prekey, which alone may change.
	Keys *PublicKeys
}

// Record is an enlistment as the network has it.
type Record struct {
	ID         string
	Product    network.Network
	Integrator uint16
	AccountID  string
	Identifier string
	Status     Status
	ChatURL    string
}

// Reasons for a withdrawal.
const (
	ReasonUser           = "user_request"      // assumed: U1
	ReasonRegion         = "region"            // assumed: U1
	ReasonAbuse          = "abuse"             // assumed: U1
	ReasonAccountDeleted = "account_deleted"   // assumed: U1
	ReasonShutdown       = "provider_shutdown" // assumed: U1
)

const (
	enlistmentsPath  = "/v1/enlistments"    // assumed: U1
	possessionPrefix = "causeway-enlist-v1" // assumed: U1
	listLimit        = 500                  // assumed: U1
	maxAnswer        = 4 << 20
)

// Bodies of requests and answers; binary values are base64url without padding.
type (
	enlistBody struct {
		Product     network.Network `json:"product"`      // assumed: U1
		Identifier  identifierBody  `json:"identifier"`   // assumed: U1
		DisplayName string          `json:"display_name"` // assumed: U1
		Keys        keysBody        `json:"keys"`         // assumed: U1
		Possession  string          `json:"possession"`   // assumed: U1
		Client      clientBody      `json:"client"`       // assumed: U1, U5
		Consent     consentBody     `json:"consent"`      // assumed: U1
	}
	identifierBody struct {
		Type       IdentifierType `json:"type"`                 // assumed: U1
		Value      string         `json:"value"`                // assumed: U1
		Normalized string         `json:"normalized,omitempty"` // assumed: U1
	}
	keysBody struct {
		RegistrationID uint32           `json:"registration_id"` // assumed: U1
		Identity       string           `json:"identity_key"`    // assumed: U1
		Noise          string           `json:"noise_key"`       // assumed: U1, U3
		SignedPrekey   signedPrekeyBody `json:"signed_prekey"`   // assumed: U1
	}
	signedPrekeyBody struct {
		ID        uint32 `json:"id"`         // assumed: U1
		PublicKey string `json:"public_key"` // assumed: U1
		Signature string `json:"signature"`  // assumed: U1
	}
	clientBody struct {
		Mode     Mode   `json:"mode"`              // assumed: U5
		Country  string `json:"country,omitempty"` // assumed: U1
		Software string `json:"software"`          // assumed: U1
	}
	consentBody struct {
		NoticeVersion string `json:"notice_version"` // assumed: U1
		AcceptedAt    int64  `json:"accepted_at"`    // assumed: U1
	}
	recordBody struct {
		ID         string          `json:"enlistment_id"` // assumed: U1
		Product    network.Network `json:"product"`       // assumed: U1
		Integrator uint16          `json:"integrator_id"` // assumed: U1
		AccountID  string          `json:"account_id"`    // assumed: U1
		JID        string          `json:"jid"`           // assumed: U1
		Status     string          `json:"status"`        // assumed: U1
		Identifier identifierBody  `json:"identifier"`    // assumed: U1
		Chat       struct {
			URL string `json:"url"` // assumed: U1
		} `json:"chat"` // assumed: U1
	}
	changeBody struct {
		Consent *consentBody    `json:"consent,omitempty"` // assumed: U1
		Keys    *changeKeysBody `json:"keys,omitempty"`    // assumed: U1
	}
	changeKeysBody struct {
		SignedPrekey signedPrekeyBody `json:"signed_prekey"` // assumed: U1
	}
	listBody struct {
		Items []recordBody `json:"items"` // assumed: U1
		Next  *string      `json:"next"`  // assumed: U1
	}
	refusalBody struct {
		Error struct {
			Code      string `json:"code"`       // assumed: U1
			Field     string `json:"field"`      // assumed: U1
			RequestID string `json:"request_id"` // assumed: U1
		} `json:"error"` // assumed: U1
	}
)

// service speaks to the enlistment service over HTTP.
type service struct {
	base     *url.URL
	client   *http.Client
	tokens   TokenIssuer
	software string
	mode     Mode
	retry    retrier
}

var _ Enlister = (*service)(nil)

func (s *service) Enlist(ctx context.Context, request EnlistRequest) (Record, error) {
	mint := func() (string, error) { return s.tokens.Mint(PurposeEnlist, request.Product, request.Bearer) }
	body := func(token string) (any, error) { return s.enlistBody(request, token) }
	var record recordBody
	status, err := s.call(ctx, call{method: http.MethodPost, path: enlistmentsPath, mint: mint, body: body, answer: &record})
	for err == nil && record.Status == "pending" { // assumed: U1
		if record.ID == "" {
			return Record{}, fmt.Errorf("failed to enlist: %w: pending without an id", network.ErrRejected)
		}
		if err = s.retry.pause(ctx, cmpPause(status.retryAfter)); err != nil {
			break
		}
		id := record.ID
		record = recordBody{}
		status, err = s.call(ctx, call{method: http.MethodGet, path: enlistmentsPath + "/" + url.PathEscape(id), mint: mint, answer: &record})
	}
	if err != nil {
		return Record{}, fmt.Errorf("failed to enlist: %w", err)
	}
	return record.record()
}

func (s *service) Change(ctx context.Context, product network.Network, id string, user Bearer, change EnlistChange) error {
	var body changeBody
	if change.Terms != "" {
		body.Consent = &consentBody{NoticeVersion: change.Terms, AcceptedAt: change.AcceptedAt.Unix()}
	}
	if change.Keys != nil {
		body.Keys = &changeKeysBody{SignedPrekey: signedPrekeyOf(*change.Keys)}
	}
	_, err := s.call(ctx, call{method: http.MethodPatch, path: enlistmentsPath + "/" + url.PathEscape(id), // assumed: U1
		mint: func() (string, error) { return s.tokens.Mint(PurposeEnlist, product, user) },
		body: func(string) (any, error) { return body, nil }})
	if err != nil {
		return fmt.Errorf("failed to change an enlistment: %w", err)
	}
	return nil
}

func (s *service) Withdraw(ctx context.Context, product network.Network, id, reason string) error {
	_, err := s.call(ctx, call{method: http.MethodDelete, path: enlistmentsPath + "/" + url.PathEscape(id),
		query: url.Values{"reason": {reason}}, mint: s.partner(product)})
	if errors.Is(err, network.ErrNotEnlisted) || errors.Is(err, network.ErrWithdrawn) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("failed to withdraw enlistment: %w", err)
	}
	return nil
}

func (s *service) List(ctx context.Context, product network.Network) ([]Record, error) {
	var records []Record
	// assumed: U1
	query := url.Values{"product": {string(product)}, "limit": {strconv.Itoa(listLimit)}}
	for {
		var page listBody
		_, err := s.call(ctx, call{method: http.MethodGet, path: enlistmentsPath, query: query, mint: s.partner(product), answer: &page})
		if err != nil {
			return nil, fmt.Errorf("failed to list enlistments: %w", err)
		}
		for _, item := range page.Items {
			record, err := item.record()
			if err != nil {
				return nil, fmt.Errorf("failed to list enlistments: %w", err)
			}
			records = append(records, record)
		}
		if page.Next == nil || *page.Next == "" || len(page.Items) == 0 {
			return records, nil
		}
		query.Set("after", *page.Next) // assumed: U1
	}
}

// partner mints tokens that speak for the provider.
func (s *service) partner(product network.Network) func() (string, error) {
	return func() (string, error) { return s.tokens.Mint(PurposePartner, product, Bearer{}) }
}

// enlistBody is made anew for each token, since the proof of possession covers it.
func (s *service) enlistBody(r EnlistRequest, token string) (any, error) {
	sum := sha256.Sum256([]byte(token))
	signature, err := r.Sign(slices.Concat([]byte(possessionPrefix), []byte{0}, sum[:])) // assumed: U1
	if err != nil {
		return nil, fmt.Errorf("failed to sign with the identity key: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return enlistBody{
		Product:     r.Product,
		Identifier:  identifierBody{Type: r.Bearer.IdentifierType, Value: r.Bearer.Identifier},
		DisplayName: r.Bearer.DisplayName,
		Keys: keysBody{
			RegistrationID: r.Keys.RegistrationID, Identity: encode(r.Keys.Identity[:]), Noise: encode(r.Keys.Noise[:]),
			SignedPrekey: signedPrekeyOf(r.Keys),
		},
		Possession: encode(signature[:]),
		Client:     clientBody{Mode: s.mode, Country: r.Country, Software: s.software},
		Consent:    consentBody{NoticeVersion: r.Terms, AcceptedAt: r.AcceptedAt.Unix()},
	}, nil
}

func signedPrekeyOf(keys PublicKeys) signedPrekeyBody {
	encode := base64.RawURLEncoding.EncodeToString
	return signedPrekeyBody{ID: keys.SignedPrekeyID, PublicKey: encode(keys.SignedPrekey[:]), Signature: encode(keys.SignedPrekeySignature[:])}
}

// record is the answer in our own words.
func (b recordBody) record() (Record, error) {
	status, known := map[string]Status{
		"pending": Pending, "active": Active, "suspended": Suspended, "withdrawn": Withdrawn, // assumed: U1
	}[b.Status]
	if !known || b.ID == "" {
		return Record{}, fmt.Errorf("%w: an enlistment of an unknown form", network.ErrRejected)
	}
	if b.JID != "" && b.JID != fmt.Sprintf("%d-%s@interop", b.Integrator, b.AccountID) { // assumed: U1
		return Record{}, fmt.Errorf("%w: an enlistment whose numbers do not agree", network.ErrRejected)
	}
	identifier := b.Identifier.Normalized
	if identifier == "" {
		identifier = b.Identifier.Value
	}
	return Record{ID: b.ID, Product: b.Product, Integrator: b.Integrator, AccountID: b.AccountID,
		Identifier: identifier, Status: status, ChatURL: b.Chat.URL}, nil
}

// newRequest makes one attempt of a call.
func (s *service) newRequest(ctx context.Context, c call, token, idempotencyKey string) (*http.Request, error) {
	target := s.base.JoinPath(c.path)
	target.RawQuery = c.query.Encode()
	var content io.Reader
	if c.body != nil {
		body, err := c.body(token)
		if err != nil {
			return nil, err
		}
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, c.method, target.String(), content)
	if err != nil {
		return nil, err
	}
	header := request.Header
	header.Set("Authorization", "Bearer "+token) // assumed: U1
	header.Set("Accept", "application/json")     // assumed: U1
	header.Set("User-Agent", s.software)
	header.Set("X-Request-Id", newUUID()) // assumed: U1
	if c.method != http.MethodGet {
		header.Set("Idempotency-Key", idempotencyKey) // assumed: U1
	}
	if content != nil {
		header.Set("Content-Type", "application/json") // assumed: U1
	}
	return request, nil
}

// refusal turns an answer into an error (docs/protocol.md#enlistment-api).
func refusal(status int, content []byte) *Refusal {
	var body refusalBody
	_ = json.Unmarshal(content, &body) // an answer of another form still has its status
	r := &Refusal{Status: status, Code: body.Error.Code, Field: body.Error.Field, RequestID: body.Error.RequestID}
	switch r.Code {
	case "token_expired": // assumed: U1
		r.kind = network.ErrTokenExpired
	case "key_unknown": // assumed: U1
		r.kind, r.keyUnknown = network.ErrTokenRefused, true
	case "integrator_inactive", "account_suspended": // assumed: U1
		r.kind = network.ErrSuspended
	case "consent_missing": // assumed: U1
		r.kind, r.also = network.ErrRejected, ErrNoConsent
	case "identifier_taken": // assumed: U1
		r.kind, r.also = network.ErrRejected, ErrIdentifierTaken
	case "identity_mismatch": // assumed: U1
		r.kind, r.also = network.ErrRejected, ErrIdentityMismatch
	case "identifier_unsupported": // assumed: U1
		r.kind = network.ErrBadIdentifier
	default:
		r.kind = kindOfStatus(status)
	}
	return r
}

func kindOfStatus(status int) error {
	switch {
	case status == http.StatusUnauthorized:
		return network.ErrTokenRefused
	case status == http.StatusNotFound: // assumed: U1
		return network.ErrNotEnlisted
	case status == http.StatusGone: // assumed: U1
		return network.ErrWithdrawn
	case status == http.StatusTooManyRequests:
		return network.ErrRateLimited
	case status == http.StatusUnavailableForLegalReasons: // assumed: U1
		return network.ErrRegion
	case status >= http.StatusInternalServerError:
		return network.ErrTemporary
	default:
		return network.ErrRejected
	}
}

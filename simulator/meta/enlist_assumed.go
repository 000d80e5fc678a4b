package meta

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// This file is the one place of the Enlistment API's format: paths, bodies, codes.
// docs/protocol.md#enlistment-api

// assumed: U1
const (
	pathEnlistments = "/v1/enlistments"
	pathEnlistment  = "/v1/enlistments/{id}"
	pathIntegrator  = "/v1/integrator"

	maxRequestBytes   = 64 << 10
	idempotencyLife   = 24 * time.Hour
	defaultListLimit  = 100
	maxListLimit      = 500
	possessionContext = "causeway-enlist-v1\x00"
	maxPrekeyID       = 1<<24 - 1
)

// enlistRequest is the body of POST, and with all members optional that of PATCH. assumed: U1
type enlistRequest struct {
	Product     string             `json:"product"`
	Identifier  *requestIdentifier `json:"identifier"`
	DisplayName *string            `json:"display_name"`
	Keys        *requestKeys       `json:"keys"`
	Possession  string             `json:"possession"`
	Client      *requestClient     `json:"client"`
	Consent     *requestConsent    `json:"consent"`
	Status      string             `json:"status"`
}

type requestIdentifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// requestKeys holds binary values as base64url without padding. assumed: U1
type requestKeys struct {
	RegistrationID *uint32        `json:"registration_id"`
	IdentityKey    string         `json:"identity_key"`
	NoiseKey       string         `json:"noise_key"`
	SignedPrekey   *requestPrekey `json:"signed_prekey"`
}

type requestPrekey struct {
	ID        uint32 `json:"id"`
	PublicKey string `json:"public_key"`
	Signature string `json:"signature"`
}

type requestClient struct {
	Mode     string `json:"mode"`
	IP       string `json:"ip"`
	Country  string `json:"country"`
	Software string `json:"software"`
}

type requestConsent struct {
	NoticeVersion string `json:"notice_version"`
	AcceptedAt    int64  `json:"accepted_at"`
}

// enlistmentBody is an enlistment as the API shows it. assumed: U1
type enlistmentBody struct {
	ID         string             `json:"enlistment_id"`
	Product    string             `json:"product"`
	Integrator int                `json:"integrator_id"`
	Account    string             `json:"account_id"`
	JID        string             `json:"jid"`
	Status     string             `json:"status"`
	Identifier responseIdentifier `json:"identifier"`
	Chat       responseChat       `json:"chat"`
	CreatedAt  int64              `json:"created_at"`
	UpdatedAt  int64              `json:"updated_at"`
	ExpiresAt  *int64             `json:"expires_at"`
}

type responseIdentifier struct {
	Type       string `json:"type"`
	Value      string `json:"value"`
	Normalized string `json:"normalized"`
}

type responseChat struct {
	URL string `json:"url"`
}

// listBody is a page of enlistments. assumed: U1
type listBody struct {
	Items []enlistmentBody `json:"items"`
	Next  *string          `json:"next"`
}

// integratorBody is a provider's own record. assumed: U1
type integratorBody struct {
	ID             int             `json:"integrator_id"`
	Name           string          `json:"name"`
	Status         string          `json:"status"`
	IdentifierType string          `json:"identifier_type"`
	Products       []string        `json:"products"`
	Features       map[string]bool `json:"features"`
}

// isWithdrawReason tells what a provider may give as the reason of a withdrawal. assumed: U1
func isWithdrawReason(reason string) bool {
	switch reason {
	case "user_request", "region", "abuse", "account_deleted", "provider_shutdown":
		return true
	}
	return false
}

// The codes of refusals that are not about the token. assumed: U1
const (
	apiInvalidRequest       = "invalid_request"
	apiConsentMissing       = "consent_missing"
	apiAccountSuspended     = "account_suspended"
	apiEnlistmentNotFound   = "enlistment_not_found"
	apiIdentifierTaken      = "identifier_taken"
	apiIdentityMismatch     = "identity_mismatch"
	apiIdempotencyConflict  = "idempotency_conflict"
	apiEnlistmentWithdrawn  = "enlistment_withdrawn"
	apiTooLarge             = "too_large"
	apiUnsupportedMediaType = "unsupported_media_type"
	apiIdentifierUnusable   = "identifier_unsupported"
	apiKeySignatureInvalid  = "key_signature_invalid"
	apiDisplayNameInvalid   = "display_name_invalid"
	apiRateLimited          = "rate_limited"
	apiRegionNotAllowed     = "region_not_allowed"
	apiInternal             = "internal"
	apiUnavailable          = "unavailable"
)

// enlistStatus is the HTTP status of a code. assumed: U1
func enlistStatus(code string) int {
	switch code {
	case codeTokenInvalid, codeTokenExpired, codeTokenReplayed, codeKeyUnknown:
		return http.StatusUnauthorized
	case codeIntegratorInactive, apiConsentMissing, apiAccountSuspended:
		return http.StatusForbidden
	case apiEnlistmentNotFound:
		return http.StatusNotFound
	case apiIdentifierTaken, apiIdentityMismatch, apiIdempotencyConflict:
		return http.StatusConflict
	case apiEnlistmentWithdrawn:
		return http.StatusGone
	case apiTooLarge:
		return http.StatusRequestEntityTooLarge
	case apiUnsupportedMediaType:
		return http.StatusUnsupportedMediaType
	case apiIdentifierUnusable, apiKeySignatureInvalid, apiDisplayNameInvalid:
		return http.StatusUnprocessableEntity
	case apiRateLimited:
		return http.StatusTooManyRequests
	case apiRegionNotAllowed:
		return http.StatusUnavailableForLegalReasons
	case apiInternal:
		return http.StatusInternalServerError
	case apiUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

// refusal is an error of the API. Field names the member of the body that it is about.
type refusal struct {
	Code, Message, Field string
	RetryAfter           time.Duration
}

func refuse(code, field, message string) *refusal {
	return &refusal{Code: code, Field: field, Message: message}
}

// errorBody is how a refusal is sent. assumed: U1
type errorBody struct {
	Error struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		Field     string `json:"field,omitempty"`
		Retryable bool   `json:"retryable"`
		RequestID string `json:"request_id"`
	} `json:"error"`
}

// reply is an answer of the API before it is written.
type reply struct {
	status     int
	body       any // nil for none
	retryAfter time.Duration
}

func (r *refusal) reply(requestID string) *reply {
	status := enlistStatus(r.Code)
	var body errorBody
	body.Error.Code, body.Error.Message, body.Error.Field = r.Code, r.Message, r.Field
	body.Error.Retryable = r.Code == codeKeyUnknown || status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
	body.Error.RequestID = requestID
	return &reply{status: status, body: body, retryAfter: r.RetryAfter}
}

// write sends the answer; padding adds a member that no client knows, which the API may do at any time.
func (r *reply) write(w http.ResponseWriter, padding bool) {
	if r.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(r.retryAfter/time.Second)))
	}
	if r.body == nil {
		w.WriteHeader(r.status)
		return
	}
	data, _ := json.Marshal(r.body) // plain structs cannot fail
	if padding {
		data = append([]byte(`{"x_trace":{"v":1},`), data[1:]...)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_, _ = w.Write(data) // a client that has gone away is its own affair
}

// body shows the enlistment to its provider.
func (e *enlistment) body(chatURL string) enlistmentBody {
	return enlistmentBody{
		ID: e.ID, Product: e.Product, Integrator: e.Integrator, Account: e.Account, JID: jidText(e.jid()), Status: e.Status,
		Identifier: responseIdentifier{Type: e.IdentifierType, Value: e.Identifier, Normalized: e.Normalized},
		Chat:       responseChat{URL: chatURL},
		CreatedAt:  e.Created.Unix(), UpdatedAt: e.Updated.Unix(),
	}
}

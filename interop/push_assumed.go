package interop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"causeway/network"
)

// pushFormat is how the network calls us, and what it gets to hear (docs/protocol.md#media, Push).
type pushFormat interface {
	// Authentic says whether a body was signed with the secret, not too long ago.
	Authentic(header http.Header, body []byte, now time.Time) error
	// Read takes a body apart that is authentic.
	Read(header http.Header, body []byte) (pushCall, error)
	// Answer is what a call that was taken is answered with: the accounts that we do not have.
	Answer(unknownAccounts []string) ([]byte, error)
}

const (
	headerDelivery  = "X-Interop-Delivery"  // assumed: U16
	headerTimestamp = "X-Interop-Timestamp" // assumed: U16
	headerSignature = "X-Interop-Signature" // assumed: U16
	signatureV1     = "v1="                 // assumed: U16
	pushVersion     = 1                     // assumed: U16
	unknownAccount  = "unknown_account"     // assumed: U16
	pushTolerance   = 5 * time.Minute       // between the signature's time and ours, either way, assumed: U16
	// pushRemembered is how long the network repeats a call at most, and then some.
	pushRemembered = 24*time.Hour + pushTolerance // assumed: U16
	maxDeliveryID  = 64
)

// The types of events. Others are ignored. assumed: U16
const (
	eventMessageWaiting   = "message_waiting"
	eventPrekeysLow       = "prekeys_low"
	eventSuspended        = "enlistment_suspended"
	eventWithdrawn        = "enlistment_withdrawn"
	eventAbuseReport      = "abuse_report"
	eventIntegratorStatus = "integrator_status"
)

// pushCall is one call as the network made it.
type pushCall struct {
	deliveryID string
	product    network.Network
	sentAt     time.Time
	events     []callEvent
}

// callEvent is one event of a call; detail holds its own members.
type callEvent struct {
	kind, account string
	detail        json.RawMessage
}

// pushBody is a call's body.
type pushBody struct {
	Version    int               `json:"version"`       // assumed: U16
	DeliveryID string            `json:"delivery_id"`   // assumed: U16
	Integrator int               `json:"integrator_id"` // assumed: U16
	Product    string            `json:"product"`       // assumed: U16
	SentAt     int64             `json:"sent_at"`       // assumed: U16
	Attempt    int               `json:"attempt"`       // assumed: U16
	Events     []json.RawMessage `json:"events"`        // assumed: U16
}

// eventHead is what all events have.
type eventHead struct {
	Type    string `json:"type"`       // assumed: U16
	Account string `json:"account_id"` // assumed: U16
}

// eventDetail is what some events have besides.
type eventDetail struct {
	Reason   string `json:"reason"`   // assumed: U16
	Until    int64  `json:"until"`    // assumed: U16
	CaseID   string `json:"case_id"`  // assumed: U16
	Category string `json:"category"` // assumed: U16
	Count    int    `json:"count"`    // assumed: U16
	Status   string `json:"status"`   // assumed: U16
}

// rejectedAccount is one entry of an answer.
type rejectedAccount struct {
	Account string `json:"account_id"` // assumed: U16
	Reason  string `json:"reason"`     // assumed: U16
}

// signedCalls are calls with an HMAC over their time and raw body.
type signedCalls struct {
	secret     []byte
	integrator int
}

var _ pushFormat = (*signedCalls)(nil)

// Authentic takes several signatures, as there are two while a secret is being replaced. assumed: U16
func (s *signedCalls) Authentic(header http.Header, body []byte, now time.Time) error {
	stamps, signatures := header.Values(headerTimestamp), header.Values(headerSignature)
	if len(stamps) != 1 || len(signatures) != 1 {
		return errors.New("the signature or its time is missing")
	}
	at, err := strconv.ParseInt(stamps[0], 10, 64)
	if err != nil || strconv.FormatInt(at, 10) != stamps[0] {
		return errors.New("the time of the signature is no number")
	}
	if age := now.Sub(time.Unix(at, 0)); age > pushTolerance || age < -pushTolerance {
		return errors.New("the signature is too old, or of the future")
	}
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(stamps[0] + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	for one := range strings.SplitSeq(signatures[0], ",") {
		text, found := strings.CutPrefix(strings.TrimSpace(one), signatureV1)
		given, err := hex.DecodeString(text)
		if found && err == nil && hmac.Equal(given, want) {
			return nil
		}
	}
	return errors.New("the signature is wrong")
}

// Read wants the delivery id in the header to be that in the body: only the body is signed. assumed: U16
func (s *signedCalls) Read(header http.Header, body []byte) (pushCall, error) {
	var b pushBody
	if err := json.Unmarshal(body, &b); err != nil {
		return pushCall{}, err
	}
	switch {
	case b.Version != pushVersion:
		return pushCall{}, fmt.Errorf("version %d", b.Version)
	case b.DeliveryID == "" || len(b.DeliveryID) > maxDeliveryID || b.DeliveryID != header.Get(headerDelivery):
		return pushCall{}, errors.New("no delivery id, or another one than in the head")
	case b.Integrator != s.integrator:
		return pushCall{}, fmt.Errorf("for integrator %d", b.Integrator)
	case !network.Network(b.Product).Known():
		return pushCall{}, errors.New("of an unknown network")
	case b.SentAt <= 0:
		return pushCall{}, errors.New("without a time")
	}
	call := pushCall{deliveryID: b.DeliveryID, product: network.Network(b.Product), sentAt: time.Unix(b.SentAt, 0)}
	for _, raw := range b.Events {
		var head eventHead
		if err := json.Unmarshal(raw, &head); err != nil || head.Type == "" {
			return pushCall{}, errors.New("an event without a type")
		}
		call.events = append(call.events, callEvent{kind: head.Type, account: head.Account, detail: raw})
	}
	return call, nil
}

// Answer names each account once. assumed: U16
func (s *signedCalls) Answer(unknownAccounts []string) ([]byte, error) {
	rejected := make([]rejectedAccount, len(unknownAccounts))
	for i, account := range unknownAccounts {
		rejected[i] = rejectedAccount{Account: account, Reason: unknownAccount}
	}
	return json.Marshal(map[string]any{"rejected": rejected})
}

// isAboutProvider says whether events of a type have no account.
func isAboutProvider(kind string) bool { return kind == eventIntegratorStatus }

// isKnownEvent says whether a type of events is one that we act on.
func isKnownEvent(kind string) bool {
	switch kind {
	case eventMessageWaiting, eventPrekeysLow, eventSuspended, eventWithdrawn, eventAbuseReport, eventIntegratorStatus:
		return true
	}
	return false
}

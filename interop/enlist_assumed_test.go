package interop

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"causeway/network"
)

// answer is one scripted reply of the service.
type answer struct {
	status     int
	body       string
	retryAfter string
}

const activeBody = `{"enlistment_id":"e_5Jq","product":"whatsapp","integrator_id":12,"account_id":"105012705411308",
	"jid":"12-105012705411308@interop","status":"active","identifier":{"type":"email","value":"Anna@example.eu","normalized":"anna@example.eu"},
	"chat":{"url":"wss://chat.example.com/ws"},"created_at":1790000000,"updated_at":1790000000,"expires_at":null,"surprise":{"a":1}}`

func refusalOf(code string) string {
	return fmt.Sprintf(`{"error":{"code":%q,"message":"no","field":"a.b","retryable":false,"request_id":"r1"}}`, code)
}

// seen is a request as it arrived.
type seen struct {
	method, path string
	header       http.Header
	claims       map[string]any
	token        string
	body         map[string]any
}

// script is a service that answers in the order given, the last answer for ever.
type script struct {
	*service
	mutex  sync.Mutex
	seen   []seen
	pauses []time.Duration
	clock  *clock
}

func newScript(t *testing.T, answers ...answer) *script {
	t.Helper()
	s := &script{clock: newClock()}
	issuer := newTestIssuer(t, s.clock)
	keySet, err := issuer.KeySet()
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		_, claims := verify(t, token, keySet, s.clock.now())
		request := seen{method: r.Method, path: r.URL.RequestURI(), header: r.Header, claims: claims, token: token}
		if content, _ := io.ReadAll(r.Body); len(content) > 0 {
			_ = json.Unmarshal(content, &request.body)
		}
		next := answers[min(len(s.seen), len(answers)-1)]
		s.seen = append(s.seen, request)
		if next.retryAfter != "" {
			w.Header().Set("Retry-After", next.retryAfter)
		}
		w.WriteHeader(next.status)
		_, _ = io.WriteString(w, next.body)
	}))
	t.Cleanup(server.Close)
	s.service = newTestService(t, server.URL, issuer)
	s.retry.pause = func(ctx context.Context, d time.Duration) error {
		s.pauses = append(s.pauses, d)
		return ctx.Err()
	}
	return s
}

func newTestService(t *testing.T, address string, tokens TokenIssuer) *service {
	t.Helper()
	cfg := completeConfig().withDefaults()
	cfg.EnlistmentURL = address
	service, err := newEnlister(cfg, tokens, "causeway/test", zerolog.Nop())
	require.NoError(t, err)
	return service
}

// sign stands for the identity key: its "signature" can be told by the test.
func sign(message []byte) (signature [64]byte, err error) {
	sum := sha256.Sum256(message)
	copy(signature[:], sum[:])
	return signature, nil
}

func testKeys(seed byte) PublicKeys {
	keys := PublicKeys{RegistrationID: 273815, SignedPrekeyID: 1}
	keys.Identity[0], keys.Noise[0], keys.SignedPrekey[0], keys.SignedPrekeySignature[0] = seed, seed+1, seed+2, seed+3
	return keys
}

func testRequest(c *clock) EnlistRequest {
	bearer := anna(c)
	bearer.AccountID, bearer.NoiseKey = "", testKeys(1).Noise
	return EnlistRequest{Product: network.WhatsApp, Bearer: bearer, Keys: testKeys(1), Sign: sign,
		Country: "DE", Terms: "1", AcceptedAt: c.now()}
}

func TestEnlistRequestOnTheWire(t *testing.T) {
	s := newScript(t, answer{status: 201, body: activeBody})
	record, err := s.Enlist(t.Context(), testRequest(s.clock))
	require.NoError(t, err)
	require.Equal(t, Record{ID: "e_5Jq", Product: network.WhatsApp, Integrator: 12, AccountID: "105012705411308",
		Identifier: "anna@example.eu", Status: Active, ChatURL: "wss://chat.example.com/ws"}, record)

	require.Len(t, s.seen, 1)
	got := s.seen[0]
	require.Equal(t, "POST /v1/enlistments", got.method+" "+got.path)
	require.Equal(t, "enlist", got.claims["purpose"])
	require.NotContains(t, got.claims, "account_id")
	require.Equal(t, "application/json", got.header.Get("Accept"))
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	uuid := `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
	require.Regexp(t, uuid, got.header.Get("Idempotency-Key"))
	require.Regexp(t, uuid, got.header.Get("X-Request-Id"))

	keys, encode := testKeys(1), base64.RawURLEncoding.EncodeToString
	sum := sha256.Sum256([]byte(got.token))
	possession, err := sign(append([]byte("causeway-enlist-v1\x00"), sum[:]...))
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"product":      "whatsapp",
		"identifier":   map[string]any{"type": "email", "value": "anna@example.eu"},
		"display_name": "Anna",
		"keys": map[string]any{"registration_id": 273815.0, "identity_key": encode(keys.Identity[:]), "noise_key": encode(keys.Noise[:]),
			"signed_prekey": map[string]any{"id": 1.0, "public_key": encode(keys.SignedPrekey[:]), "signature": encode(keys.SignedPrekeySignature[:])}},
		"possession": encode(possession[:]),
		"client":     map[string]any{"mode": "client", "country": "DE", "software": "causeway/test"},
		"consent":    map[string]any{"notice_version": "1", "accepted_at": float64(s.clock.now().Unix())},
	}, got.body)
}

func TestEnlistRefusals(t *testing.T) {
	for _, test := range []struct {
		status   int
		code     string
		want     []error
		attempts int
	}{
		{400, "invalid_request", []error{network.ErrRejected}, 1},
		{401, "token_invalid", []error{network.ErrTokenRefused}, 2},
		{401, "token_expired", []error{network.ErrTokenExpired}, 2},
		{401, "token_replayed", []error{network.ErrTokenRefused}, 2},
		{401, "key_unknown", []error{network.ErrTokenRefused}, 2},
		{403, "integrator_inactive", []error{network.ErrSuspended}, 1},
		{403, "consent_missing", []error{network.ErrRejected, ErrNoConsent}, 1},
		{403, "account_suspended", []error{network.ErrSuspended}, 1},
		{404, "enlistment_not_found", []error{network.ErrNotEnlisted}, 1},
		{409, "identifier_taken", []error{network.ErrRejected, ErrIdentifierTaken}, 1},
		{409, "identity_mismatch", []error{network.ErrRejected, ErrIdentityMismatch}, 1},
		{409, "idempotency_conflict", []error{network.ErrRejected}, 1},
		{410, "enlistment_withdrawn", []error{network.ErrWithdrawn}, 1},
		{413, "too_large", []error{network.ErrRejected}, 1},
		{415, "unsupported_media_type", []error{network.ErrRejected}, 1},
		{422, "identifier_unsupported", []error{network.ErrBadIdentifier}, 1},
		{422, "key_signature_invalid", []error{network.ErrRejected}, 1},
		{422, "display_name_invalid", []error{network.ErrRejected}, 1},
		{451, "region_not_allowed", []error{network.ErrRegion}, 1},
	} {
		t.Run(test.code, func(t *testing.T) {
			s := newScript(t, answer{status: test.status, body: refusalOf(test.code)})
			_, err := s.Enlist(t.Context(), testRequest(s.clock))
			for _, want := range test.want {
				require.ErrorIs(t, err, want)
			}
			var refusal *Refusal
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, test.code, refusal.Code)
			require.Equal(t, "r1", refusal.RequestID)
			require.Len(t, s.seen, test.attempts)
			if test.code == "key_unknown" {
				require.Equal(t, []time.Duration{30 * time.Second}, s.pauses)
			}
		})
	}
}

// What is temporary is asked again: another token each time, the same idempotency key throughout.
func TestEnlistTriesAgain(t *testing.T) {
	s := newScript(t,
		answer{status: 500, body: refusalOf("internal")}, answer{status: 502, body: "<html>"}, answer{status: 503, body: "", retryAfter: "7"},
		answer{status: 504}, answer{status: 429, body: refusalOf("rate_limited"), retryAfter: "99999"},
		answer{status: 401, body: refusalOf("token_replayed")}, answer{status: 200, body: activeBody})
	_, err := s.Enlist(t.Context(), testRequest(s.clock))
	require.NoError(t, err)
	require.Len(t, s.seen, 7)
	tokens, keys := map[any]bool{}, map[string]bool{}
	for _, request := range s.seen {
		tokens[request.claims["jti"]] = true
		keys[request.header.Get("Idempotency-Key")] = true
	}
	require.Len(t, tokens, 7)
	require.Len(t, keys, 1)
	within := func(i int, full time.Duration) {
		require.LessOrEqual(t, s.pauses[i], full)
		require.Greater(t, s.pauses[i], full*3/4-1)
	}
	within(0, time.Second)
	within(1, 2*time.Second)
	require.Equal(t, 7*time.Second, s.pauses[2])
	within(3, 8*time.Second)
	require.Equal(t, maxPause, s.pauses[4], "no service can send us to sleep for longer")
	require.Zero(t, s.pauses[5])
}

func TestEnlistGivesUpWithItsContext(t *testing.T) {
	for status, want := range map[int]error{503: network.ErrTemporary, 429: network.ErrRateLimited} {
		s := newScript(t, answer{status: status})
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("the user closed the dialogue")
		s.retry.pause = func(context.Context, time.Duration) error {
			if len(s.seen) == 3 {
				cancel(gone)
			}
			return ctx.Err()
		}
		_, err := s.Enlist(ctx, testRequest(s.clock))
		require.ErrorIs(t, err, want)
		require.ErrorIs(t, err, gone)
		require.Len(t, s.seen, 3)
	}
}

func TestEnlistWaitsForADecision(t *testing.T) {
	pending := strings.Replace(activeBody, `"active"`, `"pending"`, 1)
	s := newScript(t, answer{status: 201, body: pending, retryAfter: "3"}, answer{status: 200, body: pending}, answer{status: 200, body: activeBody})
	record, err := s.Enlist(t.Context(), testRequest(s.clock))
	require.NoError(t, err)
	require.Equal(t, Active, record.Status)
	require.Equal(t, []time.Duration{3 * time.Second, pollPause}, s.pauses)
	for _, poll := range s.seen[1:] {
		require.Equal(t, "GET /v1/enlistments/e_5Jq", poll.method+" "+poll.path)
		require.Equal(t, "enlist", poll.claims["purpose"])
		require.Empty(t, poll.header.Get("Idempotency-Key"))
	}
}

func TestEnlistRefusesOddAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON":         "hello",
		"unknown status":  strings.Replace(activeBody, `"active"`, `"sleeping"`, 1),
		"no id":           strings.Replace(activeBody, "e_5Jq", "", 1),
		"numbers differ":  strings.Replace(activeBody, "12-1050", "13-1050", 1),
		"pending, no id":  `{"status":"pending"}`,
		"number as digit": strings.Replace(activeBody, `"105012705411308"`, `105012705411308`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, answer{status: 201, body: body})
			_, err := s.Enlist(t.Context(), testRequest(s.clock))
			require.ErrorIs(t, err, network.ErrRejected)
		})
	}
}

func TestWithdrawOnTheWire(t *testing.T) {
	for _, status := range []int{204, 404, 410} {
		s := newScript(t, answer{status: 503}, answer{status: status})
		require.NoError(t, s.Withdraw(t.Context(), network.WhatsApp, "e/1", ReasonRegion), status)
		require.Equal(t, "DELETE /v1/enlistments/e%2F1?reason=region", s.seen[1].method+" "+s.seen[1].path)
		require.Equal(t, "partner", s.seen[1].claims["purpose"])
		require.Equal(t, "partner", s.seen[1].claims["sub"])
		require.NotEmpty(t, s.seen[0].header.Get("Idempotency-Key"))
		require.Equal(t, s.seen[0].header.Get("Idempotency-Key"), s.seen[1].header.Get("Idempotency-Key"))
	}
	s := newScript(t, answer{status: 403, body: refusalOf("integrator_inactive")})
	require.ErrorIs(t, s.Withdraw(t.Context(), network.WhatsApp, "e_1", ReasonUser), network.ErrSuspended)
}

func TestListReadsAllPages(t *testing.T) {
	second := strings.NewReplacer("e_5Jq", "e_2", "105012705411308", "106").Replace(activeBody)
	s := newScript(t, answer{status: 200, body: `{"items":[` + activeBody + `],"next":"c 1"}`},
		answer{status: 200, body: `{"items":[` + second + `],"next":null}`})
	records, err := s.List(t.Context(), network.WhatsApp)
	require.NoError(t, err)
	require.Len(t, records, 2)
	require.Equal(t, "106", records[1].AccountID)
	require.Equal(t, "/v1/enlistments?limit=500&product=whatsapp", s.seen[0].path)
	require.Equal(t, "/v1/enlistments?after=c+1&limit=500&product=whatsapp", s.seen[1].path)
	require.Equal(t, "partner", s.seen[0].claims["purpose"])
}

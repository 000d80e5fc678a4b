package meta

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// enlistService is the provider-facing Enlistment API. Its format is in enlist_assumed.go.
type enlistService struct {
	n *Network

	// mu makes one write after the other, so that concurrent requests of one
	// idempotency key have one effect. It is taken before the model's lock.
	mu     sync.Mutex
	stored map[string]storedReply // by integrator and idempotency key
	paused map[string]time.Time   // when a provider suspended an enlistment itself
	asked  map[string]int         // authorized requests so far, by whose they are
}

// storedReply is what a repeated request is answered with.
type storedReply struct {
	fingerprint [32]byte
	reply       *reply
	until       time.Time
}

// enlistCall is one request on its way through the API.
type enlistCall struct {
	service   *enlistService
	request   *http.Request
	requestID string
	token     string
	body      []byte
	claims    *claims
}

// enlistmentHandler serves the Enlistment API.
func (n *Network) enlistmentHandler() http.Handler {
	s := &enlistService{n: n, stored: make(map[string]storedReply), paused: make(map[string]time.Time),
		asked: make(map[string]int)}
	mux := http.NewServeMux()
	mux.Handle("POST "+pathEnlistments, s.handle((*enlistCall).create, purposeEnlist))
	mux.Handle("GET "+pathEnlistment, s.handle((*enlistCall).show, purposeEnlist))
	mux.Handle("PATCH "+pathEnlistment, s.handle((*enlistCall).change, purposeEnlist))
	mux.Handle("DELETE "+pathEnlistment, s.handle((*enlistCall).withdraw, purposeEnlist, purposePartner))
	mux.Handle("GET "+pathEnlistments, s.handle((*enlistCall).list, purposePartner))
	mux.Handle("GET "+pathIntegrator, s.handle((*enlistCall).integrator, purposePartner))
	mux.HandleFunc("GET /.well-known/jwks.json", n.serveKeySet)
	mux.Handle("/", s.handle((*enlistCall).unknown))
	return mux
}

// handle runs what every request goes through: headers, token, faults, the operation, the answer.
func (s *enlistService) handle(operation func(*enlistCall) (*reply, *refusal), purposes ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &enlistCall{service: s, request: r, requestID: r.Header.Get("X-Request-Id")}
		answer, refused := c.run(w, operation, purposes)
		if refused != nil {
			answer = refused.reply(c.requestID)
			if refused.Code == apiInvalidRequest {
				s.n.finding("enlistment-invalid-request", r.Method+" "+r.Pattern+": "+refused.Field+" "+refused.Message)
			}
			s.n.transcript.note(s.n.now(), fmt.Sprintf("enlistment %s -> %d %s %s", r.Pattern, answer.status, refused.Code, refused.Field))
		} else {
			c.loseAnswer()
			s.n.transcript.note(s.n.now(), fmt.Sprintf("enlistment %s -> %d", r.Pattern, answer.status))
		}
		answer.write(w, s.n.Profile() != Calm)
	})
}

func (c *enlistCall) run(w http.ResponseWriter, operation func(*enlistCall) (*reply, *refusal), purposes []string) (*reply, *refusal) {
	if len(purposes) == 0 {
		return operation(c)
	}
	if refused := c.readHeaders(); refused != nil {
		return nil, refused
	}
	if refused := c.readBody(w); refused != nil {
		return nil, refused
	}
	if refused := c.authorize(purposes); refused != nil {
		return nil, refused
	}
	if refused := c.interfere(); refused != nil {
		return nil, refused
	}
	return operation(c)
}

// writes tells whether the request carries a body and is made idempotent by a key.
func (c *enlistCall) writes() bool {
	return c.request.Method == http.MethodPost || c.request.Method == http.MethodPatch
}

func (c *enlistCall) readHeaders() *refusal {
	header := c.request.Header
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return refuse(codeTokenInvalid, "", "no bearer token")
	}
	c.token = token
	if _, err := uuid.Parse(c.requestID); err != nil {
		return refuse(apiInvalidRequest, "X-Request-Id", "not a UUID")
	}
	if accepted, _, _ := mime.ParseMediaType(header.Get("Accept")); accepted != "application/json" {
		return refuse(apiInvalidRequest, "Accept", "not application/json")
	}
	if !c.writes() {
		return nil
	}
	if _, err := uuid.Parse(header.Get("Idempotency-Key")); err != nil {
		return refuse(apiInvalidRequest, "Idempotency-Key", "not a UUID")
	}
	if sent, _, _ := mime.ParseMediaType(header.Get("Content-Type")); sent != "application/json" {
		return refuse(apiUnsupportedMediaType, "Content-Type", "not application/json")
	}
	return nil
}

func (c *enlistCall) readBody(w http.ResponseWriter) *refusal {
	var err error
	c.body, err = io.ReadAll(http.MaxBytesReader(w, c.request.Body, maxRequestBytes))
	if err != nil {
		return refuse(apiTooLarge, "", fmt.Sprintf("body is larger than %d bytes", maxRequestBytes))
	} else if !c.writes() && len(c.body) > 0 {
		return refuse(apiInvalidRequest, "", "a body where none belongs")
	}
	return nil
}

// authorize verifies the token. Where two purposes will do, the token's own word
// chooses which of them it is verified for.
func (c *enlistCall) authorize(purposes []string) *refusal {
	purpose := purposes[0]
	if token, refused := splitToken(c.token); refused == nil {
		for _, other := range purposes[1:] {
			if token.text("purpose") == other {
				purpose = other
			}
		}
	}
	verified, refused := c.service.n.verifyToken(c.token, purpose, "")
	if refused != nil {
		return refuse(refused.Code, "", refused.Reason)
	}
	c.claims = verified
	return nil
}

// once runs a write unless the same request was answered before. The possession
// proof covers the token, which is new in a repeated request, and so is left out of the comparison.
func (c *enlistCall) once(write func() (*reply, *refusal)) (*reply, *refusal) {
	members, err := decodeObject(c.body)
	if err != nil {
		return nil, refuse(apiInvalidRequest, "", err.Error())
	}
	delete(members, "possession")
	canonical, err := json.Marshal(members)
	if err != nil {
		return nil, refuse(apiInvalidRequest, "", err.Error())
	}
	fingerprint := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %s", c.request.Method, c.request.URL.Path, c.claims.Subject, canonical))
	key := fmt.Sprintf("%d/%s", c.claims.Integrator, c.request.Header.Get("Idempotency-Key"))

	s, now := c.service, c.service.n.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, stored := range s.stored {
		if now.After(stored.until) {
			delete(s.stored, old)
		}
	}
	if stored, repeated := s.stored[key]; repeated {
		if stored.fingerprint != fingerprint {
			return nil, refuse(apiIdempotencyConflict, "Idempotency-Key", "the key belongs to another request")
		}
		again := *stored.reply
		again.status = http.StatusOK
		return &again, nil
	}
	answer, refused := write()
	if refused == nil {
		s.stored[key] = storedReply{fingerprint: fingerprint, reply: answer, until: now.Add(idempotencyLife)}
	}
	return answer, refused
}

// pausedByProvider tells a suspension that the provider may lift from one that Meta has imposed since.
func (s *enlistService) pausedByProvider(e *enlistment) bool {
	return e.Status == enlistmentSuspended && s.paused[e.ID].Equal(e.Updated)
}

func (c *enlistCall) unknown() (*reply, *refusal) {
	return nil, refuse(apiInvalidRequest, "", "no such path or method")
}

package interop

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"causeway/network"
)

const (
	firstPause = time.Second
	maxPause   = 5 * time.Minute
	// pollPause is how long to wait for a pending decision that names no time.
	pollPause = 5 * time.Second
	// keyPause is how long a verifier takes to read our key set again (docs/protocol.md#keyset).
	keyPause = 30 * time.Second
)

// Refusal is an answer of the enlistment service that is no success. It wraps the
// sentinel that says what can be done about it.
type Refusal struct {
	// Status is the HTTP status.
	Status int
	// Code, Field and RequestID are the service's own words, for the log.
	Code, Field, RequestID string

	kind, also error
	keyUnknown bool
}

func (r *Refusal) Error() string {
	text := fmt.Sprintf("%s (HTTP %d", r.kind, r.Status)
	if r.Code != "" {
		text += " " + strconv.QuoteToASCII(r.Code)
	}
	if r.Field != "" {
		text += ", field " + strconv.QuoteToASCII(r.Field)
	}
	return text + ")"
}

// Unwrap gives the sentinels.
func (r *Refusal) Unwrap() []error {
	if r.also == nil {
		return []error{r.kind}
	}
	return []error{r.kind, r.also}
}

// call is one request to the service, to be repeated until it is answered.
type call struct {
	method, path string
	query        url.Values
	// mint makes a fresh token for each attempt, since a token is good for one request.
	mint func() (string, error)
	// body makes the content to a token, nil if there is none.
	body func(token string) (any, error)
	// answer takes the content of a success, nil to ignore it.
	answer any
}

// outcome is what an answer's head says.
type outcome struct {
	retryAfter time.Duration
}

// retrier waits between attempts.
type retrier struct {
	// pause returns early with an error when ctx ends.
	pause func(ctx context.Context, d time.Duration) error
	log   zerolog.Logger
}

func newEnlister(cfg Config, tokens TokenIssuer, software string, log zerolog.Logger) (*service, error) {
	base, err := url.Parse(cfg.EnlistmentURL)
	if err != nil {
		return nil, fmt.Errorf("failed to read %senlistment_url: %w", configPath, err)
	}
	return &service{
		base: base, client: newHTTPClient(base), tokens: tokens, software: software, mode: cfg.Mode,
		retry: retrier{pause: pause, log: log},
	}, nil
}

// call repeats the request while that can help: a refused token once, and whatever
// is temporary until ctx ends, with the same idempotency key throughout.
func (s *service) call(ctx context.Context, c call) (outcome, error) {
	idempotencyKey := newUUID()
	refreshed := false
	for attempt := 0; ; attempt++ {
		result, err := s.attempt(ctx, c, idempotencyKey)
		var wait time.Duration
		switch {
		case err == nil:
			return result, nil
		case isTokenTrouble(err) && !refreshed:
			refreshed = true
			if wait = 0; isKeyUnknown(err) {
				wait = keyPause
			}
		case errors.Is(err, network.ErrTemporary), errors.Is(err, network.ErrRateLimited):
			if wait = result.retryAfter; wait == 0 {
				wait = backoff(attempt)
			}
		default:
			return result, err
		}
		s.retry.log.Warn().Err(err).Int("attempt", attempt+1).Dur("pause", wait).Msg("Enlistment service is asked again")
		if s.retry.pause(ctx, wait) != nil {
			return result, fmt.Errorf("%w; %w", err, context.Cause(ctx))
		}
	}
}

// attempt makes the request once.
func (s *service) attempt(ctx context.Context, c call, idempotencyKey string) (outcome, error) {
	token, err := c.mint()
	if err != nil {
		return outcome{}, err
	}
	request, err := s.newRequest(ctx, c, token, idempotencyKey)
	if err != nil {
		return outcome{}, fmt.Errorf("failed to make the request: %w", err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		// The URL in the client's error holds no secret, and names what was not reached.
		return outcome{}, fmt.Errorf("%w: %w", kindOfFailure(err), err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return outcome{}, fmt.Errorf("%w: %w", network.ErrTemporary, err)
	}
	result := outcome{retryAfter: retryAfter(response.Header)}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return result, refusal(response.StatusCode, content)
	}
	if c.answer == nil {
		return result, nil
	}
	if err := json.Unmarshal(content, c.answer); err != nil {
		return result, fmt.Errorf("%w: an answer that is no JSON: %w", network.ErrRejected, err)
	}
	return result, nil
}

// kindOfFailure tells a network that is down from a service that is not the one we want.
func kindOfFailure(err error) error {
	var certificate *tls.CertificateVerificationError
	if errors.Is(err, errRedirect) || errors.Is(err, errNotPublic) || errors.As(err, &certificate) {
		return network.ErrRejected
	}
	return network.ErrTemporary
}

func isTokenTrouble(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Status == http.StatusUnauthorized
}

func isKeyUnknown(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && r.keyUnknown
}

// retryAfter reads the header of that name in seconds, at most maxPause; zero if there is none.
func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.ParseUint(header.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxPause)
}

// cmpPause is the pause that the service asks for, or ours.
func cmpPause(asked time.Duration) time.Duration {
	if asked == 0 {
		return pollPause
	}
	return asked
}

// backoff doubles with each attempt up to maxPause, less up to a quarter, so that many do not come back at once.
func backoff(attempt int) time.Duration {
	full := min(float64(maxPause), float64(firstPause)*math.Pow(2, float64(attempt)))
	return time.Duration(full * (1 - mathrand.Float64()/4))
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// newUUID is a random UUID, version 4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

package interop

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"causeway/database"
	"causeway/failpoint"
	"causeway/network"
)

// pushSecretFile holds the secret that calls are signed with, where the configuration names none.
const pushSecretFile = "push-secret"

// pushReceiver takes the calls by which the network says that something waits. A call
// is a hint and carries no content: it is stored, answered, and acted on afterwards.
type pushReceiver struct {
	path, secret, secretPath string
	integrator               uint16
	db                       *database.Database
	now                      func() time.Time
	log                      zerolog.Logger
	limiter                  *limiter
	// arrived has a token when events wait.
	arrived chan struct{}
	// format is nil until open.
	format atomic.Pointer[signedCalls]
}

func newPushReceiver(cfg Config, env Environment, db *database.Database, now func() time.Time, log zerolog.Logger) *pushReceiver {
	return &pushReceiver{
		path: cfg.Push.Path, secret: string(cfg.Push.Secret), secretPath: filepath.Join(cfg.keyDir(env), pushSecretFile),
		integrator: uint16(cfg.Integrator.ID), db: db, now: now, log: log, limiter: newLimiter(now), arrived: make(chan struct{}, 1),
	}
}

// open reads the secret, or makes one.
func (p *pushReceiver) open() error {
	secret := p.secret
	if secret == "" {
		var err error
		if secret, err = openSecret(p.secretPath); err != nil {
			return err
		}
		p.log.Info().Str("file", p.secretPath).Msg("The network signs its calls with the secret in this file")
	}
	p.format.Store(&signedCalls{secret: []byte(secret), integrator: int(p.integrator)})
	return nil
}

// serve answers a call, or returns the status of the refusal. Nothing of it is
// believed before its signature was checked, and it is answered only after it was stored.
func (p *pushReceiver) serve(out http.ResponseWriter, r *http.Request, address string) int {
	if !p.limiter.allow(address) {
		out.Header().Set("Retry-After", "60")
		return http.StatusTooManyRequests
	}
	if r.Method != http.MethodPost {
		out.Header().Set("Allow", "POST")
		return http.StatusMethodNotAllowed
	}
	format := p.format.Load()
	if format == nil {
		out.Header().Set("Retry-After", "1")
		return http.StatusServiceUnavailable
	}
	body, err := io.ReadAll(http.MaxBytesReader(out, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case err != nil:
		return http.StatusBadRequest
	}
	if err = format.Authentic(r.Header, body, p.now()); err != nil {
		p.log.Debug().Err(err).Msg("Refused a call")
		return http.StatusUnauthorized
	}
	// Whoever has the secret is the network, which may wake many logins at once.
	p.limiter.giveBack(address)
	call, err := format.Read(r.Header, body)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		p.log.Warn().Err(err).Msg("A call of the network is malformed")
		return http.StatusBadRequest
	}
	answer, err := p.take(r.Context(), call)
	if err != nil {
		p.log.Err(err).Msg("Failed to take a call of the network")
		out.Header().Set("Retry-After", "5")
		return http.StatusServiceUnavailable
	}
	out.Header().Set("Content-Type", "application/json")
	out.Header().Set("Cache-Control", "no-store")
	out.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = out.Write(answer)
	return http.StatusOK
}

// take stores what a call announces, once, and returns the answer.
func (p *pushReceiver) take(ctx context.Context, call pushCall) ([]byte, error) {
	var events []database.PushEvent
	var unknown []string
	for i, e := range call.events {
		if !isKnownEvent(e.kind) {
			p.log.Info().Str("type", strconv.QuoteToASCII(e.kind)).Msg("An event of the network is of an unknown type")
			continue
		}
		row := database.PushEvent{DeliveryID: call.deliveryID, Seq: i, Network: call.product, Type: e.kind, Detail: string(e.detail), SentAt: call.sentAt}
		if !isAboutProvider(e.kind) {
			login, err := p.login(ctx, call.product, e.account)
			if err != nil {
				return nil, err
			}
			if login == "" {
				if !slices.Contains(unknown, e.account) {
					unknown = append(unknown, e.account)
				}
				continue
			}
			row.LoginID = login
		}
		events = append(events, row)
	}
	if _, err := p.db.InsertPush(ctx, call.deliveryID, p.now(), events); err != nil {
		return nil, err
	}
	p.remind()
	if err := failpoint.Hit(failpoint.PushStored); err != nil {
		return nil, err
	}
	return p.format.Load().Answer(unknown)
}

// login is the login id of an account that is enlisted, empty if there is none.
func (p *pushReceiver) login(ctx context.Context, n network.Network, account string) (string, error) {
	address := network.Interop(n, p.integrator, account)
	if address.Validate() != nil {
		return "", nil
	}
	row, err := p.db.Enlistment(ctx, address.String())
	if err != nil || row == nil || Status(row.Status) == Withdrawn || Status(row.Status) == Withdrawing {
		return "", err
	}
	return row.LoginID, nil
}

// remind says that events wait.
func (p *pushReceiver) remind() {
	select {
	case p.arrived <- struct{}{}:
	default:
	}
}

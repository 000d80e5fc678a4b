package homeserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxBody is the largest JSON request; events themselves are limited to 65,535 bytes (see commit).
const maxBody = 4 << 20

// request is an HTTP request whose sender is known.
type request struct {
	*http.Request
	query  url.Values
	user   *account
	token  string
	device string
	as     *appservice // set when the token is an application service's
	body   []byte
}

// answer is a JSON body that is already spelled.
type answer = json.RawMessage

// handler answers one request under the lock. The answer must not share anything with the world that may change.
type handler func(hs *Server, rq *request) (any, error)

// matrixError is a refusal as the specification spells it.
type matrixError struct {
	status int
	code   string
	text   string
	extra  map[string]any
}

func (e *matrixError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.code, e.text) }

func refuse(status int, code, format string, args ...any) error {
	return &matrixError{status: status, code: code, text: fmt.Sprintf(format, args...)}
}

func forbidden(format string, args ...any) error {
	return refuse(http.StatusForbidden, "M_FORBIDDEN", format, args...)
}

func notFound(format string, args ...any) error {
	return refuse(http.StatusNotFound, "M_NOT_FOUND", format, args...)
}

func badJSON(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "M_BAD_JSON", format, args...)
}

// empty is the answer of an endpoint that has nothing to say.
var empty = struct{}{}

// decode reads the body into a value.
func (rq *request) decode(into any) error {
	if len(rq.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(rq.body, into); err != nil {
		return badJSON("the body is not what this endpoint expects: %v", err)
	}
	return nil
}

// timestamp is the time that an application service gave the event (?ts=), or now, in Unix milliseconds.
func (rq *request) timestamp() int64 {
	if rq.as != nil {
		if ts, err := strconv.ParseInt(rq.query.Get("ts"), 10, 64); err == nil && ts > 0 {
			return ts
		}
	}
	return time.Now().UnixMilli()
}

// serve is the outermost handler: older spelling of paths, then faults, then the routes.
func (hs *Server) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Allow-Headers", "*")
	w.Header().Set("Access-Control-Allow-Methods", "*")
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	r.URL.Path = strings.Replace(r.URL.Path, "/client/r0/", "/client/v3/", 1)
	r.URL.RawPath = strings.Replace(r.URL.RawPath, "/client/r0/", "/client/v3/", 1)
	if f := hs.faults.pick(r); f != nil {
		hs.misbehave(f, w, r)
		return
	}
	hs.mux.ServeHTTP(w, r)
}

// plain makes an endpoint out of a handler that runs under the lock.
func (hs *Server) plain(needsUser bool, handle handler) http.HandlerFunc {
	return hs.free(needsUser, func(w http.ResponseWriter, rq *request) (any, error) {
		return hs.locked(rq, handle)
	})
}

// free makes an endpoint out of a handler that takes the lock itself. A nil answer without an error means that it has
// already answered.
func (hs *Server) free(needsUser bool, handle func(http.ResponseWriter, *request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rq := &request{Request: r, query: r.URL.Query()}
		var result any
		err := hs.admit(rq, needsUser)
		if err == nil {
			result, err = handle(w, rq)
		}
		hs.lag(r)
		switch {
		case err != nil:
			writeError(w, err)
		case result != nil:
			writeJSON(w, http.StatusOK, result)
		}
	}
}

// admit reads the body of a request and finds out who sent it.
func (hs *Server) admit(rq *request, needsUser bool) error {
	if isJSON := !strings.HasPrefix(rq.URL.Path, "/_matrix/media/"); isJSON && rq.Method != http.MethodGet {
		body, err := io.ReadAll(io.LimitReader(rq.Body, maxBody+1))
		if err != nil {
			panic(http.ErrAbortHandler) // cut within the request: it never arrived
		}
		if len(body) > maxBody {
			return refuse(http.StatusRequestEntityTooLarge, "M_TOO_LARGE", "the request is too large")
		}
		if len(body) > 0 && !json.Valid(body) {
			return refuse(http.StatusBadRequest, "M_NOT_JSON", "the body is not JSON")
		}
		rq.body = body
	}
	if !needsUser {
		return nil
	}
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return hs.authenticate(rq)
}

// locked runs a handler as one step of the world.
func (hs *Server) locked(rq *request, handle handler) (any, error) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.down {
		panic(http.ErrAbortHandler) // a dead server commits nothing
	}
	return handle(hs, rq)
}

// lag holds back the answer by the configured latency.
func (hs *Server) lag(r *http.Request) {
	if hs.opts.latency <= 0 {
		return
	}
	timer := time.NewTimer(hs.opts.latency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, ok := value.(answer)
	if !ok {
		var err error
		if body, err = json.Marshal(value); err != nil {
			writeError(w, fmt.Errorf("failed to spell the answer: %w", err))
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func writeError(w http.ResponseWriter, err error) {
	var known *matrixError
	if !errors.As(err, &known) {
		known = &matrixError{status: http.StatusInternalServerError, code: "M_UNKNOWN", text: err.Error()}
	}
	body := map[string]any{"errcode": known.code, "error": known.text}
	for key, value := range known.extra {
		body[key] = value
	}
	writeJSON(w, known.status, body)
}

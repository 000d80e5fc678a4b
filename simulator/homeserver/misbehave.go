package homeserver

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// misbehave treats a request as a fault says.
func (hs *Server) misbehave(f *Fault, w http.ResponseWriter, r *http.Request) {
	switch f.Kind {
	case Timeout:
		// Only with the body read does the server notice that the client has gone.
		_, _ = io.Copy(io.Discard, r.Body)
		wait(r, f.Delay)
		cut(w, nil)
	case Slow:
		wait(r, max(f.Delay, time.Nanosecond))
		hs.mux.ServeHTTP(w, r)
	case CutBefore:
		cut(w, nil)
	case TimeoutAfterCommit:
		hs.answerOf(r)
		wait(r, f.Delay)
		cut(w, nil)
	case Drip:
		hs.answerOf(r).drip(w, r, f.Delay)
	case CutAfterCommit:
		hs.answerOf(r)
		cut(w, nil)
	case CutMidAnswer:
		cut(w, hs.answerOf(r))
	case Status500AfterCommit:
		hs.answerOf(r)
		f.refuse(w)
	default:
		_, _ = io.Copy(io.Discard, r.Body)
		f.refuse(w)
	}
}

// wait until the client or the server ends, or at most for a time when it is not 0.
func wait(r *http.Request, most time.Duration) {
	var late <-chan time.Time
	if most > 0 {
		timer := time.NewTimer(most)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-late:
	case <-r.Context().Done():
	}
}

// refuse answers with the fault's status.
func (f *Fault) refuse(w http.ResponseWriter) {
	e := &matrixError{status: http.StatusInternalServerError, code: "M_UNKNOWN", text: "Internal server error (fault)"}
	switch f.Kind {
	case Status429:
		e = &matrixError{status: http.StatusTooManyRequests, code: "M_LIMIT_EXCEEDED", text: "Too Many Requests (fault)"}
		if f.Retry != "" {
			w.Header().Set("Retry-After", f.Retry)
		}
		if seconds, err := strconv.Atoi(f.Retry); err == nil {
			e.extra = map[string]any{"retry_after_ms": seconds * 1000}
		}
	case Forbidden:
		e = &matrixError{status: http.StatusForbidden, code: "M_FORBIDDEN", text: "You are not allowed to do that (fault)"}
	case UnknownToken:
		e = &matrixError{status: http.StatusUnauthorized, code: "M_UNKNOWN_TOKEN", text: "Unknown access token (fault)"}
	case NotFound:
		e = &matrixError{status: http.StatusNotFound, code: "M_NOT_FOUND", text: "Not found (fault)"}
	case TooLarge:
		e = &matrixError{status: http.StatusRequestEntityTooLarge, code: "M_TOO_LARGE", text: "event too large (fault)"}
	}
	if f.Status != 0 {
		e.status = f.Status
	}
	if f.ErrCode != "" {
		e.code = f.ErrCode
	}
	writeError(w, e)
}

// recorded is an answer that has not been sent.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (rec *recorded) Header() http.Header            { return rec.header }
func (rec *recorded) WriteHeader(status int)         { rec.status = status }
func (rec *recorded) Write(part []byte) (int, error) { return rec.body.Write(part) }

// answerOf handles a request and keeps the answer.
func (hs *Server) answerOf(r *http.Request) *recorded {
	rec := &recorded{header: http.Header{}, status: http.StatusOK}
	hs.mux.ServeHTTP(rec, r)
	return rec
}

// drip sends an answer one byte at a time.
func (rec *recorded) drip(w http.ResponseWriter, r *http.Request, pause time.Duration) {
	for key, values := range rec.header {
		w.Header()[key] = values
	}
	w.WriteHeader(rec.status)
	for _, b := range rec.body.Bytes() {
		if _, err := w.Write([]byte{b}); err != nil || r.Context().Err() != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		wait(r, max(pause, time.Nanosecond))
	}
}

// cut resets the connection, after half of an answer when there is one.
func cut(w http.ResponseWriter, half *recorded) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = conn.Close() }()
	if half != nil {
		body := half.body.Bytes()
		_, _ = buffered.WriteString("HTTP/1.1 " + strconv.Itoa(half.status) + " " + http.StatusText(half.status) +
			"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n")
		_, _ = buffered.Write(body[:len(body)/2])
		_ = buffered.Flush()
		return // an ordinary close: a reset could overtake the half answer
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

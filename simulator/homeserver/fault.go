package homeserver

import (
	"net/http"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Fault makes the server treat some requests badly.
type Fault struct {
	Match    func(*http.Request) bool // nil: every request. The body must not be read
	Path     *regexp.Regexp           // nil: every path. Matched against "METHOD /path", escaped
	Kind     Kind
	Status   int           // the status of Status500, Status500AfterCommit and Forbidden when another is wanted
	ErrCode  string        // and its error code
	Retry    string        // Retry-After of Status429, sent as it is: "1", "999999", "soon"
	Delay    time.Duration // Slow: before the request is handled; Drip: between two bytes; Timeout*: at most, 0 = until the client gives up
	Count    int           // how many requests; 0 = all
	Duration time.Duration // how long from now; 0 = until cleared
}

// Kind says what happens to a request.
type Kind int

// The kinds of [Fault].
const (
	Status500            Kind = iota + 1 // 500 M_UNKNOWN, nothing is done
	Status429                            // 429 M_LIMIT_EXCEEDED with Retry-After, nothing is done
	Forbidden                            // 403 M_FORBIDDEN, nothing is done
	UnknownToken                         // 401 M_UNKNOWN_TOKEN, nothing is done
	NotFound                             // 404 M_NOT_FOUND, nothing is done
	TooLarge                             // 413 M_TOO_LARGE, nothing is done
	Status500AfterCommit                 // done, but answered with 500
	Timeout                              // nothing is done, nothing is answered
	TimeoutAfterCommit                   // done, but nothing is answered
	Slow                                 // done after Delay
	Drip                                 // done; the answer's body comes one byte at a time
	CutBefore                            // the connection is reset, nothing is done
	CutAfterCommit                       // done, then the connection is reset without an answer
	CutMidAnswer                         // done, then the connection is reset in the middle of the answer
)

// FaultHandle is a fault in force.
type FaultHandle struct {
	fault Fault
	until time.Time
	hits  atomic.Int64
	owner *faults
}

// Hits counts the requests that the fault has met.
func (h *FaultHandle) Hits() int { return int(h.hits.Load()) }

// Clear ends the fault.
func (h *FaultHandle) Clear() {
	h.owner.mu.Lock()
	defer h.owner.mu.Unlock()
	h.owner.drop(h)
}

// Fault puts a fault in force. Of several that match a request the oldest meets it.
func (hs *Server) Fault(fault Fault) *FaultHandle {
	h := &FaultHandle{fault: fault, owner: &hs.faults}
	if fault.Duration > 0 {
		h.until = time.Now().Add(fault.Duration)
	}
	hs.faults.mu.Lock()
	defer hs.faults.mu.Unlock()
	hs.faults.active = append(hs.faults.active, h)
	hs.faults.number.Store(int32(len(hs.faults.active)))
	return h
}

// ActingAs matches the requests that an application service makes as one of its users.
func ActingAs(userID string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.URL.Query().Get("user_id") == userID }
}

// faults in force; number lets requests pass without the lock when there are none.
type faults struct {
	number atomic.Int32
	mu     sync.Mutex
	active []*FaultHandle
}

func (fs *faults) drop(h *FaultHandle) {
	fs.active = slices.DeleteFunc(fs.active, func(other *FaultHandle) bool { return other == h })
	fs.number.Store(int32(len(fs.active)))
}

// pick is the fault that meets a request, or nil.
func (fs *faults) pick(r *http.Request) *Fault {
	if fs.number.Load() == 0 {
		return nil
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, h := range slices.Clone(fs.active) {
		if !h.until.IsZero() && time.Now().After(h.until) {
			fs.drop(h)
			continue
		}
		if h.fault.Path != nil && !h.fault.Path.MatchString(r.Method+" "+r.URL.EscapedPath()) ||
			h.fault.Match != nil && !h.fault.Match(r) {
			continue
		}
		if hits := h.hits.Add(1); h.fault.Count > 0 && hits >= int64(h.fault.Count) {
			fs.drop(h)
		}
		return &h.fault
	}
	return nil
}

package meta

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxAdminBody bounds what the control plane reads.
const maxAdminBody = 1 << 20

// Errors that the control plane answers with 404 and 409; all others are 400.
var (
	errNoRecord = errors.New("no such record")
	errRefused  = errors.New("refused by the network")
)

// admin is the control plane: the network's methods over plain HTTP, JSON, without authentication.
type admin struct{ n *Network }

// adminCall does what a request asks and returns what is to be shown.
type adminCall func(r *http.Request) (any, error)

// adminHandler serves the control plane.
func (n *Network) adminHandler() http.Handler {
	a := &admin{n}
	mux := http.NewServeMux()
	for pattern, call := range map[string]adminCall{
		"GET /admin/info":        a.info,
		"GET /admin/root-key":    a.rootKey,
		"GET /admin/findings":    a.findings,
		"DELETE /admin/findings": a.clearFindings,
		"GET /admin/messages":    a.messages,
		"POST /admin/profile":    a.profile,
		"POST /admin/clock":      a.clock,

		"GET /admin/integrators":               a.integrators,
		"POST /admin/integrators":              a.addIntegrator,
		"PATCH /admin/integrators/{id}":        a.changeIntegrator,
		"GET /admin/enlistments":               a.enlistments,
		"POST /admin/enlistments/{id}":         a.changeEnlistment,
		"GET /admin/connections":               a.connections,
		"POST /admin/connections/{id}/drop":    a.drop,
		"GET /admin/faults":                    a.faults,
		"POST /admin/faults":                   a.addFault,
		"DELETE /admin/faults/{id}":            a.removeFault,
		"GET /admin/push":                      a.pushCalls,
		"POST /admin/push":                     a.push,
		"GET /admin/mediaproxy":                a.mediaFetches,
		"POST /admin/whatsapp":                 a.addPerson,
		"POST /admin/messenger":                a.addToMessenger,
		"GET /admin/users":                     a.users,
		"GET /admin/users/{jid}":               a.person(a.showPerson),
		"GET /admin/users/{jid}/inbox":         a.person(a.inbox),
		"POST /admin/users/{jid}/tos":          a.person(a.terms),
		"POST /admin/users/{jid}/opt-in":       a.person(a.optIn),
		"POST /admin/users/{jid}/opt-out":      a.person(a.optOut),
		"POST /admin/users/{jid}/reachability": a.person(a.reachability),
		"POST /admin/users/{jid}/block":        a.person(a.block),
		"POST /admin/users/{jid}/unblock":      a.person(a.unblock),
		"POST /admin/users/{jid}/lookup":       a.person(a.lookup),
		"POST /admin/users/{jid}/send":         a.person(a.send),
		"POST /admin/users/{jid}/receipt":      a.person(a.receipt),
		"POST /admin/users/{jid}/typing":       a.person(a.typing),
		"POST /admin/users/{jid}/region":       a.person(a.region),
		"POST /admin/users/{jid}/identity":     a.person(a.identity),
		"GET /admin/users/{jid}/devices":       a.person(a.devices),
		"GET /admin/users/{jid}/state":         a.person(a.state),
		"POST /admin/users/{jid}/profile":      a.person(a.profileOf),
		"POST /admin/users/{jid}/group":        a.person(a.createGroup),
		"GET /admin/groups":                    a.groups,
		"GET /admin/groups/{gid}":              a.group,

		"POST /admin/users/{jid}/group/{gid}/{action}": a.person(a.changeGroup),

		"POST /admin/mock-phone/history":   a.history,
		"POST /admin/mock-phone/app-state": a.appState,
		"POST /admin/mock-phone/scan-qr":   a.scanQR,
		"POST /admin/mock-phone/link-code": a.linkCode,
		"POST /admin/mock-phone/unlink":    a.unlink,
	} {
		mux.Handle(pattern, call)
	}
	mux.HandleFunc("GET /admin/trace", a.trace)
	mux.HandleFunc("GET /admin/ca.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(n.CA()) // a caller that has gone away is its own affair
	})
	return mux
}

// ServeHTTP runs the call and writes its result or its error.
func (call adminCall) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxAdminBody)
	result, err := call(r)
	status := http.StatusOK
	if err != nil {
		result = map[string]string{"error": err.Error()}
		switch {
		case errors.Is(err, errNoRecord), errors.Is(err, errNeverHeard), errors.Is(err, errQRUnknown):
			status = http.StatusNotFound
		case errors.Is(err, errRefused), errors.Is(err, errQRUsed), errors.Is(err, errTooMany):
			status = http.StatusConflict
		case errors.Is(err, errQRExpired):
			status = http.StatusGone
		case errors.Is(err, errQRForm), errors.Is(err, errWrongCode):
			status = http.StatusUnprocessableEntity
		default:
			status = http.StatusBadRequest
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(result) // a caller that has gone away is its own affair
}

// readAdmin reads the body of a call; an empty body leaves v alone.
func readAdmin(r *http.Request, v any) error {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("failed to read the body: %w", err)
	} else if len(data) == 0 {
		return nil
	}
	if err = decodeRequest(data, v); err != nil {
		return fmt.Errorf("failed to read the body: %w", err)
	}
	return nil
}

func (a *admin) info(*http.Request) (any, error) { return a.n.Info(), nil }

func (a *admin) rootKey(*http.Request) (any, error) {
	return map[string]string{"root_key": a.n.Info().RootKey}, nil
}

func (a *admin) findings(*http.Request) (any, error) {
	return append([]Finding{}, a.n.Findings()...), nil
}

func (a *admin) clearFindings(*http.Request) (any, error) {
	a.n.ClearFindings()
	return []Finding{}, nil
}

// trace shows the transcript as text, with ?account= the lines that name it only.
func (a *admin) trace(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, strings.Join(a.lines(r.URL.Query().Get("account")), "\n")+"\n")
}

// lines are those of the transcript that contain a text.
func (a *admin) lines(containing string) []string {
	found := []string{}
	for line := range strings.SplitSeq(a.n.Transcript(), "\n") {
		if line != "" && strings.Contains(line, containing) {
			found = append(found, line)
		}
	}
	return found
}

// messages shows the life of one message: the stanzas that name it, and who refused it.
func (a *admin) messages(r *http.Request) (any, error) {
	id := r.URL.Query().Get("id")
	if id == "" {
		return nil, errors.New("id is missing")
	}
	life := struct {
		ID       string    `json:"id"`
		Stanzas  []string  `json:"stanzas"`
		Refusals []Refusal `json:"refusals"`
	}{id, a.lines(`"` + id + `"`), []Refusal{}}
	for _, refusal := range a.n.Refusals() {
		if refusal.ID == id {
			life.Refusals = append(life.Refusals, refusal)
		}
	}
	if len(life.Stanzas) == 0 && len(life.Refusals) == 0 {
		return nil, fmt.Errorf("message %s: %w", id, errNoRecord)
	}
	return life, nil
}

func (a *admin) profile(r *http.Request) (any, error) {
	var body struct {
		Profile string `json:"profile"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	profile, err := ParseProfile(body.Profile)
	if err != nil {
		return nil, err
	}
	a.n.SetProfile(profile)
	return a.n.Info(), nil
}

func (a *admin) clock(r *http.Request) (any, error) {
	var body struct {
		Offset float64 `json:"offset_s"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	a.n.SetClockOffset(time.Duration(body.Offset * float64(time.Second)))
	return map[string]any{"offset_s": body.Offset, "now": a.n.now().UTC()}, nil
}

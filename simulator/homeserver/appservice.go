package homeserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"time"

	"gopkg.in/yaml.v3"
)

// Registration is an application service as its registration file describes it.
type Registration struct {
	ID              string `yaml:"id"`
	URL             string `yaml:"url"` // empty: nothing is pushed
	ASToken         string `yaml:"as_token"`
	HSToken         string `yaml:"hs_token"`
	SenderLocalpart string `yaml:"sender_localpart"`
	Namespaces      struct {
		Users []Namespace `yaml:"users"`
	} `yaml:"namespaces"`
	ReceiveEphemeral bool `yaml:"receive_ephemeral"`
	PushEphemeral    bool `yaml:"de.sorunome.msc2409.push_ephemeral"`
}

// Namespace is a set of user ids that an application service takes interest in.
type Namespace struct {
	Regex     string `yaml:"regex"`
	Exclusive bool   `yaml:"exclusive"`
}

func (reg *Registration) ephemeral() bool { return reg.ReceiveEphemeral || reg.PushEphemeral }

// services are the application services of a server.
type services struct {
	appservices []*appservice
	byToken     map[string]*appservice
	interests   map[string][]*appservice // user id → who takes interest; a cache
}

type appservice struct {
	reg    Registration
	sender string
	users  []*regexp.Regexp
	push   *pusher
}

// covers says whether a user is the application service's to act as.
func (as *appservice) covers(userID string) bool {
	for _, users := range as.users {
		if users.MatchString(userID) {
			return true
		}
	}
	return false
}

// LoadAppservice registers the application service of a registration file.
func (hs *Server) LoadAppservice(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("failed to read the registration: %w", err)
	}
	var reg Registration
	if err = yaml.Unmarshal(data, &reg); err != nil {
		return fmt.Errorf("failed to parse the registration %s: %w", path, err)
	}
	return hs.AddAppservice(reg)
}

// AddAppservice registers an application service; one with the same id is replaced. It gets events from now on.
func (hs *Server) AddAppservice(reg Registration) error {
	if reg.ID == "" || reg.ASToken == "" || reg.HSToken == "" || reg.SenderLocalpart == "" {
		return errors.New("failed to register the application service: id, as_token, hs_token and sender_localpart are needed")
	}
	as := &appservice{reg: reg, sender: hs.UserID(reg.SenderLocalpart)}
	for _, namespace := range reg.Namespaces.Users {
		// Real servers match from the start only; the end is the pattern's own affair.
		users, err := regexp.Compile("^(?:" + namespace.Regex + ")")
		if err != nil {
			return fmt.Errorf("failed to read namespace of %s: %w", reg.ID, err)
		}
		as.users = append(as.users, users)
	}
	as.push = newPusher(&hs.opts, reg)
	hs.lifeMu.Lock()
	defer hs.lifeMu.Unlock()
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.install(as)
	if hs.life != nil {
		hs.startPusher(hs.life, as)
	}
	return nil
}

func (hs *Server) install(as *appservice) {
	for i, old := range hs.appservices {
		if old.reg.ID == as.reg.ID {
			delete(hs.byToken, old.reg.ASToken)
			old.push.retire()
			hs.appservices = append(hs.appservices[:i:i], hs.appservices[i+1:]...)
			break
		}
	}
	hs.appservices = append(hs.appservices, as)
	hs.byToken[as.reg.ASToken] = as
	if hs.accounts[as.sender] == nil {
		hs.newAccount(as.sender, "")
	}
	clear(hs.interests)
	for _, rm := range hs.rooms {
		clear(rm.services)
		for userID, membership := range rm.members {
			for _, interested := range hs.interest(userID) {
				if membership == "join" {
					rm.services[interested]++
				}
			}
		}
	}
}

// interest names the application services that a user concerns.
func (hs *Server) interest(userID string) []*appservice {
	known, ok := hs.interests[userID]
	if ok {
		return known
	}
	for _, as := range hs.appservices {
		if userID == as.sender || as.covers(userID) {
			known = append(known, as)
		}
	}
	hs.interests[userID] = known
	return known
}

// interested names the application services that an event concerns whoever is in the room: by sender and by state key.
func (hs *Server) interested(e *entry) []*appservice {
	all := hs.interest(e.Sender)
	if e.Type == "m.room.member" && e.StateKey != nil && *e.StateKey != e.Sender {
		all = append(all[:len(all):len(all)], hs.interest(*e.StateKey)...)
	}
	return all
}

// postPing asks the application service whether it can be reached. A success also wakes its queue, as in Synapse.
func (hs *Server) postPing(_ http.ResponseWriter, rq *request) (any, error) {
	var in struct {
		Txn string `json:"transaction_id"`
	}
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case rq.as == nil || rq.as.reg.ID != rq.PathValue("id"):
		return nil, forbidden("Only the application service itself may ask for a ping")
	case rq.as.reg.URL == "":
		return nil, refuse(http.StatusBadRequest, "M_URL_NOT_SET", "The application service has no url")
	}
	body := map[string]string{}
	if in.Txn != "" {
		body["transaction_id"] = in.Txn
	}
	start := time.Now()
	status, text, err := rq.as.push.call(rq.Context(), http.MethodPost, "/_matrix/app/v1/ping", spell(body))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, refuse(http.StatusGatewayTimeout, "M_CONNECTION_TIMEOUT", "%v", err)
	case err != nil:
		return nil, refuse(http.StatusBadGateway, "M_CONNECTION_FAILED", "%v", err)
	case status != http.StatusOK:
		return nil, &matrixError{status: http.StatusBadGateway, code: "M_BAD_STATUS",
			text: fmt.Sprintf("The application service answered with status %d", status), extra: map[string]any{"status": status, "body": text}}
	}
	rq.as.push.hurry()
	return map[string]int64{"duration_ms": time.Since(start).Milliseconds()}, nil
}

// call makes one request to the application service.
func (p *pusher) call(ctx context.Context, method, path string, body []byte) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", fmt.Errorf("failed to build the request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("failed to reach the application service: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answered, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return 0, "", fmt.Errorf("failed to read the answer of the application service: %w", err)
	}
	return resp.StatusCode, string(answered), nil
}

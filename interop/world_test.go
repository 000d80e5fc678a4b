package interop

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"

	"causeway/database"
	"causeway/network"
)

const (
	annaID = "@anna:example.eu"
	wa     = network.WhatsApp
)

// entry is an enlistment as the service has it.
type entry struct {
	id, account, subject, identity, identifier, status, reason string
}

// registry is a service that keeps what it is told: one enlistment for each subject.
type registry struct {
	t      *testing.T
	server *httptest.Server
	// issuer is the provider's address, where the key set is read for each request.
	issuer atomic.Pointer[string]
	now    func() time.Time

	mutex   sync.Mutex
	entries []*entry
	posts   int
	lists   int
	// down makes it answer 503.
	down bool
}

func newRegistry(t *testing.T, now func() time.Time) *registry {
	t.Helper()
	r := &registry{t: t, now: now}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	response, err := fetch(*r.issuer.Load() + "/.well-known/jwks.json")
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	keySet, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	token, _ := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
	_, claims := verify(r.t, token, keySet, r.now())
	id, _ := strings.CutPrefix(request.URL.Path, "/v1/enlistments/")
	switch request.Method {
	case http.MethodPost:
		r.enlist(w, request, claims)
	case http.MethodDelete:
		r.withdraw(w, id, request.URL.Query())
	default:
		r.lists++
		var items []string
		for _, e := range r.entries {
			items = append(items, e.body())
		}
		_, _ = io.WriteString(w, `{"items":[`+strings.Join(items, ",")+`],"next":null}`)
	}
}

// fetch leaves no connection behind that a stopping provider would wait for.
func fetch(address string) (*http.Response, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return client.Get(address)
}

func (r *registry) enlist(w http.ResponseWriter, request *http.Request, claims map[string]any) {
	r.posts++
	var body struct {
		Keys struct {
			Identity string `json:"identity_key"`
		} `json:"keys"`
	}
	_ = json.NewDecoder(request.Body).Decode(&body)
	for _, e := range r.entries {
		if e.subject != claims["sub"] || e.status == "withdrawn" {
			continue
		}
		if e.identity != body.Keys.Identity {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, refusalOf("identity_mismatch"))
			return
		}
		_, _ = io.WriteString(w, e.body())
		return
	}
	number := len(r.entries) + 1
	e := &entry{id: fmt.Sprintf("e_%d", number), account: fmt.Sprintf("10%d", number), subject: claims["sub"].(string),
		identity: body.Keys.Identity, identifier: claims["identifier"].(string), status: "active"}
	r.entries = append(r.entries, e)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, e.body())
}

func (r *registry) withdraw(w http.ResponseWriter, id string, query url.Values) {
	for _, e := range r.entries {
		if e.id == id {
			e.status, e.reason = "withdrawn", query.Get("reason")
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
}

func (e *entry) body() string {
	return fmt.Sprintf(`{"enlistment_id":%q,"product":"whatsapp","integrator_id":12,"account_id":%q,"jid":"12-%s@interop","status":%q,
		"identifier":{"type":"email","value":%q,"normalized":%q}}`, e.id, e.account, e.account, e.status, e.identifier, e.identifier)
}

// change does something to the registry while nobody asks it.
func (r *registry) change(do func()) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	do()
}

// statuses is how all enlistments stand, in the order in which they were made.
func (r *registry) statuses() []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var all []string
	for _, e := range r.entries {
		all = append(all, e.status)
	}
	return all
}

// world is a started provider and the registry that it enlists with.
type world struct {
	*Provider
	registry *registry
	clock    *clock
	db       *database.Database
	dir      string
	calls    Calls
	// trustedProxy and words are what the region page is told.
	trustedProxy string
	words        RegionWords
}

func newWorld(t *testing.T, changes ...func(*Config)) *world {
	t.Helper()
	c := newClock()
	w := &world{clock: c, registry: newRegistry(t, c.now), db: openDatabase(t), dir: t.TempDir()}
	w.start(t, changes...)
	return w
}

// start starts the provider, again if it ran before: the database and keys stay.
func (w *world) start(t *testing.T, changes ...func(*Config)) {
	t.Helper()
	cfg := completeConfig()
	cfg.EnlistmentURL = w.registry.server.URL
	for _, change := range changes {
		change(&cfg)
	}
	provider, err := New(cfg, Environment{Domain: "example.eu", StateDir: w.dir, Listen: Listen{Address: "127.0.0.1:0", TrustedProxy: w.trustedProxy}, RegionWords: w.words,
		Software: "causeway/test", Now: w.clock.now, Calls: w.calls}, w.db, zerolog.Nop())
	require.NoError(t, err)
	if service, ok := provider.enlister.(*service); ok {
		service.retry.pause = func(ctx context.Context, _ time.Duration) error { return pause(ctx, time.Millisecond) }
	}
	w.Provider = provider
	none := "http://127.0.0.1:1"
	w.registry.issuer.Store(&none)
	require.NoError(t, provider.Start(t.Context()))
	issuer := "http://" + provider.Addr()
	w.registry.issuer.Store(&issuer)
	t.Cleanup(provider.Stop)
}

// startSettled starts the provider and waits until it has compared its records with the
// network's: a clock that is moved on meanwhile would make the tokens of that too old.
func (w *world) startSettled(t *testing.T, changes ...func(*Config)) {
	t.Helper()
	lists := func() (count int) {
		w.registry.change(func() { count = w.registry.lists })
		return count
	}
	before := lists()
	w.start(t, changes...)
	require.Eventually(t, func() bool { return lists() > before }, 10*time.Second, time.Millisecond)
}

func openDatabase(t *testing.T) *database.Database {
	t.Helper()
	path := (&url.URL{Path: filepath.Join(t.TempDir(), "test.db")}).EscapedPath()
	raw, err := sql.Open("sqlite3", "file:"+path+"?_foreign_keys=on&_journal_mode=WAL&_txlock=immediate&_busy_timeout=5000")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, raw.Close()) })
	wrapped, err := dbutil.NewWithDB(raw, "sqlite3")
	require.NoError(t, err)
	db := database.New(wrapped)
	require.NoError(t, db.Upgrade(t.Context()))
	return db
}

func (w *world) agree(t *testing.T, user string) Consent {
	t.Helper()
	consent, err := w.Consent(t.Context(), user, wa, "DE")
	require.NoError(t, err)
	return consent
}

func (w *world) applicant(t *testing.T, user string, seed byte) Applicant {
	t.Helper()
	return Applicant{User: user, Network: wa, DisplayName: "Anna", Keys: testKeys(seed), Sign: sign, ConsentID: w.agree(t, user).ID}
}

// enlisted is a user who has agreed and is enlisted.
func (w *world) enlisted(t *testing.T, user string) Enlistment {
	t.Helper()
	enlistment, err := w.Enlist(t.Context(), w.applicant(t, user, 1))
	require.NoError(t, err)
	return enlistment
}

package interop

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/database"
	"causeway/network"
)

const testPushSecret = "correct horse battery staple 0123"

// told is what the provider passed on of a call.
type told struct {
	what         string
	login        network.Address
	reason       string
	until        time.Time
	report       AbuseReport
	network      network.Network
	integratorIs string
}

// pushWorld is a provider that the network calls.
type pushWorld struct {
	*world
	owner Enlistment
	told  chan told
	calls int
}

func newPushWorld(t *testing.T) *pushWorld {
	t.Helper()
	c := newClock()
	w := &pushWorld{told: make(chan told, 100), world: &world{clock: c, registry: newRegistry(t, c.now), db: openDatabase(t), dir: t.TempDir()}}
	w.world.calls = Calls{
		OnWake: func(login network.Address, _ int) { w.told <- told{what: "wake", login: login} },
		OnSuspended: func(login network.Address, reason string, until time.Time) {
			w.told <- told{what: "suspended", login: login, reason: reason, until: until}
		},
		OnWithdrawn: func(login network.Address, reason string) {
			w.told <- told{what: "withdrawn", login: login, reason: reason}
		},
		OnAbuseReport: func(login network.Address, report AbuseReport) {
			w.told <- told{what: "abuse", login: login, report: report}
		},
		OnIntegratorStatus: func(n network.Network, status string) {
			w.told <- told{what: "integrator", network: n, integratorIs: status}
		},
	}
	w.restart(t)
	w.owner = w.enlisted(t, annaID)
	return w
}

func (w *pushWorld) restart(t *testing.T) {
	t.Helper()
	w.startSettled(t, func(cfg *Config) {
		cfg.Push.Secret, cfg.Media.BaseURL = testPushSecret, mediaBase
	})
}

// body is a good call with events, each JSON.
func (w *pushWorld) body(delivery string, events ...string) string {
	return fmt.Sprintf(`{"version":1,"delivery_id":%q,"integrator_id":12,"product":"whatsapp","sent_at":%d,"attempt":1,"events":[%s]}`,
		delivery, w.clock.now().Unix(), strings.Join(events, ","))
}

func signature(secret, stamp, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, stamp+"."+body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// header is the head of a good call.
func (w *pushWorld) header(delivery, body string) http.Header {
	stamp := strconv.FormatInt(w.clock.now().Unix(), 10)
	return http.Header{"Content-Type": {"application/json"}, "X-Interop-Delivery": {delivery}, "X-Interop-Timestamp": {stamp},
		"X-Interop-Signature": {signature(testPushSecret, stamp, body)}}
}

func (w *pushWorld) post(header http.Header, body string) *http.Response {
	w.calls++
	w.clock.advance(10 * time.Millisecond)
	request := httptest.NewRequest(http.MethodPost, "/interop/push", strings.NewReader(body))
	request.RemoteAddr = fmt.Sprintf("198.51.100.%d:1", w.calls%250)
	request.Header = header
	recorder := httptest.NewRecorder()
	w.Handler().ServeHTTP(recorder, request)
	return recorder.Result()
}

// push makes a good call and returns its answer.
func (w *pushWorld) push(t *testing.T, delivery string, events ...string) string {
	t.Helper()
	body := w.body(delivery, events...)
	response := w.post(w.header(delivery, body), body)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
	return string(content(t, response))
}

// hears is the next thing that is passed on.
func (w *pushWorld) hears(t *testing.T) told {
	t.Helper()
	select {
	case heard := <-w.told:
		return heard
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was passed on")
		return told{}
	}
}

// hearsNothing waits until all that was stored is acted on, and nothing was passed on.
func (w *pushWorld) hearsNothing(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		events, err := w.db.PushEvents(t.Context(), 1)
		return err == nil && len(events) == 0
	}, 10*time.Second, time.Millisecond)
	require.Empty(t, w.told)
}

const noneRejected = `{"rejected":[]}`

func TestPushWakes(t *testing.T) {
	w := newPushWorld(t)
	answer := w.push(t, "d1", `{"type":"message_waiting","account_id":"101","count":3,"oldest_at":1789999990}`)
	require.JSONEq(t, noneRejected, answer)
	require.Equal(t, told{what: "wake", login: w.owner.Address}, w.hears(t))
	require.JSONEq(t, noneRejected, w.push(t, "d2", `{"type":"prekeys_low","account_id":"101","remaining":2}`))
	require.Equal(t, told{what: "wake", login: w.owner.Address}, w.hears(t))
	w.hearsNothing(t)
}

func TestPushIsRefused(t *testing.T) {
	w := newPushWorld(t)
	wake := `{"type":"message_waiting","account_id":"101"}`
	good := w.body("d1", wake)
	sign := func(stamp string) func(http.Header) {
		return func(h http.Header) {
			h["X-Interop-Timestamp"], h["X-Interop-Signature"] = []string{stamp}, []string{signature(testPushSecret, stamp, good)}
		}
	}
	at := func(offset time.Duration) func(http.Header) {
		return sign(strconv.FormatInt(w.clock.now().Add(offset).Unix(), 10))
	}
	set := func(name string, values ...string) func(http.Header) { return func(h http.Header) { h[name] = values } }
	edit := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
	var reordered map[string]any
	require.NoError(t, json.Unmarshal([]byte(good), &reordered))
	serialised, err := json.Marshal(reordered)
	require.NoError(t, err)
	right := w.header("d1", good).Get("X-Interop-Signature")
	for name, test := range map[string]struct {
		body   string
		change func(http.Header)
		status int
	}{
		"no signature":            {good, set("X-Interop-Signature"), 401},
		"empty signature":         {good, set("X-Interop-Signature", ""), 401},
		"no version of it":        {good, set("X-Interop-Signature", strings.TrimPrefix(right, "v1=")), 401},
		"other version of it":     {good, set("X-Interop-Signature", "v2="+strings.TrimPrefix(right, "v1=")), 401},
		"cut":                     {good, set("X-Interop-Signature", right[:len(right)-2]), 401},
		"longer":                  {good, set("X-Interop-Signature", right+"00"), 401},
		"all zero":                {good, set("X-Interop-Signature", "v1="+strings.Repeat("0", 64)), 401},
		"other secret":            {good, set("X-Interop-Signature", signature("another secret of 32 characters!", "1790000000", good)), 401},
		"twice":                   {good, set("X-Interop-Signature", right, right), 401},
		"signature of other body": {string(serialised), func(h http.Header) {}, 401},
		"one byte more":           {good + " ", func(http.Header) {}, 401},
		"no time":                 {good, set("X-Interop-Timestamp"), 401},
		"time is no number":       {good, sign("now"), 401},
		"time with plus":          {good, sign("+" + strconv.FormatInt(w.clock.now().Unix(), 10)), 401},
		"time of signature moved": {good, set("X-Interop-Timestamp", strconv.FormatInt(w.clock.now().Unix()+1, 10)), 401},
		"old":                     {good, at(-5*time.Minute - time.Second), 401},
		"of the future":           {good, at(5*time.Minute + 2*time.Second), 401},
		"too large":               {good + strings.Repeat(" ", 300<<10), func(http.Header) {}, 413},
		"not JSON":                {"hello", resign(w, "d1", "hello"), 400},
		"cut JSON":                {good[:40], resign(w, "d1", good[:40]), 400},
		"empty":                   {"", resign(w, "d1", ""), 400},
		"list":                    {"[]", resign(w, "d1", "[]"), 400},
		"other version":           {edit(`"version":1`, `"version":2`), resign(w, "d1", edit(`"version":1`, `"version":2`)), 400},
		"no delivery id":          {edit(`"d1"`, `""`), resign(w, "", edit(`"d1"`, `""`)), 400},
		"delivery id differs":     {good, set("X-Interop-Delivery", "d2"), 400},
		"other integrator":        {edit(":12,", ":13,"), resign(w, "d1", edit(":12,", ":13,")), 400},
		"other network":           {edit("whatsapp", "signal"), resign(w, "d1", edit("whatsapp", "signal")), 400},
		"event without type":      {edit("message_waiting", ""), resign(w, "d1", edit("message_waiting", "")), 400},
		"event is no object":      {w.body("d1", "1"), resign(w, "d1", w.body("d1", "1")), 400},
		"no media type":           {good, set("Content-Type"), 400},
		"other media type":        {good, set("Content-Type", "text/plain"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			header := w.header("d1", good)
			test.change(header)
			requireRefused(t, test.status, w.post(header, test.body))
		})
	}
	w.hearsNothing(t)
	require.JSONEq(t, noneRejected, w.push(t, "d1", wake), "no refused call used up the delivery id")
	require.Equal(t, "wake", w.hears(t).what)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead} {
		response := ask(w.Handler(), method, "/interop/push", w.header("d3", ""))
		require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)
		require.Equal(t, "POST", response.Header.Get("Allow"))
	}
}

// resign signs another body.
func resign(w *pushWorld, delivery, body string) func(http.Header) {
	return func(h http.Header) {
		clear(h)
		for name, values := range w.header(delivery, body) {
			h[name] = values
		}
	}
}

// Each bit of a signature counts, and so does each byte of a body.
func TestPushAltered(t *testing.T) {
	w := newPushWorld(t)
	body := w.body("d1", `{"type":"message_waiting","account_id":"101"}`)
	header := w.header("d1", body)
	right := header.Get("X-Interop-Signature")
	for i := range right {
		altered := []byte(right)
		altered[i] ^= 1
		header["X-Interop-Signature"] = []string{string(altered)}
		require.Equal(t, 401, w.post(header, body).StatusCode, i)
	}
	header["X-Interop-Signature"] = []string{right}
	for i := range body {
		altered := []byte(body)
		altered[i] ^= 1
		require.Equal(t, 401, w.post(header, string(altered)).StatusCode, i)
	}
	require.Equal(t, 200, w.post(header, body).StatusCode)
}

// While a secret is being replaced calls are signed with both.
func TestPushWithTwoSignatures(t *testing.T) {
	w := newPushWorld(t)
	body := w.body("d1", `{"type":"message_waiting","account_id":"101"}`)
	header := w.header("d1", body)
	right := header.Get("X-Interop-Signature")
	for _, both := range []string{right + "," + signature("old", "1", body), signature("old", "1", body) + ", " + right, "v1=zz," + right} {
		header["X-Interop-Signature"] = []string{both}
		require.Equal(t, 200, w.post(header, body).StatusCode, both)
	}
}

// A call that comes again has no second effect, even after a restart, for as long as it may be repeated.
func TestPushReplay(t *testing.T) {
	w := newPushWorld(t)
	events := []string{`{"type":"message_waiting","account_id":"101"}`, `{"type":"message_waiting","account_id":"777"}`}
	rejected := `{"rejected":[{"account_id":"777","reason":"unknown_account"}]}`
	require.JSONEq(t, rejected, w.push(t, "d1", events...))
	require.Equal(t, "wake", w.hears(t).what)
	require.JSONEq(t, rejected, w.push(t, "d1", events...), "the same answer")
	w.hearsNothing(t)
	w.clock.advance(24 * time.Hour)
	w.Stop()
	w.restart(t)
	require.JSONEq(t, rejected, w.push(t, "d1", events...))
	w.hearsNothing(t)
	w.clock.advance(time.Hour)
	w.Stop()
	w.restart(t)
	w.hearsNothing(t)
	require.Eventually(t, func() bool {
		fresh, err := w.db.InsertPush(t.Context(), "d1", w.clock.now(), nil)
		return err == nil && fresh
	}, 10*time.Second, time.Millisecond, "forgotten after a day")
}

// What cannot be stored is not taken: the network calls again.
func TestPushIsTakenOnlyAfterItIsStored(t *testing.T) {
	w := newPushWorld(t)
	_, err := w.db.Exec(t.Context(), "ALTER TABLE cw_push_event RENAME TO away")
	require.NoError(t, err)
	body := w.body("d1", `{"type":"message_waiting","account_id":"101"}`)
	response := w.post(w.header("d1", body), body)
	requireRefused(t, 503, response)
	require.Equal(t, "5", response.Header.Get("Retry-After"))
	_, err = w.db.Exec(t.Context(), "ALTER TABLE away RENAME TO cw_push_event")
	require.NoError(t, err)
	require.Equal(t, 200, w.post(w.header("d1", body), body).StatusCode)
	require.Equal(t, "wake", w.hears(t).what)
}

// What was stored when the program ended is acted on when it starts again.
func TestPushOutlivesARestart(t *testing.T) {
	w := newPushWorld(t)
	w.Stop()
	_, err := w.db.InsertPush(t.Context(), "d1", w.clock.now(), []database.PushEvent{{Network: wa, LoginID: w.owner.Address.String(),
		Type: "message_waiting", Detail: `{}`, SentAt: w.clock.now()}})
	require.NoError(t, err)
	w.restart(t)
	require.Equal(t, told{what: "wake", login: w.owner.Address}, w.hears(t))
	w.hearsNothing(t)
}

func TestPushKnowsOnlyItsAccounts(t *testing.T) {
	w := newPushWorld(t)
	ben := w.enlisted(t, "@ben:example.eu")
	require.NoError(t, w.Withdraw(t.Context(), ben.Address, ReasonUser))
	answer := w.push(t, "d1", `{"type":"message_waiting","account_id":"999"}`, `{"type":"prekeys_low","account_id":"999"}`,
		`{"type":"message_waiting","account_id":"../x"}`, `{"type":"message_waiting","account_id":"102"}`,
		`{"type":"message_waiting"}`, `{"type":"weather","account_id":"888"}`, `{"type":"message_waiting","account_id":"101"}`)
	require.JSONEq(t, `{"rejected":[{"account_id":"999","reason":"unknown_account"},{"account_id":"../x","reason":"unknown_account"},
		{"account_id":"102","reason":"unknown_account"},{"account_id":"","reason":"unknown_account"}]}`, answer)
	require.Equal(t, told{what: "wake", login: w.owner.Address}, w.hears(t))
	w.hearsNothing(t)
}

func TestPushSuspends(t *testing.T) {
	w := newPushWorld(t)
	w.push(t, "d1", `{"type":"enlistment_suspended","account_id":"101","reason":"abuse","until":1790003600}`)
	require.Equal(t, told{what: "suspended", login: w.owner.Address, reason: "abuse", until: time.Unix(1_790_003_600, 0)}, w.hears(t))
	_, err := w.ConnectToken(t.Context(), w.owner.Address, [32]byte{})
	require.ErrorIs(t, err, network.ErrSuspended)
	w.push(t, "d2", `{"type":"enlistment_suspended","account_id":"101","reason":5,"until":null}`)
	require.Equal(t, told{what: "suspended", login: w.owner.Address}, w.hears(t), "done even if the reason is odd")
}

func TestPushWithdraws(t *testing.T) {
	w := newPushWorld(t)
	_, err := w.Host(t.Context(), w.owner.Address, bytes.NewReader([]byte("x")), 1, sha256.Sum256([]byte("x")))
	require.NoError(t, err)
	w.push(t, "d1", `{"type":"enlistment_withdrawn","account_id":"101","reason":"region"}`)
	require.Equal(t, told{what: "withdrawn", login: w.owner.Address, reason: "region"}, w.hears(t))
	stored, err := w.Enlistment(t.Context(), w.owner.Address)
	require.NoError(t, err)
	require.Equal(t, Withdrawn, stored.Status)
	_, err = w.ConnectToken(t.Context(), w.owner.Address, [32]byte{})
	require.ErrorIs(t, err, network.ErrWithdrawn)
	consents, err := w.db.Consents(t.Context(), annaID, wa)
	require.NoError(t, err)
	require.False(t, consents[0].Current())
	entries, err := os.ReadDir(filepath.Join(w.dir, "media"))
	require.NoError(t, err)
	require.Empty(t, entries)
	require.Equal(t, []string{"active"}, w.registry.statuses(), "the network is not told what it told us")
}

// An event that was overtaken by what happened since is not believed; the network is asked instead.
func TestPushThatIsLate(t *testing.T) {
	w := newPushWorld(t)
	body := w.body("d1", `{"type":"enlistment_withdrawn","account_id":"101"}`, `{"type":"enlistment_suspended","account_id":"101"}`)
	header := w.header("d1", body)
	w.clock.advance(2 * time.Second)
	require.NoError(t, w.db.SetEnlistmentStatus(t.Context(), w.owner.Address.String(), string(Active), "", w.clock.now()))
	require.Equal(t, 200, w.post(header, body).StatusCode)
	w.hearsNothing(t)
	stored, err := w.Enlistment(t.Context(), w.owner.Address)
	require.NoError(t, err)
	require.Equal(t, Active, stored.Status)

	w.registry.change(func() { w.registry.entries[0].status = "suspended" })
	body = strings.Replace(body, "d1", "d2", 1)
	w.clock.advance(2 * time.Second)
	require.Equal(t, 200, w.post(w.header("d2", body), body).StatusCode)
	require.Eventually(t, func() bool {
		stored, err := w.Enlistment(t.Context(), w.owner.Address)
		return err == nil && stored.Status == Suspended
	}, 10*time.Second, time.Millisecond)
}

func TestPushForTheOperator(t *testing.T) {
	w := newPushWorld(t)
	w.push(t, "d1", `{"type":"abuse_report","account_id":"101","case_id":"c-7","category":"spam","count":2}`,
		`{"type":"integrator_status","status":"removed"}`)
	require.Equal(t, told{what: "abuse", login: w.owner.Address, report: AbuseReport{CaseID: "c-7", Category: "spam", Count: 2}}, w.hears(t))
	require.Equal(t, told{what: "integrator", network: wa, integratorIs: "removed"}, w.hears(t))
}

// A secret that nobody has chosen is made, and stays.
func TestPushSecretIsMade(t *testing.T) {
	w := newWorld(t)
	first, err := os.ReadFile(filepath.Join(w.dir, "push-secret"))
	require.NoError(t, err)
	require.Regexp(t, `^[\w-]{43}\n$`, string(first))
	require.Equal(t, strings.TrimSpace(string(first)), string(w.push.format.Load().secret))
	w.Stop()
	w.start(t)
	again, err := os.ReadFile(filepath.Join(w.dir, "push-secret"))
	require.NoError(t, err)
	require.Equal(t, first, again)
}

func TestPushBeforeStart(t *testing.T) {
	receiver := newTestReceiver(time.Now)
	recorder := httptest.NewRecorder()
	require.Equal(t, 503, receiver.serve(recorder, httptest.NewRequest(http.MethodPost, "/interop/push", nil), "192.0.2.1"))
	require.Equal(t, "1", recorder.Header().Get("Retry-After"))
}

// Callers who cannot sign are held up; the network is not.
func TestPushLimits(t *testing.T) {
	w := newPushWorld(t)
	call := func(header http.Header, body string) int {
		w.clock.advance(10 * time.Millisecond)
		request := httptest.NewRequest(http.MethodPost, "/interop/push", strings.NewReader(body))
		request.Header = header
		recorder := httptest.NewRecorder()
		w.Handler().ServeHTTP(recorder, request)
		return recorder.Code
	}
	for i := range 100 {
		body := w.body(fmt.Sprint("d", i))
		require.Equal(t, 200, call(w.header(fmt.Sprint("d", i), body), body))
	}
	limited := 0
	for range 100 {
		if call(http.Header{}, "x") == 429 {
			limited++
		}
	}
	require.GreaterOrEqual(t, limited, 38)
}

// Only what was signed with the secret is taken, and no body makes the reader fall over.
func FuzzPush(f *testing.F) {
	format := &signedCalls{secret: []byte(testPushSecret), integrator: 12}
	now := time.Unix(1_790_000_000, 0)
	body := `{"version":1,"delivery_id":"d1","integrator_id":12,"product":"whatsapp","sent_at":1790000000,"events":[{"type":"message_waiting","account_id":"101"}]}`
	f.Add(body, "1790000000", signature(testPushSecret, "1790000000", body))
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, body, stamp, given string) {
		header := http.Header{"X-Interop-Timestamp": {stamp}, "X-Interop-Signature": {given}, "X-Interop-Delivery": {"d1"}}
		if format.Authentic(header, []byte(body), now) == nil {
			require.Contains(t, strings.ToLower(given), strings.TrimPrefix(signature(testPushSecret, stamp, body), "v1="))
		}
		call, err := format.Read(header, []byte(body))
		if err == nil {
			require.Equal(t, "d1", call.deliveryID)
			require.True(t, call.product.Known())
		}
	})
}

package meta

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const testPushSecret = "correct horse battery staple 0123"

// pushReceiver is a provider's end of the calls.
type pushReceiver struct {
	server *httptest.Server

	mu     sync.Mutex
	bodies []map[string]any
	heads  []http.Header
	signed []bool
	status []int // of the next answers; 200 when empty
	answer string
}

func newPushReceiver(t *testing.T, w *world) *pushReceiver {
	t.Helper()
	p := &pushReceiver{answer: `{"rejected":[]}`}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, []byte(testPushSecret))
		mac.Write([]byte(r.Header.Get("X-Interop-Timestamp") + "." + string(content)))
		p.mu.Lock()
		defer p.mu.Unlock()
		var body map[string]any
		_ = json.Unmarshal(content, &body)
		p.bodies, p.heads = append(p.bodies, body), append(p.heads, r.Header)
		p.signed = append(p.signed, r.Header.Get("X-Interop-Signature") == "v1="+hex.EncodeToString(mac.Sum(nil)))
		status := http.StatusOK
		if len(p.status) > 0 {
			status, p.status = p.status[0], p.status[1:]
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, p.answer)
	}))
	t.Cleanup(p.server.Close)
	_, err := w.ChangeIntegrator(testIntegrator, func(i *Integrator) { i.PushURL, i.PushSecret = p.server.URL, testPushSecret })
	require.NoError(t, err)
	return p
}

// calls waits until there were so many attempts, and returns them.
func (w *world) calls(count int) []PushAttempt {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return len(w.Pushes()) >= count }, patience, time.Millisecond, "%d calls", count)
	attempts := w.Pushes()
	require.Len(w.t, attempts, count)
	return attempts
}

// A user who is away is called about at the agreed times, until they have been there.
func TestCallsAboutWaitingMessages(t *testing.T) {
	w := newWorld(t, PushDelays(50*time.Millisecond, time.Second))
	p := newPushReceiver(t, w)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	_, err := bob.Say(anna.text(), "here")
	require.NoError(t, err)
	anna.open(anna.awaitTag("message"))
	anna.disconnect()
	for _, text := range []string{"one", "two"} {
		_, err := bob.Say(anna.text(), text)
		require.NoError(t, err)
	}
	attempts := w.calls(2)
	require.NotEqual(t, attempts[0].DeliveryID, attempts[1].DeliveryID)
	for _, a := range attempts {
		require.Equal(t, []string{"message_waiting"}, a.Events)
		require.Equal(t, []string{anna.account}, a.Accounts)
		require.Equal(t, 200, a.Status)
		require.Equal(t, 1, a.Attempt)
	}
	require.GreaterOrEqual(t, attempts[1].Time.Sub(attempts[0].Time), 500*time.Millisecond)
	p.mu.Lock()
	require.Equal(t, []bool{true, true}, p.signed)
	body, head := p.bodies[1], p.heads[1]
	p.mu.Unlock()
	require.Equal(t, body["delivery_id"], head.Get("X-Interop-Delivery"))
	require.EqualValues(t, 1, body["version"])
	require.EqualValues(t, testIntegrator, body["integrator_id"])
	require.Equal(t, "whatsapp", body["product"])
	event := body["events"].([]any)[0].(map[string]any)
	require.EqualValues(t, 2, event["count"])
	require.Len(t, event, 4, "nothing of the sender or the content: %v", event)

	// After a visit the times begin anew.
	anna.online()
	for range 2 {
		anna.open(anna.awaitTag("message"))
	}
	anna.disconnect()
	_, err = bob.Say(anna.text(), "three")
	require.NoError(t, err)
	w.calls(4)
}

// Calls are repeated under the same id until they are taken.
func TestCallsAreRepeated(t *testing.T) {
	w := newWorld(t, PushRetry(time.Millisecond))
	p := newPushReceiver(t, w)
	anna := w.enlisted("anna")
	p.mu.Lock()
	p.status = []int{503, 429, 500}
	p.mu.Unlock()
	w.ExpectFinding("push-refused")
	require.NoError(t, w.Push(anna.account, "prekeys_low", map[string]any{"remaining": 1}))
	attempts := w.calls(4)
	for i, a := range attempts {
		require.Equal(t, attempts[0].DeliveryID, a.DeliveryID)
		require.Equal(t, i+1, a.Attempt)
		require.Equal(t, []int{503, 429, 500, 200}[i], a.Status)
	}
	require.Len(t, w.Findings(), 1, "500 is not among the answers")
	require.Error(t, w.Push("nobody", "prekeys_low", nil))
	require.Error(t, w.PushEvents(99, "whatsapp"))
}

// Each trouble is what it says, and a provider that does not mind is found out.
func TestPushFaults(t *testing.T) {
	w := newWorld(t, PushRetry(time.Millisecond))
	p := newPushReceiver(t, w)
	anna := w.enlisted("anna")
	push := func(how string) {
		w.Fault(Fault{Kind: FaultPush, Params: map[string]string{"how": how}})
		require.NoError(t, w.Push(anna.account, "message_waiting", nil))
	}
	w.ExpectFinding("push-believed")
	push("signature")
	w.calls(1)
	push("timestamp")
	w.calls(2)
	push("unknown_account")
	require.Equal(t, []string{anna.account, "999999999999999"}, w.calls(3)[2].Accounts)
	push("replay")
	attempts := w.calls(5)
	require.Equal(t, attempts[3].DeliveryID, attempts[4].DeliveryID)
	require.Len(t, w.Findings(), 2)
	p.mu.Lock()
	require.Equal(t, []bool{false, true, true, true, true}, p.signed)
	p.answer = "thanks"
	p.mu.Unlock()
	w.ExpectFinding("push-answer")
	require.NoError(t, w.Push(anna.account, "message_waiting", nil))
	w.calls(6)
	require.Eventually(t, func() bool { return len(w.Findings()) == 3 }, patience, time.Millisecond)
}

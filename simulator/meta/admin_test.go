package meta

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// adminClient calls the control plane over HTTP, as people and scripts do.
type adminClient struct {
	t *testing.T
	n *Network
}

func newAdminClient(t *testing.T) adminClient {
	t.Helper()
	return adminClient{t, Start(t, Seed(7), Profile(Calm))}
}

// call returns the status and decodes the answer into what, unless that is nil.
func (c adminClient) call(method, path string, body, what any) int {
	c.t.Helper()
	var content io.Reader
	if text, isText := body.(string); isText {
		content = strings.NewReader(text)
	} else if body != nil {
		data, err := json.Marshal(body)
		require.NoError(c.t, err)
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, c.n.AdminURL()+path, content)
	require.NoError(c.t, err)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	if what != nil {
		require.NoError(c.t, json.Unmarshal(data, what), string(data))
	}
	return resp.StatusCode
}

func (c adminClient) ok(method, path string, body, what any) {
	c.t.Helper()
	var raw json.RawMessage
	status := c.call(method, path, body, &raw)
	require.Equal(c.t, http.StatusOK, status, string(raw))
	if what != nil {
		require.NoError(c.t, json.Unmarshal(raw, what), string(raw))
	}
}

func TestAdminInfo(t *testing.T) {
	c := newAdminClient(t)
	var info Info
	c.ok("GET", "/admin/info", nil, &info)
	require.Equal(t, c.n.Info(), info)
	require.Len(t, info.RootKey, 64)
	var root map[string]string
	c.ok("GET", "/admin/root-key", nil, &root)
	require.Equal(t, info.RootKey, root["root_key"])

	c.ok("POST", "/admin/profile", map[string]string{"profile": "faults"}, &info)
	require.Equal(t, "faults", info.Profile)
	require.Equal(t, Faults, c.n.Profile())

	before := c.n.now()
	c.ok("POST", "/admin/clock", map[string]int{"offset_s": 3600}, nil)
	require.Greater(t, c.n.now().Sub(before).Seconds(), 3599.0)
}

func TestAdminIntegrators(t *testing.T) {
	c := newAdminClient(t)
	var record Integrator
	c.ok("POST", "/admin/integrators", Integrator{ID: 12, Name: "Causeway", Issuer: "http://127.0.0.1:1", PushSecret: "hush"}, &record)
	require.Equal(t, Integrator{ID: 12, Name: "Causeway", Issuer: "http://127.0.0.1:1", IdentifierType: "email", Status: "active",
		ModeAllowed: "both", Products: []string{"whatsapp", "messenger"}}, record)

	c.ok("PATCH", "/admin/integrators/12", map[string]string{"status": "onboarding"}, &record)
	require.Equal(t, "onboarding", record.Status)
	require.Equal(t, "http://127.0.0.1:1", record.Issuer, "the rest stays")
	c.ok("PATCH", "/admin/integrators/12", map[string]any{"status": "removed", "id": 13}, &record)
	require.Equal(t, 12, record.ID, "the number stays")
	var all []Integrator
	c.ok("GET", "/admin/integrators", nil, &all)
	require.Equal(t, []Integrator{record}, all)
	require.Equal(t, "hush", c.n.Integrators()[0].PushSecret, "kept, though not shown")

	for _, test := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"POST", "/admin/integrators", Integrator{ID: 1000}, 400},
		{"POST", "/admin/integrators", Integrator{ID: 13, Status: "gone"}, 400},
		{"POST", "/admin/integrators", Integrator{ID: 13, Issuer: "http://127.0.0.1:1"}, 409},
		{"POST", "/admin/integrators", `{"number":1}`, 400},
		{"PATCH", "/admin/integrators/12", map[string]string{"identifier_type": "icq"}, 400},
		{"PATCH", "/admin/integrators/12", `{`, 400},
		{"PATCH", "/admin/integrators/99", map[string]string{"status": "active"}, 404},
		{"PATCH", "/admin/integrators/x", nil, 404},
	} {
		var failure map[string]string
		require.Equal(t, test.status, c.call(test.method, test.path, test.body, &failure), "%s %s %v", test.method, test.path, test.body)
		require.NotEmpty(t, failure["error"])
	}
	require.Len(t, c.n.Integrators(), 1)
}

func TestAdminPeople(t *testing.T) {
	c := newAdminClient(t)
	require.NoError(t, c.n.AddIntegrator(Integrator{ID: 12}))
	var bob personInfo
	c.ok("POST", "/admin/whatsapp", map[string]any{"phone": "+4915110000001", "name": "Bob", "country": "FR", "hides_number": true}, &bob)
	require.Equal(t, personInfo{JID: c.n.WhatsApp("+4915110000001", "").LID(), Phone: "+4915110000001", Name: "Bob", Country: "FR",
		HidesNumber: true, OptedIn: []int{}, Reachable: true, Blocked: []string{}}, bob)

	for _, name := range []string{bob.JID, "+4915110000001", "4915110000001@s.whatsapp.net"} {
		var same personInfo
		c.ok("GET", "/admin/users/"+url.PathEscape(name), nil, &same)
		require.Equal(t, bob, same)
	}
	at := "/admin/users/" + url.PathEscape(bob.JID)
	c.ok("POST", at+"/tos", nil, &bob)
	require.True(t, bob.Terms)
	c.ok("POST", at+"/opt-in", map[string]any{"integrators": []int{12}}, &bob)
	require.Equal(t, []int{12}, bob.OptedIn)
	c.ok("POST", at+"/block", map[string]string{"jid": "12-105012705411308@interop"}, &bob)
	require.Equal(t, []string{"12-105012705411308@interop"}, bob.Blocked)
	c.ok("POST", at+"/unblock", map[string]string{"jid": "12-105012705411308@interop"}, &bob)
	require.Empty(t, bob.Blocked)
	c.ok("POST", at+"/opt-out", nil, &bob)
	require.Empty(t, bob.OptedIn)
	c.ok("POST", at+"/reachability", map[string]any{"enabled": false}, &bob)
	require.False(t, bob.Reachable)
	c.ok("POST", at+"/region", map[string]string{"country": "US"}, &bob)
	require.Equal(t, "US", bob.Country)

	p := c.n.WhatsApp("+4915110000001", "")
	c.n.mu.Lock()
	before := p.user.keys.identity
	c.n.mu.Unlock()
	c.ok("POST", at+"/identity", nil, nil)
	c.n.mu.Lock()
	require.NotEqual(t, before, p.user.keys.identity)
	c.n.mu.Unlock()

	var all struct {
		WhatsApp []personInfo   `json:"whatsapp"`
		Interop  []providerUser `json:"interop"`
	}
	c.ok("GET", "/admin/users", nil, &all)
	require.Equal(t, []personInfo{bob}, all.WhatsApp)
	require.Empty(t, all.Interop)

	for _, test := range []struct {
		path   string
		body   any
		status int
	}{
		{"/admin/whatsapp", map[string]string{"phone": "0151"}, 400},
		{"/admin/users/1@lid/tos", nil, 404},
		{at + "/opt-in", map[string]any{"integrators": []int{99}}, 409},
		{at + "/opt-in", `{"integrator":12}`, 400},
		{at + "/lookup", map[string]any{"integrator": 12, "external_id": "nobody@example.eu"}, 409},
		{at + "/send", map[string]string{"to": "nobody@example.eu", "text": "hi"}, 409},
		{at + "/send", map[string]string{"kind": "dance"}, 400},
		{at + "/send", map[string]any{"repeat": 0}, 400},
		{at + "/send", map[string]string{"kind": "reply", "to_id": "unheard"}, 404},
		{at + "/receipt", map[string]string{"id": "unheard", "type": "read"}, 404},
		{at + "/receipt", map[string]string{"id": "unheard", "type": "danced"}, 400},
		{at + "/typing", map[string]string{"to": "x", "state": "thinking"}, 400},
		{at + "/region", map[string]string{"country": "Germany"}, 400},
	} {
		require.Equal(t, test.status, c.call("POST", test.path, test.body, nil), "%s %v", test.path, test.body)
	}
	require.Equal(t, 400, c.call("GET", at+"/inbox?wait_ms=soon", nil, nil))
	require.Equal(t, 400, c.call("GET", at+"/inbox?since=-1", nil, nil))
}

func TestAdminEnlistments(t *testing.T) {
	p := newTestProvider(t)
	c := adminClient{t, p.n}
	account := p.enlist(userNumber(t, 1)).text("account_id")
	var e EnlistmentInfo
	c.ok("POST", "/admin/enlistments/"+account, map[string]string{"status": "suspended", "display_name": "A.", "region": "US"}, &e)
	require.Equal(t, "suspended", e.Status)
	require.Equal(t, "A.", e.DisplayName)
	require.Equal(t, "US", p.n.enlistments[e.ID].Country)
	var all []EnlistmentInfo
	c.ok("GET", "/admin/enlistments", nil, &all)
	require.Equal(t, []EnlistmentInfo{e}, all)
	require.Equal(t, 400, c.call("POST", "/admin/enlistments/"+account, map[string]string{"status": "gone"}, nil))
	require.Equal(t, 404, c.call("POST", "/admin/enlistments/1", map[string]string{"status": "active"}, nil))

	var users struct {
		Interop []providerUser `json:"interop"`
	}
	c.ok("GET", "/admin/users", nil, &users)
	require.Equal(t, []providerUser{{EnlistmentInfo: e}}, users.Interop)
}

func TestAdminMessageForAnAbsentClient(t *testing.T) {
	p := newTestProvider(t)
	c := adminClient{t, p.n}
	u := userNumber(t, 1)
	p.enlist(u)
	c.ok("POST", "/admin/whatsapp", map[string]string{"phone": "+4915110000001", "name": "Bob"}, nil)
	c.ok("POST", "/admin/users/+4915110000001/opt-in", map[string]any{"integrators": []int{testIntegrator}}, nil)
	var found addressee
	c.ok("POST", "/admin/users/+4915110000001/lookup", map[string]any{"integrator": testIntegrator, "external_id": u.email}, &found)
	require.Equal(t, p.n.Enlistments()[0].JID, found.JID)

	// The client has never connected: it has keys from its enlistment, and the message waits.
	var sent map[string]any
	c.ok("POST", "/admin/users/+4915110000001/send", map[string]any{"to": u.email, "text": "hello", "repeat": 2}, &sent)
	require.Len(t, sent["ids"], 2)
	var users struct {
		Interop []providerUser `json:"interop"`
	}
	c.ok("GET", "/admin/users", nil, &users)
	require.Equal(t, 2, users.Interop[0].Waiting)
	require.False(t, users.Interop[0].Connected)

	var life struct {
		Stanzas  []string  `json:"stanzas"`
		Refusals []Refusal `json:"refusals"`
	}
	c.ok("GET", "/admin/messages?id="+sent["id"].(string), nil, &life)
	require.NotEmpty(t, life.Stanzas)
	for _, line := range life.Stanzas {
		require.NotContains(t, line, "hello")
	}
	require.Equal(t, 404, c.call("GET", "/admin/messages?id=unknown", nil, nil))
	require.Equal(t, 400, c.call("GET", "/admin/messages", nil, nil))
	c.ok("POST", "/admin/users/+4915110000001/typing", map[string]string{"to": u.email, "state": "composing"}, nil)

	var inbox struct {
		Messages []heardInfo `json:"messages"`
		Next     int         `json:"next"`
	}
	c.ok("GET", "/admin/users/+4915110000001/inbox?wait_ms=1", nil, &inbox)
	require.Empty(t, inbox.Messages)
	require.Zero(t, inbox.Next)
}

func TestAdminFindingsFaultsAndTrace(t *testing.T) {
	c := newAdminClient(t)
	c.n.finding("bad-thing", "somebody did it")
	var found []Finding
	c.ok("GET", "/admin/findings", nil, &found)
	require.Equal(t, "bad-thing", found[0].Kind)
	resp, err := http.Get(c.n.AdminURL() + "/admin/trace?account=somebody")
	require.NoError(t, err)
	defer resp.Body.Close()
	trace, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(trace), "bad-thing")
	c.ok("DELETE", "/admin/findings", nil, &found)
	require.Empty(t, found)
	require.Empty(t, c.n.Findings())

	var set faultInfo
	c.ok("POST", "/admin/faults", `{"kind":"ack_error","match":{"account":"12-1@interop"},"count":2,"params":{"code":"500"}}`, &set)
	require.NotNil(t, c.n.strikes(FaultAck, about("message", "", "12-1@interop")))
	var all []faultInfo
	c.ok("GET", "/admin/faults", nil, &all)
	require.Equal(t, []faultInfo{{ID: set.ID, Struck: 1, Fault: Fault{Kind: FaultAck, Match: Match{Account: "12-1@interop"}, Count: 2,
		Params: map[string]string{"code": "500"}}}}, all)
	c.ok("DELETE", "/admin/faults/1", nil, nil)
	require.Nil(t, c.n.strikes(FaultAck, about("message", "", "12-1@interop")))
	require.Equal(t, 404, c.call("DELETE", "/admin/faults/1", nil, nil))
	require.Equal(t, 400, c.call("POST", "/admin/faults", `{}`, nil))
	require.Equal(t, 400, c.call("POST", "/admin/profile", `{"profile":"wild"}`, nil))

	require.Equal(t, 404, c.call("POST", "/admin/connections/7/drop", nil, nil))
	require.Equal(t, 400, c.call("POST", "/admin/connections/7/drop", `{"how":"gently"}`, nil))
	var connections []ConnInfo
	c.ok("GET", "/admin/connections", nil, &connections)
	require.Empty(t, connections)
}

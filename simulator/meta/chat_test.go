package meta

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

func TestMessagesBothWays(t *testing.T) {
	for _, profile := range []ProfileName{Calm, Timing} {
		t.Run(string(profile), func(t *testing.T) {
			w := newWorld(t, Profile(profile))
			bob := w.WhatsApp("+4915110000001", "Bob")
			require.NoError(t, bob.OptIn(testIntegrator))
			anna := w.enlisted("anna").online()

			answer := anna.say(bob, "3EB0A1", "hello")
			require.Nil(t, answer.Attrs["error"])
			require.Equal(t, bob.user.lid, answer.Attrs["from"])
			h, err := bob.Hears(within(t))
			require.NoError(t, err)
			require.Equal(t, "hello", h.Text)
			require.Equal(t, anna.text(), h.From)
			require.Equal(t, "anna", h.DisplayName)
			delivery := anna.awaitTag("receipt")
			require.Equal(t, "3EB0A1", delivery.Attrs["id"])
			require.Nil(t, delivery.Attrs["type"])
			require.NotEmpty(t, delivery.Attrs["sts"])
			require.NoError(t, bob.Read("3EB0A1"))
			require.Equal(t, "read", anna.awaitTag("receipt").Attrs["type"])

			id, err := bob.Say("anna@example.eu", "hi there")
			require.NoError(t, err)
			node := anna.awaitTag("message")
			require.Equal(t, bob.user.lid, node.Attrs["from"])
			require.Equal(t, bob.user.pn, node.Attrs["sender_pn"])
			require.Equal(t, id, node.Attrs["id"])
			require.Equal(t, "hi there", anna.open(node))
			require.NoError(t, bob.WaitReceipt(within(t), id, "delivery"))
			anna.receipt(node, "read")
			require.NoError(t, bob.WaitReceipt(within(t), id, "read"))

			_, err = bob.Reply(h, "quite")
			require.NoError(t, err)
			require.Equal(t, "quite", anna.open(anna.awaitTag("message")))
		})
	}
}

func TestTyping(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	for _, on := range []bool{true, false} {
		state := map[bool]string{true: "composing", false: "paused"}[on]
		anna.send(binary.Node{Tag: "chatstate", Attrs: binary.Attrs{"to": bob.user.lid}, Content: []binary.Node{{Tag: state}}})
		require.NoError(t, bob.WaitTyping(within(t), anna.text(), on))
		require.NoError(t, bob.Typing(anna.text(), on))
		node := anna.awaitTag("chatstate")
		require.Equal(t, state, node.GetChildren()[0].Tag)
	}
}

func TestCertificateFaultsAreNoticed(t *testing.T) {
	w := newWorld(t)
	anna := w.enlisted("anna")
	for _, kind := range []FaultKind{FaultCertificateRoot, FaultCertificateLeafKey, FaultCertificateExpired, FaultCertificateEarly, FaultCertificateIssuer} {
		h := w.Fault(Fault{Kind: kind})
		require.Error(t, anna.dial(), kind)
		require.Equal(t, 1, h.Struck())
	}
	anna.root = *keys.NewKeyPair().Pub
	require.ErrorContains(t, anna.dial(), "not signed by the root")
	anna.root = w.Root()
	require.Equal(t, "success", anna.login().Tag)
}

func TestLoginRefused(t *testing.T) {
	for name, test := range map[string]struct {
		stranger bool
		change   func(*world, *bareClient)
		reason   string
		finding  string
	}{
		"bad signature": {reason: "414", change: func(w *world, c *bareClient) { w.provider.key = newSigningKey(w.t, "ES256") }},
		"foreign key under a known kid": {reason: "414", finding: "token-invalid", change: func(w *world, _ *bareClient) {
			other := newSigningKey(w.t, "ES256")
			other.kid = w.provider.key.kid
			w.provider.key = other
		}},
		"expired": {reason: "413", change: func(_ *world, c *bareClient) {
			c.claims = func(m map[string]any) {
				m["iat"], m["nbf"], m["exp"] = time.Now().Unix()-900, time.Now().Unix()-900, time.Now().Unix()-600
			}
		}},
		"replayed": {reason: "414", finding: "token-replayed", change: func(w *world, c *bareClient) {
			c.claims = func(m map[string]any) { m["jti"] = "AAAAAAAAAAAAAAAAAAAAAA" }
			require.Equal(w.t, "success", c.login().Tag)
		}},
		"wrong audience": {reason: "414", finding: "token-invalid", change: func(_ *world, c *bareClient) {
			c.claims = func(m map[string]any) { m["aud"] = "urn:meta:interop:messenger" }
		}},
		"cnf is another Noise key": {reason: "414", change: func(_ *world, c *bareClient) { c.user.noise = *keys.NewKeyPair().Pub }},
		"Noise key is another than enlisted": {reason: "414", change: func(_ *world, c *bareClient) {
			c.noise = keys.NewKeyPair()
			c.user.noise = *c.noise.Pub
		}},
		"other subject": {reason: "414", change: func(_ *world, c *bareClient) { c.user.subject = "u_mallory" }},
		"account of the token": {reason: "414", change: func(_ *world, c *bareClient) {
			c.claims = func(m map[string]any) { m["account_id"] = "105012345678901" }
		}},
		"not enlisted": {reason: "415", stranger: true},
		"other product": {reason: "415", change: func(_ *world, c *bareClient) {
			c.claims = func(m map[string]any) { m["aud"] = "urn:meta:interop:messenger" }
			c.payload = func(p *waWa6.ClientPayload) { p.Product = waWa6.ClientPayload_INTEROP_MSGR.Enum() }
		}},
		"suspended": {reason: "402", change: func(w *world, c *bareClient) { require.NoError(w.t, w.SetEnlistment(c.account, "suspended")) }},
		"withdrawn": {reason: "401", change: func(w *world, c *bareClient) { require.NoError(w.t, w.SetEnlistment(c.account, "withdrawn")) }},
		"device 1": {reason: "400", finding: "device-not-zero", change: func(_ *world, c *bareClient) {
			c.payload = func(p *waWa6.ClientPayload) { p.Device = proto.Uint32(1) }
		}},
		"ordinary product": {reason: "400", finding: "bad-login-payload", change: func(_ *world, c *bareClient) {
			c.payload = func(p *waWa6.ClientPayload) { p.Product = waWa6.ClientPayload_WHATSAPP.Enum() }
		}},
		"scripted": {reason: "503", change: func(w *world, c *bareClient) {
			w.Fault(Fault{Kind: FaultLogin, Match: Match{Account: c.account}, Params: map[string]string{"reason": "503"}})
		}},
		"scripted, by address": {reason: "503", change: func(w *world, c *bareClient) {
			w.Fault(Fault{Kind: FaultLogin, Match: Match{Account: c.text()}, Params: map[string]string{"reason": "503"}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.stranger("anna")
			if !test.stranger {
				c = w.enlisted("anna")
			}
			if test.change != nil {
				test.change(w, c)
			}
			if test.finding != "" {
				w.ExpectFinding(test.finding)
			}
			answer := c.login()
			require.Equal(t, "failure", answer.Tag)
			require.Equal(t, test.reason, answer.Attrs["reason"])
			c.awaitClose()
			if test.finding != "" {
				require.Equal(t, test.finding, w.Findings()[0].Kind)
			}
		})
	}
}

func TestUpgradeHeaders(t *testing.T) {
	w := newWorld(t)
	w.ExpectFinding("upgrade-refused")
	anna := w.enlisted("anna")
	since := strconv.FormatInt(time.Now().Unix(), 10)
	for address, status := range map[string]string{"": "400", "10.0.0.1": "400", "nonsense": "400", "198.51.100.7": "451"} {
		anna.header = http.Header{}
		anna.header.Set(headerMode, modeProxy)
		anna.header.Set(headerClientIP, address)
		anna.header.Set(headerSince, since)
		require.ErrorContains(t, anna.dial(), status)
	}
	anna.header.Set(headerClientIP, "203.0.113.7")
	for _, wrong := range []string{"", "yesterday", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)} {
		anna.header.Set(headerSince, wrong)
		require.ErrorContains(t, anna.dial(), "400")
	}
	anna.header.Set(headerSince, since)
	require.Equal(t, "success", anna.login().Tag)
	require.Equal(t, modeProxy, w.Connections()[0].Mode)
	require.Equal(t, "203.0.113.7", w.Connections()[0].ClientIP)
	require.Equal(t, since, strconv.FormatInt(w.Connections()[0].ClientSince.Unix(), 10))
}

// A proxy must not outlast the client that it stands in for.
func TestProxyHoldsOn(t *testing.T) {
	w := newWorld(t, ProxyLimit(50*time.Millisecond))
	anna, bob := w.enlisted("anna"), w.enlisted("bob")
	bob.online()
	anna.header = http.Header{headerMode: {modeProxy}}
	anna.header.Set(headerClientIP, "203.0.113.7")
	anna.header.Set(headerSince, strconv.FormatInt(time.Now().Unix(), 10))
	anna.online()
	w.ExpectFinding("proxy-connection-held")
	held := func() bool {
		return slices.ContainsFunc(w.Findings(), func(f Finding) bool { return f.Kind == "proxy-connection-held" })
	}
	require.Equal(t, 1, w.DropConnections(bob.text(), dropClientClosed), "a client of its own has nobody to stand in for")
	require.Equal(t, 1, w.DropConnections(anna.text(), dropClientClosed))
	require.Eventually(t, held, 10*time.Second, time.Millisecond)
	require.Len(t, w.Findings(), 1)
}

func TestKeyUpload(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	code := func(answer binary.Node) any { return childOf(answer, "error").Attrs["code"] }

	w.ExpectFinding("prekey-replayed")
	replayed := []oneTimeKey{{id: 1, public: *keys.NewKeyPair().Pub}}
	require.Equal(t, "403", code(anna.upload(replayed)))

	w.ExpectFinding("keys-not-enlisted")
	genuine := anna.signal
	anna.signal = newSignalStore(4711)
	require.Equal(t, "403", code(anna.upload(anna.signal.generate(3))))
	anna.signal = genuine

	// A one-time key is given out once, even if the client uploads it again.
	w.mu.Lock()
	first := w.devices["whatsapp/"+anna.text()].keys.oneTime[0]
	w.mu.Unlock()
	_, err := bob.Say(anna.text(), "hi")
	require.NoError(t, err)
	require.Equal(t, "result", anna.upload([]oneTimeKey{first}).Attrs["type"])
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NotContains(t, w.devices["whatsapp/"+anna.text()].keys.oneTime, first)
	require.Contains(t, w.devices["whatsapp/"+anna.text()].keys.handedOut, first.id)
}

func TestReplayedOneTimeKeyAsksForRetry(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	anna.say(bob, "3EB001", "first")
	_, err := bob.Hears(within(t))
	require.NoError(t, err)

	// A session begun again from the same bundle uses the same one-time key, which the phone no longer has.
	other := w.enlisted("otto").online()
	answer := other.request("get", "encrypt", binary.Node{Tag: "key", Content: []binary.Node{{Tag: "user", Attrs: binary.Attrs{"jid": bob.user.lid}}}})
	bundle := childOf(answer, "list", "user")
	k, err := readKeyUpload(bundle)
	require.NoError(t, err)
	k.oneTime = []oneTimeKey{{id: 1, public: k.signed.public}}
	require.NoError(t, other.signal.startSession(bob.user.lid, k))
	other.say(bob, "3EB002", "second")
	retry := other.await("retry", func(n binary.Node) bool { return n.Tag == "receipt" && n.Attrs["type"] == "retry" })
	require.Equal(t, "1", childOf(retry, "retry").Attrs["count"])

	// The honest answer is fresh keys and the same id.
	other.fetchKeys(bob)
	again := other.message(bob, "3EB002", encodeText("second"))
	again.Attrs["device_fanout"] = false
	again.GetChildren()[0].Attrs["count"] = 1
	require.Nil(t, other.deliver(again).Attrs["error"])
	h, err := bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "second", h.Text)
}

func TestMessageRefused(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	anna.fetchKeys(bob)
	ids := 0
	try := func(change func(*binary.Node)) any {
		ids++
		node := anna.message(bob, fmt.Sprintf("3EB0%04d", ids), encodeText("x"))
		change(&node)
		return anna.deliver(node).Attrs["error"]
	}
	require.Nil(t, try(func(*binary.Node) {}))
	for _, kind := range []string{"device-not-zero", "not-by-lid", "bad-message-shape", "bad-message-type", "forbidden-attribute", "string-jid"} {
		w.ExpectFinding(kind)
	}
	require.Equal(t, "400", try(func(n *binary.Node) { jid := bob.user.lid; jid.Device = 3; n.Attrs["to"] = jid }))
	require.Equal(t, "400", try(func(n *binary.Node) { n.Attrs["to"] = bob.user.pn }))
	require.Equal(t, "400", try(func(n *binary.Node) { n.Attrs["to"] = bob.LID() }))
	require.Equal(t, "400", try(func(n *binary.Node) { n.Attrs["type"] = "poll" }))
	require.Equal(t, "479", try(func(n *binary.Node) { n.Attrs["edit"] = "1" }))
	require.Equal(t, "479", try(func(n *binary.Node) { n.Content = append(n.GetChildren(), binary.Node{Tag: "reporting"}) }))
	require.Equal(t, "479", try(func(n *binary.Node) { n.Content = nil }))
	participants := func(count int) func(*binary.Node) {
		return func(n *binary.Node) {
			to := binary.Node{Tag: "to", Attrs: binary.Attrs{"jid": bob.user.lid}, Content: n.Content}
			list := make([]binary.Node, count)
			for i := range list {
				list[i] = to
			}
			n.Content = []binary.Node{{Tag: "participants", Content: list}}
		}
	}
	require.Equal(t, "479", try(participants(2)))
	require.Nil(t, try(participants(1)))
	require.Equal(t, 1, w.Tally("participants"))
	require.Equal(t, "413", try(func(n *binary.Node) { n.GetChildren()[0].Content = make([]byte, maxStanza+1) }))
	require.Equal(t, "404", try(func(n *binary.Node) { n.Attrs["to"] = types.NewJID("123456789012345", types.HiddenUserServer) }))
	w.Fault(Fault{Kind: FaultAck, Params: map[string]string{"code": "429"}})
	require.Equal(t, "429", try(func(*binary.Node) {}))
	bob.SetRegion("US")
	require.Equal(t, "451", try(func(*binary.Node) {}))
	bob.SetRegion("DE")
	require.NoError(t, bob.OptOut())
	require.Equal(t, "403", try(func(*binary.Node) {}))
	require.NoError(t, w.SetEnlistment(anna.account, "withdrawn"))
	require.Equal(t, "401", try(func(*binary.Node) {}))
}

func TestOutsideTheSubset(t *testing.T) {
	w := newWorld(t)
	w.ExpectFinding("outside-subset")
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	anna.deliver(anna.message(bob, "3EB001", protowire.AppendVarint(protowire.AppendTag(encodeText("x"), 35, protowire.VarintType), 1)))
	require.Nil(t, anna.say(bob, "3EB002", "fine").Attrs["error"])
	h, err := bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "3EB002", h.ID)
	require.Equal(t, "3EB002", anna.awaitTag("receipt").Attrs["id"], "no delivery receipt for the refused message")
	require.Equal(t, []Refusal{{From: bob.LID(), Class: "message", ID: "3EB001", Code: 491}}, w.Refusals())
}

func TestSameIDIsOneMessage(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	first := anna.say(bob, "3EB001", "once")
	second := anna.say(bob, "3EB001", "once")
	require.Equal(t, first.Attrs["t"], second.Attrs["t"])
	anna.say(bob, "3EB002", "last")
	for _, want := range []string{"once", "last"} {
		h, err := bob.Hears(within(t))
		require.NoError(t, err)
		require.Equal(t, want, h.Text)
	}
	require.Equal(t, 1, w.Tally("repeated"))
}

func TestBlockIsSilent(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	require.NoError(t, bob.Block(anna.text()))
	require.Nil(t, anna.say(bob, "3EB001", "unheard").Attrs["error"])
	found := anna.lookup("+4915110000001")
	require.Equal(t, bob.user.lid, found.Attrs["jid"])
	require.NoError(t, bob.Unblock(anna.text()))
	anna.say(bob, "3EB002", "heard")
	h, err := bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "heard", h.Text)
	require.Equal(t, "3EB002", anna.awaitTag("receipt").Attrs["id"])
}

func (c *bareClient) lookup(phone string) binary.Node {
	c.t.Helper()
	answer := c.request("get", "w:interop", binary.Node{Tag: "wa_users", Content: []binary.Node{
		{Tag: "user", Attrs: binary.Attrs{"phone": phone}}}})
	return childOf(answer, "wa_users", "user")
}

func TestLookup(t *testing.T) {
	w := newWorld(t, LookupRate(7, 100))
	bob := w.WhatsApp("+4915110000001", "Bob")
	anna := w.enlisted("anna").online()
	code := func(phone string) any {
		node := anna.lookup(phone)
		return childOf(node, "error").Attrs["code"]
	}
	require.Equal(t, "400", code("0151"))
	require.Equal(t, "404", code("+4915110000009"))
	require.Equal(t, "403", code("+4915110000001"))
	require.Equal(t, "403", code("+4915110000001"))
	require.NoError(t, bob.wait(within(t), func() bool { return len(bob.pings) > 0 }))
	require.Equal(t, []Ping{{DisplayName: "anna", Integrator: testIntegrator}}, bob.Pings(), "one ping a day")
	bob.SetRegion("US")
	require.Equal(t, "404", code("+4915110000001"))
	bob.SetRegion("DE")
	require.NoError(t, bob.OptIn(testIntegrator))
	node := anna.lookup("+4915110000001")
	require.Equal(t, bob.user.lid, node.Attrs["jid"])
	require.Nil(t, node.Attrs["name"])
	require.Nil(t, code("+4915110000001"))
	answer := anna.request("get", "w:interop", binary.Node{Tag: "wa_users", Content: []binary.Node{{Tag: "user", Attrs: binary.Attrs{"phone": "+4915110000001"}}}})
	require.Equal(t, "429", childOf(answer, "error").Attrs["code"])
}

func TestOptInStates(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	anna := w.enlisted("anna").online()
	_, err := bob.Say(anna.text(), "too early")
	require.Error(t, err)
	require.Error(t, bob.OptIn(99), "unknown integrator")
	answer := w.phoneRequest(w.WhatsApp("+4915110000002", "Carl").user, binary.Node{Tag: "iq", Attrs: binary.Attrs{
		"type": "set", "xmlns": "w:interop", "id": "1"}, Content: []binary.Node{{Tag: "opt_in_integrators"}}})
	require.Equal(t, 403, childOf(answer, "error").Attrs["code"], "terms come first")
	require.NoError(t, bob.OptIn(testIntegrator))
	jid, err := bob.Find(testIntegrator, "Anna@Example.eu")
	require.NoError(t, err)
	require.Equal(t, anna.text(), jid)
	_, err = bob.Find(testIntegrator, "nobody@example.eu")
	require.ErrorContains(t, err, "404")
	require.NoError(t, bob.OptOut(testIntegrator))
	_, err = bob.Say(anna.text(), "too late")
	require.Error(t, err)
	bob.SetRegion("US")
	require.Error(t, bob.OptIn(testIntegrator))
}

func TestBenignAndUnknownStanzas(t *testing.T) {
	w := newWorld(t)
	anna := w.enlisted("anna").online()
	for _, ask := range []struct {
		kind, xmlns string
		child       []binary.Node
		answer      string
	}{
		{"get", "w:p", nil, ""},
		{"get", "w:p", []binary.Node{{Tag: "ping"}}, ""},
		{"get", "abt", []binary.Node{{Tag: "props", Attrs: binary.Attrs{"protocol": "1"}}}, "props"},
		{"get", "blocklist", nil, "list"},
		{"get", "privacy", []binary.Node{{Tag: "privacy"}}, "privacy"},
		{"get", "encrypt", []binary.Node{{Tag: "digest"}}, "digest"},
		{"get", "encrypt", []binary.Node{{Tag: "count"}}, "count"},
	} {
		answer := anna.request(ask.kind, ask.xmlns, ask.child...)
		require.Equal(t, "result", answer.Attrs["type"], ask.xmlns)
		if ask.answer != "" {
			require.Equal(t, ask.answer, answer.GetChildren()[0].Tag)
		}
	}
	anna.send(binary.Node{Tag: "presence", Attrs: binary.Attrs{"name": "anna"}})
	anna.send(binary.Node{Tag: "ib", Content: []binary.Node{{Tag: "unified_session", Attrs: binary.Attrs{"id": "1"}}}})
	anna.send(binary.Node{Tag: "ib", Content: []binary.Node{{Tag: "offline_batch", Attrs: binary.Attrs{"count": "30"}}}})
	require.Empty(t, w.Findings())

	w.ExpectFinding("unserved-request")
	answer := anna.request("get", "w:mystery", binary.Node{Tag: "what"})
	require.Equal(t, "501", childOf(answer, "error").Attrs["code"])
	require.Len(t, w.Findings(), 1)
}

package meta

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

func TestOfflineQueueKeepsOrderOverDisconnects(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	anna.disconnect()
	const count = 250
	for i := range count {
		_, err := bob.Say(anna.text(), fmt.Sprint("message ", i))
		require.NoError(t, err)
	}

	// The first visit takes a part and does not finish the rest: that comes again, in the old order.
	anna.online()
	preview := anna.await("preview", func(n binary.Node) bool { _, ok := n.GetOptionalChildByTag("offline_preview"); return ok })
	require.Equal(t, "250", childOf(preview, "offline_preview").Attrs["message"])
	for i := range 40 {
		node := anna.awaitTag("message")
		require.Equal(t, fmt.Sprint(i+1), node.Attrs["offline"])
		require.Equal(t, fmt.Sprint("message ", i), anna.open(node))
	}
	lost := anna.awaitTag("message") // read and not acknowledged
	require.NoError(t, bob.WaitReceipt(within(t), lastBut(bob, count-40), "delivery"))
	anna.disconnect()
	anna.online()
	again := anna.awaitTag("message")
	require.Equal(t, lost.Attrs["id"], again.Attrs["id"])
	require.Equal(t, "1", again.Attrs["offline"])
	require.Equal(t, "message 40", anna.open(again))
	for i := 41; i < count; i++ {
		require.Equal(t, fmt.Sprint("message ", i), anna.open(anna.awaitTag("message")))
	}
	anna.await("end of the queue", func(n binary.Node) bool { _, ok := n.GetOptionalChildByTag("offline"); return ok })
	_, err := bob.Say(anna.text(), "live")
	require.NoError(t, err)
	node := anna.awaitTag("message")
	require.Nil(t, node.Attrs["offline"])
	require.Equal(t, "live", anna.open(node))
}

// lastBut is the id of the message that n others followed.
func lastBut(p *Person, n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	saved := p.lastID
	p.lastID -= n + 1
	id := p.nextID()
	p.lastID = saved
	return id
}

func TestQueueIsPacedByReceipts(t *testing.T) {
	w := newWorld(t, func(o *options) { o.maxUnacknowledged, o.burstLength = 10, 4 })
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	for i := range 25 {
		_, err := bob.Say(anna.text(), fmt.Sprint(i))
		require.NoError(t, err)
	}
	var held []binary.Node
	for range 10 {
		held = append(held, anna.awaitTag("message"))
	}
	w.mu.Lock()
	require.Len(t, w.devices["whatsapp/"+anna.text()].waiting, 15)
	w.mu.Unlock()
	for i, node := range held {
		require.Equal(t, fmt.Sprint(i), anna.open(node))
	}
	for i := 10; i < 25; i++ {
		require.Equal(t, fmt.Sprint(i), anna.open(anna.awaitTag("message")))
	}
}

func TestRefusedMessageLeavesTheQueue(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	w.Fault(Fault{Kind: FaultUnknownField})
	anna := w.enlisted("anna").online()
	_, err := bob.Say(anna.text(), "with a field too many")
	require.NoError(t, err)
	node := anna.awaitTag("message")
	padded, err := anna.signal.decrypt(bob.user.lid, childOf(node, "enc"))
	require.NoError(t, err)
	plaintext, err := unpad(padded)
	require.NoError(t, err)
	_, _, err = decodeSubset(plaintext)
	require.ErrorIs(t, err, errSubset)
	anna.send(binary.Node{Tag: "ack", Attrs: binary.Attrs{"class": "message", "id": node.Attrs["id"], "to": node.Attrs["from"], "error": 491}})
	anna.request("get", "w:p")
	require.Equal(t, 491, w.Refusals()[0].Code)
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Empty(t, w.devices["whatsapp/"+anna.text()].flight)
}

func TestRetryAskedByTheClient(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	w.Fault(Fault{Kind: FaultMangle})
	anna := w.enlisted("anna").online()
	id, err := bob.Say(anna.text(), "spoilt")
	require.NoError(t, err)
	node := anna.awaitTag("message")
	_, err = anna.signal.decrypt(bob.user.lid, childOf(node, "enc"))
	require.Error(t, err)
	k := anna.signal.public()
	anna.send(binary.Node{Tag: "receipt", Attrs: binary.Attrs{"id": id, "to": bob.user.lid, "type": "retry"}, Content: []binary.Node{
		{Tag: "retry", Attrs: binary.Attrs{"id": id, "count": 1, "t": node.Attrs["t"], "v": 1}},
		{Tag: "registration", Content: uint32Bytes(k.registration)},
	}})
	anna.send(binary.Node{Tag: "ack", Attrs: binary.Attrs{"class": "message", "id": id, "to": bob.user.lid}})
	again := anna.awaitTag("message")
	require.Equal(t, id, again.Attrs["id"])
	require.Equal(t, "1", childOf(again, "enc").Attrs["count"])
	require.Equal(t, "spoilt", anna.open(again))
	require.NoError(t, bob.WaitReceipt(within(t), id, "delivery"))

	// From the second time on the request brings keys, with which the phone begins a new session.
	w.Fault(Fault{Kind: FaultMangle})
	id, err = bob.Say(anna.text(), "spoilt again")
	require.NoError(t, err)
	anna.awaitTag("message")
	anna.send(binary.Node{Tag: "receipt", Attrs: binary.Attrs{"id": id, "to": bob.user.lid, "type": "retry"}, Content: []binary.Node{
		{Tag: "retry", Attrs: binary.Attrs{"id": id, "count": 2, "t": node.Attrs["t"], "v": 1}},
		{Tag: "registration", Content: uint32Bytes(k.registration)},
		{Tag: "keys", Content: []binary.Node{{Tag: "type", Content: []byte{5}}, {Tag: "identity", Content: k.identity[:]},
			anna.signal.generate(1)[0].node(), k.signed.node()}},
	}})
	again = anna.awaitTag("message")
	require.Equal(t, "pkmsg", childOf(again, "enc").Attrs["type"])
	require.Equal(t, "spoilt again", anna.open(again))
}

func TestNewIdentity(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	anna.say(bob, "3EB001", "before")
	_, err := bob.Hears(within(t))
	require.NoError(t, err)
	bob.NewIdentity()
	notice := anna.awaitTag("notification")
	require.Equal(t, bob.user.lid, notice.Attrs["from"])
	require.Equal(t, "identity", notice.GetChildren()[0].Tag)
	anna.say(bob, "3EB002", "lost on the new phone")
	for count := 1; count <= 2; count++ {
		retry := anna.await("retry", func(n binary.Node) bool { return n.Attrs["type"] == "retry" })
		require.Equal(t, fmt.Sprint(count), childOf(retry, "retry").Attrs["count"])
		_, keys := retry.GetOptionalChildByTag("keys")
		require.Equal(t, count == 2, keys)
		again := anna.message(bob, "3EB002", encodeText("still"))
		again.Attrs["device_fanout"] = false
		require.Nil(t, anna.deliver(again).Attrs["error"])
	}
	anna.fetchKeys(bob)
	anna.say(bob, "3EB003", "after")
	h, err := bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "after", h.Text)
}

func TestConnectionEnds(t *testing.T) {
	w := newWorld(t)
	anna := w.enlisted("anna")
	for how, want := range map[string]string{"503": `code="503"`, "515": `code="515"`, "replaced": `type="replaced"`, "device_removed": `code="401"`} {
		anna.online()
		require.Equal(t, 1, w.DropConnections(anna.account, how))
		require.Contains(t, anna.awaitTag("stream:error").String(), want)
		anna.awaitClose()
	}
	for _, how := range []string{"close", "reset"} {
		anna.online()
		w.DropConnections(anna.account, how)
		anna.awaitClose()
	}
	anna.online()
	w.Fault(Fault{Kind: FaultDrop, Match: Match{Stanza: "iq", XMLNS: "w:p", Nth: 2}, Params: map[string]string{"how": "silence"}})
	anna.request("get", "w:p")
	anna.request("get", "w:p")
	anna.send(binary.Node{Tag: "iq", Attrs: binary.Attrs{"id": "unheard", "type": "get", "xmlns": "w:p"}})
	require.Len(t, w.Connections(), 1)

	// A new connection of the same account replaces the silent one.
	other := &bareClient{t: t, w: w, user: anna.user, noise: anna.noise, signal: anna.signal, account: anna.account,
		header: anna.header, root: anna.root, changed: make(chan struct{})}
	other.online()
	anna.awaitClose()
	other.disconnect()
}

func TestReplacedConnectionIsTold(t *testing.T) {
	w := newWorld(t)
	w.ExpectFinding("second-connection")
	anna := w.enlisted("anna").online()
	other := &bareClient{t: t, w: w, user: anna.user, noise: anna.noise, signal: anna.signal, account: anna.account,
		header: anna.header, root: anna.root, changed: make(chan struct{})}
	other.online()
	require.Contains(t, anna.awaitTag("stream:error").String(), `<conflict type="replaced"/>`)
	anna.awaitClose()
	require.Equal(t, "result", other.request("get", "w:p").Attrs["type"])
}

func TestReadReceiptsFollowTheSetting(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	w.mu.Lock()
	w.devices["whatsapp/"+anna.text()].readReceipts = false
	w.mu.Unlock()
	anna.say(bob, "3EB001", "hello")
	_, err := bob.Hears(within(t))
	require.NoError(t, err)
	anna.awaitTag("receipt")
	require.NoError(t, bob.Read("3EB001"))
	id, err := bob.Say(anna.text(), "hi")
	require.NoError(t, err)
	node := anna.awaitTag("message")
	anna.open(node)
	w.ExpectFinding("read-receipt-although-disabled")
	anna.receipt(node, "read")
	anna.request("get", "w:p")
	require.NoError(t, bob.WaitReceipt(within(t), id, "delivery"))
	require.Len(t, bob.Receipts(), 1, "the read receipt went nowhere")
	require.Len(t, w.Findings(), 1)
}

func TestTrafficAfterOptOutIsFound(t *testing.T) {
	clock := newFakeClock()
	w := newWorld(t, WithClock(clock.now))
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	anna.say(bob, "3EB001", "hello")
	require.NoError(t, bob.OptOut())
	require.Equal(t, "403", anna.say(bob, "3EB002", "refused").Attrs["error"])
	require.Equal(t, "403", anna.say(bob, "3EB003", "crossed the refusal").Attrs["error"])
	require.Empty(t, w.Findings())
	clock.advance(time.Minute)
	w.ExpectFinding("traffic-after-opt-out")
	anna.say(bob, "3EB004", "insists")
	require.Len(t, w.Findings(), 1)
}

func TestMessageRate(t *testing.T) {
	w := newWorld(t, MessageRate(3))
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	for i := range 3 {
		require.Nil(t, anna.say(bob, fmt.Sprint("3EB0", i), "x").Attrs["error"])
	}
	require.Equal(t, "429", anna.say(bob, "3EB09", "x").Attrs["error"])
}

func TestScriptedPerson(t *testing.T) {
	w := newWorld(t, Profile(Timing))
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	bob.OnMessage(func(p *Person, h Heard) {
		_, err := p.Say(h.From, "you said: "+h.Text)
		require.NoError(t, err)
	})
	anna := w.enlisted("anna").online()
	anna.say(bob, "3EB001", "echo")
	require.Equal(t, "you said: echo", anna.open(anna.awaitTag("message")))
}

// trace is what the server sent, without times and contents.
func trace(n *Network) []string {
	noise := regexp.MustCompile(` (t|sts)="\d+"|\([^)]*\)|^\S+ `)
	var lines []string
	for line := range strings.SplitSeq(n.Transcript(), "\n") {
		if strings.Contains(line, " < #") {
			lines = append(lines, noise.ReplaceAllString(line, ""))
		}
	}
	return lines
}

func TestSameSeedSameBehaviour(t *testing.T) {
	run := func(seed int64) []string {
		w := newWorld(t, Seed(seed), Profile(Timing))
		bob := w.WhatsApp("+4915110000001", "Bob")
		require.NoError(t, bob.OptIn(testIntegrator))
		anna := w.enlisted("anna").online()
		for i := range 20 {
			_, err := bob.Say(anna.text(), fmt.Sprint(i))
			require.NoError(t, err)
			anna.open(anna.awaitTag("message"))
			anna.await("ack", func(n binary.Node) bool { return n.Tag == "ack" })
		}
		return trace(w.Network)
	}
	first := run(7)
	require.Equal(t, first, run(7))
	require.NotEqual(t, first, run(8))
}

func TestLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "192.0.2.1:0", ":0", "localhost:0"} {
		for _, option := range []func(string) Option{ListenChat, ListenEnlistment, ListenAdmin} {
			_, err := New(option(address), Logf(t.Logf))
			require.ErrorContains(t, err, "listen address", address)
		}
	}
}

func TestNetworkAddressesOfEqualDigitsStayApart(t *testing.T) {
	first, err := parseJID("12-555001@interop")
	require.NoError(t, err)
	second, err := parseJID("13-555001@interop")
	require.NoError(t, err)
	require.NotEqual(t, signalAddress(first).String(), signalAddress(second).String())
	require.NotEqual(t, signalAddress(first).String(), signalAddress(types.NewJID("555001", types.HiddenUserServer)).String())
	for _, bad := range []string{"555001@interop", "0-1@interop", "1000-1@interop", "012-1@interop", "12-01@interop", "12-1234567890123456@interop", "12-@interop", "x@lid", "1@g.us", ""} {
		_, err := parseJID(bad)
		require.Error(t, err, bad)
	}
}

package meta

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/binary"
)

// found waits for a finding, which a test has announced.
func (w *world) found(kind string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		return slices.ContainsFunc(w.Findings(), func(f Finding) bool { return f.Kind == kind })
	}, patience, time.Millisecond, kind)
}

// seeks expects a finding that is not there yet.
func (w *world) seeks(kind string) {
	w.t.Helper()
	require.False(w.t, slices.ContainsFunc(w.Findings(), func(f Finding) bool { return f.Kind == kind }), kind)
	w.ExpectFinding(kind)
}

func TestWhatTheNetworkWatchesFor(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()

	require.Nil(t, anna.say(bob, "3EB0AA", "hello").Attrs["error"])
	_, err := bob.Hears(within(t))
	require.NoError(t, err)
	require.Nil(t, anna.say(bob, "3EB0AA", "hello").Attrs["error"])
	require.Nil(t, anna.say(bob, "3EB0AB", "a second one").Attrs["error"])
	_, err = bob.Hears(within(t))
	require.NoError(t, err, "a repeat with the same content is no finding")
	w.seeks("id-reused")
	anna.say(bob, "3EB0AA", "something else")
	w.found("id-reused")
	require.Len(t, bob.Heard(), 2, "and is not shown")

	var stored []string
	w.Stored(func(_, id string) bool { return slices.Contains(stored, id) })
	id, err := bob.Say(anna.text(), "to be stored")
	require.NoError(t, err)
	stored = append(stored, id)
	anna.open(anna.awaitTag("message"))
	require.NoError(t, bob.WaitReceipt(within(t), id, "delivery"))
	_, err = bob.Say(anna.text(), "never stored")
	require.NoError(t, err)
	w.seeks("receipt-before-stored")
	anna.open(anna.awaitTag("message"))
	w.found("receipt-before-stored")
}

func TestPrivateTexts(t *testing.T) {
	const secret = "the cat is under the sofa"
	for where, leak := range map[string]func(*world, *bareClient){
		"an address": func(w *world, _ *bareClient) { w.fetch("/mms/x?note="+strings.ReplaceAll(secret, " ", "-"), nil) },
		"a header":   func(w *world, _ *bareClient) { w.fetch("/", http.Header{"X-Note": {secret}}) },
		"a request": func(w *world, _ *bareClient) {
			response, err := loopbackClient(patience).Post(w.EnlistmentURL()+"/v1/enlistments", "application/json", strings.NewReader(`{"note":"`+secret+`"}`))
			require.NoError(w.t, err)
			require.NoError(w.t, response.Body.Close())
		},
		"a stanza": func(_ *world, c *bareClient) {
			c.request("get", "w:p", binary.Node{Tag: "ping", Attrs: binary.Attrs{"note": secret}})
		},
		"a file": func(w *world, _ *bareClient) {
			h := newMediaHost(w.t, w)
			h.file = []byte("not encrypted at all: " + secret)
			w.fetch(proxied, nil)
		},
	} {
		t.Run(where, func(t *testing.T) {
			w := newWorld(t)
			w.KeepPrivate(secret)
			w.KeepPrivate(strings.ReplaceAll(secret, " ", "-"))
			anna := w.enlisted("anna").online()
			bob := w.WhatsApp("+4915110000001", "Bob")
			require.NoError(t, bob.OptIn(testIntegrator))
			require.Nil(t, anna.say(bob, "3EB0AA", secret).Attrs["error"], "inside of ciphertext it may travel")
			w.seeks("private-text")
			w.ExpectFinding("enlistment-invalid-request")
			leak(w, anna)
			w.found("private-text")
		})
	}
}

func TestFilesOfThoseWhoHaveLeft(t *testing.T) {
	w := newWorld(t)
	newMediaHost(t, w)
	anna := w.enlisted("anna")
	w.owned(proxied, anna.text())
	response, _ := w.fetch(proxied, nil)
	require.Equal(t, 200, response.StatusCode)
	require.NoError(t, w.SetEnlistment(anna.account, "withdrawn"))
	w.seeks("media-after-withdrawal")
	w.fetch(proxied, nil)
	w.found("media-after-withdrawal")
}

func TestFaultsOfTheWire(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()

	// The library takes a frame that is cut within its length.
	split := w.Fault(Fault{Kind: FaultSplitFrame, Match: Match{Stanza: "message", Account: bob.LID()}, Params: map[string]string{"at": "2"}})
	whole, err := bob.Say(anna.text(), "in two parts")
	require.NoError(t, err)
	require.Equal(t, "in two parts", anna.open(anna.awaitTag("message")))
	require.NoError(t, bob.WaitReceipt(within(t), whole, "delivery"))
	require.Equal(t, 1, split.Struck())

	// A deaf server brings what it has, and nothing that is said reaches it.
	require.Equal(t, 1, w.DropConnections(anna.account, "deaf"))
	waiting, err := bob.Say(anna.text(), "can you hear me?")
	require.NoError(t, err)
	anna.receipt(anna.awaitTag("message"), "")
	anna.disconnect()
	again := anna.online().awaitTag("message")
	require.Equal(t, waiting, again.Attrs["id"], "its receipt was never heard")
	require.Equal(t, "can you hear me?", anna.open(again))

	w.Fault(Fault{Kind: FaultOversizeFrame, Match: Match{Stanza: "iq"}})
	anna.send(binary.Node{Tag: "iq", Attrs: binary.Attrs{"id": "last", "type": "get", "xmlns": "w:p"}})
	anna.awaitClose()

	for forgetful, want := range map[bool]string{false: "waiting", true: "after it"} {
		_, err = bob.Say(anna.text(), "waiting")
		require.NoError(t, err)
		w.Restart(forgetful)
		_, err = bob.Say(anna.text(), "after it")
		require.NoError(t, err)
		anna.online()
		node := anna.awaitTag("message")
		require.Equal(t, want, anna.open(node))
		if !forgetful {
			node = anna.awaitTag("message")
			require.Equal(t, "after it", anna.open(node))
		}
		require.NoError(t, bob.WaitReceipt(within(t), textOf(node.Attrs["id"]), "delivery"))
		w.Restart(false)
		anna.awaitClose()
	}
}

func TestFlood(t *testing.T) {
	const count = 500
	w := newWorld(t, func(o *options) { o.maxUnacknowledged = 10 })
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	anna.disconnect()
	for range count {
		_, err := bob.Say(anna.text(), "again and again")
		require.NoError(t, err)
	}
	w.Fault(Fault{Kind: FaultFlood, Count: -1})
	anna.online()
	for range count {
		anna.awaitTag("message") // none of which is acknowledged
	}
}

func TestPhonesThatLoseThings(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	require.Nil(t, anna.say(bob, "3EB0AA", "hello").Attrs["error"])
	keys := func() publicKeys {
		bob.mu.Lock()
		defer bob.mu.Unlock()
		return bob.signal.public()
	}
	before := keys()
	bob.Reinstall()
	after := keys()
	require.Equal(t, before.identity, after.identity)
	require.NotEqual(t, before.registration, after.registration)
	require.Nil(t, anna.say(bob, "3EB0AB", "to the lost session").Attrs["error"])
	retry := anna.await("a request for it", func(n binary.Node) bool { return n.Tag == "receipt" && n.Attrs["type"] == "retry" })
	require.Equal(t, "3EB0AB", retry.Attrs["id"])

	require.NoError(t, bob.AskAgain(anna.text(), "3EB0FF", 3))
	for count := range 3 {
		retry = anna.await("a request", func(n binary.Node) bool { return n.Tag == "receipt" && n.Attrs["id"] == "3EB0FF" })
		require.EqualValues(t, string(rune('1'+count)), childOf(retry, "retry").Attrs["count"])
	}
}

func TestUsedCountersAndRetries(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	id, err := bob.Say(anna.text(), "hello")
	require.NoError(t, err)
	anna.open(anna.awaitTag("message"))

	node := anna.message(bob, "3EB0AA", encodeText("one ciphertext"))
	require.Nil(t, anna.deliver(node).Attrs["error"])
	_, err = bob.Hears(within(t))
	require.NoError(t, err)
	w.seeks("old-counter")
	node.Attrs["id"] = "3EB0AB"
	require.Nil(t, anna.deliver(node).Attrs["error"])
	w.found("old-counter")
	require.Len(t, bob.Heard(), 1)

	ask := func(count int) {
		anna.send(binary.Node{Tag: "receipt", Attrs: binary.Attrs{"id": id, "to": bob.user.lid, "type": "retry"}, Content: []binary.Node{
			{Tag: "retry", Attrs: binary.Attrs{"id": id, "count": count, "t": "1", "v": 1}}, {Tag: "registration", Content: uint32Bytes(4711)}}})
	}
	for count := 1; count <= maxRetries; count++ {
		ask(count)
		require.Equal(t, id, anna.awaitTag("message").Attrs["id"])
	}
	w.seeks("too-many-retries")
	ask(1) // it says what it likes
	w.found("too-many-retries")
}

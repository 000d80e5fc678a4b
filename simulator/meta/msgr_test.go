package meta

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
)

// onMessenger makes a client of the other product, with its account on record there.
func (w *world) onMessenger(name string) *bareClient {
	w.t.Helper()
	c := w.enlisted(name)
	w.mu.Lock()
	w.enlistments["e_"+name].Product = productMessenger
	w.mu.Unlock()
	c.claims = func(m map[string]any) { m["aud"] = "urn:meta:interop:messenger" }
	c.payload = func(p *waWa6.ClientPayload) { p.Product = waWa6.ClientPayload_INTEROP_MSGR.Enum() }
	return c
}

// franked encrypts an application's envelope to somebody on Messenger, as clients must.
func (c *bareClient) franked(p *Person, id string, application []byte) binary.Node {
	c.t.Helper()
	if !c.signal.hasSession(p.user.lid) {
		c.fetchKeys(p)
	}
	enc, err := c.signal.encrypt(p.user.lid, msgrEnvelope(application, 0.5))
	require.NoError(c.t, err)
	enc.Attrs["v"] = msgrEncVersion
	return binary.Node{Tag: "message", Attrs: binary.Attrs{"id": id, "to": p.user.lid, "type": "text"},
		Content: append([]binary.Node{enc}, beside(application, id)...)}
}

func TestMessengerLookup(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	ben, closed := w.Messenger("100001", "Ben"), w.Messenger("100002", "Closed")
	require.NoError(t, ben.OptIn(testIntegrator))
	ben.SetUsername("Ben.Example")
	anna := w.onMessenger("anna").online()
	ask := func(attrs binary.Attrs) binary.Node {
		return childOf(anna.request("get", "w:interop", binary.Node{Tag: "wa_users", Content: []binary.Node{{Tag: "user", Attrs: attrs}}}), "wa_users", "user")
	}
	for _, attrs := range []binary.Attrs{{"fbid": "100001"}, {"username": "ben.example"}, {"username": "BEN.example"}} {
		require.Equal(t, ben.user.lid, ask(attrs).Attrs["jid"], "%v", attrs)
	}
	for code, attrs := range map[string]binary.Attrs{
		"400": {"fbid": "100001", "username": "ben.example"}, "403": {"fbid": closed.FBID()}, "404": {"fbid": bob.user.lid.User},
	} {
		require.Equal(t, code, childOf(ask(attrs), "error").Attrs["code"], "%v", attrs)
	}
	require.Equal(t, "404", childOf(ask(binary.Attrs{"username": "nobody"}), "error").Attrs["code"])
	require.Equal(t, "400", childOf(ask(binary.Attrs{"phone": bob.Phone()}), "error").Attrs["code"])
}

func TestMessengerMessages(t *testing.T) {
	w := newWorld(t)
	ben := w.Messenger("100001", "Ben")
	require.NoError(t, ben.OptIn(testIntegrator))
	anna := w.onMessenger("anna").online()

	ack := anna.deliver(anna.franked(ben, "1", encodeMessenger(msgrText("hello"), nil)))
	require.Nil(t, ack.Attrs["error"])
	heard, err := ben.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "hello", heard.Text)
	require.Equal(t, anna.text(), heard.From)

	_, err = ben.Reply(heard, "hello to you")
	require.NoError(t, err)
	node := anna.awaitTag("message")
	require.Equal(t, msgrEncVersion, childOf(node, "enc").Attrs["v"])
	plaintext, err := anna.signal.decrypt(ben.user.lid, childOf(node, "enc"))
	require.NoError(t, err)
	message, err := decodeMessenger(plaintext, tagBeside(node))
	require.NoError(t, err)
	require.Equal(t, "1", message.quote.text("stanzaID"))
	require.Regexp(t, `^[0-9]{19}$`, node.Attrs["id"])
}

// A client that does not frank, or speaks WhatsApp's language, is refused by the server or by the phone.
func TestMessengerRefuses(t *testing.T) {
	w := newWorld(t)
	ben := w.Messenger("100001", "Ben")
	require.NoError(t, ben.OptIn(testIntegrator))
	anna := w.onMessenger("anna").online()
	good := func() []byte { return encodeMessenger(msgrText("hello"), nil) }

	w.ExpectFinding("bad-message-shape")
	for name, spoil := range map[string]func(*binary.Node){
		"no-franking": func(n *binary.Node) { n.Content = n.GetChildren()[:1] },
		"no-trace":    func(n *binary.Node) { n.Content = n.GetChildren()[:2] },
		"short-tag": func(n *binary.Node) {
			n.GetChildren()[1].Content = []binary.Node{{Tag: "franking_tag", Content: []byte{1}}}
		},
		"old-version":  func(n *binary.Node) { n.GetChildren()[0].Attrs["v"] = "2" },
		"other-child":  func(n *binary.Node) { n.Content = append(n.GetChildren(), binary.Node{Tag: "biz"}) },
		"two-messages": func(n *binary.Node) { n.Content = append(n.GetChildren(), n.GetChildren()[0]) },
	} {
		node := anna.franked(ben, name, good())
		spoil(&node)
		require.Equal(t, "479", anna.deliver(node).Attrs["error"], name)
	}
	w.ExpectFinding("bad-message-type")
	node := anna.franked(ben, "reaction", good())
	node.Attrs["type"] = "reaction"
	require.Equal(t, "400", anna.deliver(node).Attrs["error"])

	w.ExpectFinding("bad-franking")
	w.ExpectFinding("outside-subset")
	node = anna.franked(ben, "wrong tag", good())
	node.GetChildren()[1].Content = beside(good(), "other")[0].Content
	require.Nil(t, anna.deliver(node).Attrs["error"], "the server cannot tell")
	refused := []string{"wrong tag"}
	for id, application := range map[string][]byte{
		"whatsapp":           encodeText("hello"),
		"unknown field":      appendField(good(), 99, []byte("x")),
		"two contents":       encodeMessenger(value{"messageText": value{"text": "a"}, "audioMessage": value{}}, nil),
		"no content":         encodeMessenger(value{}, nil),
		"edit of another's":  msgrEdit(msgrKey(ben.user.lid, "x", false), "new", w.now()),
		"edit to nothing":    msgrEdit(msgrKey(ben.user.lid, "x", true), "", w.now()),
		"removal of no key":  msgrRevoke(value{}),
		"removal, another's": msgrRevoke(msgrKey(ben.user.lid, "x", false)),
		"removal and text": encodeMsgrPayload(value{"content": msgrText("a"), "applicationData": value{"revoke": value{
			"key": msgrKey(ben.user.lid, "x", true)}}}, nil),
		"no file": encodeMessenger(value{"imageMessage": value{"image": value{"version": uint64(1)}}}, nil),
	} {
		refused = append(refused, id)
		require.Nil(t, anna.deliver(anna.franked(ben, id, application)).Attrs["error"], id)
	}
	require.Nil(t, anna.deliver(anna.franked(ben, "last", good())).Attrs["error"])
	heard, err := ben.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "last", heard.ID)
	for _, id := range refused {
		require.Contains(t, w.Refusals(), Refusal{From: jidText(ben.user.lid), Class: "message", ID: id, Code: nackInvalidContent})
	}
}

// Edits and removals reach the message that they name; one that names nothing is a fault of the client.
func TestMessengerEditsAndRemovals(t *testing.T) {
	w := newWorld(t)
	ben := w.Messenger("100001", "Ben")
	require.NoError(t, ben.OptIn(testIntegrator))
	anna := w.onMessenger("anna").online()
	w.ExpectFinding("unknown-target")
	for id, application := range map[string][]byte{"edit": msgrEdit(msgrKey(ben.user.lid, "nothing", true), "new", w.now())} {
		require.Nil(t, anna.deliver(anna.franked(ben, id, application)).Attrs["error"])
	}
	_, err := ben.Hears(within(t))
	require.NoError(t, err)
	require.Len(t, w.Findings(), 1)

	require.Nil(t, anna.deliver(anna.franked(ben, "said", encodeMessenger(msgrText("helo"), nil))).Attrs["error"])
	require.Nil(t, anna.deliver(anna.franked(ben, "better", msgrEdit(msgrKey(ben.user.lid, "said", true), "hello", w.now()))).Attrs["error"])
	require.Nil(t, anna.deliver(anna.franked(ben, "gone", msgrRevoke(msgrKey(ben.user.lid, "said", true)))).Attrs["error"])
	for _, want := range []Heard{{Kind: "messageText", Text: "helo"}, {Kind: "editMessage", Text: "hello", Edited: "said"}, {Kind: "revoke", Removed: "said"}} {
		heard, err := ben.Hears(within(t))
		require.NoError(t, err)
		require.Equal(t, want, Heard{Kind: heard.Kind, Text: heard.Text, Edited: heard.Edited, Removed: heard.Removed})
	}
	require.Len(t, w.Findings(), 1, "of what was heard, no complaint")

	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	_, err = bob.Unsend(anna.text(), "x")
	require.ErrorContains(t, err, "no unsending")
	_, err = bob.SendMedia(anna.text(), Media{Kind: Sticker})
	require.ErrorIs(t, err, errMedia)
}

// A number that stands for somebody on each product is two people, and two accounts.
func TestEqualNumbersOnBothProducts(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	ben := w.Messenger(bob.user.lid.User, "Ben")
	for _, p := range []*Person{bob, ben} {
		require.NoError(t, p.OptIn(testIntegrator))
	}
	here, there := w.enlisted("anna"), w.onMessenger("alma")
	there.account = here.account
	w.mu.Lock()
	w.enlistments["e_alma"].Account = here.account
	w.mu.Unlock()
	here.online()
	there.online()
	require.Equal(t, here.text(), there.text())

	require.Nil(t, here.say(bob, "3EB01", "to WhatsApp").Attrs["error"])
	require.Nil(t, there.deliver(there.franked(ben, "1", encodeMessenger(msgrText("to Messenger"), nil))).Attrs["error"])
	for p, text := range map[*Person]string{bob: "to WhatsApp", ben: "to Messenger"} {
		heard, err := p.Hears(within(t))
		require.NoError(t, err)
		require.Equal(t, text, heard.Text)
	}
	_, err := bob.Say(here.text(), "from WhatsApp")
	require.NoError(t, err)
	require.Equal(t, "from WhatsApp", here.open(here.awaitTag("message")))
	_, err = ben.Say(there.text(), "from Messenger")
	require.NoError(t, err)
	require.Equal(t, ben.user.lid, there.awaitTag("message").Attrs["from"])
	require.Len(t, bob.Heard(), 1)
	require.Len(t, ben.Heard(), 1)

	ben.NewIdentity()
	require.Equal(t, ben.user.lid, there.awaitTag("notification").Attrs["from"])
	require.NoError(t, ben.Typing(there.text(), true))
	require.Equal(t, ben.user.lid, there.awaitTag("chatstate").Attrs["from"])
}

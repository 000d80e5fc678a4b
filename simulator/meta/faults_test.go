package meta

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

func TestFaultsOfRequests(t *testing.T) {
	w := newWorld(t)
	anna := w.enlisted("anna").online()
	h := w.Fault(Fault{Kind: FaultRequest, Match: Match{XMLNS: "abt", Account: anna.account}, Count: 2, Params: map[string]string{"code": "503"}})
	require.Equal(t, "result", anna.request("get", "w:p").Attrs["type"], "matches another name space only")
	for _, want := range []string{"error", "error", "result"} {
		require.Equal(t, want, anna.request("get", "abt", binary.Node{Tag: "props"}).Attrs["type"])
	}
	require.Equal(t, 2, h.Struck())

	h = w.Fault(Fault{Kind: FaultRequestLost, Count: -1})
	anna.send(binary.Node{Tag: "iq", Attrs: binary.Attrs{"id": "lost", "type": "get", "xmlns": "w:p"}})
	anna.send(binary.Node{Tag: "iq", Attrs: binary.Attrs{"id": "lost too", "type": "get", "xmlns": "w:p"}})
	require.Eventually(t, func() bool { return h.Struck() == 2 }, patience, time.Millisecond)
	h.Remove()
	anna.request("get", "w:p")
	anna.mu.Lock()
	defer anna.mu.Unlock()
	for _, node := range anna.got {
		require.NotEqual(t, "lost", node.Attrs["id"])
	}
}

func TestFaultsOfMessages(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()

	w.Fault(Fault{Kind: FaultAckLost, Match: Match{Account: bob.LID()}})
	anna.send(anna.message(bob, "3EB001", encodeText("taken in silence")))
	h, err := bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "taken in silence", h.Text)
	require.Nil(t, anna.say(bob, "3EB001", "taken in silence").Attrs["error"], "the same id again is acknowledged")
	require.Equal(t, 1, w.Tally("repeated"))

	w.Fault(Fault{Kind: FaultDuplicate})
	_, err = bob.Say(anna.text(), "twice")
	require.NoError(t, err)
	first, second := anna.awaitTag("message"), anna.awaitTag("message")
	require.Equal(t, first.Attrs["id"], second.Attrs["id"])
	require.Equal(t, childOf(first, "enc").Content, childOf(second, "enc").Content)
	require.Equal(t, "twice", anna.open(first))

	w.Fault(Fault{Kind: FaultUnknownStanza, Match: Match{Stanza: "iq"}})
	anna.request("get", "w:p")
	anna.awaitTag("surprise")
	w.Fault(Fault{Kind: FaultGarbage, Match: Match{Stanza: "iq"}})
	anna.request("get", "w:p")
	require.Equal(t, "result", anna.request("get", "w:p").Attrs["type"], "the stream goes on after a frame of garbage")
}

func TestDeformedMessages(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	say := func(text string) (string, binary.Node) {
		id, err := bob.Say(anna.text(), text)
		require.NoError(t, err)
		node := anna.awaitTag("message")
		require.Equal(t, id, node.Attrs["id"])
		return id, node
	}
	_, first := say("first")
	require.Equal(t, "first", anna.open(first))

	w.Fault(Fault{Kind: FaultReplay})
	_, replayed := say("never sent")
	require.Equal(t, childOf(first, "enc").Content, childOf(replayed, "enc").Content)
	w.Fault(Fault{Kind: FaultSenderDevice})
	_, node := say("from device 3")
	require.EqualValues(t, 3, node.Attrs["from"].(types.JID).Device)
	w.Fault(Fault{Kind: FaultStringJID})
	_, node = say("text address")
	require.Equal(t, bob.LID(), node.Attrs["from"])
	w.Fault(Fault{Kind: FaultParticipants})
	_, node = say("in a list")
	require.Equal(t, "enc", childOf(node, "participants", "to", "enc").Tag)
	w.Fault(Fault{Kind: FaultNoPadding})
	_, node = say("bare")
	plaintext, err := anna.signal.decrypt(bob.user.lid, childOf(node, "enc"))
	require.NoError(t, err)
	require.Equal(t, encodeText("bare"), plaintext)

	before, _ := say("one id")
	w.Fault(Fault{Kind: FaultSameID})
	again, _ := say("other text")
	require.Equal(t, before, again)

	w.Fault(Fault{Kind: FaultReorder})
	_, err = bob.Say(anna.text(), "held back")
	require.NoError(t, err)
	_, node = say("overtakes")
	require.Equal(t, "overtakes", anna.open(node))
	require.Equal(t, "held back", anna.open(anna.awaitTag("message")))
}

func TestFaultsOfBundles(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	anna := w.enlisted("anna").online()
	ask := func(jid types.JID) binary.Node {
		answer := anna.request("get", "encrypt", binary.Node{Tag: "key", Content: []binary.Node{{Tag: "user", Attrs: binary.Attrs{"jid": jid}}}})
		user := childOf(answer, "list", "user")
		require.Equal(t, jid, user.Attrs["jid"])
		return user
	}
	require.Equal(t, "403", childOf(ask(bob.user.lid), "error").Attrs["code"], "not opted in")
	require.NoError(t, bob.OptIn(testIntegrator))
	require.NoError(t, bob.Block(anna.text()))
	require.Empty(t, childOf(ask(bob.user.lid), "error").Tag, "a block does not show")
	require.Equal(t, "404", childOf(ask(types.NewJID("999999999999999", types.HiddenUserServer)), "error").Attrs["code"])

	w.Fault(Fault{Kind: FaultNoBundle})
	require.Equal(t, "404", childOf(ask(bob.user.lid), "error").Attrs["code"])
	w.Fault(Fault{Kind: FaultNoOneTimeKey})
	require.Empty(t, childOf(ask(bob.user.lid), "key").Tag)
	w.Fault(Fault{Kind: FaultBadSignedPrekey})
	_, err := readKeyUpload(ask(bob.user.lid))
	require.ErrorContains(t, err, "signature")
	_, err = readKeyUpload(ask(bob.user.lid))
	require.NoError(t, err)

	// One-time keys are never given twice, and the phone uploads new ones in time.
	seen := map[string]bool{}
	for ctx := within(t); len(seen) <= initialOneTimeKeys; require.NoError(t, ctx.Err(), "the phone has no more keys") {
		if id, found := childOf(ask(bob.user.lid), "key", "id").Content.([]byte); found {
			require.False(t, seen[string(id)])
			seen[string(id)] = true
		}
	}

	w.Fault(Fault{Kind: FaultPrekeysLost})
	count := anna.request("get", "encrypt", binary.Node{Tag: "count"})
	require.Equal(t, "0", childOf(count, "count").Attrs["value"])
}

// TestFaultsProfile lets chance strike, and sees that a client which does its part loses nothing.
func TestFaultsProfile(t *testing.T) {
	w := newWorld(t, Profile(Faults), Seed(3))
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna")
	answer := anna.login()
	for answer.Attrs["reason"] == "413" { // chance may call the token too old
		answer = anna.login()
	}
	require.Equal(t, "success", answer.Tag)
	anna.upload(anna.signal.generate(20))
	anna.request("set", "passive", binary.Node{Tag: "active"})
	const count = 300
	for i := range count {
		_, err := bob.Say(anna.text(), fmt.Sprint(i))
		require.NoError(t, err)
	}
	heard, duplicates, spoilt := map[string]bool{}, 0, 0
	for len(heard) < count {
		node := anna.awaitTag("message")
		id := textOf(node.Attrs["id"])
		if heard[id] {
			duplicates++
			continue
		}
		if _, err := anna.signal.decrypt(bob.user.lid, childOf(node, "enc")); err != nil {
			spoilt++
			anna.send(binary.Node{Tag: "receipt", Attrs: binary.Attrs{"id": id, "to": bob.user.lid, "type": "retry"}, Content: []binary.Node{
				{Tag: "retry", Attrs: binary.Attrs{"id": id, "count": 1, "t": node.Attrs["t"], "v": 1}},
				{Tag: "registration", Content: uint32Bytes(4711)}}})
			anna.send(binary.Node{Tag: "ack", Attrs: binary.Attrs{"class": "message", "id": id, "to": bob.user.lid}})
			continue
		}
		heard[id] = true
		anna.receipt(node, "")
	}
	require.Positive(t, duplicates)
	require.Positive(t, spoilt)
}

func TestCalmDoesNothingByItself(t *testing.T) {
	w := newWorld(t)
	for i := range 1000 {
		about := fmt.Sprint(i)
		require.False(t, w.misfortune("any", about, 1))
		require.Zero(t, w.delay(about))
	}
	w.SetProfile(Timing)
	longest := time.Duration(0)
	for i := range 1000 {
		require.False(t, w.misfortune("any", fmt.Sprint(i), 1))
		longest = max(longest, w.delay(fmt.Sprint(i)))
	}
	require.LessOrEqual(t, longest, 20*time.Millisecond)
	require.Greater(t, longest, 15*time.Millisecond)
	w.SetProfile(Faults)
	struck := 0
	for i := range 10000 {
		if w.misfortune("any", fmt.Sprint(i), 0.05) {
			struck++
		}
	}
	require.InDelta(t, 500, struck, 100)
}

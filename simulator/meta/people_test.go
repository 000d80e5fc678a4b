package meta

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"
)

func TestNumberAndReceiptsFollowThePhone(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.Same(t, bob, w.WhatsApp("+4915110000001", "somebody else"))
	require.NotEqual(t, bob.LID(), w.WhatsApp("+4915110000002", "Carl").LID())
	require.NoError(t, bob.OptIn(testIntegrator))
	bob.HideNumber()
	bob.AutoReceipts(false)
	anna := w.enlisted("anna").online()
	_, err := bob.Say(anna.text(), "guess who")
	require.NoError(t, err)
	node := anna.awaitTag("message")
	require.Nil(t, node.Attrs["sender_pn"])
	require.Nil(t, node.Attrs["notify"])
	anna.open(node)

	bob.ShareName()
	_, err = bob.Say(anna.text(), "it is me")
	require.NoError(t, err)
	named := anna.awaitTag("message")
	require.Equal(t, "Bob", named.Attrs["notify"])
	anna.open(named)

	anna.say(bob, "3EB001", "hello")
	_, err = bob.Hears(within(t))
	require.NoError(t, err)
	require.ErrorIs(t, bob.Read("3EB099"), errNeverHeard)
	require.NoError(t, bob.Deliver("3EB001"))
	require.Nil(t, anna.awaitTag("receipt").Attrs["type"])

	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err = bob.Hears(short)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Len(t, bob.Heard(), 1)
}

func TestDeviceListNamesThePrimaryOnly(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	anna := w.enlisted("anna").online()
	answer := anna.request("get", "usync", binary.Node{Tag: "usync", Attrs: binary.Attrs{"sid": "1", "mode": "query", "context": "message",
		"index": "0", "last": "true"}, Content: []binary.Node{
		{Tag: "query", Content: []binary.Node{{Tag: "devices", Attrs: binary.Attrs{"version": "2"}}}},
		{Tag: "list", Content: []binary.Node{{Tag: "user", Attrs: binary.Attrs{"jid": bob.user.pn}}, {Tag: "user", Attrs: binary.Attrs{"jid": bob.user.lid}}}},
	}})
	list := childOf(answer, "usync", "list")
	require.Len(t, list.GetChildren(), 2)
	for _, user := range list.GetChildren() {
		require.Equal(t, bob.user.lid, childOf(user, "lid").Attrs["val"])
		devices := childOf(user, "devices", "device-list")
		require.Len(t, devices.GetChildren(), 1)
		require.Equal(t, "0", devices.GetChildren()[0].Attrs["id"])
		require.Equal(t, "0", devices.GetChildren()[0].Attrs["key-index"])
	}
}

func TestProductsStayApart(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna")
	w.mu.Lock()
	w.enlistments["e_anna"].Product = productMessenger
	w.mu.Unlock()
	anna.claims = func(m map[string]any) { m["aud"] = "urn:meta:interop:messenger" }
	anna.payload = func(p *waWa6.ClientPayload) { p.Product = waWa6.ClientPayload_INTEROP_MSGR.Enum() }
	anna.online()
	found := anna.lookup("+4915110000001")
	require.Equal(t, "400", childOf(found, "error").Attrs["code"])
	_, err := bob.Say(anna.text(), "wrong network")
	require.Error(t, err)
}

func TestTypesOfReceipts(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	id, err := bob.Say(anna.text(), "hi")
	require.NoError(t, err)
	node := anna.awaitTag("message")
	anna.receipt(node, "inactive")
	require.NoError(t, bob.WaitReceipt(within(t), id, "inactive"))
	w.ExpectFinding("bad-receipt")
	anna.receipt(node, "played")
	unknown := binary.Node{Attrs: binary.Attrs{"id": id, "from": types.NewJID("491511", types.DefaultUserServer)}}
	anna.receipt(unknown, "")
	w.ExpectFinding("receipt-for-unknown-message")
	anna.receipt(binary.Node{Attrs: binary.Attrs{"id": "3EB0FFFF", "from": bob.user.lid}}, "")
	require.NoError(t, bob.WaitReceipt(within(t), "3EB0FFFF", "delivery"))
	kinds := map[string]int{}
	for _, f := range w.Findings() {
		kinds[f.Kind]++
	}
	require.Equal(t, map[string]int{"bad-receipt": 2, "receipt-for-unknown-message": 1}, kinds)
}

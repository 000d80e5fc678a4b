package meta

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/binary"
)

// TestAdminConversation holds a conversation with a connected client through the control plane alone.
func TestAdminConversation(t *testing.T) {
	w := newWorld(t)
	anna := w.enlisted("anna").online()
	c := adminClient{t, w.Network}
	const bob = "/admin/users/+4915110000001"
	c.ok("POST", "/admin/whatsapp", map[string]string{"phone": "+4915110000001", "name": "Bob"}, nil)
	c.ok("POST", bob+"/opt-in", map[string]any{"integrators": []int{testIntegrator}}, nil)

	var sent map[string]any
	c.ok("POST", bob+"/send", map[string]string{"to": anna.user.email, "text": "hello"}, &sent)
	require.Equal(t, "hello", anna.open(anna.awaitTag("message")))
	c.ok("POST", bob+"/typing", map[string]string{"to": anna.text(), "state": "composing"}, nil)
	state := anna.awaitTag("chatstate")
	require.Equal(t, "composing", state.GetChildren()[0].Tag)

	require.Nil(t, anna.say(w.WhatsApp("+4915110000001", ""), "one", "hi Bob").Attrs["error"])
	var inbox struct {
		Messages []heardInfo      `json:"messages"`
		Receipts []map[string]any `json:"receipts"`
		Next     int              `json:"next"`
	}
	c.ok("GET", bob+"/inbox?wait_ms=10000", nil, &inbox)
	require.Len(t, inbox.Messages, 1)
	require.Equal(t, "hi Bob", inbox.Messages[0].Text)
	require.Equal(t, "conversation", inbox.Messages[0].Kind)
	require.Equal(t, anna.text(), inbox.Messages[0].From)
	require.Equal(t, "anna", inbox.Messages[0].DisplayName)
	require.NoError(t, w.WhatsApp("+4915110000001", "").WaitReceipt(within(t), sent["id"].(string), "delivery"))
	c.ok("GET", bob+"/inbox?since=1", nil, &inbox)
	require.Empty(t, inbox.Messages)
	require.Equal(t, sent["id"], inbox.Receipts[0]["id"])

	c.ok("POST", bob+"/receipt", map[string]string{"id": "one", "type": "read"}, nil)
	c.ok("POST", bob+"/send", map[string]string{"kind": "reply", "to_id": "one", "text": "well?"}, nil)
	require.Equal(t, "well?", anna.open(anna.awaitTag("message")))

	var connections []ConnInfo
	c.ok("GET", "/admin/connections", nil, &connections)
	require.Len(t, connections, 1)
	require.Equal(t, anna.text(), connections[0].JID)
	c.ok("POST", fmt.Sprintf("/admin/connections/%d/drop", connections[0].ID), map[string]any{"how": "515", "after_ms": 1}, nil)
	require.Equal(t, "515", anna.awaitTag("stream:error").Attrs["code"])
	anna.awaitClose()
}

// TestAdminOnMessenger does what only people on Messenger can.
func TestAdminOnMessenger(t *testing.T) {
	w := newWorld(t)
	anna := w.onMessenger("anna").online()
	c := adminClient{t, w.Network}
	const ben = "/admin/users/100001"
	require.Equal(t, http.StatusBadRequest, c.call("POST", "/admin/messenger", map[string]string{"fbid": "ben"}, nil))
	c.ok("POST", "/admin/messenger", map[string]string{"fbid": "100001", "name": "Ben", "username": "ben.example"}, nil)
	c.ok("POST", ben+"/opt-in", map[string]any{"integrators": []int{testIntegrator}}, nil)
	open := func() msgrMessage {
		node := anna.awaitTag("message")
		plaintext, err := anna.signal.decrypt(w.Messenger("100001", "").user.lid, childOf(node, "enc"))
		require.NoError(t, err)
		message, err := decodeMessenger(plaintext, tagBeside(node))
		require.NoError(t, err)
		return message
	}
	var sent map[string]any
	c.ok("POST", ben+"/send", map[string]string{"to": anna.text(), "text": "helo"}, &sent)
	require.Equal(t, "helo", open().content.text("text"))
	said := sent["id"].(string)
	c.ok("POST", ben+"/send", map[string]string{"kind": "edit", "to": anna.text(), "to_id": said, "text": "hello"}, nil)
	edit := open()
	require.Equal(t, []string{"editMessage", said, "hello"},
		[]string{edit.kind, edit.content.message("key").text("ID"), edit.content.message("message").text("text")})
	c.ok("POST", ben+"/send", map[string]string{"kind": "unsend", "to": anna.text(), "to_id": said}, nil)
	revoke := open()
	require.Equal(t, []string{"revoke", said}, []string{revoke.kind, revoke.content.message("key").text("ID")})
	c.ok("POST", ben+"/send", map[string]any{"kind": "sticker", "to": anna.text()}, nil)
	file, err := open().openFileMessage()
	require.NoError(t, err)
	require.Equal(t, "image/webp", file.text("mimetype"))
}

// A user who is withdrawn or suspended while connected stays connected and is refused.
func TestEnlistmentEndsWhileConnected(t *testing.T) {
	w := newWorld(t)
	p := w.provider
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	require.Nil(t, anna.say(bob, "one", "hi").Attrs["error"])
	call := func(method, query string, body map[string]any) answer {
		return p.do(request{method: method, path: "/v1/enlistments/e_anna" + query, token: p.token(p.claims(anna.user, "enlist")), body: body})
	}

	require.Equal(t, http.StatusOK, call("PATCH", "", map[string]any{"status": "suspended"}).status)
	require.EqualValues(t, "401", anna.say(bob, "two", "hi").Attrs["error"])
	require.Equal(t, http.StatusOK, call("PATCH", "", map[string]any{"status": "active"}).status)
	require.Nil(t, anna.say(bob, "three", "hi").Attrs["error"])

	require.Equal(t, http.StatusNoContent, call("DELETE", "?reason=user_request", nil).status)
	require.EqualValues(t, "401", anna.say(bob, "four", "hi").Attrs["error"])
	_, err := bob.Find(testIntegrator, anna.user.email)
	require.Error(t, err, "nobody finds a user who has left")
	anna.disconnect()
	require.Equal(t, "401", anna.login().Attrs["reason"])
}

// A signed prekey that the provider rotates is at once the one that phones get.
func TestRotatedSignedPrekeyServesConnectedUsers(t *testing.T) {
	w := newWorld(t)
	p := w.provider
	anna := w.enlisted("anna").online()
	next := anna.signal.device.IdentityKey.CreateSignedPreKey(2)
	a := p.do(request{method: "PATCH", path: "/v1/enlistments/e_anna", token: p.token(p.claims(anna.user, "enlist")),
		body: map[string]any{"keys": map[string]any{"signed_prekey": map[string]any{
			"id": 2, "public_key": encode64(next.Pub[:]), "signature": encode64(next.Signature[:])}}}})
	require.Equal(t, http.StatusOK, a.status, a.raw)
	digest := childOf(anna.request("get", "encrypt", binary.Node{Tag: "digest"}), "digest")
	id := childOf(digest, "skey", "id")
	require.Equal(t, []byte{0, 0, 2}, id.Content)
}

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"

	"causeway/e2e/client"
)

// A WhatsApp user finds a Matrix user by their identifier and writes first.
func TestWhatsAppUserWritesFirst(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000001", "Anna").OptedIn()

	found, err := anna.Find(integrator, alice.Identifier())
	require.NoError(t, err)
	require.Equal(t, alice.jid, found)
	anna.Says(alice, "hello from a phone")

	room := alice.WaitForRoom(anna)
	room.WaitForMessage(anna, "hello from a phone")
	room.Says("hello from Matrix")
	anna.HearsText(alice, "hello from Matrix")
}

// A Matrix user starts a chat by phone number, and the room reads well without any add-on.
func TestMatrixUserWritesFirst(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000002", "Anna").OptedIn()

	room := alice.StartChat(anna)
	notice := room.WaitForNotice("third-party chat", "WhatsApp", "decrypts messages", "History starts here")
	require.NotEmpty(t, notice.Body)
	room.Says("hello from Matrix")
	heard := anna.HearsText(alice, "hello from Matrix")
	require.NotEmpty(t, heard.ID)
	anna.Says(alice, "hello back")
	room.WaitForMessage(anna, "hello back")

	room.waitFor("a name that says which network it is", func() bool { return client.ContainsAll(room.Name(), "(WhatsApp)") })
	for _, bridge := range room.StateKeys("m.bridge") {
		var info event.BridgeEventContent
		require.True(t, room.State("m.bridge", bridge, &info))
		require.Equal(t, "whatsapp", info.Protocol.ID)
		require.Equal(t, "WhatsApp", info.Protocol.DisplayName)
	}
	alice.hasSpaceWith(room)
	alice.hasDirectChat(room)
}

// hasSpaceWith waits until the room stands in a space that the user is in.
func (u *matrixUser) hasSpaceWith(r *room) {
	u.house.world.t.Helper()
	r.waitFor("a space for the network", func() bool {
		for _, space := range u.client.Rooms() {
			var child struct {
				Via []string `json:"via"`
			}
			if space.Type() == "m.space" && space.State("m.space.child", string(r.ID), &child) && len(child.Via) > 0 {
				return true
			}
		}
		return false
	})
}

// hasDirectChat waits until the user's account data lists the room as a direct chat.
func (u *matrixUser) hasDirectChat(r *room) {
	w := u.house.world
	w.t.Helper()
	w.eventually("the room to be marked as a direct chat", func() bool {
		var direct event.DirectChatsEventContent
		if u.client.Matrix.GetAccountData(w.ctx, "m.direct", &direct) != nil {
			return false
		}
		for _, rooms := range direct {
			for _, roomID := range rooms {
				if roomID == r.ID {
					return true
				}
			}
		}
		return false
	})
}

package e2e

import (
	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
)

// Somebody finds a Matrix user by their identifier and writes first.
func personWritesFirst(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()

	found, err := anna.Find(integrator, alice.Identifier())
	require.NoError(w.t, err)
	require.Equal(w.t, alice.jid, found)
	anna.Says(alice, "hello from a phone")

	room := alice.WaitForRoom(anna)
	room.WaitForMessage(anna, "hello from a phone")
	room.Says("hello from Matrix")
	anna.HearsText(alice, "hello from Matrix")
}

// A Matrix user starts a chat by what people of the network are found by, and the room reads well without any add-on.
func matrixUserWritesFirst(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()

	room := alice.StartChat(anna)
	notice := room.WaitForNotice("third-party chat", w.side.name(), "decrypts messages", "History starts here")
	require.NotEmpty(w.t, notice.Body)
	room.Says("hello from Matrix")
	heard := anna.HearsText(alice, "hello from Matrix")
	require.NotEmpty(w.t, heard.ID)
	anna.Says(alice, "hello back")
	room.WaitForMessage(anna, "hello back")

	room.waitFor("a name that says which network it is", func() bool { return client.ContainsAll(room.Name(), "("+w.side.name()+")") })
	room.saysItsNetwork(w.side)
	alice.hasDirectChat(room)
}

// saysItsNetwork requires that a client which knows nothing of bridges shows where a room leads: by its
// picture, its bridge information and its space, all of the same network.
func (r *room) saysItsNetwork(on side) {
	t := r.user.house.world.t
	t.Helper()
	icon := r.user.houseIcon(on)
	r.waitFor("the network's picture", func() bool { return r.avatar() == icon })
	keys := r.StateKeys("m.bridge")
	require.NotEmpty(t, keys)
	for _, key := range keys {
		var info event.BridgeEventContent
		require.True(t, r.State("m.bridge", key, &info))
		require.Equal(t, string(on.network), info.Protocol.ID)
		require.Equal(t, on.name(), info.Protocol.DisplayName)
		require.Equal(t, icon, info.Protocol.AvatarURL)
	}
	var space *client.Room
	r.waitFor("the network's space", func() bool {
		space = r.user.spaceOf(r)
		return space != nil
	})
	require.Equal(t, on.name()+" third-party chats", space.Name())
	require.Equal(t, icon, avatarOf(space))
}

// houseIcon is the picture of a network at the user's homeserver; the first room that says it decides.
func (u *matrixUser) houseIcon(on side) id.ContentURIString {
	t := u.house.world.t
	t.Helper()
	for _, r := range u.client.Rooms() {
		for _, key := range r.StateKeys("m.bridge") {
			var info event.BridgeEventContent
			if r.State("m.bridge", key, &info) && info.Protocol.ID == string(on.network) && info.Protocol.AvatarURL != "" {
				return info.Protocol.AvatarURL
			}
		}
	}
	require.Fail(t, "no room names a picture", on.name())
	return ""
}

func (r *room) avatar() id.ContentURIString { return avatarOf(r.Room) }

func avatarOf(r *client.Room) id.ContentURIString {
	var content event.RoomAvatarEventContent
	r.State("m.room.avatar", "", &content)
	return content.URL
}

// spaceOf is the space in which a room stands, nil if it stands in none that the user is in.
func (u *matrixUser) spaceOf(r *room) *client.Room {
	for _, space := range u.client.Rooms() {
		var child struct {
			Via []string `json:"via"`
		}
		if space.Type() == "m.space" && space.State("m.space.child", string(r.ID), &child) && len(child.Via) > 0 {
			return space
		}
	}
	return nil
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

package e2e

import (
	"github.com/stretchr/testify/require"
)

// Somebody who has not turned on third-party chats cannot be written to, and the bot says why.
func notOptedIn(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna")

	alice.Command("start-chat " + anna.identifier())
	alice.WaitForNotice("third-party chats", "settings")
	require.Nil(w.t, alice.findRoom(anna))
	require.Empty(w.t, anna.Heard())

	anna.OptedIn()
	room := alice.StartChat(anna)
	room.Says("now it works")
	anna.HearsText(alice, "now it works")
}

// Somebody turns third-party chats off and on again in mid-chat: the room becomes read-only and writable again.
func optOutAndInAgain(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("hello")
	anna.HearsText(alice, "hello")
	require.True(w.t, room.MaySpeak())
	earlier := anna.Says(alice, "I am here")
	said := room.WaitForMessage(anna, "I am here")

	require.NoError(w.t, anna.OptOut())
	room.Says("are you still there?")
	room.WaitForNotice("third-party chats", "off")
	room.waitFor("the room to be read-only", func() bool { return !room.MaySpeak() })

	anna.OptedIn()
	if w.side.can.Edits {
		_, err := anna.Edit(alice.jid, earlier, "I was here")
		require.NoError(w.t, err)
		edit := room.WaitForMessage(anna, "* I was here") // in a room that was closed
		require.Equal(w.t, said.ID, edit.Content.RelatesTo.GetReplaceID())
	} else {
		anna.Says(alice, "I am back")
		room.WaitForMessage(anna, "I am back")
	}
	room.waitFor("the room to be writable", room.MaySpeak)
	room.WaitForNotice("third-party chats are on again")
	room.Says("welcome back")
	anna.HearsText(alice, "welcome back")
	require.Equal(w.t, room.ID, alice.WaitForRoom(anna).ID, "one conversation, one room")
}

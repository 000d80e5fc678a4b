package e2e

import (
	"github.com/stretchr/testify/require"
)

// Matrix shows when somebody types and when they stop.
func typingReachesMatrix(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	anna.Says(alice, "wait")
	room := alice.WaitForRoom(anna)
	ghost := room.WaitForMessage(anna, "wait").Sender

	require.NoError(w.t, anna.Typing(alice.jid, true))
	room.waitFor("typing", func() bool { return room.IsTyping(ghost) })
	require.NoError(w.t, anna.Typing(alice.jid, false))
	room.waitFor("the end of typing", func() bool { return !room.IsTyping(ghost) })
}

// Somebody sees when a Matrix user types. The stand-in plays the homeserver's pushing of typing.
func typingReachesThePhone(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("wait")
	anna.HearsText(alice, "wait")

	require.NoError(w.t, room.SetTyping(w.ctx, true))
	room.waitFor("own typing", func() bool { return room.IsTyping(alice.client.UserID()) })
	require.NoError(w.t, anna.WaitTyping(w.soon(), alice.jid, true))
	require.NoError(w.t, room.SetTyping(w.ctx, false))
	require.NoError(w.t, anna.WaitTyping(w.soon(), alice.jid, false))
}

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/id"
)

// Matrix shows when a WhatsApp user types and when they stop.
func TestTypingReachesMatrix(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000007", "Anna").OptedIn()
	anna.Says(alice, "wait")
	room := alice.WaitForRoom(anna)
	ghost := room.WaitForMessage(anna, "wait").Sender

	require.NoError(t, anna.Typing(alice.jid, true))
	room.waitFor("typing", func() bool { return room.IsTyping(ghost) })
	require.NoError(t, anna.Typing(alice.jid, false))
	room.waitFor("the end of typing", func() bool { return !room.IsTyping(ghost) })
}

// A WhatsApp user sees when a Matrix user types. The stand-in plays the homeserver's pushing of typing.
func TestTypingReachesWhatsApp_StandIn(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000008", "Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("wait")
	anna.HearsText(alice, "wait")

	require.NoError(t, room.SetTyping(w.ctx, true))
	room.waitFor("own typing", func() bool { return room.IsTyping(id.UserID("@alice:localhost")) })
	require.NoError(t, anna.WaitTyping(w.soon(), alice.jid, true))
	require.NoError(t, room.SetTyping(w.ctx, false))
	require.NoError(t, anna.WaitTyping(w.soon(), alice.jid, false))
}

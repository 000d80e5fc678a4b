package e2e

import (
	"github.com/stretchr/testify/require"
)

// The network drops the connection in several ways and comes back: nothing is lost and nothing comes twice.
func connectionLost(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)

	var said []string
	for _, how := range []string{"close", "reset", "503", "515"} {
		w.net.DropConnections(alice.jid, how)
		said = append(said, "after "+how)
		anna.Says(alice, "after "+how)
		room.WaitForMessage(anna, "after "+how)
		room.Says("answer after " + how)
		anna.HearsText(alice, "answer after "+how)
	}
	require.Equal(w.t, said, room.Texts(anna))
}

package e2e

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
)

// The bridge restarts in mid-conversation: same room, same session, and what was said meanwhile arrives once.
func bridgeRestart(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("before")
	anna.HearsText(alice, "before")
	anna.Says(alice, "before, too")
	room.WaitForMessage(anna, "before, too")

	sessions := w.sessionsBegun()
	require.Positive(w.t, sessions)

	require.NoError(w.t, w.stage.Bridge.Stop())
	w.eventually("the network to see alice gone", func() bool { return !alice.connected() })
	for i := range 3 {
		anna.Says(alice, fmt.Sprintf("while you were away %d", i))
	}
	room.Says("while the bridge was away")
	require.NoError(w.t, w.stage.Bridge.Start(w.ctx))

	room.WaitForMessage(anna, "while you were away 2")
	anna.HearsText(alice, "while the bridge was away")
	room.Says("after")
	anna.HearsText(alice, "after")
	anna.Says(alice, "after, too")
	room.WaitForMessage(anna, "after, too")

	require.Equal(w.t, []string{
		"before, too", "while you were away 0", "while you were away 1", "while you were away 2", "after, too",
	}, room.Texts(anna))
	require.Equal(w.t, room.ID, alice.WaitForRoom(anna).ID)
	require.Equal(w.t, sessions, w.sessionsBegun(), "the old session goes on")
}

// sessionsBegun is how many messages that begin a Signal session went over the network's wire.
func (w *world) sessionsBegun() int { return strings.Count(w.net.Transcript(), `type="pkmsg"`) }

package e2e

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"causeway/simulator/meta"
)

// The bridge is killed in mid-conversation, as by a power cut, again and again: what either side has sent arrives
// once, in its order, and answers still find what they answer.
func bridgeKilled(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)

	const rounds, burst = 3, 6
	var fromAnna, fromAlice []string
	for round := range rounds {
		for i := range burst {
			hers, ours := fmt.Sprintf("anna %d.%d", round, i), fmt.Sprintf("alice %d.%d", round, i)
			anna.Says(alice, hers)
			room.Says(ours)
			fromAnna, fromAlice = append(fromAnna, hers), append(fromAlice, ours)
		}
		// some of it has passed through the bridge, some is in it, some has yet to come
		room.WaitForMessage(anna, fromAnna[round*burst])
		require.NoError(w.t, w.stage.Bridge.Kill())
		away := fmt.Sprintf("alice %d, while the bridge is away", round)
		room.Says(away)
		fromAlice = append(fromAlice, away)
		require.NoError(w.t, w.stage.Bridge.Start(w.ctx))
	}

	room.WaitForMessage(anna, fromAnna[len(fromAnna)-1])
	for _, text := range fromAlice {
		anna.HearsText(alice, text)
	}
	room.Says("the end")
	anna.HearsText(alice, "the end")
	anna.Says(alice, "the end, too")
	room.WaitForMessage(anna, "the end, too")
	require.Equal(w.t, append(fromAnna, "the end, too"), room.Texts(anna))
	require.Equal(w.t, append(fromAlice, "the end"), anna.texts())
	require.Equal(w.t, room.ID, alice.WaitForRoom(anna).ID, "one conversation, one room")
}

// A message for somebody whose network is away is kept, also over a restart, and sent once when it is back.
func messageWaitsForTheNetwork(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("before")
	anna.HearsText(alice, "before")

	away := w.net.Fault(meta.Fault{
		Kind: meta.FaultLogin, Match: meta.Match{Account: alice.jid}, Count: -1, Params: map[string]string{"reason": "503"},
	})
	w.net.DropConnections(alice.jid, "close")
	room.Says("while it is away")
	require.NoError(w.t, w.stage.Bridge.Kill())
	require.NoError(w.t, w.stage.Bridge.Start(w.ctx))
	room.Says("and once more")
	away.Remove()
	anna.HearsText(alice, "while it is away")
	anna.HearsText(alice, "and once more")
	require.Equal(w.t, []string{"before", "while it is away", "and once more"}, anna.texts())
}

// texts are what the person has heard so far, in order.
func (p *person) texts() (texts []string) {
	for _, heard := range p.Heard() {
		texts = append(texts, heard.Text)
	}
	return texts
}

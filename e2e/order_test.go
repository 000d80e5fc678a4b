package e2e

import (
	"fmt"

	"github.com/stretchr/testify/require"
)

// Ten messages each way, interleaved, arrive once and in order.
func tenMessagesEachWay(w *world) {
	const count = 10
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)

	var there, back []string
	for i := range count {
		there = append(there, fmt.Sprintf("there %d", i))
		back = append(back, fmt.Sprintf("back %d", i))
		room.Says(there[i])
		anna.Says(alice, back[i])
	}
	// What comes after them all shows that nothing came twice.
	room.Says("the end")
	anna.Says(alice, "the end")

	for _, text := range append(there, "the end") {
		anna.HearsText(alice, text)
	}
	room.WaitForMessage(anna, "the end")
	require.Equal(w.t, append(back, "the end"), room.Texts(anna))
}

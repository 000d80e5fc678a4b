package e2e

import (
	"regexp"
	"strings"

	"github.com/stretchr/testify/require"
)

var safetyDigits = regexp.MustCompile(`(?:\d{5} ){11}\d{5}`)

// Two people compare safety numbers; the user's mark ends with the other side's key.
func safetyNumbers(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("!cw safety-number")
	room.WaitForNotice("no safety number", "yet")

	anna.Says(alice, "hello")
	room.WaitForMessage(anna, "hello")
	room.Says("!cw safety-number")
	shown := strings.ReplaceAll(safetyDigits.FindString(room.WaitForNotice("safety number with", "nobody reads along").Body), " ", "")
	onPhone, err := anna.SafetyNumber(alice.jid)
	require.NoError(w.t, err)
	require.Equal(w.t, onPhone, shown, "both sides see the same digits")

	room.Says("!cw verify " + strings.Repeat("1", 60))
	room.WaitForNotice("not", "the digits that this server has")
	room.Says("!cw verify 12345")
	room.WaitForNotice("verify <60 digits>")
	room.Says("!cw verify " + onPhone)
	room.WaitForNotice("you have compared the safety number")
	room.Says("!cw safety-number")
	room.WaitForNotice("which you have compared")

	anna.NewIdentity()
	anna.Says(alice, "a new phone")
	room.WaitForMessage(anna, "a new phone")
	room.WaitForNotice("you had compared it", "mark is taken away")
	room.Says("!cw unverify")
	room.WaitForNotice("you have not compared")
}

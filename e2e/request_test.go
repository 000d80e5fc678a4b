package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Somebody whom the user does not know asks to write, and sees nothing of the user's reading before the user accepts.
func TestMessageRequest_StandIn(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000061", "Anna").OptedIn()

	first := anna.Says(alice, "hello, is this alice?")
	room := alice.WaitForRoom(anna)
	room.WaitForNotice("wants to write to you", "!cw accept", "!cw decline")
	line := room.WaitForMessage(anna, "hello, is this alice?")
	require.NoError(t, room.Read(w.ctx, line.ID))
	require.NoError(t, anna.WaitReceipt(w.soon(), first, "delivery"))

	room.Says("!cw accept")
	room.WaitForNotice("accepted")
	second := anna.Says(alice, "and now?")
	line = room.WaitForMessage(anna, "and now?")
	require.NoError(t, room.Read(w.ctx, line.ID))
	require.NoError(t, anna.WaitReceipt(w.soon(), second, "read"))
}

// Whoever is declined is heard no more and not told, until the user changes their mind.
func TestDeclinedRequest(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000062", "Anna").OptedIn()

	anna.Says(alice, "buy this")
	room := alice.WaitForRoom(anna)
	room.WaitForNotice("wants to write to you")
	room.Says("!cw decline")
	room.WaitForNotice("declined")
	lost := anna.Says(alice, "buy that")
	require.NoError(t, anna.WaitReceipt(w.soon(), lost, "delivery"))

	refused := room.Says("leave me alone")
	notice := room.WaitForNotice("unblock", "CW-1312")
	require.NotEqual(t, refused, notice.ID)
	room.Says("!cw unblock")
	room.WaitForNotice("you hear of")
	anna.Says(alice, "sorry")
	room.WaitForMessage(anna, "sorry")
	require.Equal(t, []string{"buy this", "sorry"}, room.Texts(anna))
}

// A user reports somebody to the administrators and wants to hear nothing more of them, from the room with the bot too.
func TestReportAndBlock(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	admin := w.MatrixUser("admin")
	anna := w.Person("+4915110000063", "Anna").OptedIn()
	room := alice.StartChat(anna)

	room.Says("!cw report they sell things that do not exist")
	room.WaitForNotice("with the administrators")
	admin.WaitForNotice("@alice:localhost", anna.conversation(), "they sell things that do not exist")

	alice.Command("block " + anna.Phone())
	alice.WaitForNotice("nothing more of", "still see that their messages were delivered")
	lost := anna.Says(alice, "are you there?")
	require.NoError(t, anna.WaitReceipt(w.soon(), lost, "delivery"))
	alice.Command("unblock " + anna.Phone())
	alice.WaitForNotice("you hear of")
	anna.Says(alice, "hello again")
	room.WaitForMessage(anna, "hello again")
	require.Equal(t, []string{"hello again"}, room.Texts(anna))
}

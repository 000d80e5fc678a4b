package e2e

import (
	"strings"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"

	"causeway/e2e/client"
	"causeway/simulator/meta"
)

// What cannot be read has a place in the room, which the text takes once it comes; new keys are told of; a lost session
// loses nothing; and what the network refuses is said at the message.
func troubleOnTheWay(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	anna.Says(alice, "can you read this?")
	room.WaitForMessage(anna, "can you read this?")

	mangled := w.net.Fault(meta.Fault{Kind: meta.FaultMangle, Match: meta.Match{Account: anna.LID()}})
	defer mangled.Remove()
	anna.Says(alice, "and this one?")
	placeholder := room.waitForLine("a placeholder", func(line client.Line) bool {
		return anna.is(line.Sender) && strings.Contains(line.Body, "could not be opened yet")
	})
	text := room.waitForLine("the text in its place", func(line client.Line) bool {
		return line.Content.RelatesTo.GetReplaceID() == placeholder.ID
	})
	require.Equal(w.t, "and this one?", text.Content.NewContent.Body)

	anna.NewIdentity()
	room.Says("do you have a new phone?")
	anna.HearsText(alice, "do you have a new phone?")
	room.WaitForNotice("security")

	anna.Reinstall()
	for _, words := range []string{"to the lost session", "and once more"} {
		room.Says(words)
	}
	require.ElementsMatch(w.t, []string{"to the lost session", "and once more"}, []string{anna.hearsNext().Text, anna.hearsNext().Text})
	anna.Says(alice, "from the new one")
	room.WaitForMessage(anna, "from the new one")

	refused := w.net.Fault(meta.Fault{Kind: meta.FaultAck, Match: meta.Match{Account: anna.LID()}, Params: map[string]string{"code": "491"}})
	defer refused.Remove()
	said := room.Says("something that the network does not like")
	notice := room.WaitForNotice("CW-1303")
	require.Equal(w.t, said, notice.Content.RelatesTo.GetReplyTo(), "it is said at the message")
	room.Says("something else")
	anna.HearsText(alice, "something else")
}

// waitForLine waits for the first message that fits.
func (r *room) waitForLine(what string, fits func(client.Line) bool) client.Line {
	w := r.user.house.world
	w.t.Helper()
	line, err := r.WaitForLine(w.soon(), what, fits)
	require.NoError(w.t, err)
	return line
}

// What was said and sent before the bridge restarted can be answered after it, from both sides, files too.
func repliesAcrossARestart(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	mine, hers := pngBytes(w.t, 5), jpegBytes(w.t, 6)
	sent := room.SendsFile(mine, "image/png", event.MessageEventContent{MsgType: event.MsgImage, Body: "mine.png"})
	anna.hearsFile(meta.Image, mine)
	heard := anna.last()
	file, err := anna.SendMedia(alice.jid, meta.Media{Kind: meta.Image, Bytes: hers, Caption: "hers"})
	require.NoError(w.t, err)
	shown, _ := room.WaitForFile(anna, "hers")

	require.NoError(w.t, w.stage.Bridge.Stop())
	require.NoError(w.t, w.stage.Bridge.Start(w.ctx))
	w.eventually("alice to be connected", alice.connected)

	_, err = anna.Reply(heard, "yours is fine")
	require.NoError(w.t, err)
	require.Equal(w.t, sent, room.WaitForMessage(anna, "yours is fine").Content.RelatesTo.GetReplyTo())
	room.sends(event.EventMessage, &event.MessageEventContent{MsgType: event.MsgText, Body: "yours, too", RelatesTo: (&event.RelatesTo{}).SetReplyTo(shown.ID)})
	require.Equal(w.t, file, anna.HearsText(alice, "yours, too").ReplyTo)
}

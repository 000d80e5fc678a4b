package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"slices"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"

	"causeway/e2e/client"
	"causeway/network"
)

// Somebody whom the user does not know asks to write, and sees nothing of the user's reading before the user accepts.
func messageRequest(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()

	first := anna.Says(alice, "hello, is this alice?")
	room := alice.WaitForRoom(anna)
	room.WaitForNotice("wants to write to you", "!cw accept", "!cw decline")
	line := room.WaitForMessage(anna, "hello, is this alice?")
	require.NoError(w.t, room.Read(w.ctx, line.ID))
	require.NoError(w.t, anna.WaitReceipt(w.soon(), first, "inactive"))

	room.Says("!cw accept")
	room.WaitForNotice("accepted")
	require.NoError(w.t, anna.WaitReceipt(w.soon(), first, "delivery"))
	second := anna.Says(alice, "and now?")
	line = room.WaitForMessage(anna, "and now?")
	require.NoError(w.t, room.Read(w.ctx, line.ID))
	require.NoError(w.t, anna.WaitReceipt(w.soon(), second, "read"))
}

// Whoever is declined is heard no more and not told, until the user changes their mind.
func declinedRequest(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()

	anna.Says(alice, "buy this")
	room := alice.WaitForRoom(anna)
	room.WaitForNotice("wants to write to you")
	room.Says("!cw decline")
	room.WaitForNotice("declined")
	lost := anna.Says(alice, "buy that")
	require.NoError(w.t, anna.WaitReceipt(w.soon(), lost, "inactive"))

	refused := room.Says("leave me alone")
	notice := room.WaitForNotice("unblock", "CW-1312")
	require.NotEqual(w.t, refused, notice.ID)
	room.Says("!cw unblock")
	room.WaitForNotice("you hear of")
	anna.Says(alice, "sorry")
	room.WaitForMessage(anna, "sorry")
	require.Equal(w.t, []string{"buy this", "sorry"}, room.Texts(anna))
}

// A user reports somebody to the administrators and wants to hear nothing more of them, from the room with the bot too.
func reportAndBlock(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	admin := w.Admin()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)

	room.Says("!cw report they sell things that do not exist")
	room.WaitForNotice("with the administrators")
	admin.WaitForNotice(alice.client.UserID().String(), anna.conversation(), "they sell things that do not exist")

	anna.Says(alice, "buy this, or else")
	threat := room.WaitForMessage(anna, "buy this, or else")
	room.sends(event.EventMessage, &event.MessageEventContent{
		MsgType: event.MsgText, Body: "!cw report they threaten me", RelatesTo: (&event.RelatesTo{}).SetReplyTo(threat.ID),
	})
	admin.WaitForNotice(alice.client.UserID().String(), "they threaten me")
	if w.side.network == network.Messenger {
		room.WaitForNotice("has gone along", "who sent it")
		admin.hasProof("buy this, or else")
	} else {
		room.WaitForNotice("has not gone along")
	}

	alice.Command("block " + anna.identifier())
	alice.WaitForNotice("nothing more of", "do not see that their messages arrive")
	lost := anna.Says(alice, "are you there?")
	require.NoError(w.t, anna.WaitReceipt(w.soon(), lost, "inactive"))
	alice.Command("unblock " + anna.identifier())
	alice.WaitForNotice("you hear of")
	anna.Says(alice, "hello again")
	room.WaitForMessage(anna, "hello again")
	require.Equal(w.t, []string{"buy this, or else", "hello again"}, room.Texts(anna))
}

// hasProof waits for the file that shows who sent a message, and checks it as the network's abuse desk would.
func (u *matrixUser) hasProof(text string) {
	w := u.house.world
	w.t.Helper()
	var line client.Line
	r := &room{Room: u.bot.Room, user: u}
	r.waitFor("the reported message", func() bool {
		lines := u.bot.Lines()
		at := slices.IndexFunc(lines, func(line client.Line) bool { return line.Content.MsgType == event.MsgFile })
		if at >= 0 {
			line = lines[at]
		}
		return at >= 0
	})
	var proof struct {
		Key     []byte `json:"franking_key"`
		Tag     []byte `json:"franking_tag"`
		Message []byte `json:"message_application"`
	}
	require.NoError(w.t, json.Unmarshal(r.download(line.Content.URL), &proof))
	mac := hmac.New(sha256.New, proof.Key)
	mac.Write(proof.Message)
	require.Len(w.t, proof.Key, 32)
	require.True(w.t, hmac.Equal(proof.Tag, mac.Sum(nil)), "the tag is that of the message")
	require.Contains(w.t, string(proof.Message), text)
}

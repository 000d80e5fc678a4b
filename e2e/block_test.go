package e2e

import (
	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/id"
)

// A block stays invisible: messages count as sent, are never delivered, and nothing claims otherwise.
func block(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	bert := w.Somebody("Bert").OptedIn()
	room, witness := alice.StartChat(anna), alice.StartChat(bert)
	room.Says("hello")
	anna.HearsText(alice, "hello")

	require.NoError(w.t, anna.Block(alice.jid))
	blocked := room.Says("do you hear me?")
	// Another chat's message, sent later and delivered, shows that the first one had its time.
	later := witness.Says("and you?")
	bert.HearsText(alice, "and you?")
	bot := id.UserID(w.stage.BotID)
	witness.waitFor("the witness's delivery mark", func() bool { return witness.HasRead(bot, later) })

	require.NoError(w.t, anna.Unblock(alice.jid))
	room.Says("and now?")
	anna.HearsText(alice, "and now?") // and not what was said meanwhile
	require.False(w.t, room.HasRead(bot, blocked), "never delivered")
	require.Empty(w.t, room.noticesSince(blocked), "the room must speak neither of a block nor of a failure")
}

// noticesSince is what programs have said in the room after an event.
func (r *room) noticesSince(eventID id.EventID) []string {
	var notices []string
	after := false
	for _, line := range r.Lines() {
		if after && line.Notice {
			notices = append(notices, line.Body)
		}
		after = after || line.ID == eventID
	}
	return notices
}

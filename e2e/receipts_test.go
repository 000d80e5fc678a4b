package e2e

import (
	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/id"
)

// What a phone receives and its owner reads shows in Matrix, one after the other.
func receiptsReachMatrix(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	bot := id.UserID(w.stage.BotID)

	anna.AutoReceipts(false)
	unseen := room.Says("is your phone off?")
	anna.HearsText(alice, "is your phone off?")
	anna.AutoReceipts(true)
	message := room.Says("have you got this?")
	heard := anna.HearsText(alice, "have you got this?")
	room.waitFor("the delivery mark", func() bool { return room.HasRead(bot, message) })
	require.False(w.t, room.HasRead(bot, unseen), "no delivery was reported for this one")
	require.Empty(w.t, room.readersAmong(anna, message), "delivered is not read")

	require.NoError(w.t, anna.Read(heard.ID))
	room.waitFor("the read receipt", func() bool { return len(room.readersAmong(anna, message)) == 1 })
}

// readersAmong are the Matrix accounts of p that have read up to the event.
func (r *room) readersAmong(p *person, eventID id.EventID) []id.UserID {
	var readers []id.UserID
	for _, key := range r.StateKeys("m.room.member") {
		if member := id.UserID(key); p.is(member) && r.HasRead(member, eventID) {
			readers = append(readers, member)
		}
	}
	return readers
}

// Somebody learns that their message arrived.
func deliveryReceiptReachesThePhone(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()

	alice.StartChat(anna)
	messageID := anna.Says(alice, "have you got this?")
	require.NoError(w.t, anna.WaitReceipt(w.soon(), messageID, "delivery"))
}

// Somebody learns that their message was read. The stand-in plays the homeserver's pushing of receipts.
func readReceiptReachesThePhone(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()

	room := alice.StartChat(anna)
	messageID := anna.Says(alice, "have you read this?")
	line := room.WaitForMessage(anna, "have you read this?")
	require.NoError(w.t, room.Read(w.ctx, line.ID))
	require.NoError(w.t, anna.WaitReceipt(w.soon(), messageID, "read"))
}

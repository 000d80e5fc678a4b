package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"
	"maunium.net/go/mautrix/event"

	"causeway/e2e/client"
)

// noticesOf are the notices of a room's people that have a part.
func (r *room) noticesOf(p *person, part string) (found []client.Line) {
	for _, line := range r.Lines() {
		if p.is(line.Sender) && line.Content.MsgType == event.MsgNotice && strings.Contains(line.Body, part) {
			found = append(found, line)
		}
	}
	return found
}

// A call is told of in the room, with what became of it, each once; it can be turned down there.
func TestLinkedCalls(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000081", "Anna")
	room := alice.StartsChat(anna)
	rings := func(video bool) string {
		t.Helper()
		call, err := anna.Call(alice.phone.LID(), video)
		require.NoError(t, err)
		return call
	}
	told := func(ringing, video, missed int) {
		t.Helper()
		room.waitFor("word of the calls", func() bool {
			return len(room.noticesOf(anna, "📞 Incoming call")) == ringing && len(room.noticesOf(anna, "📹 Incoming video call")) == video &&
				len(room.noticesOf(anna, "Missed call")) == missed
		})
	}
	call := rings(false)
	told(1, 0, 0)
	require.NoError(t, anna.HangUp(call))
	told(1, 0, 1)

	call = rings(true)
	told(1, 1, 1)
	require.NoError(t, alice.phone.AnswerCall(call))
	call = rings(false)
	told(2, 1, 1)
	room.Says("!cw decline")
	room.WaitForNotice("The call is turned down")
	w.eventually("the end of the call", func() bool { return !w.net.Ringing(call) })
	room.Says("!cw decline")
	room.WaitForNotice("No call rings")

	require.NoError(t, w.stage.Bridge.Stop())
	require.NoError(t, anna.HangUp(rings(false)))
	require.NoError(t, w.stage.Bridge.Start(w.ctx))
	told(3, 1, 2)
	anna.WritesTo(alice, "you were not there")
	room.WaitForMessage(anna, "you were not there")
	told(3, 1, 2)
}

// What is not shown yet leaves a sentence that says what it is, what can be read of it, and where to see it.
func TestLinkedNoticesOfWhatComesLater(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000082", "Anna")
	room := alice.StartsChat(anna)
	text := proto.String
	for _, c := range []struct {
		message *waE2E.Message
		parts   []string
	}{
		{&waE2E.Message{ButtonsMessage: &waE2E.ButtonsMessage{ContentText: text("Shall we deliver?"), FooterText: text("The shop")}},
			[]string{"Shall we deliver?", "The shop", "message with buttons"}},
		{&waE2E.Message{ListMessage: &waE2E.ListMessage{Title: text("Our dishes"), Description: text("Choose one")}},
			[]string{"Our dishes", "Choose one", "list of choices"}},
		{&waE2E.Message{TemplateButtonReplyMessage: &waE2E.TemplateButtonReplyMessage{SelectedDisplayText: text("Yes, please")}},
			[]string{"Yes, please", "choice of a button"}},
		{&waE2E.Message{ProductMessage: &waE2E.ProductMessage{Product: &waE2E.ProductMessage_ProductSnapshot{Title: text("A tent")}}},
			[]string{"A tent", "product"}},
		{&waE2E.Message{OrderMessage: &waE2E.OrderMessage{OrderTitle: text("Two tents")}}, []string{"Two tents", "order"}},
		{&waE2E.Message{SendPaymentMessage: &waE2E.SendPaymentMessage{}}, []string{"payment"}},
		{&waE2E.Message{EventInviteMessage: &waE2E.EventInviteMessage{Caption: text("Come to the party")}}, []string{"Come to the party", "invitation to an event"}},
		{&waE2E.Message{EncEventResponseMessage: &waE2E.EncEventResponseMessage{}}, []string{"answer to an event"}},
		{&waE2E.Message{ScheduledCallCreationMessage: &waE2E.ScheduledCallCreationMessage{Title: text("Friday's talk")}}, []string{"Friday's talk", "planned call"}},
		{&waE2E.Message{NewsletterAdminInviteMessage: &waE2E.NewsletterAdminInviteMessage{NewsletterName: text("The daily")}},
			[]string{"The daily", "invitation to run a channel"}},
		{&waE2E.Message{StickerPackMessage: &waE2E.StickerPackMessage{Name: text("Cats")}}, []string{"Cats", "sticker pack"}},
		{&waE2E.Message{PinInChatMessage: &waE2E.PinInChatMessage{}}, []string{"pinned message"}},
		{&waE2E.Message{StatusMentionMessage: &waE2E.FutureProofMessage{}}, []string{"mention in a status post"}},
		{&waE2E.Message{KeepInChatMessage: &waE2E.KeepInChatMessage{}}, []string{"disappearing messages are kept"}},
	} {
		anna.Sends(alice.phone.LID(), c.message)
		room.waitFor(strings.Join(c.parts, ", "), func() bool {
			for _, line := range room.noticesOf(anna, "WhatsApp on your phone") {
				if client.ContainsAll(line.Body, c.parts...) {
					return true
				}
			}
			return false
		})
	}
	_, err := anna.SendUnknown(alice.phone.LID())
	require.NoError(t, err)
	room.WaitForNotice("message of an unknown kind", "WhatsApp on your phone")

	_, err = anna.PostStatus(alice.phone.LID(), "at the sea")
	require.NoError(t, err)
	alice.WaitForNotice("There was a status post")
	require.NoError(t, w.net.PublishTo(alice.phone.Person, "the news"))
	alice.WaitForNotice("There was a channel message")
	_, err = anna.CreateCommunity("The village", alice.phone.LID())
	require.NoError(t, err)
	alice.WaitForNotice("There was a community")
	_, err = anna.PostStatus(alice.phone.LID(), "still at the sea")
	require.NoError(t, err)
	_, err = anna.SendToList(alice.phone.LID(), "to all of you")
	require.NoError(t, err)
	room.WaitForMessage(anna, "to all of you")
	require.Len(t, mentioning(botSaid(alice.matrixUser), "status post"), 1, "told once")
	for _, candidate := range alice.client.Rooms() {
		require.NotContains(t, candidate.Name(), "The village")
	}
}

func mentioning(said []string, part string) (found []string) {
	for _, text := range said {
		if strings.Contains(text, part) {
			found = append(found, text)
		}
	}
	return found
}

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/simulator/meta"
)

// What people send from their phones is in the room as what it is.
func TestLinkedContentsFromPhones(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000011", "Anna")
	first := anna.WritesTo(alice, "the first of all")
	chat := alice.WaitForRoom(anna)
	quoted := chat.WaitForMessage(anna, "the first of all")
	to := alice.phone.LID()

	for _, c := range []struct {
		name    string
		message *waE2E.Message
		check   func(t *testing.T, room *room)
	}{
		{"formatting", &waE2E.Message{Conversation: proto.String("*bold* _italic_ ~gone~ `mono`")}, func(t *testing.T, room *room) {
			line := room.WaitForMessage(anna, "*bold* _italic_ ~gone~ `mono`")
			require.Equal(t, "<strong>bold</strong> <em>italic</em> <del>gone</del> <code>mono</code>", line.Content.FormattedBody)
		}},
		{"reply", &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("a reply"), ContextInfo: &waE2E.ContextInfo{
			StanzaID: &first, Participant: proto.String(anna.LID()), QuotedMessage: &waE2E.Message{Conversation: proto.String("the first of all")},
		}}}, func(t *testing.T, room *room) {
			require.Equal(t, quoted.ID, room.WaitForMessage(anna, "a reply").Content.RelatesTo.GetReplyTo())
		}},
		{"link preview", &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("see https://example.com/hut"),
			MatchedText: proto.String("https://example.com/hut"), Title: proto.String("The hut"), Description: proto.String("in the hills"),
		}}, func(t *testing.T, room *room) {
			line := room.WaitForMessage(anna, "see https://example.com/hut")
			require.Len(t, line.Content.BeeperLinkPreviews, 1)
			require.Equal(t, "The hut", line.Content.BeeperLinkPreviews[0].Title)
		}},
		{"forwarded", &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("pass it on"),
			ContextInfo: &waE2E.ContextInfo{IsForwarded: proto.Bool(true), ForwardingScore: proto.Uint32(1)},
		}}, func(t *testing.T, room *room) {
			line := room.WaitForMessage(anna, "Forwarded\npass it on")
			require.Contains(t, line.Content.FormattedBody, "<em>Forwarded</em>")
		}},
		{"location", &waE2E.Message{LocationMessage: &waE2E.LocationMessage{DegreesLatitude: proto.Float64(48.137), DegreesLongitude: proto.Float64(11.575),
			Name: proto.String("Marienplatz"), Address: proto.String("München"),
		}}, func(t *testing.T, room *room) {
			line := room.WaitForMessage(anna, "Marienplatz, München")
			require.Equal(t, event.MsgLocation, line.Content.MsgType)
			require.Equal(t, "geo:48.137,11.575", line.Content.GeoURI)
			place := room.WaitForEvent("m.room.message", func(e client.Event) bool { return e.ID == line.ID })
			var extensible struct {
				Location struct {
					URI         string `json:"uri"`
					Description string `json:"description"`
				} `json:"org.matrix.msc3488.location"`
			}
			require.NoError(t, json.Unmarshal(place.Content, &extensible))
			require.Equal(t, "geo:48.137,11.575", extensible.Location.URI)
			require.Equal(t, "Marienplatz, München", extensible.Location.Description)
		}},
		{"live location", &waE2E.Message{LiveLocationMessage: &waE2E.LiveLocationMessage{DegreesLatitude: proto.Float64(1), DegreesLongitude: proto.Float64(2),
			Caption: proto.String("on my way"), SequenceNumber: proto.Int64(1),
		}}, func(t *testing.T, room *room) {
			_, err := room.WaitForLine(w.soon(), "the beginning", func(line client.Line) bool {
				return line.Content.GeoURI == "geo:1,2" && strings.Contains(line.Body, "on your phone")
			})
			require.NoError(t, err)
		}},
		{"contact", &waE2E.Message{ContactMessage: &waE2E.ContactMessage{DisplayName: proto.String("Ben"),
			Vcard: proto.String("BEGIN:VCARD\nVERSION:3.0\nFN:Ben\nTEL;type=CELL;waid=491511:+49 1511\nEND:VCARD"),
		}}, func(t *testing.T, room *room) {
			room.WaitForMessage(anna, "👤 Ben\n    +49 1511")
			_, data := room.WaitForFile(anna, "Ben.vcf")
			require.Contains(t, string(data), "FN:Ben")
		}},
		{"contacts", &waE2E.Message{ContactsArrayMessage: &waE2E.ContactsArrayMessage{DisplayName: proto.String("2 contacts"), Contacts: []*waE2E.ContactMessage{
			{DisplayName: proto.String("Cleo"), Vcard: proto.String("BEGIN:VCARD\nVERSION:3.0\nFN:Cleo\nEND:VCARD")},
			{DisplayName: proto.String("Dora"), Vcard: proto.String("BEGIN:VCARD\nVERSION:3.0\nFN:Dora\nEND:VCARD")},
		}}}, func(t *testing.T, room *room) {
			room.WaitForMessage(anna, "👤 Cleo\n👤 Dora")
			_, data := room.WaitForFile(anna, "contacts.vcf")
			require.Equal(t, 2, strings.Count(string(data), "BEGIN:VCARD"))
		}},
		{"group invitation", &waE2E.Message{GroupInviteMessage: &waE2E.GroupInviteMessage{GroupJID: proto.String("120363000000000099@g.us"),
			InviteCode: proto.String("abcdefgh"), GroupName: proto.String("Hiking"), InviteExpiration: proto.Int64(time.Now().Add(time.Hour).Unix()),
		}}, func(t *testing.T, room *room) {
			_, err := room.WaitForLine(w.soon(), "an invitation", func(line client.Line) bool {
				return anna.is(line.Sender) && client.ContainsAll(line.Body, "Invitation", "Hiking", "!cw accept")
			})
			require.NoError(t, err)
		}},
		{"event of a calendar", &waE2E.Message{EventMessage: &waE2E.EventMessage{Name: proto.String("Summer party"),
			StartTime: proto.Int64(time.Now().Add(time.Hour).Unix())},
			MessageContextInfo: &waE2E.MessageContextInfo{MessageSecret: make([]byte, 32)}}, func(t *testing.T, room *room) {
			room.WaitForNotice("event", "Summer party", "on your phone")
		}},
		{"view-once that is not for linked devices", &waE2E.Message{PlaceholderMessage: &waE2E.PlaceholderMessage{
			Type: waE2E.PlaceholderMessage_MASK_LINKED_DEVICES.Enum()}}, func(t *testing.T, room *room) {
			room.WaitForNotice("on your phone")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			anna.Sends(to, c.message)
			c.check(t, chat)
		})
	}
}

// What a person does to messages is done to them in the room.
func TestLinkedChangesFromPhones(t *testing.T) {
	linkedChangesFromPhones(newWorld(t, withoutHistory()))
}

func linkedChangesFromPhones(w *world) {
	t, alice := w.t, newLinked(w)
	anna := w.Phone("+4915130000012", "Anna")
	wrong := anna.WritesTo(alice, "at nine o'clock")
	room := alice.WaitForRoom(anna)
	line := room.WaitForMessage(anna, "at nine o'clock")

	_, err := anna.ReactToOwn(alice.phone.LID(), wrong, "👍")
	require.NoError(t, err)
	room.waitFor("the reaction", func() bool { return room.stands(anna, line.ID, "👍") })

	anna.Sends(alice.phone.LID(), &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
		Key: ownKey(alice.phone.LID(), wrong), Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), TimestampMS: proto.Int64(time.Now().UnixMilli()),
		EditedMessage: &waE2E.Message{Conversation: proto.String("at ten o'clock")},
	}})
	_, err = room.WaitForLine(w.soon(), "the edit", func(edit client.Line) bool {
		return edit.Content.NewContent != nil && edit.Content.NewContent.Body == "at ten o'clock" && edit.Content.RelatesTo.GetReplaceID() == line.ID
	})
	require.NoError(t, err)

	anna.Sends(alice.phone.LID(), &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
		Key: ownKey(alice.phone.LID(), wrong), Type: waE2E.ProtocolMessage_REVOKE.Enum(),
	}})
	room.waitFor("the message to be gone", func() bool { return room.Redacted(line.ID) })
}

// A user's changes reach the phone: reaction, edit, removal, reply.
func TestLinkedChangesFromMatrix_StandIn(t *testing.T) {
	linkedChangesFromMatrix(newWorld(t, withoutHistory()))
}

func linkedChangesFromMatrix(w *world) {
	t, alice := w.t, newLinked(w)
	anna := w.Phone("+4915130000013", "Anna")
	theirs := anna.WritesTo(alice, "shall we meet?")
	room := alice.WaitForRoom(anna)
	asked := room.WaitForMessage(anna, "shall we meet?")

	room.sends(event.EventMessage, replying(asked.ID, "at nine"))
	heard := anna.HearsLinked(alice)
	require.Equal(t, "at nine", heard.Text)
	require.Equal(t, theirs, heard.ReplyTo)
	said := lastOwn(room, "at nine")

	reaction := room.reacts(asked.ID, "🎉")
	heard = anna.HearsLinked(alice)
	require.NotNil(t, heard.Reaction)
	require.Equal(t, "🎉", heard.Reaction.Emoji)
	require.Equal(t, theirs, heard.Reaction.TargetID)
	_, err := alice.client.Matrix.RedactEvent(w.soon(), room.ID, reaction)
	require.NoError(t, err)
	heard = anna.HearsLinked(alice)
	require.NotNil(t, heard.Reaction)
	require.Empty(t, heard.Reaction.Emoji)

	edit := &event.MessageEventContent{MsgType: event.MsgText, Body: "at ten"}
	edit.SetEdit(said)
	room.sends(event.EventMessage, edit)
	heard = anna.HearsLinked(alice)
	require.Equal(t, waE2E.ProtocolMessage_MESSAGE_EDIT, changeIn(heard).GetType(), heard.Kind)
	require.Equal(t, "at ten", changeIn(heard).GetEditedMessage().GetConversation())

	_, err = alice.client.Matrix.RedactEvent(w.soon(), room.ID, said)
	require.NoError(t, err)
	heard = anna.HearsLinked(alice)
	require.Equal(t, waE2E.ProtocolMessage_REVOKE, changeIn(heard).GetType())
}

// What a user sends is on the phone as what it is.
func TestLinkedContentsFromMatrix(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000014", "Anna")
	room := alice.StartsChat(anna)

	room.sends(event.EventMessage, &event.MessageEventContent{MsgType: event.MsgText, Body: "very bold", Format: event.FormatHTML, FormattedBody: "very <b>bold</b>"})
	require.Equal(t, "very *bold*", anna.HearsLinked(alice).Text)
	room.sends(event.EventMessage, &event.MessageEventContent{MsgType: event.MsgEmote, Body: "waves"})
	require.Equal(t, "* waves", anna.HearsLinked(alice).Text)

	room.sends(event.EventMessage, &event.MessageEventContent{MsgType: event.MsgLocation, Body: "Marienplatz", GeoURI: "geo:48.137,11.575;u=20"})
	place := anna.HearsLinked(alice).Message.GetLocationMessage()
	require.InDelta(t, 48.137, place.GetDegreesLatitude(), 1e-9)
	require.Equal(t, "Marienplatz", place.GetName())

	card := "BEGIN:VCARD\nVERSION:3.0\nFN:Ben\nTEL:+491511\nEND:VCARD"
	room.SendsFile([]byte(card), "text/vcard", event.MessageEventContent{MsgType: event.MsgFile, Body: "ben.vcf", FileName: "ben.vcf"})
	heard := anna.HearsLinked(alice)
	require.Equal(t, "Ben", heard.Message.GetContactMessage().GetDisplayName(), heard.Kind)
	room.SendsFile([]byte(card+"\n"+strings.ReplaceAll(card, "Ben", "Cleo")), "text/vcard", event.MessageEventContent{MsgType: event.MsgFile, Body: "two.vcf", FileName: "two.vcf"})
	both := anna.HearsLinked(alice).Message.GetContactsArrayMessage().GetContacts()
	require.Len(t, both, 2)
	require.Equal(t, "Cleo", both[1].GetDisplayName())
	require.Contains(t, both[1].GetVcard(), "FN:Cleo")

	link := "https://example.com/hut"
	room.sends(event.EventMessage, &event.MessageEventContent{MsgType: event.MsgText, Body: "see " + link, BeeperLinkPreviews: []*event.BeeperLinkPreview{
		{MatchedURL: link, LinkPreview: event.LinkPreview{CanonicalURL: link, Title: "The hut", Description: "in the hills"}},
	}})
	preview := anna.HearsLinked(alice).Message.GetExtendedTextMessage()
	require.Equal(t, []string{"see " + link, link, "The hut", "in the hills"},
		[]string{preview.GetText(), preview.GetMatchedText(), preview.GetTitle(), preview.GetDescription()})
}

// changeIn is what a message does to an earlier one.
func changeIn(heard meta.Heard) *waE2E.ProtocolMessage {
	if edited := heard.Message.GetEditedMessage().GetMessage(); edited != nil {
		return edited.GetProtocolMessage()
	}
	return heard.Message.GetProtocolMessage()
}

func ownKey(chat, messageID string) *waCommon.MessageKey {
	return &waCommon.MessageKey{RemoteJID: proto.String(chat), FromMe: proto.Bool(true), ID: proto.String(messageID)}
}

// lastOwn is the event of a text that the user has written.
func lastOwn(r *room, text string) id.EventID {
	var found id.EventID
	for _, line := range r.Lines() {
		if line.Sender == r.user.client.UserID() && line.Body == text {
			found = line.ID
		}
	}
	return found
}

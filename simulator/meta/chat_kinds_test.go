package meta

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"
)

// TestKindsThatPeopleSend sends each kind to a linked device, in a direct chat and in a group.
func TestKindsThatPeopleSend(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	group, err := bob.CreateGroup("Trip", anna.LID())
	require.NoError(t, err)
	c := w.linked(anna)
	for name, chat := range map[string]string{"direct": anna.LID(), "group": group} {
		t.Run(name, func(t *testing.T) {
			target, err := bob.Say(chat, "target")
			require.NoError(t, err)
			media := func(m Media) func() (string, error) {
				m.Bytes = []byte("bytes of a file")
				return func() (string, error) { return bob.SendMedia(chat, m) }
			}
			for kind, each := range map[string]struct {
				send func() (string, error)
				fits func(*events.Message) bool
			}{
				"mention": {func() (string, error) { return bob.Mention(chat, "hi @1", anna.LID()) }, func(m *events.Message) bool {
					return m.Message.GetExtendedTextMessage().GetContextInfo().GetMentionedJID()[0] == anna.LID()
				}},
				"preview": {func() (string, error) {
					return bob.SendPreview(chat, "see https://example.org", Preview{Matched: "https://example.org", Title: "Example"})
				}, func(m *events.Message) bool { return m.Message.GetExtendedTextMessage().GetTitle() == "Example" }},
				"reaction": {func() (string, error) { return bob.ReactToOwn(chat, target, "👍") }, func(m *events.Message) bool {
					return m.Message.GetReactionMessage().GetText() == "👍" && m.Message.GetReactionMessage().GetKey().GetID() == target
				}},
				"edit": {func() (string, error) { return bob.Edit(chat, target, "corrected") }, func(m *events.Message) bool {
					return m.IsEdit && m.Message.GetProtocolMessage().GetEditedMessage().GetConversation() == "corrected" && m.Info.Edit == "1"
				}},
				"revoke": {func() (string, error) { return bob.Unsend(chat, target) }, func(m *events.Message) bool {
					return m.Message.GetProtocolMessage().GetType() == waE2E.ProtocolMessage_REVOKE && m.Info.Edit == "7"
				}},
				"image":    {media(Media{Kind: Image, Caption: "c"}), func(m *events.Message) bool { return m.Message.GetImageMessage().GetCaption() == "c" }},
				"video":    {media(Media{Kind: Video}), func(m *events.Message) bool { return m.Message.GetVideoMessage() != nil }},
				"gif":      {media(Media{Kind: GIF}), func(m *events.Message) bool { return m.Message.GetVideoMessage().GetGifPlayback() }},
				"ptv":      {media(Media{Kind: PTV}), func(m *events.Message) bool { return m.Message.GetPtvMessage() != nil }},
				"voice":    {media(Media{Kind: Voice, Waveform: []byte{1, 2}}), func(m *events.Message) bool { return m.Message.GetAudioMessage().GetPTT() }},
				"audio":    {media(Media{Kind: Audio}), func(m *events.Message) bool { return m.Message.GetAudioMessage() != nil }},
				"document": {media(Media{Kind: Document, FileName: "a.pdf"}), func(m *events.Message) bool { return m.Message.GetDocumentMessage().GetFileName() == "a.pdf" }},
				"captioned document": {media(Media{Kind: Document, FileName: "a.pdf", Caption: "c"}), func(m *events.Message) bool {
					return m.IsDocumentWithCaption && m.Message.GetDocumentMessage().GetCaption() == "c"
				}},
				"sticker":   {media(Media{Kind: Sticker}), func(m *events.Message) bool { return m.Message.GetStickerMessage() != nil }},
				"animated":  {media(Media{Kind: Sticker, Animated: true}), func(m *events.Message) bool { return m.Message.GetStickerMessage().GetIsAnimated() }},
				"view once": {media(Media{Kind: Image, ViewOnce: true}), func(m *events.Message) bool { return m.IsViewOnce }},
				"location":  {func() (string, error) { return bob.SendLocation(chat, 52.5, 13.4, "Berlin") }, func(m *events.Message) bool { return m.Message.GetLocationMessage().GetName() == "Berlin" }},
				"live":      {func() (string, error) { return bob.SendLiveLocation(chat, 52.5, 13.4, "moving") }, func(m *events.Message) bool { return m.Message.GetLiveLocationMessage() != nil }},
				"contact":   {func() (string, error) { return bob.SendContacts(chat, Card{"Carl", "+491"}) }, func(m *events.Message) bool { return m.Message.GetContactMessage().GetDisplayName() == "Carl" }},
				"contacts": {func() (string, error) { return bob.SendContacts(chat, Card{"Carl", "+491"}, Card{"Dora", "+492"}) }, func(m *events.Message) bool {
					return len(m.Message.GetContactsArrayMessage().GetContacts()) == 2
				}},
				"poll": {func() (string, error) { return bob.SendPoll(chat, "when?", 2, "today", "tomorrow") }, func(m *events.Message) bool {
					return m.Message.GetPollCreationMessage().GetName() == "when?"
				}},
				"invite":  {func() (string, error) { return bob.SendGroupInvite(chat, group, "code") }, func(m *events.Message) bool { return m.Message.GetGroupInviteMessage().GetGroupJID() == group }},
				"event":   {func() (string, error) { return bob.SendEvent(chat, "party", time.Now()) }, func(m *events.Message) bool { return m.Message.GetEventMessage().GetName() == "party" }},
				"unknown": {func() (string, error) { return bob.SendUnknown(chat) }, func(m *events.Message) bool { return len(m.Message.ProtoReflect().GetUnknown()) > 0 }},
			} {
				id, err := each.send()
				require.NoError(t, err, kind)
				m := awaitEvent(c, func(m *events.Message) bool { return m.Info.ID == id })
				require.True(t, each.fits(m), "%s: %v", kind, m.Message)
			}
			ids, err := bob.SendAlbum(chat, Media{Kind: Image, Bytes: []byte("1")}, Media{Kind: Image, Bytes: []byte("2")})
			require.NoError(t, err)
			for _, id := range ids[1:] {
				m := awaitEvent(c, func(m *events.Message) bool { return m.Info.ID == id })
				require.Equal(t, ids[0], m.Message.GetMessageContextInfo().GetMessageAssociation().GetParentMessageKey().GetID())
			}
		})
	}
	stub, err := bob.SendViewOnceStub(anna.LID())
	require.NoError(t, err)
	u := awaitEvent(c, func(u *events.UndecryptableMessage) bool { return u.Info.ID == stub })
	require.Equal(t, events.UnavailableTypeViewOnce, u.UnavailableType)
}

// TestKindsThatAreHeard decodes what a linked device sends: replies, edits, removals, reactions, polls and votes, both ways.
func TestKindsThatAreHeard(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	group, err := bob.CreateGroup("Trip", anna.LID())
	require.NoError(t, err)
	c := w.linked(anna)
	for name, chat := range map[string]string{"direct": bob.LID(), "group": group} {
		t.Run(name, func(t *testing.T) {
			jid := jidOf(t, chat)
			send := func(m *waE2E.Message) (string, Heard) {
				t.Helper()
				sent, err := c.SendMessage(within(t), jid, m)
				require.NoError(t, err)
				h, err := bob.Hears(within(t))
				require.NoError(t, err)
				require.Equal(t, sent.ID, h.ID)
				return sent.ID, h
			}
			first, h := send(plainText("first"))
			_, err := bob.Reply(h, "answer")
			require.NoError(t, err)
			m := c.hears("answer")
			require.Equal(t, first, m.Message.GetExtendedTextMessage().GetContextInfo().GetStanzaID())

			_, h = send(&waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("reply"), ContextInfo: &waE2E.ContextInfo{
				StanzaID: proto.String(m.Info.ID), Participant: proto.String(bob.LID()), QuotedMessage: plainText("answer"), MentionedJID: []string{bob.LID()}}}})
			require.Equal(t, []any{"reply", m.Info.ID, "answer", []string{bob.LID()}}, []any{h.Text, h.ReplyTo, h.ReplyText, h.Mentions})
			_, h = send(c.BuildEdit(jid, first, plainText("first, corrected")))
			require.Equal(t, []string{"edit", first, "first, corrected"}, []string{h.Kind, h.Edited, h.Text})
			_, h = send(c.BuildReaction(jid, bob.user.lid, m.Info.ID, "❤"))
			require.Equal(t, &HeardReaction{TargetID: m.Info.ID, Emoji: "❤"}, h.Reaction)
			_, h = send(c.BuildRevoke(jid, types.EmptyJID, first))
			require.Equal(t, []string{"revoke", first}, []string{h.Kind, h.Removed})

			poll, h := send(c.BuildPollCreation("when?", []string{"today", "tomorrow"}, 1))
			require.Equal(t, "when?", h.Text)
			vote, err := c.BuildPollVote(within(t), &types.MessageInfo{MessageSource: types.MessageSource{Chat: jid, Sender: anna.user.lid, IsFromMe: true,
				IsGroup: name == "group"}, ID: poll}, []string{"tomorrow"})
			require.NoError(t, err)
			_, h = send(vote)
			require.Equal(t, &HeardVote{poll, []string{"tomorrow"}}, h.Vote)
			back := map[string]string{"direct": anna.LID(), "group": group}[name]
			_, err = bob.Vote(back, poll, "today")
			require.NoError(t, err)
			update := awaitEvent(c, func(m *events.Message) bool { return m.Message.GetPollUpdateMessage() != nil && !m.Info.IsFromMe })
			opened, err := c.DecryptPollVote(within(t), update)
			require.NoError(t, err)
			require.Equal(t, whatsmeow.HashPollOptions([]string{"today"}), opened.SelectedOptions)

			own, err := bob.SendPoll(back, "where?", 0, "here", "there")
			require.NoError(t, err)
			asked := awaitEvent(c, func(m *events.Message) bool { return m.Info.ID == own })
			vote, err = c.BuildPollVote(within(t), &asked.Info, []string{"here", "there"})
			require.NoError(t, err)
			_, h = send(vote)
			require.Equal(t, &HeardVote{own, []string{"here", "there"}}, h.Vote)

			_, h = send(plainText("to be sent on"))
			_, err = bob.Forward(back, h)
			require.NoError(t, err)
			m = awaitEvent(c, func(m *events.Message) bool { return m.Message.GetExtendedTextMessage().GetText() == "to be sent on" })
			require.True(t, m.Message.GetExtendedTextMessage().GetContextInfo().GetIsForwarded())
		})
	}
}

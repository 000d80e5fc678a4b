package linked

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// plainNames knows one pair of names: number 491 is LID 901.
type plainNames struct{}

func (plainNames) address(_ context.Context, jid types.JID) (network.Address, error) {
	jid = plain(jid)
	switch {
	case jid.Server == types.GroupServer:
		group := network.GroupAddress(jid.User)
		return group, group.Validate()
	case jid == types.NewJID("491", types.DefaultUserServer):
		return network.LID("901"), nil
	}
	person, err := wire.FromJID(network.WhatsApp, jid)
	if err != nil {
		return person, errors.Join(errNobody, err)
	}
	return person, nil
}

func (plainNames) alias(_ context.Context, person network.Address) (network.Address, error) {
	if person == network.LID("901") {
		return network.Phone("491"), nil
	}
	return network.Address{}, nil
}

// noKeys has the secret of no message.
type noKeys struct{}

var errNoKey = errors.New("no key")

func (noKeys) DecryptReaction(context.Context, *events.Message) (*waE2E.ReactionMessage, error) {
	return nil, errNoKey
}
func (noKeys) DecryptComment(context.Context, *events.Message) (*waE2E.Message, error) {
	return nil, errNoKey
}
func (noKeys) DecryptPollVote(context.Context, *events.Message) (*waE2E.PollVoteMessage, error) {
	return nil, errNoKey
}
func (noKeys) DecryptSecretEncryptedMessage(context.Context, *events.Message) (*waE2E.Message, error) {
	return nil, errNoKey
}

var (
	me      = network.LID("900")
	anna901 = types.NewJID("901", types.HiddenUserServer)
	aGroup  = types.NewJID("120363000000000001", types.GroupServer)
)

func readIn(t testing.TB, chat, sender types.JID, m *waE2E.Message, change ...func(*events.Message)) network.Event {
	t.Helper()
	e := &events.Message{RawMessage: m, Info: types.MessageInfo{
		ID: "ID", Timestamp: time.Unix(1_700_000_000, 0), PushName: "Anna",
		MessageSource: types.MessageSource{Chat: chat, Sender: sender, IsGroup: chat.Server == types.GroupServer},
	}}
	for _, change := range change {
		change(e)
	}
	event, err := reader{names: plainNames{}, self: me, keys: noKeys{}}.event(t.Context(), e.UnwrapRaw())
	require.NoError(t, err)
	return event
}

func textMessage(text string) *waE2E.Message { return &waE2E.Message{Conversation: &text} }

// A person is one, by whatever name the network calls them.
func TestNumberAndLIDAreOnePerson(t *testing.T) {
	for _, sender := range []types.JID{
		anna901, types.NewJID("491", types.DefaultUserServer), types.NewJID("491", types.LegacyUserServer),
		{User: "901", Device: 7, Server: types.HiddenUserServer}, {User: "491", Device: 99, Server: types.HostedServer},
	} {
		got := readIn(t, sender.ToNonAD(), sender, textMessage("hi")).(network.MessageEvent)
		require.Equal(t, network.MessageID{Conversation: network.LID("901"), Sender: network.LID("901"), ID: "ID"}, got.Message.ID, sender)
		require.Equal(t, network.Phone("491"), got.SenderAlias)
		got = readIn(t, aGroup, sender, textMessage("hi")).(network.MessageEvent)
		require.Equal(t, network.LID("901"), got.Message.ID.Sender)
	}
}

func TestWhereThereIsNoRoom(t *testing.T) {
	for what, chat := range map[string]types.JID{
		"status post": types.StatusBroadcastJID, "channel message": types.NewJID("1", types.NewsletterServer),
	} {
		omitted := readIn(t, chat, anna901, textMessage("hi")).(network.OmittedEvent)
		require.Equal(t, what, omitted.What)
	}
	list := types.NewJID("17", types.BroadcastServer)
	got := readIn(t, list, anna901, textMessage("hi")).(network.MessageEvent)
	require.Equal(t, network.LID("901"), got.Message.ID.Conversation, "who gets a broadcast sees a direct message")
	own := readIn(t, list, anna901, textMessage("hi"), func(e *events.Message) { e.Info.IsFromMe = true })
	require.Equal(t, "message to a broadcast list", own.(network.OmittedEvent).What)
	require.IsType(t, network.OmittedEvent{}, readIn(t, types.NewJID("1", types.InteropServer), types.NewJID("1", types.InteropServer), textMessage("x")))
	require.Nil(t, readIn(t, types.StatusBroadcastJID, anna901, &waE2E.Message{
		SenderKeyDistributionMessage: &waE2E.SenderKeyDistributionMessage{GroupID: proto.String("x")},
	}), "keys alone are nothing to tell")
}

// From whose view a key names a message decides whose message it is.
func TestTargets(t *testing.T) {
	reaction := func(key *waCommon.MessageKey) *waE2E.Message {
		return &waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{Key: key, Text: proto.String("👍")}}
	}
	key := func(own bool, participant string) *waCommon.MessageKey {
		k := &waCommon.MessageKey{FromMe: &own, ID: proto.String("T")}
		if participant != "" {
			k.Participant = &participant
		}
		return k
	}
	fromMe := func(e *events.Message) { e.Info.IsFromMe = true }
	for _, c := range []struct {
		name   string
		chat   types.JID
		key    *waCommon.MessageKey
		change []func(*events.Message)
		whose  network.Address
	}{
		{"theirs on their own", anna901, key(true, ""), nil, network.LID("901")},
		{"theirs on mine", anna901, key(false, ""), nil, me},
		{"mine on my own", anna901, key(true, ""), []func(*events.Message){fromMe}, me},
		{"mine on theirs", anna901, key(false, ""), []func(*events.Message){fromMe}, network.LID("901")},
		{"in a group on a third", aGroup, key(false, "902@lid"), nil, network.LID("902")},
		{"in a group by number", aGroup, key(false, "491@s.whatsapp.net"), nil, network.LID("901")},
		{"in a group on mine", aGroup, key(false, "900@lid"), nil, me},
	} {
		got := readIn(t, c.chat, anna901, reaction(c.key), c.change...).(network.MessageEvent)
		target := got.Message.Content.(network.Reaction).Target
		require.Equal(t, c.whose, target.Sender, c.name)
		require.Equal(t, got.Message.ID.Conversation, target.Conversation)
	}
	lost := readIn(t, aGroup, anna901, reaction(key(false, ""))).(network.MessageEvent)
	require.IsType(t, network.Unsupported{}, lost.Message.Content, "in a group nobody is not somebody")
}

// Only senders edit their messages, whatever a key says.
func TestEditOfOthersIsNotBelieved(t *testing.T) {
	got := readIn(t, aGroup, anna901, &waE2E.Message{EditedMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{
		ProtocolMessage: &waE2E.ProtocolMessage{
			Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), EditedMessage: textMessage("forged"),
			Key: &waCommon.MessageKey{ID: proto.String("T"), FromMe: proto.Bool(false), Participant: proto.String("902@lid")},
		},
	}}}).(network.MessageEvent)
	require.Equal(t, network.LID("901"), got.Message.Content.(network.Edit).Target.Sender)
}

func TestMentionsAndContext(t *testing.T) {
	got := readIn(t, aGroup, anna901, &waE2E.Message{EphemeralMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{
		ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("@491 and @4911 and @902, @all"), ContextInfo: &waE2E.ContextInfo{
			MentionedJID: []string{"491@s.whatsapp.net", "902@lid", "nonsense", "1@newsletter"}, NonJIDMentions: proto.Uint32(1),
			IsForwarded: proto.Bool(true), Expiration: proto.Uint32(86400),
			StanzaID: proto.String("Q"), Participant: proto.String("491@s.whatsapp.net"),
		}},
	}}}).(network.MessageEvent).Message
	require.Equal(t, network.Text{Body: "@901 and @4911 and @902, @all"}, got.Content)
	require.Equal(t, []network.Address{network.LID("901"), network.LID("902")}, got.Mentions)
	require.True(t, got.MentionsAll && got.Forwarded)
	require.Equal(t, 24*time.Hour, got.Expires)
	require.Equal(t, &network.MessageID{Conversation: network.GroupAddress(aGroup.User), Sender: network.LID("901"), ID: "Q"}, got.ReplyTo)

	status := readIn(t, anna901, anna901, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
		Text: proto.String("nice"), ContextInfo: &waE2E.ContextInfo{
			StanzaID: proto.String("Q"), Participant: proto.String("900@lid"), RemoteJID: proto.String("status@broadcast"),
		},
	}}).(network.MessageEvent).Message
	require.Nil(t, status.ReplyTo, "a status post has no room")
}

func TestKindsThatCannotBeShown(t *testing.T) {
	unknown := &waE2E.Message{}
	unknown.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 1999, protowire.BytesType), "later"))
	for want, m := range map[string]*waE2E.Message{
		"message with buttons": {ButtonsMessage: &waE2E.ButtonsMessage{ContentText: proto.String("choose")}},
		"payment":              {SendPaymentMessage: &waE2E.SendPaymentMessage{}},
		"pinned message":       {PinInChatMessage: &waE2E.PinInChatMessage{}},
		"vote on a poll":       {PollUpdateMessage: &waE2E.PollUpdateMessage{}},
		"reaction":             {EncReactionMessage: &waE2E.EncReactionMessage{}},
		"edit of a message":    {SecretEncryptedMessage: &waE2E.SecretEncryptedMessage{}},
		"image without a file": {ImageMessage: &waE2E.ImageMessage{}},
		"message that is shown on the phone only": {PlaceholderMessage: &waE2E.PlaceholderMessage{}},
		"location that is not on the map":         {LocationMessage: &waE2E.LocationMessage{DegreesLatitude: proto.Float64(1000)}},
		unknownKind:                               unknown,
	} {
		got := readIn(t, anna901, anna901, m).(network.MessageEvent).Message.Content.(network.Unsupported)
		require.Equal(t, want, got.Type)
		require.Equal(t, onPhone, got.See)
		if want != "payment" {
			require.NotNil(t, got.Payload)
		}
	}
}

// Every kind of message has a name that a person understands, or is known to say nothing.
func TestEveryKindHasAName(t *testing.T) {
	shown := map[string]bool{}
	for _, name := range strings.Fields(`conversation imageMessage contactMessage locationMessage extendedTextMessage documentMessage
		audioMessage videoMessage contactsArrayMessage liveLocationMessage stickerMessage groupInviteMessage reactionMessage
		pollCreationMessage pollCreationMessageV2 pollCreationMessageV3 pollCreationMessageV5 pollCreationMessageV6 pollUpdateMessage
		ptvMessage albumMessage encReactionMessage commentMessage encCommentMessage secretEncryptedMessage
		viewOnceMessage viewOnceMessageV2 viewOnceMessageV2Extension ephemeralMessage documentWithCaptionMessage editedMessage
		groupMentionedMessage associatedChildMessage pollCreationMessageV4 pollCreationOptionImageMessage botInvokeMessage spoilerMessage
		questionMessage questionReplyMessage limitSharingMessage botForwardedMessage eventCoverImage lottieStickerMessage`) {
		shown[name] = true
	}
	fields := (&waE2E.Message{}).ProtoReflect().Descriptor().Fields()
	var nameless []string
	for i := range fields.Len() {
		name := fields.Get(i).Name()
		if !shown[string(name)] && !silentPart(name) && kindName(name) == unknownKind {
			nameless = append(nameless, string(name))
		}
	}
	require.Empty(t, nameless)
}

// Whatever a stranger's phone sends, reading it ends well, and what comes out can be kept.
func FuzzRead(f *testing.F) {
	for _, m := range []*waE2E.Message{
		textMessage("x"), {ImageMessage: &waE2E.ImageMessage{DirectPath: proto.String("/x"), MediaKey: make([]byte, 32)}},
		{PollCreationMessageV3: &waE2E.PollCreationMessage{Options: []*waE2E.PollCreationMessage_Option{nil, {}}}},
		{EphemeralMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{ViewOnceMessage: &waE2E.FutureProofMessage{}}}},
		{ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_REVOKE.Enum(), Key: &waCommon.MessageKey{}}},
	} {
		data, err := proto.Marshal(m)
		require.NoError(f, err)
		f.Add(data, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, group bool) {
		var m waE2E.Message
		if proto.Unmarshal(data, &m) != nil {
			return
		}
		chat := anna901
		if group {
			chat = aGroup
		}
		event := readIn(t, chat, anna901, &m)
		message, ok := event.(network.MessageEvent)
		if !ok {
			return
		}
		require.NotNil(t, message.Message.Content)
		if media, isFile := message.Message.Content.(network.Media); isFile {
			require.NotEmpty(t, media.Reference)
		}
		if reply := message.Message.ReplyTo; reply != nil {
			_, err := network.ParseMessageID(reply.String())
			require.NoError(t, err)
		}
		for _, person := range message.Message.Mentions {
			require.NoError(t, person.Validate())
		}
	})
}

// What is written is read as what it was.
func TestWrittenIsRead(t *testing.T) {
	w := writer{link: &link{owner: New(Config{Self: me})}, chat: anna901}
	for _, content := range []network.Content{
		network.Text{Body: "plain"},
		network.Text{Body: "https://a.example", Preview: &network.LinkPreview{URL: "https://a.example", Matched: "https://a.example", Title: "A"}},
		network.Location{Latitude: 1.5, Longitude: -2.5, Accuracy: 3, Name: "n", Address: "a", URL: "u", Caption: "c"},
		network.Contacts{Cards: []network.Card{{Name: "a", VCard: "v"}}},
		network.Contacts{Cards: []network.Card{{Name: "a", VCard: "v"}, {Name: "b", VCard: "w"}}},
		network.Album{Images: 2, Videos: 1},
		network.GroupInvite{Group: network.GroupAddress("120363"), Name: "g", Code: "c", Caption: "d", Expires: time.Unix(1_800_000_000, 0)},
		network.Edit{Target: network.MessageID{Conversation: network.LID("901"), Sender: me, ID: "T"}, Content: network.Text{Body: "better"}},
		network.Remove{Target: network.MessageID{Conversation: network.LID("901"), Sender: me, ID: "T"}},
		network.Reaction{Target: network.MessageID{Conversation: network.LID("901"), Sender: network.LID("901"), ID: "T"}, Emoji: "👍"},
	} {
		out, err := w.message(t.Context(), network.Message{
			ID: network.MessageID{Conversation: network.LID("901"), Sender: me, ID: "X"}, Content: content,
		})
		require.NoError(t, err)
		got := readIn(t, anna901, anna901, out, func(e *events.Message) { e.Info.IsFromMe = true }).(network.MessageEvent)
		require.Equal(t, content, got.Message.Content)
		require.Equal(t, me, got.Message.ID.Sender)
	}
}

package whatsapp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

var (
	self = network.Interop(network.WhatsApp, 12, "105012705411308")
	peer = network.LID("90000000000001")
)

func marshal(t testing.TB, message *waE2E.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(message)
	require.NoError(t, err)
	return raw
}

func TestEncodeShapes(t *testing.T) {
	plain, err := encode(network.Message{Content: network.Text{Body: "hi"}}, wire.SealedMedia{})
	require.NoError(t, err)
	require.Equal(t, []byte("\x0a\x02hi"), plain, "plain text is a conversation")

	quoted := network.MessageID{Conversation: peer, Sender: self, ID: "3EB0"}
	raw, err := encode(network.Message{Content: network.Text{Body: "hi"}, ReplyTo: &quoted, Quote: "and who"}, wire.SealedMedia{})
	require.NoError(t, err)
	var reply waE2E.Message
	require.NoError(t, proto.Unmarshal(raw, &reply))
	require.Nil(t, reply.Conversation)
	require.Equal(t, "hi", reply.GetExtendedTextMessage().GetText())
	context := reply.GetExtendedTextMessage().GetContextInfo()
	require.Equal(t, "3EB0", context.GetStanzaID())
	require.Equal(t, "12-105012705411308@interop", context.GetParticipant())
	require.Equal(t, "and who", context.GetQuotedMessage().GetConversation())
	_, _, err = decode(raw, self, peer)
	require.NoError(t, err, "a quote with words is part of the closed schema")
}

func TestEncodeRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		content network.Content
		want    error
	}{
		"empty":       {network.Text{}, network.ErrUnsupported},
		"too long":    {network.Text{Body: strings.Repeat("a", wire.LongestText+1)}, network.ErrTooLarge},
		"unsupported": {network.Unsupported{Type: "poll"}, network.ErrUnsupported},
		"nothing":     {nil, network.ErrUnsupported},
	} {
		_, err := encode(network.Message{Content: test.content}, wire.SealedMedia{})
		require.ErrorIs(t, err, test.want, name)
	}
	_, err := encode(network.Message{Content: network.Text{Body: strings.Repeat("a", wire.LongestText)}}, wire.SealedMedia{})
	require.NoError(t, err)
}

func TestDecodeKinds(t *testing.T) {
	for name, test := range map[string]struct {
		message *waE2E.Message
		want    network.Content
	}{
		"text":       {&waE2E.Message{Conversation: proto.String("hi")}, network.Text{Body: "hi"}},
		"empty text": {&waE2E.Message{Conversation: proto.String("")}, network.Text{}},
		"not UTF-8":  {&waE2E.Message{Conversation: proto.String("a\xffb")}, network.Text{Body: "a\uFFFDb"}},
		"text with sender key": {&waE2E.Message{
			Conversation: proto.String("hi"), SenderKeyDistributionMessage: &waE2E.SenderKeyDistributionMessage{GroupID: proto.String("g")},
		}, network.Text{Body: "hi"}},
	} {
		content, reply, err := decode(marshal(t, test.message), self, peer)
		require.NoError(t, err, name)
		require.Equal(t, test.want, content, name)
		require.Nil(t, reply, name)
	}
}

func TestDecodeReplies(t *testing.T) {
	for participant, want := range map[string]*network.MessageID{
		"12-105012705411308@interop":   {Conversation: peer, Sender: self, ID: "A"},
		"12-105012705411308:0@interop": {Conversation: peer, Sender: self, ID: "A"},
		"90000000000001@lid":           {Conversation: peer, Sender: peer, ID: "A"},
		"4915110000001@s.whatsapp.net": {Conversation: peer, Sender: peer, ID: "A"},
		"13-105012705411308@interop":   {Conversation: peer, Sender: peer, ID: "A"},
		"":                             nil,
	} {
		_, reply, err := decode(marshal(t, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
			Text: proto.String("hi"),
			ContextInfo: &waE2E.ContextInfo{
				StanzaID: proto.String("A"), Participant: proto.String(participant), QuotedMessage: &waE2E.Message{Conversation: proto.String("q")},
			},
		}}), self, peer)
		require.NoError(t, err)
		require.Equal(t, want, reply, "%q", participant)
	}
}

func TestDecodeRefuses(t *testing.T) {
	text := marshal(t, &waE2E.Message{Conversation: proto.String("hi")})
	deep := &waE2E.Message{Conversation: proto.String("hi")}
	for range 10 {
		deep = &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{ContextInfo: &waE2E.ContextInfo{QuotedMessage: deep}}}
	}
	unknown := protowire.AppendString(protowire.AppendTag(nil, 99, protowire.BytesType), "x")
	for name, raw := range map[string][]byte{
		"nothing":          {},
		"not a message":    {0xff},
		"cut short":        text[:len(text)-1],
		"unknown field":    append(text[:len(text):len(text)], unknown...),
		"wrong wire type":  protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 5),
		"group end":        protowire.AppendTag(text[:len(text):len(text)], 5, protowire.EndGroupType),
		"two contents":     marshal(t, &waE2E.Message{Conversation: proto.String("hi"), ReactionMessage: reactionTo("A")}),
		"sender key alone": marshal(t, &waE2E.Message{SenderKeyDistributionMessage: &waE2E.SenderKeyDistributionMessage{}}),
		"edit":             marshal(t, &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_REVOKE.Enum()}}),
		"sticker":          marshal(t, &waE2E.Message{StickerMessage: &waE2E.StickerMessage{}}),
		"context info":     marshal(t, &waE2E.Message{Conversation: proto.String("hi"), MessageContextInfo: &waE2E.MessageContextInfo{}}),
		"view once":        marshal(t, &waE2E.Message{ImageMessage: &waE2E.ImageMessage{ViewOnce: proto.Bool(true)}}),
		"media with a URL": marshal(t, &waE2E.Message{VideoMessage: &waE2E.VideoMessage{URL: proto.String("https://example.eu")}}),
		"mention": marshal(t, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
			ContextInfo: &waE2E.ContextInfo{MentionedJID: []string{"1@lid"}},
		}}),
		"sticker in a quote": marshal(t, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
			ContextInfo: &waE2E.ContextInfo{QuotedMessage: &waE2E.Message{StickerMessage: &waE2E.StickerMessage{}}},
		}}),
		"quotes without end": marshal(t, deep),
	} {
		_, _, err := decode(raw, self, peer)
		require.ErrorIs(t, err, wire.ErrContent, name)
	}
}

func FuzzContent(f *testing.F) {
	f.Add("hi", "3EB0", true)
	f.Add("*bold* 👍", "", false)
	f.Fuzz(func(t *testing.T, body, id string, ours bool) {
		message := network.Message{Content: network.Text{Body: body}}
		if id != "" {
			message.ReplyTo = &network.MessageID{Conversation: peer, Sender: peer, ID: id}
			if ours {
				message.ReplyTo.Sender = self
			}
		}
		raw, err := encode(message, wire.SealedMedia{})
		if err != nil {
			return
		}
		content, reply, err := decode(raw, self, peer)
		require.NoError(t, err, "what we write is inside the schema")
		require.Equal(t, network.Text{Body: wire.Clean(body)}, content)
		if reply != nil {
			require.Equal(t, wire.Clean(message.ReplyTo.ID), reply.ID)
			require.Equal(t, message.ReplyTo.Sender, reply.Sender)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(marshal(f, &waE2E.Message{Conversation: proto.String("hi")}))
	f.Add(marshal(f, &waE2E.Message{ImageMessage: hosted()}))
	f.Add(marshal(f, &waE2E.Message{ReactionMessage: reactionTo("A")}))
	for _, media := range everyMedia() {
		media.Open = empty
		raw, err := encode(network.Message{Content: media}, aFile())
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		content, _, err := decode(raw, self, peer)
		if err == nil {
			require.NotNil(t, content)
		} else {
			require.ErrorIs(t, err, wire.ErrContent)
		}
	})
}

func TestNormalPhone(t *testing.T) {
	for text, want := range map[string]string{
		"+4915110000001": "+4915110000001", "+49 (151) 1000-0001": "+4915110000001", "+1.202.555.0123": "+12025550123",
		"015110000001": "", "+0123456789": "", "+49": "", "+491511000000123456": "", "anna@example.eu": "", "": "", "+4915١10000001": "",
	} {
		got, err := normalPhone(text)
		require.Equal(t, want, got, "%q", text)
		if want == "" {
			require.ErrorIs(t, err, network.ErrBadIdentifier, "%q", text)
		}
	}
}

func TestNewMessageID(t *testing.T) {
	client := NewInterop(wire.Login{})
	require.Regexp(t, `^3EB0[0-9A-F]{18}$`, client.NewMessageID([]byte("seed")))
}

package messenger

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waConsumerApplication"
	"go.mau.fi/whatsmeow/proto/waMsgApplication"
	"go.mau.fi/whatsmeow/proto/waMsgTransport"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

var (
	self = network.Interop(network.Messenger, 12, "105012705411308")
	peer = network.Account("100001")
)

// parts are a message in its three envelopes, to be changed one at a time.
type parts struct {
	transport   *waMsgTransport.MessageTransport
	application *waMsgApplication.MessageApplication
	consumer    *waConsumerApplication.ConsumerApplication
	// extra is appended to an envelope: 0 the transport's, 1 the application's, 2 the consumer's.
	extra [3][]byte
}

func newParts(content *consumerContent) *parts {
	return &parts{
		transport: &waMsgTransport.MessageTransport{
			Payload: &waMsgTransport.MessageTransport_Payload{ApplicationPayload: &waCommon.SubProtocol{Version: proto.Int32(2)}},
		},
		application: &waMsgApplication.MessageApplication{
			Payload: &waMsgApplication.MessageApplication_Payload{Content: &waMsgApplication.MessageApplication_Payload_SubProtocol{
				SubProtocol: &waMsgApplication.MessageApplication_SubProtocolPayload{
					SubProtocol: &waMsgApplication.MessageApplication_SubProtocolPayload_ConsumerMessage{
						ConsumerMessage: &waCommon.SubProtocol{Version: proto.Int32(1)},
					},
				},
			}},
			Metadata: &waMsgApplication.MessageApplication_Metadata{FrankingKey: bytes.Repeat([]byte{7}, 32), FrankingVersion: proto.Int32(0)},
		},
		consumer: &waConsumerApplication.ConsumerApplication{Payload: &waConsumerApplication.ConsumerApplication_Payload{
			Payload: &waConsumerApplication.ConsumerApplication_Payload_Content{Content: content},
		}},
	}
}

// seal is the plaintext, and the tag that belongs to it.
func (p *parts) seal(t testing.TB) (plaintext, tag []byte) {
	t.Helper()
	write := func(message proto.Message, depth int) []byte {
		raw, err := proto.Marshal(message)
		require.NoError(t, err)
		return append(raw, p.extra[depth]...)
	}
	p.application.GetPayload().GetSubProtocol().GetConsumerMessage().Payload = write(p.consumer, 2)
	raw := write(p.application, 1)
	p.transport.Payload.ApplicationPayload.Payload = raw
	return write(p.transport, 0), authenticate(p.application.GetMetadata().GetFrankingKey(), raw)
}

func said(text string) *consumerContent {
	return &consumerContent{Content: &waConsumerApplication.ConsumerApplication_Content_MessageText{
		MessageText: &waCommon.MessageText{Text: proto.String(text)},
	}}
}

func TestDecodeKinds(t *testing.T) {
	type app = waConsumerApplication.ConsumerApplication_Content
	for name, test := range map[string]struct {
		content *app
		want    network.Content
	}{
		"text":      {said("hi"), network.Text{Body: "hi"}},
		"not UTF-8": {said("a\xffb"), network.Text{Body: "a\uFFFDb"}},
		"link": {&app{Content: &waConsumerApplication.ConsumerApplication_Content_ExtendedTextMessage{
			ExtendedTextMessage: &waConsumerApplication.ConsumerApplication_ExtendedTextMessage{
				Text: &waCommon.MessageText{Text: proto.String("see https://example.eu")}, MatchedText: proto.String("https://example.eu"), Title: proto.String("E"),
			}}}, network.Text{Body: "see https://example.eu", Preview: &network.LinkPreview{Matched: "https://example.eu", Title: "E"}}},
		"reaction to ours": {reactionOf(false, "1"), network.Reaction{Target: network.MessageID{Conversation: peer, Sender: self, ID: "1"}, Emoji: "👍"}},
		"edit":             {editOf(true, "1", "new"), network.Edit{Target: network.MessageID{Conversation: peer, Sender: peer, ID: "1"}, Content: network.Text{Body: "new"}}},
		"to their own":     {reactionOf(true, "1"), network.Reaction{Target: network.MessageID{Conversation: peer, Sender: peer, ID: "1"}, Emoji: "👍"}},
	} {
		plaintext, tag := newParts(test.content).seal(t)
		content, reply, err := v3{}.Decode(plaintext, tag, self, peer)
		require.NoError(t, err, name)
		require.Equal(t, test.want, content, name)
		require.Nil(t, reply, name)
	}
}

func reactionOf(own bool, id string) *consumerContent {
	return &consumerContent{Content: &waConsumerApplication.ConsumerApplication_Content_ReactionMessage{
		ReactionMessage: &waConsumerApplication.ConsumerApplication_ReactionMessage{
			Key: &waCommon.MessageKey{ID: proto.String(id), FromMe: proto.Bool(own)}, Text: proto.String("👍"),
		},
	}}
}

func editOf(own bool, id, text string) *consumerContent {
	return &consumerContent{Content: &waConsumerApplication.ConsumerApplication_Content_EditMessage{
		EditMessage: &waConsumerApplication.ConsumerApplication_EditMessage{
			Key: &waCommon.MessageKey{ID: proto.String(id), FromMe: proto.Bool(own)}, Message: &waCommon.MessageText{Text: proto.String(text)},
		},
	}}
}

func revokeOf(own bool, id string) *consumerPayload {
	return &consumerPayload{Payload: &waConsumerApplication.ConsumerApplication_Payload_ApplicationData{
		ApplicationData: &waConsumerApplication.ConsumerApplication_ApplicationData{
			ApplicationContent: &waConsumerApplication.ConsumerApplication_ApplicationData_Revoke{
				Revoke: &waConsumerApplication.ConsumerApplication_RevokeMessage{Key: &waCommon.MessageKey{ID: proto.String(id), FromMe: proto.Bool(own)}},
			},
		},
	}}
}

func TestDecodeRemoval(t *testing.T) {
	p := newParts(said("hi"))
	p.consumer.Payload = revokeOf(true, "1")
	plaintext, tag := p.seal(t)
	content, _, err := v3{}.Decode(plaintext, tag, self, peer)
	require.NoError(t, err)
	require.Equal(t, network.Remove{Target: network.MessageID{Conversation: peer, Sender: peer, ID: "1"}}, content)
}

// What is handed over with a report holds against the tag that came with the message.
func TestProof(t *testing.T) {
	plaintext, tag := newParts(said("what was said")).seal(t)
	var proof franked
	require.NoError(t, json.Unmarshal(v3{}.Proof(plaintext, tag), &proof))
	require.Equal(t, tag, proof.FrankingTag)
	require.Equal(t, proof.FrankingTag, authenticate(proof.FrankingKey, proof.MessageApplication))
	require.Contains(t, string(proof.MessageApplication), "what was said")
	require.Nil(t, v3{}.Proof(plaintext, make([]byte, 32)), "of a tag that is not the message's")
	require.Nil(t, v3{}.Proof([]byte("hi"), tag))
}

func TestDecodeIgnoresDeviceLists(t *testing.T) {
	p := newParts(said("hi"))
	p.transport.Protocol = &waMsgTransport.MessageTransport_Protocol{Ancillary: &waMsgTransport.MessageTransport_Protocol_Ancillary{
		DeviceListMetadata: &waMsgTransport.DeviceListMetadata{SenderKeyHash: []byte{1}},
		Icdc: &waMsgTransport.MessageTransport_Protocol_Ancillary_ICDCParticipantDevices{
			SenderIdentity: &waMsgTransport.MessageTransport_Protocol_Ancillary_ICDCParticipantDevices_ICDCIdentityListDescription{Seq: proto.Int32(3)},
		},
	}}
	plaintext, tag := p.seal(t)
	content, _, err := v3{}.Decode(plaintext, tag, self, peer)
	require.NoError(t, err)
	require.Equal(t, network.Text{Body: "hi"}, content)
}

func TestDecodeRefuses(t *testing.T) {
	unknown := protowire.AppendString(protowire.AppendTag(nil, 99, protowire.BytesType), "x")
	second, err := proto.Marshal(&waConsumerApplication.ConsumerApplication{Payload: &waConsumerApplication.ConsumerApplication_Payload{
		Payload: &waConsumerApplication.ConsumerApplication_Payload_Content{Content: said("two")},
	}})
	require.NoError(t, err)
	for name, change := range map[string]func(*parts){
		"unknown field of the transport":   func(p *parts) { p.extra[0] = unknown },
		"unknown field of the application": func(p *parts) { p.extra[1] = unknown },
		"unknown field of the consumer":    func(p *parts) { p.extra[2] = unknown },
		"broken tag":                       func(p *parts) { p.extra[2] = []byte{0xff} },
		"application version":              func(p *parts) { p.transport.Payload.ApplicationPayload.Version = proto.Int32(3) },
		"consumer version": func(p *parts) {
			p.application.GetPayload().GetSubProtocol().GetConsumerMessage().Version = proto.Int32(2)
		},
		"no franking key":    func(p *parts) { p.application.Metadata.FrankingKey = nil },
		"short franking key": func(p *parts) { p.application.Metadata.FrankingKey = make([]byte, 31) },
		"franking version":   func(p *parts) { p.application.Metadata.FrankingVersion = proto.Int32(1) },
		"disappearing":       func(p *parts) { p.application.Metadata.IsForwarded = proto.Bool(true) },
		"copy to own device": func(p *parts) {
			p.transport.Protocol = &waMsgTransport.MessageTransport_Protocol{Integral: &waMsgTransport.MessageTransport_Protocol_Integral{
				DSM: &waMsgTransport.MessageTransport_Protocol_Integral_DeviceSentMessage{},
			}}
		},
		"no content": func(p *parts) { p.consumer = &waConsumerApplication.ConsumerApplication{} },
		"two contents": func(p *parts) {
			first, err := proto.Marshal(said("one"))
			require.NoError(t, err)
			both, err := proto.Marshal(reactionOf(true, "1"))
			require.NoError(t, err)
			inner := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), append(first, both...))
			p.consumer, p.extra[2] = nil, protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
		},
		"two payloads": func(p *parts) { p.extra[2] = append(second, second...) },
		"reaction without a key": func(p *parts) {
			p.consumer.Payload.Payload = &waConsumerApplication.ConsumerApplication_Payload_Content{Content: reactionOf(true, "")}
		},
		"sticker": func(p *parts) {
			p.consumer.Payload.Payload = &waConsumerApplication.ConsumerApplication_Payload_Content{Content: &consumerContent{
				Content: &waConsumerApplication.ConsumerApplication_Content_StickerMessage{},
			}}
		},
		"revoke": func(p *parts) {
			p.consumer.Payload.Payload = &waConsumerApplication.ConsumerApplication_Payload_ApplicationData{}
		},
		"removal of another's": func(p *parts) { p.consumer.Payload = revokeOf(false, "1") },
		"removal of nothing":   func(p *parts) { p.consumer.Payload = revokeOf(true, "") },
		"edit of another's": func(p *parts) {
			p.consumer.Payload.Payload = &waConsumerApplication.ConsumerApplication_Payload_Content{Content: editOf(false, "1", "new")}
		},
		"edit to nothing": func(p *parts) {
			p.consumer.Payload.Payload = &waConsumerApplication.ConsumerApplication_Payload_Content{Content: editOf(true, "1", "")}
		},
		"removal beside a text": func(p *parts) {
			raw, err := proto.Marshal(&waConsumerApplication.ConsumerApplication{Payload: revokeOf(true, "1")})
			require.NoError(t, err)
			p.extra[2] = raw
		},
		"mention": func(p *parts) {
			p.consumer.GetPayload().GetContent().GetMessageText().MentionedJID = []string{"1@msgr"}
		},
	} {
		p := newParts(said("hi"))
		change(p)
		plaintext, tag := p.seal(t)
		_, _, err := v3{}.Decode(plaintext, tag, self, peer)
		require.ErrorIs(t, err, wire.ErrContent, name)
	}
}

func TestDecodeRefusesFranking(t *testing.T) {
	plaintext, tag := newParts(said("hi")).seal(t)
	_, other := newParts(said("ho")).seal(t)
	flipped := bytes.Clone(tag)
	flipped[31] ^= 1
	for name, wrong := range map[string][]byte{
		"no tag": nil, "empty": {}, "cut": tag[:31], "of another message": other, "a bit off": flipped, "longer": append(bytes.Clone(tag), 0),
	} {
		_, _, err := v3{}.Decode(plaintext, wrong, self, peer)
		require.ErrorIs(t, err, wire.ErrContent, name)
	}
	_, _, err := v3{}.Decode(plaintext, tag, self, peer)
	require.NoError(t, err)
}

func TestEncodeRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		message network.Message
		want    error
	}{
		"empty":    {network.Message{Content: network.Text{}}, network.ErrUnsupported},
		"too long": {network.Message{Content: network.Text{Body: strings.Repeat("a", wire.LongestText+1)}}, network.ErrTooLarge},
		"media":    {network.Message{Content: network.Media{Kind: network.Image}}, network.ErrUnsupported},
		"nothing":  {network.Message{}, network.ErrUnsupported},
		"reply to nobody": {
			network.Message{Content: network.Text{Body: "a"}, ReplyTo: &network.MessageID{ID: "1"}}, network.ErrUnsupported,
		},
	} {
		_, err := v3{}.Encode(test.message, wire.SealedMedia{})
		require.ErrorIs(t, err, test.want, name)
	}
}

func FuzzContent(f *testing.F) {
	f.Add("hi", "7300000000000000001", true, "")
	f.Add("*bold* 👍", "", false, "https://example.eu")
	f.Add("👍", "7", true, "react")
	f.Fuzz(func(t *testing.T, body, id string, ours bool, link string) {
		other := network.MessageID{Conversation: peer, Sender: peer, ID: id}
		if ours {
			other.Sender = self
		}
		message := network.Message{Content: network.Text{Body: body}}
		switch {
		case link == "react":
			message.Content = network.Reaction{Target: other, Emoji: body}
		case link != "":
			message.Content = network.Text{Body: body, Preview: &network.LinkPreview{URL: link, Matched: link}}
		}
		if id != "" && link != "react" {
			message.ReplyTo = &other
		}
		plaintext, err := v3{}.Encode(message, wire.SealedMedia{})
		if err != nil {
			return
		}
		// The far end's view: what is ours here is theirs there.
		content, reply, err := v3{}.Decode(plaintext, frankingTag(plaintext), self, peer)
		if link == "react" && id == "" {
			require.ErrorIs(t, err, wire.ErrContent)
			return
		}
		require.NoError(t, err, "what we write is inside the schema")
		switch said := content.(type) {
		case network.Text:
			require.Equal(t, wire.Clean(body), said.Body)
			require.Equal(t, link != "", said.Preview != nil)
		case network.Reaction:
			require.Equal(t, wire.Clean(body), said.Emoji)
			require.Equal(t, wire.Clean(id), said.Target.ID)
			require.NotEqual(t, other.Sender, said.Target.Sender, "fromMe is the sender's view")
		}
		if reply != nil {
			require.Equal(t, wire.Clean(id), reply.ID)
			require.Equal(t, other.Sender, reply.Sender)
		}
	})
}

func FuzzDecode(f *testing.F) {
	plaintext, tag := newParts(said("hi")).seal(f)
	f.Add(plaintext, tag)
	plaintext, tag = newParts(reactionOf(true, "1")).seal(f)
	f.Add(plaintext, tag)
	plaintext, tag = newParts(editOf(true, "1", "new")).seal(f)
	f.Add(plaintext, tag)
	f.Fuzz(func(t *testing.T, plaintext, tag []byte) {
		content, _, err := v3{}.Decode(plaintext, tag, self, peer)
		if err == nil {
			require.NotNil(t, content)
		} else {
			require.ErrorIs(t, err, wire.ErrContent)
		}
	})
}

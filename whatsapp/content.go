package whatsapp

import (
	"fmt"
	"strings"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// longestText is the largest text in bytes; phones cut longer ones (docs/protocol.md#subset).
const longestText = 65536

// encode writes a message in the closed schema. The stanza type and media type go with it.
func encode(message network.Message) (plaintext []byte, err error) {
	text, ok := message.Content.(network.Text)
	if !ok {
		return nil, fmt.Errorf("%w: content of type %T", network.ErrUnsupported, message.Content)
	} else if text.Body == "" {
		return nil, fmt.Errorf("%w: empty text", network.ErrUnsupported)
	} else if len(text.Body) > longestText {
		return nil, fmt.Errorf("%w: a text of %d bytes", network.ErrTooLarge, len(text.Body))
	}
	out := &waE2E.Message{}
	if message.ReplyTo == nil {
		out.Conversation = proto.String(text.Body)
	} else {
		participant, err := textJID(message.ReplyTo.Sender)
		if err != nil {
			return nil, fmt.Errorf("%w: quoted sender: %w", network.ErrUnsupported, err)
		}
		out.ExtendedTextMessage = &waE2E.ExtendedTextMessage{
			Text: proto.String(text.Body),
			ContextInfo: &waE2E.ContextInfo{
				StanzaID:    proto.String(message.ReplyTo.ID),
				Participant: proto.String(participant), // assumed: U12
			},
		}
	}
	plaintext, err = proto.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", network.ErrRejected, err)
	}
	return plaintext, nil
}

// decode reads a plaintext of a direct chat between self and peer. Errors wrap
// [wire.ErrContent]: what is outside the closed schema.
func decode(plaintext []byte, self, peer network.Address) (network.Content, *network.MessageID, error) {
	if err := checkSubset(plaintext); err != nil {
		return nil, nil, err
	}
	var message waE2E.Message
	if err := proto.Unmarshal(plaintext, &message); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", wire.ErrContent, err)
	}
	contents := contentsOf(&message)
	if len(contents) != 1 {
		return nil, nil, fmt.Errorf("%w: %d contents in one message", wire.ErrContent, len(contents))
	}
	return contents[0], replyOf(contextOf(&message), self, peer), nil
}

// contentsOf is every content member that is set; a valid message has one. Media
// and reactions are named only.
func contentsOf(message *waE2E.Message) (found []network.Content) {
	add := func(set bool, content network.Content) {
		if set {
			found = append(found, content)
		}
	}
	extended, video, audio := message.GetExtendedTextMessage(), message.GetVideoMessage(), message.GetAudioMessage()
	add(message.Conversation != nil, network.Text{Body: clean(message.GetConversation())})
	add(extended != nil, network.Text{Body: clean(extended.GetText())})
	add(message.ImageMessage != nil, network.Unsupported{Type: "image"})
	add(video != nil, network.Unsupported{Type: either(video.GetGifPlayback(), "GIF", "video")})
	add(audio != nil, network.Unsupported{Type: either(audio.GetPTT(), "voice message", "audio file")})
	add(message.DocumentMessage != nil, network.Unsupported{Type: "document"})
	add(message.ReactionMessage != nil, network.Unsupported{Type: "reaction"})
	add(message.PtvMessage != nil, network.Unsupported{Type: "video message"})
	return found
}

func either(first bool, yes, no string) string {
	if first {
		return yes
	}
	return no
}

// clean makes a foreign text valid UTF-8.
func clean(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func contextOf(message *waE2E.Message) *waE2E.ContextInfo {
	if context := message.GetExtendedTextMessage().GetContextInfo(); context != nil {
		return context
	}
	return message.GetImageMessage().GetContextInfo()
}

// replyOf names the quoted message. A direct chat has two people, so whoever is not
// self is the peer, in whatever form the phone names them; without a name nothing is quoted.
func replyOf(context *waE2E.ContextInfo, self, peer network.Address) *network.MessageID {
	if context.GetStanzaID() == "" || context.GetParticipant() == "" {
		return nil
	}
	sender := peer
	if quoted, err := parseTextJID(context.GetParticipant()); err == nil && quoted == self {
		sender = self
	}
	return &network.MessageID{Conversation: peer, Sender: sender, ID: clean(context.GetStanzaID())}
}

package whatsapp

import (
	"fmt"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// encode writes a message in the closed schema; file is where its file is, if it has
// one. What the receiver would refuse fails here.
func encode(message network.Message, file wire.SealedMedia) (plaintext []byte, err error) {
	quote, err := quoteOf(message)
	if err != nil {
		return nil, err
	}
	var out *waE2E.Message
	switch content := message.Content.(type) {
	case network.Text:
		out, err = encodeText(content, quote)
	case network.Media:
		out, err = encodeMedia(content, file, quote)
	case network.Reaction:
		out, err = encodeReaction(content, message.ID)
	default:
		err = fmt.Errorf("%w: content of type %T", network.ErrUnsupported, message.Content)
	}
	if err != nil {
		return nil, err
	}
	if plaintext, err = proto.Marshal(out); err != nil {
		return nil, fmt.Errorf("%w: %w", network.ErrRejected, err)
	}
	if err = checkRules(out); err != nil {
		return nil, fmt.Errorf("%w: %w", network.ErrUnsupported, err)
	}
	return plaintext, nil
}

// stanzaType is how the envelope of a content is labelled, with what kind of media it is (docs/protocol.md#messages).
func stanzaType(content network.Content) (kind, media string) {
	switch content := content.(type) {
	case network.Reaction:
		return "reaction", ""
	case network.Media:
		switch content.Kind {
		case network.Voice:
			return "media", "ptt"
		case network.VideoNote:
			return "media", "video"
		default:
			return "media", string(content.Kind)
		}
	}
	return "text", ""
}

// quoteOf is what tells a phone which message is answered, nil for none; the words of that message are for phones that
// do not have it any more.
func quoteOf(message network.Message) (*waE2E.ContextInfo, error) {
	if message.ReplyTo == nil {
		return nil, nil
	}
	participant, err := wire.TextJID(message.ReplyTo.Sender)
	if err != nil {
		return nil, fmt.Errorf("%w: quoted sender: %w", network.ErrUnsupported, err)
	}
	quote := &waE2E.ContextInfo{
		StanzaID:    proto.String(message.ReplyTo.ID),
		Participant: proto.String(participant), // assumed: U12
	}
	if message.Quote != "" {
		quote.QuotedMessage = &waE2E.Message{Conversation: proto.String(message.Quote)}
	}
	return quote, nil
}

// decode reads a plaintext of a direct chat between self and peer. Errors wrap
// [wire.ErrContent]: what is outside the closed schema. A file cannot be opened yet.
func decode(plaintext []byte, self, peer network.Address) (network.Content, *network.MessageID, error) {
	if err := subset().Check(plaintext, &waE2E.Message{}); err != nil {
		return nil, nil, err
	}
	var message waE2E.Message
	if err := proto.Unmarshal(plaintext, &message); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", wire.ErrContent, err)
	}
	if err := checkRules(&message); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", wire.ErrContent, err)
	}
	content, err := contentOf(&message, self, peer)
	if err != nil {
		return nil, nil, err
	}
	quote := contextOf(&message)
	return content, wire.Quoted(quote.GetStanzaID(), quote.GetParticipant(), self, peer), nil
}

// contentOf reads the one content of a message that follows the rules.
func contentOf(message *waE2E.Message, self, peer network.Address) (network.Content, error) {
	switch {
	case message.Conversation != nil:
		return network.Text{Body: wire.Clean(message.GetConversation())}, nil
	case message.ExtendedTextMessage != nil:
		return decodeText(message.ExtendedTextMessage), nil
	case message.ReactionMessage != nil:
		return decodeReaction(message.ReactionMessage, self, peer)
	}
	return decodeMedia(message)
}

// contextOf is what a message says of the one that it answers.
func contextOf(message *waE2E.Message) *waE2E.ContextInfo {
	if context := message.GetExtendedTextMessage().GetContextInfo(); context != nil {
		return context
	}
	return message.GetImageMessage().GetContextInfo()
}

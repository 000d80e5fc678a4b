package messenger

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waConsumerApplication"
	"go.mau.fi/whatsmeow/proto/waMsgApplication"
	"go.mau.fi/whatsmeow/proto/waMsgTransport"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// This file holds what Messenger's third-party messages look like inside, of which
// nothing is published: three envelopes, one in the other (docs/protocol.md#messenger).

// consumerContent is the innermost part: what a person said.
type consumerContent = waConsumerApplication.ConsumerApplication_Content

// Payload is a form of plaintext. // assumed: U18
type Payload interface {
	// Encode writes a message; file is where its file is, if it has one. Errors wrap sentinels of package network.
	Encode(message network.Message, file wire.SealedMedia) ([]byte, error)
	// Decode reads a message and checks the franking tag that came beside it. Errors wrap [wire.ErrContent].
	Decode(plaintext, tag []byte, self, peer network.Address) (network.Content, *network.MessageID, error)
}

const (
	applicationVersion = 2  // assumed: U18
	consumerVersion    = 1  // assumed: U18
	frankingVersion    = 0  // assumed: U18
	frankingKeySize    = 32 // assumed: U18
	// mostPadding is how many bytes of random length hide the size of a message.
	mostPadding = 15 // assumed: U18
)

// v3 is the transport envelope around the application's around the consumer's content. // assumed: U18
type v3 struct{}

// Encode implements [Payload]; each message gets a franking key of its own.
func (v3) Encode(message network.Message, file wire.SealedMedia) ([]byte, error) {
	content, err := encodeContent(message, file)
	if err != nil {
		return nil, err
	}
	metadata := &waMsgApplication.MessageApplication_Metadata{
		FrankingKey: random(frankingKeySize), FrankingVersion: proto.Int32(frankingVersion),
	}
	if message.ReplyTo != nil {
		participant, err := wire.TextJID(message.ReplyTo.Sender)
		if err != nil {
			return nil, fmt.Errorf("%w: quoted sender: %w", network.ErrUnsupported, err)
		}
		metadata.QuotedMessage = &waMsgApplication.MessageApplication_Metadata_QuotedMessage{
			StanzaID: proto.String(message.ReplyTo.ID), Participant: proto.String(participant),
		}
	}
	plaintext, err := wrap(content, metadata)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", network.ErrRejected, err)
	}
	return plaintext, nil
}

// wrap puts content into the three envelopes.
func wrap(content *consumerContent, metadata *waMsgApplication.MessageApplication_Metadata) ([]byte, error) {
	consumer, err := proto.Marshal(&waConsumerApplication.ConsumerApplication{
		Payload: &waConsumerApplication.ConsumerApplication_Payload{
			Payload: &waConsumerApplication.ConsumerApplication_Payload_Content{Content: content},
		},
	})
	if err != nil {
		return nil, err
	}
	application, err := proto.Marshal(&waMsgApplication.MessageApplication{
		Payload: &waMsgApplication.MessageApplication_Payload{Content: &waMsgApplication.MessageApplication_Payload_SubProtocol{
			SubProtocol: &waMsgApplication.MessageApplication_SubProtocolPayload{
				SubProtocol: &waMsgApplication.MessageApplication_SubProtocolPayload_ConsumerMessage{
					ConsumerMessage: &waCommon.SubProtocol{Payload: consumer, Version: proto.Int32(consumerVersion)},
				},
			},
		}},
		Metadata: metadata,
	})
	if err != nil {
		return nil, err
	}
	length := 1 + int(random(1)[0])%mostPadding
	return proto.Marshal(&waMsgTransport.MessageTransport{
		Payload: &waMsgTransport.MessageTransport_Payload{
			ApplicationPayload: &waCommon.SubProtocol{Payload: application, Version: proto.Int32(applicationVersion)},
		},
		Protocol: &waMsgTransport.MessageTransport_Protocol{Integral: &waMsgTransport.MessageTransport_Protocol_Integral{
			Padding: bytes.Repeat([]byte{byte(length)}, length),
		}},
	})
}

// encodeContent writes the innermost part.
func encodeContent(message network.Message, file wire.SealedMedia) (*consumerContent, error) {
	content := &consumerContent{}
	switch said := message.Content.(type) {
	case network.Text:
		if err := wire.CheckText(said.Body); err != nil {
			return nil, err
		}
		encodeText(content, said)
	case network.Media:
		if err := encodeMedia(content, said, file); err != nil {
			return nil, err
		}
	case network.Reaction:
		key, err := wire.MessageKey(said.Target)
		if err != nil {
			return nil, fmt.Errorf("%w: the message that is reacted to: %w", network.ErrUnsupported, err)
		}
		content.Content = &waConsumerApplication.ConsumerApplication_Content_ReactionMessage{
			ReactionMessage: &waConsumerApplication.ConsumerApplication_ReactionMessage{
				Key: key, Text: proto.String(said.Emoji), SenderTimestampMS: proto.Int64(time.Now().UnixMilli()),
			},
		}
	default:
		return nil, fmt.Errorf("%w: content of type %T", network.ErrUnsupported, message.Content)
	}
	return content, nil
}

// encodeText writes plain text as such; only a link's preview needs the extended form.
func encodeText(content *consumerContent, text network.Text) {
	body := &waCommon.MessageText{Text: proto.String(text.Body)}
	preview := text.Preview
	if preview == nil {
		content.Content = &waConsumerApplication.ConsumerApplication_Content_MessageText{MessageText: body}
		return
	}
	content.Content = &waConsumerApplication.ConsumerApplication_Content_ExtendedTextMessage{
		ExtendedTextMessage: &waConsumerApplication.ConsumerApplication_ExtendedTextMessage{
			Text: body, MatchedText: proto.String(preview.Matched), CanonicalURL: proto.String(preview.URL),
			Title: proto.String(preview.Title), Description: proto.String(preview.Description),
		},
	}
}

// Decode implements [Payload].
func (v3) Decode(plaintext, tag []byte, self, peer network.Address) (network.Content, *network.MessageID, error) {
	raw, err := openTransport(plaintext)
	if err != nil {
		return nil, nil, err
	}
	application, err := openApplication(raw, tag)
	if err != nil {
		return nil, nil, err
	}
	sub := application.GetPayload().GetSubProtocol().GetConsumerMessage()
	if sub.GetVersion() != consumerVersion {
		return nil, nil, fmt.Errorf("%w: consumer message of version %d", wire.ErrContent, sub.GetVersion())
	}
	var consumer waConsumerApplication.ConsumerApplication
	if err = open(sub.GetPayload(), &consumer); err != nil {
		return nil, nil, err
	}
	content, err := decodeContent(consumer.GetPayload().GetContent(), self, peer)
	if err != nil {
		return nil, nil, err
	}
	quote := application.GetMetadata().GetQuotedMessage()
	return content, wire.Quoted(quote.GetStanzaID(), quote.GetParticipant(), self, peer), nil
}

// openTransport opens the outermost envelope, whose device lists are not looked at.
func openTransport(plaintext []byte) (application []byte, err error) {
	var transport waMsgTransport.MessageTransport
	if err = open(plaintext, &transport); err != nil {
		return nil, err
	}
	sub := transport.GetPayload().GetApplicationPayload()
	if sub.GetVersion() != applicationVersion {
		return nil, fmt.Errorf("%w: application payload of version %d", wire.ErrContent, sub.GetVersion())
	}
	return sub.GetPayload(), nil
}

// openApplication opens the second envelope, and checks the form of its franking.
func openApplication(raw, tag []byte) (*waMsgApplication.MessageApplication, error) {
	var application waMsgApplication.MessageApplication
	if err := open(raw, &application); err != nil {
		return nil, err
	}
	key := application.GetMetadata().GetFrankingKey()
	switch {
	case application.GetMetadata().GetFrankingVersion() != frankingVersion, len(key) != frankingKeySize:
		return nil, fmt.Errorf("%w: no franking key of the known version", wire.ErrContent)
	case !hmac.Equal(tag, authenticate(key, raw)):
		return nil, fmt.Errorf("%w: the franking tag is not that of the message", wire.ErrContent)
	}
	return &application, nil
}

// authenticate makes the franking tag of a message: who has the key can show later what was sent. // assumed: U18
func authenticate(key, application []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(application)
	return mac.Sum(nil)
}

// frankingTag is the tag of a plaintext that [v3.Encode] wrote.
func frankingTag(plaintext []byte) []byte {
	raw, err := openTransport(plaintext)
	if err != nil {
		return nil
	}
	var application waMsgApplication.MessageApplication
	if err = open(raw, &application); err != nil {
		return nil
	}
	return authenticate(application.GetMetadata().GetFrankingKey(), raw)
}

// open decodes one envelope after its tags were found to be of the closed schema.
func open(raw []byte, message proto.Message) error {
	if err := schema().Check(raw, message); err != nil {
		return err
	}
	if err := proto.Unmarshal(raw, message); err != nil {
		return fmt.Errorf("%w: %w", wire.ErrContent, err)
	}
	return nil
}

// decodeContent reads the innermost part.
func decodeContent(content *consumerContent, self, peer network.Address) (network.Content, error) {
	switch said := content.GetContent().(type) {
	case *waConsumerApplication.ConsumerApplication_Content_MessageText:
		return network.Text{Body: wire.Clean(said.MessageText.GetText())}, nil
	case *waConsumerApplication.ConsumerApplication_Content_ExtendedTextMessage:
		return decodeText(said.ExtendedTextMessage), nil
	case *waConsumerApplication.ConsumerApplication_Content_ReactionMessage:
		target, err := wire.KeyedMessage(said.ReactionMessage.GetKey(), self, peer)
		if err != nil {
			return nil, err
		}
		return network.Reaction{Target: target, Emoji: wire.Clean(said.ReactionMessage.GetText())}, nil
	}
	media, err := decodeMedia(content)
	if err != nil {
		return nil, err
	}
	return media, nil
}

func decodeText(extended *waConsumerApplication.ConsumerApplication_ExtendedTextMessage) network.Text {
	text := network.Text{Body: wire.Clean(extended.GetText().GetText())}
	if extended.CanonicalURL != nil || extended.MatchedText != nil {
		text.Preview = &network.LinkPreview{
			URL: wire.Clean(extended.GetCanonicalURL()), Matched: wire.Clean(extended.GetMatchedText()),
			Title: wire.Clean(extended.GetTitle()), Description: wire.Clean(extended.GetDescription()),
		}
	}
	return text
}

// schema is the closed schema of all three envelopes. // assumed: U18
func schema() wire.Schema {
	s := wire.Schema{}
	s.Allow(&waCommon.SubProtocol{}, 1, 2)
	s.Allow(&waMsgTransport.MessageTransport{}, 1, 2)
	s.Allow(&waMsgTransport.MessageTransport_Payload{}, 1, 3)
	s.Allow(&waMsgTransport.MessageTransport_Protocol{}, 1, 2)
	s.Allow(&waMsgTransport.MessageTransport_Protocol_Integral{}, 1)
	s.Allow(&waMsgTransport.MessageTransport_Protocol_Ancillary{}, 3, 4)
	s.Allow(&waMsgTransport.DeviceListMetadata{}, 1, 2, 8, 9)
	s.Allow(&waMsgTransport.MessageTransport_Protocol_Ancillary_ICDCParticipantDevices{}, 1, 2, 3)
	s.Allow(&waMsgTransport.MessageTransport_Protocol_Ancillary_ICDCParticipantDevices_ICDCIdentityListDescription{}, 1, 2, 3, 4)

	s.Allow(&waMsgApplication.MessageApplication{}, 1, 2)
	s.Allow(&waMsgApplication.MessageApplication_Payload{}, 4)
	s.Allow(&waMsgApplication.MessageApplication_SubProtocolPayload{}, 1, 2)
	s.Allow(&waMsgApplication.MessageApplication_Metadata{}, 8, 9, 10)
	s.Allow(&waMsgApplication.MessageApplication_Metadata_QuotedMessage{}, 1, 3)

	s.Allow(&waConsumerApplication.ConsumerApplication{}, 1)
	s.Allow(&waConsumerApplication.ConsumerApplication_Payload{}, 1)
	s.Allow(&consumerContent{}, 1, 2, 5, 7, 8, 9, 16)
	s.Allow(&waCommon.MessageText{}, 1)
	s.Allow(&waCommon.MessageKey{}, 1, 2, 3, 4)
	s.Allow(&waConsumerApplication.ConsumerApplication_ExtendedTextMessage{}, 1, 2, 3, 4, 5, 7)
	s.Allow(&waConsumerApplication.ConsumerApplication_ImageMessage{}, 1, 2)
	s.Allow(&waConsumerApplication.ConsumerApplication_VideoMessage{}, 1, 2)
	s.Allow(&waConsumerApplication.ConsumerApplication_AudioMessage{}, 1, 2)
	s.Allow(&waConsumerApplication.ConsumerApplication_DocumentMessage{}, 1, 2)
	s.Allow(&waConsumerApplication.ConsumerApplication_ReactionMessage{}, 1, 2, 4)
	allowFiles(s)
	return s
}

// random are fresh random bytes.
func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	return b
}

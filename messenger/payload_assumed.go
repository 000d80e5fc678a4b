package messenger

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"

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
// What stands in the innermost is in content_assumed.go.

// Payload is a form of plaintext. // assumed: U18
type Payload interface {
	// Encode writes a message; file is where its file is, if it has one. Errors wrap sentinels of package network.
	Encode(message network.Message, file wire.SealedMedia) ([]byte, error)
	// Decode reads a message and checks the franking tag that came beside it. Errors wrap [wire.ErrContent].
	Decode(plaintext, tag []byte, self, peer network.Address) (network.Content, *network.MessageID, error)
	// Proof is what shows Messenger that the sender of a message sent just this: what the tag was made of, and the tag.
	Proof(plaintext, tag []byte) []byte
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
	payload, err := encodeContent(message, file)
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
	plaintext, err := wrap(payload, metadata)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", network.ErrRejected, err)
	}
	return plaintext, nil
}

// wrap puts what is said into the three envelopes.
func wrap(payload *consumerPayload, metadata *waMsgApplication.MessageApplication_Metadata) ([]byte, error) {
	consumer, err := proto.Marshal(&waConsumerApplication.ConsumerApplication{Payload: payload})
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
	content, err := decodePayload(consumer.GetPayload(), self, peer)
	if err != nil {
		return nil, nil, err
	}
	quote := application.GetMetadata().GetQuotedMessage()
	return content, wire.Quoted(quote.GetStanzaID(), quote.GetParticipant(), self, peer), nil
}

// franked is a proof in the form in which it is handed over; whom to, and how, is not known. // assumed: U18
type franked struct {
	FrankingKey        []byte `json:"franking_key"`
	FrankingTag        []byte `json:"franking_tag"`
	MessageApplication []byte `json:"message_application"`
}

// Proof implements [Payload]. Its JSON has the bytes in base64.
func (v3) Proof(plaintext, tag []byte) []byte {
	raw, err := openTransport(plaintext)
	if err != nil {
		return nil
	}
	application, err := openApplication(raw, tag)
	if err != nil {
		return nil
	}
	proof, _ := json.Marshal(franked{application.GetMetadata().GetFrankingKey(), tag, raw}) // bytes alone never fail
	return proof
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
	s.Allow(&consumerPayload{}, 1, 2)
	s.Allow(&waConsumerApplication.ConsumerApplication_ApplicationData{}, 1)
	s.Allow(&waConsumerApplication.ConsumerApplication_RevokeMessage{}, 1)
	s.Allow(&consumerContent{}, 1, 2, 5, 7, 8, 9, 12, 16, 19)
	s.Allow(&waCommon.MessageText{}, 1)
	s.Allow(&waCommon.MessageKey{}, 1, 2, 3, 4)
	s.Allow(&waConsumerApplication.ConsumerApplication_ExtendedTextMessage{}, 1, 2, 3, 4, 5, 7)
	s.Allow(&waConsumerApplication.ConsumerApplication_ImageMessage{}, 1, 2)
	s.Allow(&waConsumerApplication.ConsumerApplication_VideoMessage{}, 1, 2)
	s.Allow(&waConsumerApplication.ConsumerApplication_AudioMessage{}, 1, 2)
	s.Allow(&waConsumerApplication.ConsumerApplication_DocumentMessage{}, 1, 2)
	s.Allow(&waConsumerApplication.ConsumerApplication_StickerMessage{}, 1)
	s.Allow(&waConsumerApplication.ConsumerApplication_ReactionMessage{}, 1, 2, 4)
	s.Allow(&waConsumerApplication.ConsumerApplication_EditMessage{}, 1, 2, 3)
	allowFiles(s)
	return s
}

// random are fresh random bytes.
func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	return b
}

package meta

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	xml "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/encoding/protowire"
)

// This file is what Messenger's third-party messages look like (docs/protocol.md#messenger). assumed: U18

// The versions of the envelopes. assumed: U18
const (
	msgrEncVersion         = "3"
	msgrApplicationVersion = 2
	msgrConsumerVersion    = 1
	frankingKeySize        = 32
	maxMsgrPadding         = 15
)

// errFranking is a message whose franking does not hold.
var errFranking = errors.New("the franking does not hold")

// msgrTransport is the outermost envelope; device lists may stand in it. assumed: U18
func msgrTransport() *schema {
	description := &schema{"ICDCIdentityListDescription", fields{
		1: varint("seq"), 2: blob("signingDevice"), 3: blob("unknownDevices"), 4: varint("unknownDeviceIDs")}}
	return &schema{"MessageTransport", fields{
		1: nested("payload", &schema{"Payload", fields{1: nested("applicationPayload", subProtocol()), 3: varint("futureProof")}}),
		2: nested("protocol", &schema{"Protocol", fields{
			1: nested("integral", &schema{"Integral", fields{1: blob("padding")}}),
			2: nested("ancillary", &schema{"Ancillary", fields{
				3: nested("deviceListMetadata", &schema{"DeviceListMetadata", fields{
					1: blob("senderKeyHash"), 2: varint("senderTimestamp"), 8: blob("recipientKeyHash"), 9: varint("recipientTimestamp")}}),
				4: nested("icdc", &schema{"ICDCParticipantDevices", fields{
					1: nested("senderIdentity", description), 2: nested("recipientIdentities", description), 3: text("recipientUserJIDs")}}),
			}})}}),
	}}
}

func subProtocol() *schema {
	return &schema{"SubProtocol", fields{1: blob("payload"), 2: varint("version")}}
}

// msgrApplication is the second envelope. assumed: U18
func msgrApplication() *schema {
	return &schema{"MessageApplication", fields{
		1: nested("payload", &schema{"Payload", fields{
			4: nested("subProtocol", &schema{"SubProtocolPayload", fields{1: varint("futureProof"), 2: nested("consumerMessage", subProtocol())}})}}),
		2: nested("metadata", &schema{"Metadata", fields{
			8: hash("frankingKey"), 9: varint("frankingVersion"),
			10: nested("quotedMessage", &schema{"QuotedMessage", fields{1: text("stanzaID"), 3: text("participant")}})}}),
	}}
}

// msgrConsumer is the innermost part, of which one kind of content may be set. assumed: U18
func msgrConsumer() *schema {
	said := &schema{"MessageText", fields{1: text("text")}}
	key := &schema{"Key", fields{1: text("remoteJID"), 2: varint("fromMe"), 3: text("ID"), 4: text("participant")}}
	content := &schema{"Content", fields{
		1: nested("messageText", said),
		2: nested("imageMessage", &schema{"ImageMessage", fields{1: nested("image", subProtocol()), 2: nested("caption", said)}}),
		5: nested("extendedTextMessage", &schema{"ExtendedTextMessage", fields{
			1: nested("text", said), 2: text("matchedText"), 3: text("canonicalURL"), 4: text("description"), 5: text("title"), 7: varint("previewType")}}),
		7:  nested("documentMessage", &schema{"DocumentMessage", fields{1: nested("document", subProtocol()), 2: text("fileName")}}),
		8:  nested("audioMessage", &schema{"AudioMessage", fields{1: nested("audio", subProtocol()), 2: varint("PTT")}}),
		9:  nested("videoMessage", &schema{"VideoMessage", fields{1: nested("video", subProtocol()), 2: nested("caption", said)}}),
		12: nested("stickerMessage", &schema{"StickerMessage", fields{1: nested("sticker", subProtocol())}}),
		16: nested("reactionMessage", &schema{"ReactionMessage", fields{1: nested("key", key), 2: text("text"), 4: varint("senderTimestampMS")}}),
		19: nested("editMessage", &schema{"EditMessage", fields{1: nested("key", key), 2: nested("message", said), 3: varint("timestampMS")}}),
	}}
	return &schema{"ConsumerApplication", fields{1: nested("payload", &schema{"Payload", fields{
		1: nested("content", content),
		2: nested("applicationData", &schema{"ApplicationData", fields{
			1: nested("revoke", &schema{"RevokeMessage", fields{1: nested("key", key)}})}}),
	}})}}
}

// msgrMessage is a message of Messenger, opened.
type msgrMessage struct {
	kind           string
	content, quote value
}

// decodeMessenger opens all envelopes as phones do, and checks the franking. assumed: U18
func decodeMessenger(plaintext, tag []byte) (m msgrMessage, err error) {
	transport, err := msgrTransport().decode(plaintext)
	if err != nil {
		return m, err
	}
	raw, err := unwrap(transport.message("payload").message("applicationPayload"), msgrApplicationVersion)
	if err != nil {
		return m, err
	}
	application, err := msgrApplication().decode(raw)
	if err != nil {
		return m, err
	}
	metadata := application.message("metadata")
	key, _ := metadata["frankingKey"].([]byte)
	version, _ := metadata["frankingVersion"].(uint64)
	if len(key) != frankingKeySize || version != 0 || !hmac.Equal(tag, frank(key, raw)) {
		return m, errFranking
	}
	if raw, err = unwrap(application.message("payload").message("subProtocol").message("consumerMessage"), msgrConsumerVersion); err != nil {
		return m, err
	}
	consumer, err := msgrConsumer().decode(raw)
	if err != nil {
		return m, err
	}
	said := map[string]value{}
	for _, part := range consumer.message("payload") {
		for kind := range part.(value) {
			said[kind] = part.(value).message(kind)
		}
	}
	if len(said) != 1 {
		return m, fmt.Errorf("%d contents in one message: %w", len(said), errSubset)
	}
	for kind, content := range said {
		m = msgrMessage{kind, content, metadata.message("quotedMessage")}
	}
	return m, m.check()
}

// check holds a message against what phones demand beyond the schema: what is changed is named, and of edits and
// removals it is the sender's own. assumed: U18
func (m msgrMessage) check() error {
	key := m.content.message("key")
	switch m.kind {
	case "reactionMessage", "editMessage", "revoke":
		if key.text("ID") == "" {
			return fmt.Errorf("%s without key: %w", m.kind, errSubset)
		}
	}
	switch {
	case m.changesOwn() && key.number("fromMe") == 0:
		return fmt.Errorf("%s of another's message: %w", m.kind, errSubset)
	case m.kind == "editMessage" && m.content.message("message").text("text") == "":
		return fmt.Errorf("edit without text: %w", errSubset)
	}
	return nil
}

// changesOwn says whether a message changes or takes back an earlier one of its sender.
func (m msgrMessage) changesOwn() bool { return m.kind == "editMessage" || m.kind == "revoke" }

func unwrap(sub value, version uint64) ([]byte, error) {
	payload, _ := sub["payload"].([]byte)
	if sub["version"] != version {
		return nil, fmt.Errorf("envelope of version %v: %w", sub["version"], errSubset)
	}
	return payload, nil
}

func frank(key, application []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(application)
	return mac.Sum(nil)
}

// fill makes the readable parts of a message of Messenger.
func (m msgrMessage) fill(h *Heard) {
	h.Kind = m.kind
	h.ReplyTo, h.ReplyFrom = m.quote.text("stanzaID"), m.quote.text("participant")
	switch m.kind {
	case "messageText":
		h.Text = m.content.text("text")
	case "extendedTextMessage":
		h.Text = m.content.message("text").text("text")
		if m.content["matchedText"] != nil || m.content["canonicalURL"] != nil {
			h.Preview = &Preview{Matched: m.content.text("matchedText"), URL: m.content.text("canonicalURL"), Title: m.content.text("title"),
				Description: m.content.text("description")}
		}
	case "reactionMessage":
		key := m.content.message("key")
		h.Text = m.content.text("text")
		h.Reaction = &HeardReaction{TargetID: key.text("ID"), FromMe: key.number("fromMe") != 0, Emoji: h.Text}
	case "editMessage":
		h.Text = m.content.message("message").text("text")
		h.Edited = m.content.message("key").text("ID")
	case "revoke":
		h.Removed = m.content.message("key").text("ID")
	default:
		h.Text = m.content.message("caption").text("text")
	}
}

// encodeMessenger writes the two inner envelopes around a content; quote is nil or the quotedMessage. assumed: U18
func encodeMessenger(content, quote value) []byte {
	return encodeMsgrPayload(value{"content": content}, quote)
}

// encodeMsgrPayload is the same around all that the innermost part may be. assumed: U18
func encodeMsgrPayload(payload, quote value) []byte {
	consumer := msgrConsumer().encode(value{"payload": payload})
	key := make([]byte, frankingKeySize)
	_, _ = rand.Read(key) // never fails
	metadata := value{"frankingKey": key, "frankingVersion": uint64(0)}
	if quote != nil {
		metadata["quotedMessage"] = quote
	}
	return msgrApplication().encode(value{"metadata": metadata, "payload": value{"subProtocol": value{
		"consumerMessage": value{"payload": consumer, "version": uint64(msgrConsumerVersion)}}}})
}

func msgrText(text string) value { return value{"messageText": value{"text": text}} }

// msgrKey names a message of the conversation. assumed: U18
func msgrKey(conversation types.JID, id string, own bool) value {
	key := value{"remoteJID": jidText(conversation), "ID": id, "fromMe": uint64(0)}
	if own {
		key["fromMe"] = uint64(1)
	}
	return key
}

// msgrReaction puts an emoji on a message; an empty one takes it back.
func msgrReaction(key value, emoji string, at time.Time) []byte {
	return encodeMessenger(value{"reactionMessage": value{"key": key, "text": emoji, "senderTimestampMS": uint64(at.UnixMilli())}}, nil)
}

// msgrEdit gives a message new text. assumed: U18
func msgrEdit(key value, text string, at time.Time) []byte {
	return encodeMessenger(value{"editMessage": value{
		"key": key, "message": value{"text": text}, "timestampMS": uint64(at.UnixMilli())}}, nil)
}

// msgrRevoke takes a message back. assumed: U18
func msgrRevoke(key value) []byte {
	return encodeMsgrPayload(value{"applicationData": value{"revoke": value{"key": key}}}, nil)
}

// msgrEnvelope puts the outermost envelope around an application message, with padding inside. assumed: U18
func msgrEnvelope(application []byte, roll float64) []byte {
	return msgrTransport().encode(value{
		"payload":  value{"applicationPayload": value{"payload": application, "version": uint64(msgrApplicationVersion)}},
		"protocol": value{"integral": value{"padding": make([]byte, 1+int(roll*maxMsgrPadding))}},
	})
}

// beside is what goes with the ciphertext of an application message: franking tag and trace. assumed: U18
func beside(application []byte, trace string) []xml.Node {
	tag := frank(rawField(rawField(application, 2), 8), application)
	id := sha256.Sum256([]byte(trace))
	return []xml.Node{
		{Tag: "franking", Content: []xml.Node{{Tag: "franking_tag", Content: tag}}},
		{Tag: "trace", Content: []xml.Node{{Tag: "request_id", Content: id[:16]}}},
	}
}

// rawField is the first occurrence of a field, whatever stands around it.
func rawField(data []byte, wanted protowire.Number) []byte {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil
		}
		size := protowire.ConsumeFieldValue(number, kind, data[n:])
		if size < 0 {
			return nil
		}
		if number == wanted {
			content, _ := protowire.ConsumeBytes(data[n : n+size])
			return content
		}
		data = data[n+size:]
	}
	return nil
}

// besideOf are the children of a message that go with its ciphertext; the problem is empty
// if they are what Messenger wants. assumed: U18
func besideOf(node xml.Node) (kept []xml.Node, problem string) {
	for _, child := range node.GetChildren() {
		if child.Tag == "franking" || child.Tag == "trace" {
			kept = append(kept, child)
		}
	}
	if len(tagBeside(node)) != sha256.Size {
		return nil, "no franking tag of 32 bytes"
	}
	if !slices.ContainsFunc(kept, func(child xml.Node) bool { return child.Tag == "trace" }) {
		return nil, "no trace"
	}
	return kept, ""
}

func tagBeside(node xml.Node) []byte {
	tag, _ := childOf(node, "franking", "franking_tag").Content.([]byte)
	return tag
}

// snowflake is a message id of Messenger's form that follows from a hash.
func snowflake(sum [sha256.Size]byte) string {
	return strconv.FormatUint(binary.BigEndian.Uint64(sum[:])>>1|1<<62, 10)
}

package meta

import (
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
)

// This file is what a message's stanza says of the content, which the server cannot read.

// inner takes the wrappers off a message.
func inner(m *waE2E.Message) *waE2E.Message {
	for {
		var next *waE2E.Message
		for _, wrapper := range []*waE2E.FutureProofMessage{m.GetViewOnceMessage(), m.GetViewOnceMessageV2(), m.GetViewOnceMessageV2Extension(),
			m.GetEphemeralMessage(), m.GetDocumentWithCaptionMessage(), m.GetLottieStickerMessage(), m.GetEditedMessage(),
			m.GetAssociatedChildMessage(), m.GetGroupMentionedMessage(), m.GetEventCoverImage()} {
			if wrapper.GetMessage() != nil {
				next = wrapper.GetMessage()
			}
		}
		if next == nil {
			return m
		}
		m = next
	}
}

// kindOf is the type of a message's stanza, and of a file the media type on its ciphertext.
func kindOf(m *waE2E.Message) (kind, media string) {
	m = inner(m)
	switch {
	case m.ReactionMessage != nil, m.EncReactionMessage != nil:
		return "reaction", ""
	case m.PollCreationMessage != nil, m.PollCreationMessageV2 != nil, m.PollCreationMessageV3 != nil, m.PollUpdateMessage != nil:
		return "poll", ""
	case m.EventMessage != nil, m.EncEventResponseMessage != nil:
		return "event", ""
	}
	if media = mediaTypeOf(m); media != "" {
		return "media", media
	}
	return "text", ""
}

func mediaTypeOf(m *waE2E.Message) string {
	switch {
	case m.GetExtendedTextMessage().GetTitle() != "":
		return "url"
	case m.ImageMessage != nil:
		return "image"
	case m.StickerMessage != nil:
		return "sticker"
	case m.DocumentMessage != nil:
		return "document"
	case m.AudioMessage != nil && m.AudioMessage.GetPTT():
		return "ptt"
	case m.AudioMessage != nil:
		return "audio"
	case m.VideoMessage != nil && m.VideoMessage.GetGifPlayback():
		return "gif"
	case m.VideoMessage != nil:
		return "video"
	case m.PtvMessage != nil:
		return "ptv"
	case m.LocationMessage != nil:
		return "location"
	case m.LiveLocationMessage != nil:
		return "livelocation"
	case m.ContactMessage != nil:
		return "vcard"
	case m.ContactsArrayMessage != nil:
		return "contact_array"
	}
	return ""
}

// editOf is the edit attribute: what a message does to an earlier one.
func editOf(m *waE2E.Message) string {
	m = inner(m)
	switch {
	case m.ProtocolMessage.GetType() == waE2E.ProtocolMessage_MESSAGE_EDIT && m.ProtocolMessage.GetEditedMessage() != nil:
		return "1"
	case m.PinInChatMessage != nil:
		return "2"
	case m.ProtocolMessage != nil && m.ProtocolMessage.GetType() == waE2E.ProtocolMessage_REVOKE && m.ProtocolMessage.GetKey() != nil:
		if m.ProtocolMessage.GetKey().GetFromMe() {
			return "7"
		}
		return "8"
	case m.ReactionMessage != nil && m.ReactionMessage.GetText() == "":
		return "7"
	}
	return ""
}

// hidesFailure tells whether a message that cannot be read is not worth a notice.
func hidesFailure(m *waE2E.Message) bool {
	bare := inner(m)
	return editOf(m) != "" || bare.ReactionMessage != nil || bare.PollUpdateMessage != nil
}

// besideMessage is what goes beside the ciphertexts.
func besideMessage(m *waE2E.Message) []binary.Node {
	bare := inner(m)
	kind := ""
	switch {
	case bare.PollUpdateMessage != nil:
		kind = "vote"
	case bare.PollCreationMessage != nil, bare.PollCreationMessageV2 != nil, bare.PollCreationMessageV3 != nil:
		kind = "creation"
	default:
		return nil
	}
	return []binary.Node{{Tag: "meta", Attrs: binary.Attrs{"polltype": kind}}}
}

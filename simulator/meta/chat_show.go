package meta

import (
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// showChat makes a message within WhatsApp readable. p.mu is held.
func (p *Person) showChat(h hearing, m *waE2E.Message) Heard {
	bare := inner(m)
	heard := Heard{From: jidText(h.sender), DisplayName: h.name, ID: h.id, Time: h.at, Chat: h.chat.String(), FromMe: h.own,
		Device: h.sender.Device, Message: m, Kind: contentName(bare)}
	heard.Text = textIn(bare)
	if quote := contextOf(bare); quote != nil {
		heard.ReplyTo, heard.ReplyFrom, heard.ReplyText = quote.GetStanzaID(), quote.GetParticipant(), textIn(inner(quote.GetQuotedMessage()))
		heard.Mentions, heard.Forwarded = quote.GetMentionedJID(), quote.GetIsForwarded()
	}
	if reaction := bare.GetReactionMessage(); reaction != nil {
		heard.Text = reaction.GetText()
		heard.Reaction = &HeardReaction{TargetID: reaction.GetKey().GetID(), FromMe: reaction.GetKey().GetFromMe(), Emoji: reaction.GetText()}
	}
	heard.Media = p.showFile(heard.From, bare)
	heard.ViewOnce = m.GetViewOnceMessage() != nil || m.GetViewOnceMessageV2() != nil || m.GetViewOnceMessageV2Extension() != nil
	if key := bare.GetProtocolMessage().GetKey(); key != nil {
		switch bare.GetProtocolMessage().GetType() {
		case waE2E.ProtocolMessage_REVOKE:
			heard.Kind, heard.Removed = "revoke", key.GetID()
		case waE2E.ProtocolMessage_MESSAGE_EDIT:
			heard.Kind, heard.Edited = "edit", key.GetID()
		}
	}
	if update := bare.GetPollUpdateMessage(); update != nil {
		heard.Vote = p.showVote(h, update)
	}
	if poll := pollIn(bare); poll != nil {
		heard.Text = poll.GetName()
	}
	if preview := bare.GetExtendedTextMessage(); preview.GetMatchedText() != "" {
		heard.Preview = &Preview{Matched: preview.GetMatchedText(), URL: preview.GetMatchedText(), Title: preview.GetTitle(),
			Description: preview.GetDescription(), Thumbnail: preview.GetJPEGThumbnail()}
	}
	return heard
}

func protoName(name string) protoreflect.Name { return protoreflect.Name(name) }

// contentName is the member of a message that is its content.
func contentName(m *waE2E.Message) (name string) {
	m.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if field.Name() != "messageContextInfo" && field.Name() != "senderKeyDistributionMessage" {
			name = string(field.Name())
		}
		return true
	})
	return name
}

// textIn is the text or caption of a message.
func textIn(m *waE2E.Message) string {
	for _, text := range []string{m.GetConversation(), m.GetExtendedTextMessage().GetText(), m.GetImageMessage().GetCaption(),
		m.GetVideoMessage().GetCaption(), m.GetDocumentMessage().GetCaption(), textOfProtocol(m)} {
		if text != "" {
			return text
		}
	}
	return ""
}

func textOfProtocol(m *waE2E.Message) string {
	if edited := m.GetProtocolMessage().GetEditedMessage(); edited != nil {
		return textIn(inner(edited))
	}
	return ""
}

// contextOf is what a content says of other messages and people, nil if nothing.
func contextOf(m *waE2E.Message) (found *waE2E.ContextInfo) {
	m.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if field.Kind() != protoreflect.MessageKind || field.IsList() || field.IsMap() {
			return true
		}
		content := v.Message()
		context := content.Descriptor().Fields().ByName("contextInfo")
		if context == nil || !content.Has(context) {
			return true
		}
		found, _ = content.Get(context).Message().Interface().(*waE2E.ContextInfo)
		return false
	})
	return found
}

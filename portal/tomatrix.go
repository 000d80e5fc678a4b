package portal

import (
	"fmt"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"

	"causeway/network"
)

// Notices are the words for messages that cannot be shown as they are.
type Notices struct {
	// Unsupported says that something of the named kind was sent and cannot be shown.
	Unsupported func(kind string) string
	// Undecryptable says that a message could not be opened and may still come.
	Undecryptable string
}

// ToMatrix converts a message that arrived. The quoted message counts only if it
// belongs to the same conversation.
func ToMatrix(msg network.Message, notices Notices) (*bridgev2.ConvertedMessage, error) {
	content, placeholder, err := contentToMatrix(msg.Content, notices)
	if err != nil {
		return nil, err
	}
	converted := &bridgev2.ConvertedMessage{Parts: []*bridgev2.ConvertedMessagePart{{
		Type:       event.EventMessage,
		Content:    content,
		DBMetadata: &MessageMetadata{Placeholder: placeholder},
	}}}
	if msg.ReplyTo != nil && msg.ReplyTo.Conversation == msg.ID.Conversation {
		converted.ReplyTo = &networkid.MessageOptionalPartID{MessageID: MessageID(*msg.ReplyTo)}
	}
	return converted, nil
}

func contentToMatrix(content network.Content, notices Notices) (out *event.MessageEventContent, placeholder bool, err error) {
	switch content := content.(type) {
	case network.Text:
		return textToMatrix(content.Body), false, nil
	case network.Unsupported:
		return notice(notices.Unsupported(content.Type)), false, nil
	case network.Undecryptable:
		return notice(notices.Undecryptable), true, nil
	default:
		return nil, false, fmt.Errorf("failed to convert a message: no conversion for %T", content)
	}
}

// IsPlaceholder says whether a bridged message stands for content that was still missing.
func IsPlaceholder(message *database.Message) bool {
	metadata, ok := message.Metadata.(*MessageMetadata)
	return ok && metadata.Placeholder
}

// ReplacePlaceholder turns a placeholder into the message that it stood for.
func ReplacePlaceholder(msg network.Message, notices Notices, placeholder *database.Message) (*bridgev2.ConvertedEdit, error) {
	converted, err := ToMatrix(msg, notices)
	if err != nil {
		return nil, err
	}
	return &bridgev2.ConvertedEdit{
		ModifiedParts: []*bridgev2.ConvertedEditPart{converted.Parts[0].ToEditPart(placeholder)},
	}, nil
}

func notice(body string) *event.MessageEventContent {
	return &event.MessageEventContent{MsgType: event.MsgNotice, Body: body, Mentions: &event.Mentions{}}
}

func textToMatrix(body string) *event.MessageEventContent {
	body = cleanText(body)
	content := &event.MessageEventContent{MsgType: event.MsgText, Body: body, Mentions: &event.Mentions{}}
	if html, formatted := markupToHTML(body); formatted {
		content.Format = event.FormatHTML
		content.FormattedBody = html
	}
	return content
}

package portal

import (
	"fmt"
	"html"
	"slices"
	"strings"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/puppet"
)

const (
	// maxHTML is how many bytes body and HTML may have together: an event with more is refused by homeservers.
	maxHTML = 48 << 10
	// maxBody is how many bytes of text stand in a room; of a longer text, [head] bytes do, and all of it in a file.
	maxBody = 32 << 10
	head    = 4 << 10
	// maxTitle and maxDescription are how many characters of a link's preview are shown.
	maxTitle       = 200
	maxDescription = 600
)

// Notices are the words for messages that cannot be shown as they are.
type Notices struct {
	// Unsupported says that something of the named kind was sent and cannot be shown.
	Unsupported func(kind string) string
	// Undecryptable says that a message could not be opened and may still come.
	Undecryptable string
}

// ToMatrix converts a message that arrived. The quoted message counts only if it
// belongs to the same conversation. Files need to be uploaded before they can be converted: see [MediaToMatrix].
func ToMatrix(msg network.Message, notices Notices) (*bridgev2.ConvertedMessage, error) {
	content, placeholder, err := contentToMatrix(msg.Content, notices)
	if err != nil {
		return nil, err
	}
	return Converted(msg, &bridgev2.ConvertedMessagePart{
		Type:       event.EventMessage,
		Content:    content,
		DBMetadata: &MessageMetadata{Placeholder: placeholder},
	}), nil
}

// Converted is a message of ready parts, with the quote that belongs to it.
func Converted(msg network.Message, parts ...*bridgev2.ConvertedMessagePart) *bridgev2.ConvertedMessage {
	for i, part := range parts[1:] {
		part.ID = networkid.PartID(fmt.Sprint(i + 1))
	}
	if len(parts) > 1 {
		for _, part := range parts {
			part.DBMetadata.(*MessageMetadata).Parts = len(parts)
		}
	}
	converted := &bridgev2.ConvertedMessage{Parts: parts}
	if msg.ReplyTo != nil && msg.ReplyTo.Conversation == msg.ID.Conversation {
		converted.ReplyTo = &networkid.MessageOptionalPartID{MessageID: MessageID(*msg.ReplyTo)}
	}
	return converted
}

func contentToMatrix(content network.Content, notices Notices) (out *event.MessageEventContent, placeholder bool, err error) {
	switch content := content.(type) {
	case network.Text:
		return textToMatrix(content), false, nil
	case network.Unsupported:
		return notice(notices.Unsupported(content.Type)), true, nil
	case network.Undecryptable:
		return notice(notices.Undecryptable), true, nil
	default:
		return nil, false, fmt.Errorf("failed to convert a message: no conversion for %T", content)
	}
}

// IsPlaceholder says whether a bridged message stands for content that was missing, or that could not be shown.
func IsPlaceholder(message *database.Message) bool {
	metadata, ok := message.Metadata.(*MessageMetadata)
	return ok && metadata.Placeholder && !metadata.TakenBack
}

// IsIncomplete says whether events of a bridged message are missing: bridgev2 sends them one by one, and not all may have
// come to their room before the process or the homeserver failed.
func IsIncomplete(existing []*database.Message) bool {
	metadata, ok := existing[0].Metadata.(*MessageMetadata)
	return ok && len(existing) < metadata.Parts
}

// Complete adds what of a message is not in its room yet.
func Complete(converted *bridgev2.ConvertedMessage, existing []*database.Message) *bridgev2.ConvertedEdit {
	missing := *converted
	missing.Parts = slices.DeleteFunc(slices.Clone(converted.Parts), func(part *bridgev2.ConvertedMessagePart) bool {
		return slices.ContainsFunc(existing, func(known *database.Message) bool { return known.PartID == part.ID })
	})
	if len(missing.Parts) == 0 {
		return &bridgev2.ConvertedEdit{}
	}
	return &bridgev2.ConvertedEdit{AddedParts: &missing}
}

// TakeBack marks a placeholder that is taken out of its room together with what it stood for, which may still come. It returns
// false for any other message: what was there wholly can be forgotten.
func TakeBack(message *database.Message) bool {
	metadata, ok := message.Metadata.(*MessageMetadata)
	if !ok || !metadata.Placeholder {
		return false
	}
	metadata.TakenBack = true
	return true
}

// ReplacePlaceholder turns a placeholder, the first of what is there, into the message that it stood for.
func ReplacePlaceholder(converted *bridgev2.ConvertedMessage, existing []*database.Message) *bridgev2.ConvertedEdit {
	change := Complete(converted, existing)
	change.ModifiedParts = []*bridgev2.ConvertedEditPart{converted.Parts[0].ToEditPart(existing[0])}
	return change
}

// NewForm puts new content in place of a message's: its first event is replaced, those that only the old content had go,
// and those that only the new one has come. An edit that is tried again finds its own by their names.
func NewForm(converted *bridgev2.ConvertedMessage, existing []*database.Message, edit network.MessageID) *bridgev2.ConvertedEdit {
	for _, part := range converted.Parts[1:] {
		part.ID += networkid.PartID("/" + edit.ID)
	}
	change := ReplacePlaceholder(converted, existing)
	change.DeletedParts = slices.DeleteFunc(slices.Clone(existing[1:]), func(known *database.Message) bool {
		return slices.ContainsFunc(converted.Parts, func(part *bridgev2.ConvertedMessagePart) bool { return known.PartID == part.ID })
	})
	return change
}

// LongText says whether a text is too long to stand in a room, and if so what of it does; all of it goes into a file.
func LongText(text network.Text) (beginning network.Text, long bool) {
	if len(text.Body) <= maxBody {
		return text, false
	}
	return network.Text{Body: cut(text.Body, head) + "…"}, true
}

func notice(body string) *event.MessageEventContent {
	return &event.MessageEventContent{MsgType: event.MsgNotice, Body: body, Mentions: &event.Mentions{}}
}

func textToMatrix(text network.Text) *event.MessageEventContent {
	content := &event.MessageEventContent{MsgType: event.MsgText}
	setText(content, text.Body)
	if text.Preview != nil {
		addPreview(content, *text.Preview)
	}
	return content
}

// setText writes a remote text into an event, as HTML too if it has markup.
func setText(content *event.MessageEventContent, text string) {
	content.Body = cleanText(text)
	content.Mentions = &event.Mentions{}
	source, formatted := markupToHTML(content.Body)
	if formatted && len(source)+len(content.Body) <= maxHTML {
		content.Format, content.FormattedBody = event.FormatHTML, source
	}
}

// addPreview describes a text's link: as data for clients that know it, and in sight of the others.
func addPreview(content *event.MessageEventContent, preview network.LinkPreview) {
	address := cleanText(preview.URL)
	if address == "" {
		address = cleanText(preview.Matched)
	}
	title, description := line(preview.Title, maxTitle), line(preview.Description, maxDescription)
	if linkLength(address) != len(address) || address == "" || title == "" && description == "" {
		return
	}
	content.BeeperLinkPreviews = []*event.BeeperLinkPreview{{
		MatchedURL:  cleanText(preview.Matched),
		LinkPreview: event.LinkPreview{CanonicalURL: address, Title: title, Description: description},
	}}
	source, _ := markupToHTML(content.Body)
	var out strings.Builder
	out.WriteString(source + "<blockquote>")
	if title != "" {
		out.WriteString("<strong>" + html.EscapeString(title) + "</strong>")
	}
	if title != "" && description != "" {
		out.WriteString("<br>")
	}
	out.WriteString(html.EscapeString(description) + "</blockquote>")
	if out.Len()+len(content.Body) <= maxHTML {
		content.Format, content.FormattedBody = event.FormatHTML, out.String()
	}
}

// AddPreviewImage adds the picture of a link's preview, once it is uploaded.
func AddPreviewImage(content *event.MessageEventContent, image Uploaded) {
	for _, preview := range content.BeeperLinkPreviews {
		preview.ImageURL, preview.ImageEncryption = image.URL, image.File
		preview.ImageType = image.MIME
		preview.ImageSize = event.IntOrString(image.Size)
		preview.ImageWidth, preview.ImageHeight = event.IntOrString(image.Width), event.IntOrString(image.Height)
	}
}

// line is one harmless line of at most limit characters.
func line(text string, limit int) string {
	runes := []rune(callNobody(puppet.Clean(text)))
	if len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return string(runes)
}

package whatsapp

import (
	"fmt"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// canonicalURL is a field of an extended text that the library's schema does not name.
const canonicalURL = 4

// encodeText writes a plain text in the form that old phones know too, and one with a
// quote or a preview in the extended form (docs/protocol.md#subset).
func encodeText(text network.Text, quote *waE2E.ContextInfo) (*waE2E.Message, error) {
	if err := wire.CheckText(text.Body); err != nil {
		return nil, err
	}
	if quote == nil && text.Preview == nil {
		return &waE2E.Message{Conversation: proto.String(text.Body)}, nil
	}
	extended := &waE2E.ExtendedTextMessage{Text: proto.String(text.Body), ContextInfo: quote}
	if preview := text.Preview; preview != nil {
		if len(preview.Thumbnail) > wire.LargestThumbnail {
			return nil, fmt.Errorf("%w: a thumbnail of %d bytes", network.ErrTooLarge, len(preview.Thumbnail))
		}
		extended.MatchedText = optional(preview.Matched)
		extended.Title, extended.Description = optional(preview.Title), optional(preview.Description)
		extended.JPEGThumbnail = preview.Thumbnail
		if preview.URL != "" {
			extended.ProtoReflect().SetUnknown(protowire.AppendString(
				protowire.AppendTag(nil, canonicalURL, protowire.BytesType), preview.URL))
		}
	}
	return &waE2E.Message{ExtendedTextMessage: extended}, nil
}

// optional is a text field, which is absent when empty.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// decodeText reads an extended text, with its preview where it describes a link.
func decodeText(extended *waE2E.ExtendedTextMessage) network.Text {
	text := network.Text{Body: wire.Clean(extended.GetText())}
	preview := network.LinkPreview{
		URL: wire.Clean(canonicalURLOf(extended)), Matched: wire.Clean(extended.GetMatchedText()),
		Title: wire.Clean(extended.GetTitle()), Description: wire.Clean(extended.GetDescription()),
	}
	if preview.URL == "" {
		preview.URL = preview.Matched
	}
	if preview.URL == "" {
		return text // colours of a text alone describe nothing
	}
	preview.Thumbnail = thumbnailOf(extended)
	text.Preview = &preview
	return text
}

// canonicalURLOf finds the field among those that decoding kept without knowing them;
// the last one counts, as everywhere in the format.
func canonicalURLOf(extended *waE2E.ExtendedTextMessage) (url string) {
	raw := extended.ProtoReflect().GetUnknown()
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeField(raw)
		if n < 0 {
			return url
		}
		if number == canonicalURL && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(raw)
			value, _ := protowire.ConsumeString(raw[tag:])
			url = value
		}
		raw = raw[n:]
	}
	return url
}

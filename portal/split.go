package portal

import (
	"strings"
	"unicode/utf8"

	"causeway/network"
)

// Split cuts a text that is too long for one message into several, at the end of a line or else of a word
// (docs/protocol.md#subset). Nothing of it is lost but the break itself. The link's preview goes with the piece that has the link.
func Split(text network.Text) []network.Text {
	var pieces []network.Text
	rest := text.Body
	for len(rest) > MaxTextLength {
		piece, after := splitAt(rest)
		pieces = append(pieces, network.Text{Body: piece})
		rest = after
	}
	pieces = append(pieces, network.Text{Body: rest})
	for i := range pieces {
		if text.Preview != nil && strings.Contains(pieces[i].Body, text.Preview.Matched) {
			pieces[i].Preview = text.Preview
			break
		}
	}
	return pieces
}

// splitAt takes the longest piece that fits from a text, and leaves a tenth of it unused at most for the sake of whole words.
func splitAt(text string) (piece, rest string) {
	end := MaxTextLength
	for !utf8.RuneStart(text[end]) {
		end--
	}
	for _, separator := range []string{"\n\n", "\n", " "} {
		at := strings.LastIndex(text[:end], separator)
		if at >= MaxTextLength*9/10 && strings.TrimSpace(text[at:]) != "" {
			return text[:at], text[at+len(separator):]
		}
	}
	return text[:end], text[end:]
}

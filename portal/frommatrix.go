package portal

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/format"

	"causeway/network"
)

// FromMatrix converts what a user wrote. Errors wrap [network.ErrUnsupported]
// for content that a third-party chat does not carry and [network.ErrTooLarge].
func FromMatrix(content *event.MessageEventContent) (network.Content, error) {
	switch content.MsgType {
	case event.MsgText, event.MsgNotice:
		return textFromMatrix(content, "")
	case event.MsgEmote:
		return textFromMatrix(content, "* ")
	default:
		return nil, fmt.Errorf("failed to convert a message of type %s: %w", content.MsgType, network.ErrUnsupported)
	}
}

func textFromMatrix(content *event.MessageEventContent, prefix string) (network.Content, error) {
	text := content.Body
	if content.Format == event.FormatHTML && content.FormattedBody != "" {
		text = htmlToMarkup(content.FormattedBody)
	}
	text = prefix + strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	if strings.TrimSpace(text) == strings.TrimSpace(prefix) {
		return nil, fmt.Errorf("failed to convert an empty message: %w", network.ErrUnsupported)
	}
	if utf8.RuneCountInString(text) > MaxTextLength {
		return nil, fmt.Errorf("failed to convert a message of over %d characters: %w", MaxTextLength, network.ErrTooLarge)
	}
	return network.Text{Body: text}, nil
}

// htmlToMarkup writes Matrix HTML in the network's markup. Unknown tags are
// dropped and their content kept; what is not meant for eyes is dropped whole.
func htmlToMarkup(source string) string {
	parser := &format.HTMLParser{
		TabsToSpaces:           4,
		Newline:                "\n",
		HorizontalLine:         "\n---\n",
		BoldConverter:          wrap("*"),
		ItalicConverter:        wrap("_"),
		StrikethroughConverter: wrap("~"),
		UnderlineConverter:     keep,
		MonospaceConverter:     wrap("`"),
		SpoilerConverter:       func(text, _ string, _ format.Context) string { return text },
		LinkConverter:          link,
		PillConverter:          func(name, _, _ string, _ format.Context) string { return name },
		MonospaceBlockConverter: func(code, _ string, _ format.Context) string {
			if strings.Contains(code, fence) {
				return code
			}
			return fence + strings.Trim(code, "\n") + fence
		},
	}
	return parser.Parse(tidy(source), format.NewContext(context.Background()))
}

func keep(text string, _ format.Context) string { return text }

// wrap sets each line of a text between markers. Text that holds the marker
// itself stays bare: pairs that do not match would format something else.
func wrap(marker string) format.TextConverter {
	return func(text string, _ format.Context) string {
		if strings.Contains(text, marker) {
			return text
		}
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			core := strings.TrimSpace(line)
			if core != "" {
				lines[i] = strings.Replace(line, core, marker+core+marker, 1)
			}
		}
		return strings.Join(lines, "\n")
	}
}

func link(text, target string, _ format.Context) string {
	bare := strings.TrimPrefix(target, "mailto:")
	if text == bare || text == target || text == "" {
		return bare
	}
	return text + " (" + bare + ")"
}

// tidy takes out elements whose content no reader sees, and moves spaces out of
// formatted words: markers must touch what they mark.
func tidy(source string) string {
	root, err := html.Parse(strings.NewReader(source))
	if err != nil {
		return html.EscapeString(source)
	}
	var hidden, inline []*html.Node
	for node := range root.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		switch node.Data {
		case "script", "style", "mx-reply":
			hidden = append(hidden, node)
		case "b", "strong", "i", "em", "s", "del", "strike", "code":
			inline = append(inline, node)
		}
	}
	for _, node := range hidden {
		node.Parent.RemoveChild(node)
	}
	for i := len(inline) - 1; i >= 0; i-- {
		hoistSpaces(inline[i])
	}
	var out strings.Builder
	if err := html.Render(&out, root); err != nil {
		return html.EscapeString(source)
	}
	return out.String()
}

func hoistSpaces(node *html.Node) {
	if node.Parent == nil || node.FirstChild == nil || node.Parent.Data == "pre" {
		return
	}
	space := func() *html.Node { return &html.Node{Type: html.TextNode, Data: " "} }
	if first := node.FirstChild; first.Type == html.TextNode && strings.HasPrefix(first.Data, " ") {
		first.Data = strings.TrimLeft(first.Data, " ")
		node.Parent.InsertBefore(space(), node)
	}
	if last := node.LastChild; last.Type == html.TextNode && strings.HasSuffix(last.Data, " ") {
		last.Data = strings.TrimRight(last.Data, " ")
		node.Parent.InsertBefore(space(), node.NextSibling)
	}
}

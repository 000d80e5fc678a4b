package portal

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/net/html"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/format"
	"maunium.net/go/mautrix/id"

	"causeway/network"
)

const (
	// maxDepth and maxNodes bound the HTML that is converted; beyond them the plain body counts.
	maxDepth = 32
	maxNodes = 20_000
	// unwrapped is how deep the parser nests the body of a document.
	unwrapped = 2
)

// FromMatrix converts what a user wrote, or where they are. Errors wrap [network.ErrUnsupported]
// for content that a third-party chat does not carry. A long text comes whole: see [Split]. Files are for [FileFromMatrix].
func FromMatrix(content *event.MessageEventContent) (network.Content, error) {
	switch content.MsgType {
	case event.MsgText, event.MsgNotice:
		return textFromMatrix(content, "")
	case event.MsgEmote:
		return textFromMatrix(content, "* ")
	case event.MsgLocation:
		return locationText(content)
	default:
		return nil, fmt.Errorf("failed to convert a message of type %s: %w", content.MsgType, network.ErrUnsupported)
	}
}

func textFromMatrix(content *event.MessageEventContent, prefix string) (network.Content, error) {
	text := writtenText(content)
	if text == "" {
		return nil, fmt.Errorf("failed to convert an empty message: %w", network.ErrUnsupported)
	}
	converted := network.Text{Body: prefix + text}
	converted.Preview = previewFromMatrix(content, converted.Body)
	return converted, nil
}

// writtenText is the text of an event in the network's markup, without the quote that old clients put before a reply.
func writtenText(content *event.MessageEventContent) string { return writtenCalling(content, nil) }

// writtenCalling is [writtenText] with the people whom it calls spelled by pill, by their names if pill is nil.
func writtenCalling(content *event.MessageEventContent, pill func(name string, user id.UserID) string) string {
	text, converted := "", false
	if content.Format == event.FormatHTML && content.FormattedBody != "" {
		text, converted = htmlToMarkup(event.TrimReplyFallbackHTML(strings.ToValidUTF8(content.FormattedBody, "\uFFFD")), pill)
	}
	if !converted {
		text = content.Body
		if content.RelatesTo.GetReplyTo() != "" {
			text = event.TrimReplyFallbackText(text)
		}
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}

// previewFromMatrix is the preview that a client sent along, if it describes a link of the text.
func previewFromMatrix(content *event.MessageEventContent, body string) *network.LinkPreview {
	for _, preview := range content.BeeperLinkPreviews {
		if preview == nil || preview.MatchedURL == "" || !strings.Contains(body, preview.MatchedURL) {
			continue
		}
		address := preview.CanonicalURL
		if address == "" {
			address = preview.MatchedURL
		}
		title := line(preview.Title, maxTitle)
		if title == "" || linkLength(address) != len(address) {
			continue
		}
		return &network.LinkPreview{
			URL: address, Matched: preview.MatchedURL, Title: title, Description: line(preview.Description, maxDescription),
		}
	}
	return nil
}

// PreviewPicture is where the picture of a preview lies on the homeserver; the address is empty if there is none.
func PreviewPicture(content *event.MessageEventContent, preview network.LinkPreview) (id.ContentURIString, *event.EncryptedFileInfo) {
	for _, sent := range content.BeeperLinkPreviews {
		if sent == nil || sent.MatchedURL != preview.Matched {
			continue
		}
		if sent.ImageEncryption != nil {
			return sent.ImageEncryption.URL, sent.ImageEncryption
		}
		return sent.ImageURL, nil
	}
	return "", nil
}

// htmlToMarkup writes Matrix HTML in the network's markup. Unknown tags are dropped and their content kept; what is
// not meant for eyes is dropped whole. False means that the HTML is beyond its bounds.
func htmlToMarkup(source string, pill func(name string, user id.UserID) string) (string, bool) {
	source, ok := tidy(source)
	if !ok {
		return "", false
	}
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
		PillConverter: func(name, target, _ string, _ format.Context) string {
			if pill == nil {
				return name
			}
			return pill(name, id.UserID(target))
		},
		MonospaceBlockConverter: func(code, _ string, _ format.Context) string {
			if strings.Contains(code, fence) {
				return code
			}
			return fence + strings.Trim(code, "\n") + fence
		},
	}
	return parser.Parse(source, format.NewContext(context.Background())), true
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

// link writes a link as text and address; an address that no phone would open is left out.
func link(text, target string, _ format.Context) string {
	bare := strings.TrimPrefix(target, "mailto:")
	scheme, _, _ := strings.Cut(strings.ToLower(target), ":")
	switch scheme {
	case "http", "https", "mailto", "tel", "geo":
	default:
		return text
	}
	if text == bare || text == target || text == "" || "https://"+text == target || "http://"+text == target {
		return bare
	}
	return text + " (" + bare + ")"
}

// tidy takes out elements whose content no reader sees, makes headings bold lines, and moves spaces out of
// formatted words: markers must touch what they mark. False means that the HTML is too deep or has too many parts.
func tidy(source string) (string, bool) {
	if strings.Count(source, "<") > maxNodes {
		return "", false
	}
	root, err := html.Parse(strings.NewReader(source))
	if err != nil || !bounded(root) {
		return "", false
	}
	hidden, inline := plainer(root)
	for _, node := range hidden {
		if node.Parent != nil {
			node.Parent.RemoveChild(node)
		}
	}
	for i := len(inline) - 1; i >= 0; i-- {
		hoistSpaces(inline[i])
	}
	var out strings.Builder
	if err := html.Render(&out, root); err != nil {
		return "", false
	}
	return out.String(), true
}

// plainer writes headings and tables in simpler elements, and finds those that nobody sees and those that markers stand for.
func plainer(root *html.Node) (hidden, inline []*html.Node) {
	for node := range root.Descendants() {
		if node.Type == html.TextNode && !within(node, "pre") {
			node.Data = strings.ReplaceAll(strings.Trim(node.Data, "\n"), "\n", " ")
		}
		if node.Type != html.ElementNode {
			continue
		}
		switch node.Data {
		case "script", "style", "title", "template", "noscript", "iframe", "object", "textarea", "select":
			hidden = append(hidden, node)
		case "b", "strong", "i", "em", "s", "del", "strike", "code":
			inline = append(inline, node)
		case "h1", "h2", "h3", "h4", "h5", "h6":
			makeBold(node)
		case "table", "thead", "tbody", "tr", "summary":
			node.Data = "div"
		case "td", "th":
			node.Data = "span"
			if node.PrevSibling != nil {
				node.InsertBefore(&html.Node{Type: html.TextNode, Data: "\u00a0| "}, node.FirstChild)
			}
		}
	}
	return hidden, inline
}

func bounded(root *html.Node) bool {
	nodes := 0
	for node := range root.Descendants() {
		nodes++
		depth := 0
		for up := node.Parent; up != nil && depth <= maxDepth+unwrapped; up = up.Parent {
			depth++
		}
		if nodes > maxNodes || depth > maxDepth+unwrapped {
			return false
		}
	}
	return true
}

func within(node *html.Node, tag string) bool {
	for up := node.Parent; up != nil; up = up.Parent {
		if up.Data == tag {
			return true
		}
	}
	return false
}

// makeBold turns a heading, which the network does not have, into a bold paragraph.
func makeBold(heading *html.Node) {
	bold := &html.Node{Type: html.ElementNode, Data: "strong"}
	for child := heading.FirstChild; child != nil; child = heading.FirstChild {
		heading.RemoveChild(child)
		bold.AppendChild(child)
	}
	heading.AppendChild(bold)
	heading.Data = "p"
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

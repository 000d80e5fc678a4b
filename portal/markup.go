package portal

import (
	"html"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const fence = "```"

// inlineTags are the network's markup characters and the tags they stand for; the mark of mono text is another matter.
var inlineTags = map[rune]string{'*': "strong", '_': "em", '~': "del"}

// markupToHTML reads the network's markup and says whether there was any. All
// text is escaped first: the only tags in the result are ours.
func markupToHTML(text string) (string, bool) {
	var out strings.Builder
	formatted := false
	for {
		before, rest, found := strings.Cut(text, fence)
		code, after, closed := strings.Cut(rest, fence)
		if !found || !closed || strings.TrimSpace(code) == "" {
			formatted = writeBlocks(&out, text) || formatted
			return out.String(), formatted
		}
		formatted = true
		writeBlocks(&out, strings.TrimSuffix(before, "\n"))
		out.WriteString("<pre><code>" + html.EscapeString(strings.Trim(code, "\n")) + "</code></pre>")
		text = strings.TrimPrefix(after, "\n")
	}
}

// block is a run of lines of one kind.
type block struct {
	open, close string
	// strip takes a line's marker off and says whether it had one.
	strip func(line string) (string, bool)
	// item wraps each line, as in a list; otherwise lines are joined by line breaks.
	item bool
}

// blocks are tried in order; a line that none of them takes is ordinary text.
var blocks = []block{
	{"<blockquote>", "</blockquote>", func(line string) (string, bool) { return cutPrefix(line, "> ") }, false},
	{"<ul>", "</ul>", func(line string) (string, bool) {
		if rest, ok := cutPrefix(line, "* "); ok {
			return rest, true
		}
		return cutPrefix(line, "- ")
	}, true},
}

func writeBlocks(out *strings.Builder, text string) (formatted bool) {
	if text == "" {
		return false
	}
	lines := strings.Split(text, "\n")
	plainBefore := false
	for i := 0; i < len(lines); {
		kind, taken := leadingBlock(lines[i:])
		if taken == 0 {
			if plainBefore {
				out.WriteString("<br>")
			}
			formatted = writeInline(out, lines[i], "") || formatted
			plainBefore = true
			i++
			continue
		}
		formatted, plainBefore = true, false
		writeBlock(out, kind, lines[i:i+taken])
		i += taken
	}
	return formatted
}

func leadingBlock(lines []string) (kind block, taken int) {
	for _, kind := range append(blocks, orderedList(lines[0])) {
		for taken < len(lines) {
			if _, ok := kind.strip(lines[taken]); !ok {
				break
			}
			taken++
		}
		if taken > 0 {
			return kind, taken
		}
	}
	return block{}, 0
}

func writeBlock(out *strings.Builder, kind block, lines []string) {
	out.WriteString(kind.open)
	for i, line := range lines {
		content, _ := kind.strip(line)
		switch {
		case kind.item:
			out.WriteString("<li>")
		case i > 0:
			out.WriteString("<br>")
		}
		writeInline(out, content, "")
		if kind.item {
			out.WriteString("</li>")
		}
	}
	out.WriteString(kind.close)
}

// orderedList is the list that begins with a line such as "3. three".
func orderedList(first string) block {
	number, _, _ := strings.Cut(first, ".")
	open := "<ol>"
	if number != "1" {
		open = `<ol start="` + html.EscapeString(number) + `">`
	}
	return block{open, "</ol>", stripNumber, true}
}

func stripNumber(line string) (string, bool) {
	number, rest, found := strings.Cut(line, ". ")
	if !found || number == "" || len(number) > 3 || rest == "" {
		return "", false
	}
	for _, c := range number {
		if c < '0' || c > '9' {
			return "", false
		}
	}
	return rest, true
}

func cutPrefix(line, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(line, prefix)
	return rest, ok && strings.TrimSpace(rest) != ""
}

// writeInline writes one line with its bold, italic, struck and mono parts and its links. Markers that are
// open already mean nothing inside, which bounds the depth.
func writeInline(out *strings.Builder, line, open string) (formatted bool) {
	// barren remembers markers that have no closing partner in the rest of the line, so that time stays linear.
	barren := make(map[rune]bool)
	before := rune(0)
	for i := 0; i < len(line); {
		if length := linkLength(line[i:]); length > 0 && !isWord(before) {
			writeLink(out, line[i:i+length])
			i += length
			before = '/'
			continue
		}
		r, size := utf8.DecodeRuneInString(line[i:])
		if isMarker(r) && !barren[r] && !isWord(before) && !strings.ContainsRune(open, r) {
			length := closing(line[i+size:], r)
			if length > 0 {
				writeMarked(out, r, line[i+size:i+size+length], open)
				formatted = true
				i += size + length + size
				before = r
				continue
			}
			barren[r] = length < 0
		}
		out.WriteString(html.EscapeString(line[i : i+size]))
		before = r
		i += size
	}
	return formatted
}

func isMarker(r rune) bool { return r == '`' || inlineTags[r] != "" }

func writeMarked(out *strings.Builder, marker rune, inner, open string) {
	if marker == '`' {
		out.WriteString("<code>" + html.EscapeString(inner) + "</code>")
		return
	}
	tag := inlineTags[marker]
	out.WriteString("<" + tag + ">")
	writeInline(out, inner, open+string(marker))
	out.WriteString("</" + tag + ">")
}

// linkLength is how many bytes of a web address a text begins with. Punctuation at the end belongs to the sentence.
func linkLength(text string) int {
	head := strings.ToLower(text[:min(len(text), len("https://"))])
	if !strings.HasPrefix(head, "https://") && !strings.HasPrefix(head, "http://") {
		return 0
	}
	end := strings.IndexFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("<>\"`", r)
	})
	if end < 0 {
		end = len(text)
	}
	address := strings.TrimRight(text[:end], ".,;:!?'")
	if strings.HasSuffix(address, ")") && !strings.Contains(address, "(") {
		address = strings.TrimRight(address, ").,;:!?'")
	}
	if strings.HasSuffix(address, "/") && len(address) <= len("https://") {
		return 0
	}
	return len(address)
}

// writeLink writes a web address as a link, and one that clients would show as a person or a room as text.
func writeLink(out *strings.Builder, address string) {
	escaped := html.EscapeString(address)
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || strings.EqualFold(strings.TrimRight(parsed.Hostname(), "."), "matrix.to") {
		out.WriteString(escaped)
		return
	}
	out.WriteString(`<a href="` + escaped + `">` + escaped + "</a>")
}

// closing is how many bytes of text a marker before it encloses: 0 if text cannot
// follow an opening marker, -1 if nothing closes it.
func closing(text string, marker rune) int {
	first, _ := utf8.DecodeRuneInString(text)
	if text == "" || unicode.IsSpace(first) || first == marker {
		return 0
	}
	last := first
	for i, r := range text {
		if r == marker && i > 0 && !unicode.IsSpace(last) {
			next, _ := utf8.DecodeRuneInString(text[i+1:])
			if i+1 == len(text) || !isWord(next) {
				return i
			}
		}
		last = r
	}
	return -1
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

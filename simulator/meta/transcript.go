package meta

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/binary"
)

// transcript is a bounded record of stanzas as text, oldest dropped first.
type transcript struct {
	mu    sync.Mutex
	lines []string
	next  int
	limit int
}

// shownBytes is how much of a binary content is shown; keys, tokens and ciphertext stay out of it.
const shownBytes = 4

func (t *transcript) note(at time.Time, line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line = at.UTC().Format("15:04:05.000") + " " + line
	if len(t.lines) < t.limit {
		t.lines = append(t.lines, line)
		return
	}
	if t.limit > 0 {
		t.lines[t.next] = line
		t.next = (t.next + 1) % t.limit
	}
}

func (t *transcript) stanza(at time.Time, direction, who string, node binary.Node) {
	if t.limit == 0 {
		return
	}
	t.note(at, direction+" "+who+" "+shorten(node).String())
}

func (t *transcript) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := append(t.lines[t.next:len(t.lines):len(t.lines)], t.lines[:t.next]...)
	return strings.Join(lines, "\n")
}

// shorten replaces every binary content by its length and first bytes.
func shorten(node binary.Node) binary.Node {
	short := binary.Node{Tag: node.Tag, Attrs: binary.Attrs{}}
	for key, value := range node.Attrs {
		short.Attrs[key] = textOf(value)
	}
	switch content := node.Content.(type) {
	case []binary.Node:
		children := make([]binary.Node, 0, len(content))
		for i, child := range content {
			if i == 8 {
				children = append(children, binary.Node{Tag: fmt.Sprintf("and-%d-more", len(content)-i)})
				break
			}
			children = append(children, shorten(child))
		}
		short.Content = children
	case []byte:
		head := content[:min(shownBytes, len(content))]
		short.Content = []byte(fmt.Sprintf("(%d B %x)", len(content), head))
	}
	return short
}

// Transcript is what went over the wire lately, one stanza a line as text XML, contents shortened.
func (n *Network) Transcript() string { return n.transcript.text() }

// childOf finds a descendant by the tags that lead to it, an empty node if there is none.
// (The library's GetChildByTag gives the last node on the way instead.)
func childOf(node binary.Node, tags ...string) binary.Node {
	if child, found := node.GetOptionalChildByTag(tags...); found {
		return child
	}
	return binary.Node{}
}

package meta

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/binary"
)

// This file holds what the network watches for in clients and providers beyond the form of what they send.

// watch is what a test has told the network to look out for. It has a lock of its own.
type watch struct {
	mu      sync.Mutex
	private [][]byte
	stored  func(client, messageID string) bool
}

// KeepPrivate notes a text that may travel inside of ciphertext only: that it stands in an address, a header, a request, a
// stanza or a file that the network gets is a finding from now on.
func (n *Network) KeepPrivate(text string) {
	n.watch.mu.Lock()
	defer n.watch.mu.Unlock()
	n.watch.private = append(n.watch.private, []byte(text))
}

// Stored tells the network how to find out whether a client has stored a message. A delivery receipt for one that is
// not stored is a finding.
func (n *Network) Stored(is func(client, messageID string) bool) {
	n.watch.mu.Lock()
	defer n.watch.mu.Unlock()
	n.watch.stored = is
}

// checkStored looks into the delivery receipt of a client. The model must not be locked.
func (n *Network) checkStored(d *device, kind string, ids []string) {
	n.watch.mu.Lock()
	stored := n.watch.stored
	n.watch.mu.Unlock()
	if stored == nil || kind != "" && kind != "inactive" {
		return
	}
	for _, id := range ids {
		if !stored(d.text(), id) {
			n.finding("receipt-before-stored", fmt.Sprintf("%s: message %s", d.text(), id))
		}
	}
}

// checkPrivate looks for texts that are to be private in what the network got.
func (n *Network) checkPrivate(where string, parts ...[]byte) {
	n.watch.mu.Lock()
	private := slices.Clone(n.watch.private)
	n.watch.mu.Unlock()
	for _, text := range private {
		if slices.ContainsFunc(parts, func(part []byte) bool { return bytes.Contains(part, text) }) {
			n.finding("private-text", "in "+where)
		}
	}
}

// longestPrivate is the length of the longest private text.
func (n *Network) longestPrivate() (length int) {
	n.watch.mu.Lock()
	defer n.watch.mu.Unlock()
	for _, text := range n.watch.private {
		length = max(length, len(text))
	}
	return length
}

// checkStanza looks for private texts in all of a client's stanza.
func (n *Network) checkStanza(node binary.Node) {
	if n.longestPrivate() == 0 {
		return
	}
	var parts [][]byte
	var collect func(binary.Node)
	collect = func(node binary.Node) {
		for name, value := range node.Attrs {
			parts = append(parts, []byte(name), []byte(textOf(value)))
		}
		switch content := node.Content.(type) {
		case []byte:
			parts = append(parts, content)
		case string:
			parts = append(parts, []byte(content))
		case []binary.Node:
			for _, child := range content {
				collect(child)
			}
		}
	}
	collect(node)
	n.checkPrivate("<"+node.Tag+">", parts...)
}

// watched looks for private texts in address, headers and body of what a handler gets.
func (n *Network) watched(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := [][]byte{[]byte(r.URL.String())}
		for name, values := range r.Header {
			for _, value := range values {
				parts = append(parts, []byte(name), []byte(value))
			}
		}
		n.checkPrivate(r.Method+" "+r.URL.Path, parts...)
		if n.longestPrivate() > 0 {
			body := &watchedBody{ReadCloser: r.Body, scan: n.scan(r.Method + " " + r.URL.Path)}
			r.Body = body
			defer func() { _, _ = io.CopyN(io.Discard, body, mostUnread) }() // what the handler had no use for
		}
		handler.ServeHTTP(w, r)
	})
}

// mostUnread is how much is looked at of what a handler did not read.
const mostUnread = 256 << 10

type watchedBody struct {
	io.ReadCloser
	scan *privateScan
}

func (b *watchedBody) Read(into []byte) (int, error) {
	count, err := b.ReadCloser.Read(into)
	_, _ = b.scan.Write(into[:count]) // never fails
	return count, err
}

// privateScan looks for private texts in a stream.
type privateScan struct {
	n     *Network
	where string
	tail  []byte
}

func (n *Network) scan(where string) *privateScan { return &privateScan{n: n, where: where} }

// Write implements [io.Writer].
func (s *privateScan) Write(data []byte) (int, error) {
	if longest := s.n.longestPrivate(); longest > 0 {
		whole := slices.Concat(s.tail, data)
		s.n.checkPrivate(s.where, whole)
		s.tail = whole[max(0, len(whole)-longest+1):]
	}
	return len(data), nil
}

// aliveWait is how long a connection has to show that its client still holds it.
const aliveWait = 2 * time.Second

// replace ends the connection that a client had before its newest. A client that still holds it has two at a time.
func (n *Network) replace(old *connection, client string) {
	if !old.hearsNothing() {
		ctx, cancel := context.WithTimeout(old.ctx, aliveWait)
		defer cancel()
		if old.ws.Ping(ctx) == nil {
			n.finding("second-connection", client)
		}
	}
	old.drop(dropReplaced)
}

// compareRepeat holds what came under an id for another time against what came first. p.mu is held.
func (p *Person) compareRepeat(first Heard, again *Heard) {
	if first.Kind != again.Kind || first.Text != again.Text || first.ReplyTo != again.ReplyTo || first.Edited != again.Edited || first.Removed != again.Removed {
		p.n.finding("id-reused", fmt.Sprintf("%s sent %s with another content", first.From, first.ID))
	}
}

// owned remembers whose file a direct path names, once a phone has heard of it.
func (n *Network) owned(directPath, owner string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fileOwners[blobOf(directPath)] = owner
}

// blobOf is the name of a provider's file in its direct path.
func blobOf(directPath string) string {
	path, _, _ := strings.Cut(directPath, "?")
	return path[strings.LastIndex(path, "/")+1:]
}

// checkOwner looks whether a provider still has a file of somebody whose enlistment has ended.
func (n *Network) checkOwner(fetch *MediaFetch) {
	n.mu.Lock()
	owner := n.fileOwners[fetch.Blob]
	ended := false
	for _, e := range n.enlistments {
		ended = ended || jidText(e.jid()) == owner && e.Status == enlistmentWithdrawn
	}
	n.mu.Unlock()
	if ended {
		n.finding("media-after-withdrawal", fmt.Sprintf("integrator %d still has a file of %s", fetch.Integrator, owner))
	}
}

package meta

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/signalerror"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is what a phone does by itself with the stanzas that it gets.

// post puts a stanza into the phone's inbox. It may be called with the model locked.
func (p *Person) post(node binary.Node) {
	p.n.transcript.stanza(p.n.now(), "<", jidText(p.user.lid), node)
	p.inboxMu.Lock()
	p.inbox = append(p.inbox, node)
	p.inboxMu.Unlock()
	select {
	case p.arrived <- struct{}{}:
	default:
	}
}

// live handles the inbox, one stanza after the other, until the network closes.
func (p *Person) live() {
	for {
		select {
		case <-p.arrived:
		case <-p.n.ctx.Done():
			return
		}
		p.inboxMu.Lock()
		batch := p.inbox
		p.inbox = nil
		p.inboxMu.Unlock()
		for _, node := range batch {
			if p.n.ctx.Err() != nil {
				return
			}
			p.handle(node)
		}
	}
}

func (p *Person) handle(node binary.Node) {
	if isChat(node) {
		p.handleWithin(node)
		return
	}
	switch node.Tag {
	case "message":
		p.handleMessage(node)
	case "receipt":
		p.handleReceipt(node)
	case "chatstate":
		p.handleTyping(node)
	case "notification":
		p.handleNotification(node)
	}
}

func (p *Person) handleMessage(node binary.Node) {
	repeated := node.Attrs[markRepeated] != nil
	p.mu.Lock()
	h, fresh := p.open(node)
	scripts, receipts := p.scripts, p.autoReceipts
	p.mu.Unlock()
	if h == nil || repeated {
		return
	}
	if receipts {
		p.later("receipt/"+h.ID, func() { _ = p.Deliver(h.ID) })
	}
	if fresh {
		for _, script := range scripts {
			script(p, *h)
		}
	}
}

// later runs f after the delay that the profile has for a thing.
func (p *Person) later(about string, f func()) {
	if wait := p.n.delay(about); wait > 0 {
		time.AfterFunc(wait, f)
		return
	}
	f()
}

// open decrypts and shows a message; nil if that failed, not fresh if it was shown before. p.mu is held.
func (p *Person) open(node binary.Node) (h *Heard, fresh bool) {
	from, _ := node.Attrs["from"].(types.JID)
	id := textOf(node.Attrs["id"])
	key := jidText(from) + "/" + id
	first, before := p.index[key]
	if !before && node.Attrs[markRepeated] != nil {
		return nil, false
	}
	padded, err := p.signal.decrypt(from, childOf(node, "enc"))
	if before && err != nil {
		return &p.heard[first], false
	}
	if errors.Is(err, signalerror.ErrOldCounter) {
		p.n.finding("old-counter", fmt.Sprintf("%s sent %s under a used Signal counter", jidText(from), id))
		return nil, false
	}
	if err != nil {
		p.askAgain(from, node, id)
		return nil, false
	}
	if p.user.product == productMessenger {
		h, err = p.showMessenger(node, from, padded)
	} else if padded, err = unpad(padded); err == nil {
		h, err = p.show(node, from, padded)
	}
	if errors.Is(err, errFranking) {
		p.n.finding("bad-franking", fmt.Sprintf("%s sent %s: %v", jidText(from), id, err))
		p.n.phoneRefused(p.user, id)
		return nil, false
	}
	if err != nil {
		p.n.finding("outside-subset", fmt.Sprintf("%s sent %s: %v", jidText(from), id, err))
		p.n.phoneRefused(p.user, id)
		return nil, false
	}
	if before {
		p.compareRepeat(p.heard[first], h)
		return &p.heard[first], false
	}
	p.index[key] = len(p.heard)
	p.heard = append(p.heard, *h)
	p.change()
	return h, true
}

// heardFrom is what the stanza says of a message.
func heardFrom(node binary.Node, from types.JID) *Heard {
	seconds, _ := strconv.ParseInt(textOf(node.Attrs["t"]), 10, 64)
	return &Heard{From: jidText(from), DisplayName: textOf(node.Attrs["display_name"]), ID: textOf(node.Attrs["id"]),
		Time: time.Unix(seconds, 0), sts: textOf(node.Attrs["sts"])}
}

// show makes a message of the subset readable.
func (p *Person) show(node binary.Node, from types.JID, plaintext []byte) (*Heard, error) {
	v, content, err := decodeSubset(plaintext)
	if err != nil {
		return nil, err
	}
	h := heardFrom(node, from)
	h.Kind = content
	inner := v.message(content)
	switch content {
	case "conversation":
		h.Text = v.text(content)
	case "reactionMessage":
		key := inner.message("key")
		h.Text = inner.text("text")
		h.Reaction = &HeardReaction{TargetID: key.text("ID"), FromMe: key.number("fromMe") != 0, Emoji: h.Text}
	case "extendedTextMessage":
		h.Text = inner.text("text")
		if inner["matchedText"] != nil || inner["canonicalUrl"] != nil {
			h.Preview = &Preview{Matched: inner.text("matchedText"), URL: inner.text("canonicalUrl"), Title: inner.text("title"),
				Description: inner.text("description"), Thumbnail: inner.bytes("jpegThumbnail")}
		}
	default:
		h.Text, h.Media = inner.text("caption"), p.showMedia(h.From, content, v)
	}
	if len(h.Text) > maxText {
		h.Text = h.Text[:maxText]
	}
	if quote := inner.message("contextInfo"); quote != nil {
		h.ReplyTo, h.ReplyFrom = quote.text("stanzaId"), quote.text("participant")
		quoted := quote.message("quotedMessage")
		h.ReplyText = orElse(quoted.text("conversation"), quoted.message("extendedTextMessage").text("text"))
	}
	return h, nil
}

// askAgain asks the sender of an unreadable message to encrypt it anew, with fresh keys from the second time on. p.mu is held.
func (p *Person) askAgain(from types.JID, node binary.Node, id string) {
	key := jidText(from) + "/" + id
	if p.failures[key]++; p.failures[key] > maxRetries {
		return
	}
	count := p.failures[key]
	k := p.signal.public()
	content := []binary.Node{
		{Tag: "retry", Attrs: binary.Attrs{"id": id, "count": count, "t": node.Attrs["t"], "v": 1}},
		{Tag: "registration", Content: uint32Bytes(k.registration)},
	}
	if count > 1 {
		content = append(content, binary.Node{Tag: "keys", Content: []binary.Node{
			{Tag: "type", Content: []byte{ecc.DjbType}}, {Tag: "identity", Content: k.identity[:]},
			p.signal.generate(1)[0].node(), k.signed.node(),
		}})
	}
	p.n.phoneReceipt(p.user, binary.Node{Tag: "receipt", Attrs: binary.Attrs{"id": id, "to": from, "type": "retry"}, Content: content})
}

func (p *Person) handleReceipt(node binary.Node) {
	from, _ := node.Attrs["from"].(types.JID)
	kind, _ := node.Attrs["type"].(string)
	p.mu.Lock()
	defer p.mu.Unlock()
	if kind == "retry" {
		p.handleRetry(from, node)
		return
	}
	seconds, _ := strconv.ParseInt(textOf(node.Attrs["t"]), 10, 64)
	for _, id := range receiptIDs(node) {
		p.receipts = append(p.receipts, Receipt{ID: id, From: jidText(from), Type: orElse(kind, "delivery"), Time: time.Unix(seconds, 0)})
		if _, known := p.sent[id]; !known {
			p.n.finding("receipt-for-unknown-message", fmt.Sprintf("%s sent a receipt for %s", jidText(from), id))
		}
	}
	p.change()
}

// handleRetry sends a message again to a client that could not read it. p.mu is held.
func (p *Person) handleRetry(from types.JID, node binary.Node) {
	retry := childOf(node, "retry")
	id := textOf(retry.Attrs["id"])
	message, known := p.sent[id]
	if !known || message.to != from {
		p.n.finding("retry-for-unknown-message", fmt.Sprintf("%s asks for %s again", jidText(from), id))
		return
	}
	if bundle, found := node.GetOptionalChildByTag("keys"); found {
		children := append([]binary.Node{childOf(node, "registration")}, bundle.GetChildren()...)
		k, err := readKeyUpload(binary.Node{Tag: "keys", Content: children})
		if err == nil {
			if key, found := bundle.GetOptionalChildByTag("key"); found {
				var oneTime oneTimeKey
				oneTime, err = readOneTimeKey(key)
				k.oneTime = []oneTimeKey{oneTime}
			}
		}
		if err == nil {
			err = p.signal.startSession(from, k)
		}
		if err != nil {
			p.n.finding("bad-retry-keys", fmt.Sprintf("%s: %v", jidText(from), err))
			return
		}
	}
	if err := p.transmit(id, atoi(textOf(retry.Attrs["count"]), 1)); err != nil {
		p.n.cfg.logf("simulator: failed to send %s again: %v", id, err)
	}
}

func (p *Person) handleTyping(node binary.Node) {
	from, _ := node.Attrs["from"].(types.JID)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, composing := node.GetOptionalChildByTag("composing")
	p.typing[jidText(from)] = composing
	p.change()
}

func (p *Person) handleNotification(node binary.Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ping, found := node.GetOptionalChildByTag("ping"); found {
		integrator := childOf(ping, "integrator")
		p.pings = append(p.pings, Ping{DisplayName: textOf(ping.Attrs["display_name"]), Integrator: atoi(textOf(integrator.Attrs["id"]), 0)})
		p.change()
		return
	}
	if _, low := node.GetOptionalChildByTag("count"); low {
		p.n.refill(p.user, p.signal.generate(initialOneTimeKeys))
	}
}

// refill takes new one-time keys of a phone.
func (n *Network) refill(u *user, fresh []oneTimeKey) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_ = u.keys.mergeOneTime(fresh) // the phone counts its ids upwards
}

// phoneRefused takes a phone's negative acknowledgement: content outside the subset. The sender is not told.
func (n *Network) phoneRefused(u *user, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refusals = append(n.refusals, Refusal{From: jidText(u.lid), Class: "message", ID: id, Code: nackInvalidContent})
}

// nackInvalidContent is the general code for content that is not of the schema (docs/protocol.md#nack).
const nackInvalidContent = 491

package meta

import (
	"fmt"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is what phones do about messages that could not be read.

// askChatAgain asks the sending device to encrypt a message anew, with fresh keys from the second time on. p.mu is held.
func (p *Person) askChatAgain(h hearing) {
	key := h.sender.String() + "/" + h.id
	if p.failures[key]++; p.failures[key] > maxRetries {
		return
	}
	count := p.failures[key]
	k := p.signal.public()
	attrs := binary.Attrs{"id": h.id, "to": h.from, "type": "retry"}
	for _, name := range []string{"participant", "recipient"} {
		if value, found := h.node.Attrs[name]; found {
			attrs[name] = value
		}
	}
	content := []binary.Node{
		{Tag: "retry", Attrs: binary.Attrs{"id": h.id, "count": count, "t": h.node.Attrs["t"], "v": 1}},
		{Tag: "registration", Content: uint32Bytes(k.registration)},
	}
	if count > 1 {
		content = append(content, binary.Node{Tag: "keys", Content: []binary.Node{
			{Tag: "type", Content: []byte{ecc.DjbType}}, {Tag: "identity", Content: k.identity[:]},
			p.signal.generate(1)[0].node(), k.signed.node(),
		}})
	}
	p.receiptOut(binary.Node{Tag: "receipt", Attrs: attrs, Content: content})
}

// handleChatRetry sends a message again to the device that asks for it. p.mu is held.
func (p *Person) handleChatRetry(node binary.Node, from, participant types.JID) {
	retry := childOf(node, "retry")
	id, asker := textOf(retry.Attrs["id"]), from
	if from.Server == types.GroupServer {
		asker = participant
	}
	if p.sentChats[id] == nil {
		p.n.finding("retry-for-unknown-message", fmt.Sprintf("%s asks for %s again", asker, id))
		return
	}
	count := atoi(textOf(retry.Attrs["count"]), 1)
	address := p.sessionWith(asker)
	if bundle, found := node.GetOptionalChildByTag("keys"); found {
		if err := p.takeRetryKeys(node, bundle, asker); err != nil {
			p.n.finding("bad-retry-keys", fmt.Sprintf("%s: %v", asker, err))
			return
		}
	} else if count > 1 {
		delete(p.signal.sessions, signalAddress(address).String())
	}
	if err := p.resend(id, from, participant, count); err != nil {
		p.n.cfg.logf("simulator: failed to send %s again: %v", id, err)
	}
}

// takeRetryKeys begins a new session from the keys of a retry receipt. p.mu is held.
func (p *Person) takeRetryKeys(node, bundle binary.Node, asker types.JID) error {
	children := append([]binary.Node{childOf(node, "registration")}, bundle.GetChildren()...)
	k, err := readKeyUpload(binary.Node{Tag: "keys", Content: children})
	if err != nil {
		return err
	}
	if key, found := bundle.GetOptionalChildByTag("key"); found {
		oneTime, err := readOneTimeKey(key)
		if err != nil {
			return err
		}
		k.oneTime = []oneTimeKey{oneTime}
	}
	if asker.Device != 0 {
		identity, _ := childOf(bundle, "device-identity").Content.([]byte)
		if err = checkIdentity(identity, p.n.accountKey(asker), k.identity); err != nil {
			return err
		}
	}
	return p.signal.startSession(p.sessionWith(asker), k)
}

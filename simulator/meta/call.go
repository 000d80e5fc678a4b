package meta

import (
	"fmt"
	"slices"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is how calls ring and end on the devices of an account. Nobody talks in them.

// phoneCall is a call that rings or has rung.
type phoneCall struct {
	id       string
	from, to *user
	video    bool
	ended    bool
}

// Call rings all devices of somebody, and returns the call's id.
func (p *Person) Call(to string, video bool) (id string, err error) {
	chat, err := p.chatOf(to)
	if err != nil {
		return "", err
	}
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	callee := p.n.userAt(chat)
	if callee == nil || callee == p.user {
		return "", fmt.Errorf("nobody to call is %s: %w", to, errNoRecord)
	}
	p.n.lastNotice++
	c := &phoneCall{id: fmt.Sprintf("CA11%028X", p.n.lastNotice), from: p.user, to: callee, video: video}
	p.n.calls[c.id] = c
	offer := binary.Node{Tag: "offer", Content: []binary.Node{{Tag: "audio", Attrs: binary.Attrs{"enc": "opus", "rate": "16000"}}}}
	if video {
		offer.Content = append(offer.GetChildren(), binary.Node{Tag: "video", Attrs: binary.Attrs{"enc": "vp8"}})
	}
	p.n.callNotice(c, offer)
	return c.id, nil
}

// HangUp has the caller give up a call that rings.
func (p *Person) HangUp(id string) error {
	return p.endCall(id, "timeout", func(c *phoneCall) bool { return c.from == p.user })
}

// AnswerCall takes a call on the phone, DeclineCall turns it down there; the account's other devices stop ringing.
func (p *Person) AnswerCall(id string) error {
	return p.endCall(id, "accepted_elsewhere", func(c *phoneCall) bool { return c.to == p.user })
}

// DeclineCall turns a call down on the phone.
func (p *Person) DeclineCall(id string) error {
	return p.endCall(id, "rejected_elsewhere", func(c *phoneCall) bool { return c.to == p.user })
}

func (p *Person) endCall(id, reason string, mine func(*phoneCall) bool) error {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	c := p.n.calls[id]
	if c == nil || c.ended || !mine(c) {
		return fmt.Errorf("call %s: %w", id, errNoRecord)
	}
	c.ended = true
	p.n.callNotice(c, binary.Node{Tag: "terminate", Attrs: binary.Attrs{"reason": reason}})
	return nil
}

// Ringing tells whether a call still rings.
func (n *Network) Ringing(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.calls[id]
	return c != nil && !c.ended
}

// callNotice tells the linked devices of who is called what happens, except those that know. The model must be locked.
func (n *Network) callNotice(c *phoneCall, what binary.Node, except ...*device) {
	attrs := binary.Attrs{"call-id": c.id, "call-creator": c.from.lid, "caller_pn": c.from.pn}
	for key, value := range what.Attrs {
		attrs[key] = value
	}
	what.Attrs = attrs
	n.lastNotice++
	for _, d := range c.to.linked() {
		if slices.Contains(except, d) {
			continue
		}
		n.enqueue(d, binary.Node{Tag: "call", Attrs: binary.Attrs{"from": c.from.lid, "id": fmt.Sprintf("call-%d", n.lastNotice),
			"t": n.stamp(c.id).seconds(), "platform": "android", "version": "2.26.1", "notify": party{c.from, 0}.pushName()}, Content: []binary.Node{what}})
	}
}

// linkedCall takes what a linked device says about a call: that it is turned down.
func (n *Network) linkedCall(d *device, node binary.Node) {
	to, _ := node.Attrs["to"].(types.JID)
	reject := childOf(node, "reject")
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.calls[attrText(reject, "call-id")]
	creator, _ := reject.Attrs["call-creator"].(types.JID)
	if c == nil || c.to != d.companion.owner || n.userAt(to) != c.from || n.userAt(creator) != c.from {
		n.finding("bad-call", fmt.Sprintf("%s: <call> to %s that turns down no call of theirs", d.text(), jidText(to)))
		return
	}
	if c.ended {
		return
	}
	c.ended = true
	n.callNotice(c, binary.Node{Tag: "terminate", Attrs: binary.Attrs{"reason": "rejected_elsewhere"}}, d)
}

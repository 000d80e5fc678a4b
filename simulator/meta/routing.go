package meta

import (
	"fmt"
	"slices"
	"time"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// optOutGrace is how long messages that crossed a refusal may still arrive.
const optOutGrace = 2 * time.Second

// outgoing is a message of a provider's user after its form was checked.
type outgoing struct {
	id, kind string
	to       types.JID
	enc      binary.Node
	beside   []binary.Node // what goes with the ciphertext, on Messenger
	retry    bool
}

// message takes a message of a provider's user to a phone (docs/protocol.md#messages).
func (n *Network) message(c *connection, d *device, node binary.Node, s subject) {
	at := n.stamp(textOf(node.Attrs["id"]))
	if f := n.strikes(FaultAck, s); f != nil {
		c.sendLater(n.ack(node, at, atoi(f.Params["code"], failServer)))
		return
	}
	out, code := n.readMessage(d, node)
	if code == 0 {
		at, code = n.forward(d, out, at)
	}
	if n.strikes(FaultAckLost, s) != nil {
		return
	}
	c.sendLater(n.ack(node, at, code))
}

func (n *Network) ack(node binary.Node, at stamp, code int) binary.Node {
	attrs := binary.Attrs{"class": node.Tag, "id": node.Attrs["id"], "from": node.Attrs["to"], "t": at.seconds()}
	if kind, found := node.Attrs["type"]; found && node.Tag != "message" {
		attrs["type"] = kind
	}
	if code != 0 {
		attrs["error"] = code
	}
	return binary.Node{Tag: "ack", Attrs: attrs}
}

// readMessage checks the form of a message; a wrong one is a finding and gets an error code.
func (n *Network) readMessage(d *device, node binary.Node) (out outgoing, code int) {
	wrong := func(kind, detail string, code int) (outgoing, int) {
		n.finding(kind, fmt.Sprintf("%s: message: %s", jidText(d.jid), detail))
		return out, code
	}
	if data, err := binary.Marshal(node); err != nil || len(data) > maxStanza {
		return out, codeTooLarge
	}
	out.id, _ = node.Attrs["id"].(string)
	out.kind, _ = node.Attrs["type"].(string)
	out.to, _ = node.Attrs["to"].(types.JID)
	fanout, _ := node.Attrs["device_fanout"].(string)
	out.retry = fanout == "false"
	switch {
	case out.id == "":
		return wrong("no-id", "no id", codeMalformed)
	case !slices.Contains(messageKinds(d.product), out.kind):
		return wrong("bad-message-type", "type "+out.kind, codeMalformed)
	case out.to.Device != 0:
		return wrong("device-not-zero", "sent to a device other than 0", codeMalformed)
	case out.to.Server != serverOf(d.product):
		return wrong("not-by-lid", "sent to server "+out.to.Server, codeMalformed)
	case node.Attrs["edit"] != nil:
		return wrong("forbidden-attribute", "edit", codeBadShape)
	}
	var problem string
	if out.enc, problem = n.readEnvelope(d, node); problem == "" && d.product == productMessenger {
		out.beside, problem = besideOf(node)
	}
	if problem != "" {
		return wrong("bad-message-shape", problem, codeBadShape)
	}
	return out, 0
}

// readEnvelope finds the one ciphertext: flat, or in a list of exactly one participant. assumed: U6
func (n *Network) readEnvelope(d *device, node binary.Node) (enc binary.Node, problem string) {
	for _, child := range node.GetChildren() {
		switch child.Tag {
		case "enc":
			if enc.Tag != "" {
				return enc, "more than one ciphertext"
			}
			enc = child
		case "participants":
			to := child.GetChildren()
			if len(to) != 1 || len(to[0].GetChildren()) != 1 {
				return enc, "several participants"
			}
			if jid, ok := to[0].Attrs["jid"].(types.JID); !ok || jid.Device != 0 || jid != node.Attrs["to"] {
				return enc, "participant is not the recipient's device 0"
			}
			enc = to[0].GetChildren()[0]
			n.count("participants")
		case "device-identity":
			n.count("device-identity")
		default:
			if d.product != productMessenger || child.Tag != "franking" && child.Tag != "trace" {
				return enc, "forbidden child " + child.Tag
			}
		}
	}
	kind, _ := enc.Attrs["type"].(string)
	version, _ := enc.Attrs["v"].(string)
	if _, ok := enc.Content.([]byte); !ok || enc.Tag != "enc" || version != encVersion(d.product) || (kind != "pkmsg" && kind != "msg") {
		return enc, "no ciphertext of the product's version and type pkmsg or msg"
	}
	return enc, ""
}

// forward delivers a message, or says why not; the time of a repeated message is that of the first.
func (n *Network) forward(d *device, out outgoing, at stamp) (stamp, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.personAt(d.product, out.to)
	if code := n.permitted(d, u, out); code != 0 {
		return at, code
	}
	key := out.to.User + "/" + out.id
	if out.retry {
		if d.retries[key] == 0 {
			n.finding("retry-unasked", fmt.Sprintf("%s: message %s sent again, nobody asked", jidText(d.jid), out.id))
			return at, 0
		}
	} else if first, repeated := d.taken[key]; repeated {
		n.count("repeated")
		n.toPhoneUnlessBlocked(d, u, out, first, true)
		return first, 0
	}
	d.taken[key] = at
	d.partners[u.lid.User] = true
	n.toPhoneUnlessBlocked(d, u, out, at, false)
	return at, 0
}

// toPhoneUnlessBlocked hands a message to a phone. What was taken before is only compared there with what came first: it
// is not shown again. The model must be locked.
func (n *Network) toPhoneUnlessBlocked(d *device, u *user, out outgoing, at stamp, repeated bool) {
	if u.blocked[jidText(d.jid)] {
		return
	}
	node := toPhone(d, out.id, out.kind, at, append([]binary.Node{out.enc}, out.beside...))
	if repeated {
		node.Attrs[markRepeated] = "true"
	}
	u.phone.post(node)
}

// markRepeated marks what a real server would not have handed on; it is not part of the protocol.
const markRepeated = "repeated"

// permitted decides whether a provider's user may write to a person. The model must be locked.
func (n *Network) permitted(d *device, u *user, out outgoing) int {
	switch {
	case d.enlistment.Status != enlistmentActive:
		return codeNotEnlisted
	case d.enlistment.Country != "" && !inEEA(d.enlistment.Country):
		return codeRegion
	case u == nil:
		return codeNotFound
	case !u.eligible():
		return codeRegion
	case !u.accepts(d.enlistment.Integrator):
		n.notOptedIn(d, u)
		return codeForbidden
	case !out.retry && !d.rate.allow(n.now(), 1, n.cfg.messagesPerMinute, 0):
		return codeTooMany
	}
	delete(d.refused, u.lid.User)
	return 0
}

// notOptedIn remembers a refusal; a client that goes on after it does not respect an opt-out.
func (n *Network) notOptedIn(d *device, u *user) {
	told, before := d.refused[u.lid.User]
	if !before {
		d.refused[u.lid.User] = n.now()
		return
	}
	if u.everOptedIn[d.enlistment.Integrator] && n.now().Sub(told) > optOutGrace {
		n.finding("traffic-after-opt-out", fmt.Sprintf("%s goes on writing to %s", jidText(d.jid), jidText(u.lid)))
	}
}

// phoneMessage takes a message of a phone to a provider's user; the answer is its acknowledgement.
func (n *Network) phoneMessage(u *user, node binary.Node) binary.Node {
	n.transcript.stanza(n.now(), ">", jidText(u.lid), node)
	id, _ := node.Attrs["id"].(string)
	kind, _ := node.Attrs["type"].(string)
	to, _ := node.Attrs["to"].(types.JID)
	at := n.stamp(id)
	code := func() int {
		n.mu.Lock()
		defer n.mu.Unlock()
		e := n.enlistmentAt(u.product, to)
		switch {
		case e == nil || e.Status == enlistmentWithdrawn || e.Status == enlistmentPending:
			return codeNotFound
		case !u.accepts(e.Integrator):
			return codeForbidden
		}
		d := n.deviceOf(e)
		d.partners[u.lid.User] = true
		delete(d.refused, u.lid.User)
		content := slices.Clone(node.GetChildren())
		content[0] = n.mangle(d, u, id, content[0])
		n.passOn(d, u, toClient(u, id, kind, at, content))
		return 0
	}()
	answer := n.ack(node, at, code)
	n.transcript.stanza(n.now(), "<", jidText(u.lid), answer)
	return answer
}

// chatstate passes typing on, to those who would take a message; it is never queued.
func (n *Network) chatstate(d *device, node binary.Node) {
	to, _ := node.Attrs["to"].(types.JID)
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.personAt(d.product, to)
	if u == nil {
		n.finding("bad-chatstate", fmt.Sprintf("%s: typing to %s", jidText(d.jid), jidText(to)))
		return
	}
	if d.enlistment.Status != enlistmentActive || !u.accepts(d.enlistment.Integrator) || u.blocked[jidText(d.jid)] {
		return
	}
	u.phone.post(binary.Node{Tag: "chatstate", Attrs: binary.Attrs{"from": d.jid}, Content: node.Content})
}

// phoneTyping passes a person's typing on, if the client is there.
func (n *Network) phoneTyping(u *user, node binary.Node) {
	n.transcript.stanza(n.now(), ">", jidText(u.lid), node)
	to, _ := node.Attrs["to"].(types.JID)
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.enlistmentAt(u.product, to)
	if e == nil || e.Status != enlistmentActive || !u.accepts(e.Integrator) {
		return
	}
	if d := n.deviceOf(e); d.conn != nil && d.active {
		d.conn.send(binary.Node{Tag: "chatstate", Attrs: binary.Attrs{"from": u.lid}, Content: node.Content})
	}
}

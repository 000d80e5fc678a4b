package meta

import (
	"fmt"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// fromClient takes one stanza of a client.
func (n *Network) fromClient(c *connection, node binary.Node) {
	n.mu.Lock()
	d, pairing, over := c.device, c.pairing, c.over || (c.device != nil && c.device.conn != c)
	n.mu.Unlock()
	if over {
		return
	}
	if d == nil && pairing != nil {
		n.fromPairing(c, pairing, node)
		return
	}
	if d == nil {
		n.finding("stanza-before-login", fmt.Sprintf("connection #%d: <%s>", c.id, node.Tag))
		return
	}
	xmlns, _ := node.Attrs["xmlns"].(string)
	s := about(node.Tag, xmlns, d.text(), textOf(node.Attrs["to"]))
	if !n.addressed(d, node) {
		n.refuse(c, node, codeMalformed)
		return
	}
	if d.companion != nil {
		n.fromLinked(c, d, node, s)
		n.afterwards(c, s)
		return
	}
	switch node.Tag {
	case "iq":
		n.request(c, d, node, s)
	case "message":
		n.message(c, d, node, s)
	case "receipt":
		n.receipt(c, d, node)
	case "ack":
		n.acknowledged(d, node)
	case "chatstate":
		n.chatstate(d, node)
	case "presence", "ib":
		n.benign(d, node)
	default:
		n.finding("unknown-stanza", fmt.Sprintf("%s: <%s>", d.text(), node.Tag))
	}
	n.afterwards(c, s)
}

// addressed checks that what names an account is encoded as an address.
func (n *Network) addressed(d *device, node binary.Node) bool {
	for _, key := range []string{"to", "from", "participant", "recipient", "target"} {
		if value, found := node.Attrs[key]; found {
			if _, ok := value.(types.JID); !ok {
				n.finding("string-jid", fmt.Sprintf("%s: <%s> %s is not encoded as an address", d.text(), node.Tag, key))
				return false
			}
		}
	}
	return true
}

// refuse answers a malformed stanza, where it has an answer.
func (n *Network) refuse(c *connection, node binary.Node, code int) {
	switch node.Tag {
	case "iq":
		c.sendLater(requestError(node, code))
	case "message":
		c.sendLater(n.ack(node, stamp(n.now()), code))
	}
}

// afterwards lets faults strike that follow a stanza.
func (n *Network) afterwards(c *connection, s subject) {
	if n.strikes(FaultUnknownStanza, s) != nil {
		c.send(binary.Node{Tag: "surprise", Attrs: binary.Attrs{"from": types.ServerJID, "id": "surprise-1"}})
	}
	if n.strikes(FaultGarbage, s) != nil {
		c.mu.Lock()
		c.push(outFrame{data: []byte{0, 0xf8, 0x7f, 0xff, 0xff}})
		c.mu.Unlock()
	}
	if n.strikes(FaultOversizeFrame, s) != nil {
		c.mu.Lock()
		c.push(oversize())
		c.mu.Unlock()
	}
	if f := n.strikes(FaultDrop, s); f != nil {
		c.drop(f.Params["how"])
	}
}

// benign takes stanzas that conforming clients send and nobody answers.
func (n *Network) benign(d *device, node binary.Node) {
	if node.Tag == "presence" {
		if kind, _ := node.Attrs["type"].(string); kind == "subscribe" {
			n.finding("no-presence-in-interop", d.text()+": presence subscription")
		}
		return
	}
	for _, child := range node.GetChildren() {
		if child.Tag != "offline_batch" && child.Tag != "unified_session" {
			n.finding("unknown-stanza", fmt.Sprintf("%s: <ib><%s>", d.text(), child.Tag))
		}
	}
}

// request answers an <iq>.
func (n *Network) request(c *connection, d *device, node binary.Node, s subject) {
	if id, _ := node.Attrs["id"].(string); id == "" {
		n.finding("no-id", d.text()+": <iq> without id")
		return
	}
	if kind, _ := node.Attrs["type"].(string); kind != "get" && kind != "set" {
		return // an answer to a request of ours; there are none so far
	}
	if n.strikes(FaultRequestLost, s) != nil {
		return
	}
	if f := n.strikes(FaultRequest, s); f != nil {
		c.sendLater(requestError(node, atoi(f.Params["code"], failServer)))
		return
	}
	if s.xmlns == "passive" {
		n.passive(c, d, node)
		return
	}
	content, code := n.answer(d, node, s.xmlns)
	if d.companion != nil && d.gone() {
		c.finish(requestResult(node, content...))
		return
	}
	if code != 0 {
		c.sendLater(requestError(node, code))
		return
	}
	c.sendLater(requestResult(node, content...))
}

// passive answers at once, for the queue must not overtake the answer.
func (n *Network) passive(c *connection, d *device, node binary.Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.send(requestResult(node))
	if d.conn != c {
		return
	}
	if _, active := node.GetOptionalChildByTag("active"); active {
		n.activate(d)
	} else {
		d.active = false
	}
}

// answer is what a request gets: content, or an error code.
func (n *Network) answer(d *device, node binary.Node, xmlns string) ([]binary.Node, int) {
	if d.companion != nil {
		return n.answerLinked(d, node, xmlns)
	}
	kind, _ := node.Attrs["type"].(string)
	var child binary.Node
	if children := node.GetChildren(); len(children) > 0 {
		child = children[0]
	}
	switch kind + " " + xmlns + " " + child.Tag {
	case "get w:p ", "get w:p ping", "set urn:xmpp:whatsapp:dirty clean":
		return nil, 0
	case "get abt props":
		return []binary.Node{{Tag: "props", Attrs: binary.Attrs{"protocol": "1", "hash": "calm"}}}, 0
	case "get blocklist ":
		return []binary.Node{{Tag: "list"}}, 0
	case "get privacy privacy":
		return privacySettings(), 0
	case "get encrypt count", "get encrypt digest", "get encrypt key", "set encrypt registration":
		return n.keyRequest(d, node, child)
	case "get usync usync":
		return n.deviceList(child)
	case "set w:m media_conn":
		return n.mediaHosts(), 0
	case "get w:interop wa_users":
		return n.lookup(d, child)
	}
	n.finding("unserved-request", fmt.Sprintf("%s: <iq type=%s xmlns=%s><%s>", d.text(), kind, xmlns, child.Tag))
	return nil, codeUnserved
}

func privacySettings() []binary.Node {
	names := []string{"readreceipts", "last", "online", "status", "profile", "groupadd", "calladd"}
	categories := make([]binary.Node, len(names))
	for i, name := range names {
		categories[i] = binary.Node{Tag: "category", Attrs: binary.Attrs{"name": name, "value": "all"}}
	}
	return []binary.Node{{Tag: "privacy", Content: categories}}
}

func requestResult(asked binary.Node, content ...binary.Node) binary.Node {
	node := binary.Node{Tag: "iq", Attrs: binary.Attrs{"from": types.ServerJID, "id": asked.Attrs["id"], "type": "result"}}
	if len(content) > 0 {
		node.Content = content
	}
	return node
}

func requestError(asked binary.Node, code int) binary.Node {
	return binary.Node{Tag: "iq", Attrs: binary.Attrs{"from": types.ServerJID, "id": asked.Attrs["id"], "type": "error"},
		Content: []binary.Node{errorNode(code)}}
}

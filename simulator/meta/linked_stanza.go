package meta

import (
	"fmt"

	"go.mau.fi/whatsmeow/binary"
)

// fromLinked takes one stanza of a linked device.
func (n *Network) fromLinked(c *connection, d *device, node binary.Node, s subject) {
	switch node.Tag {
	case "iq":
		n.request(c, d, node, s)
	case "message":
		n.linkedMessage(c, d, node, s)
	case "receipt":
		n.linkedReceipt(c, d, node)
	case "ack":
		n.acknowledged(d, node)
	case "chatstate":
		n.chatTyping(d.party(), node)
	case "presence":
		n.linkedPresence(d, node)
	case "call":
		n.linkedCall(d, node)
	case "ib":
		n.benign(d, node)
	default:
		n.finding("unknown-stanza", fmt.Sprintf("%s: <%s>", d.text(), node.Tag))
	}
}

// linkedMessage takes a message of a linked device and acknowledges it.
func (n *Network) linkedMessage(c *connection, d *device, node binary.Node, s subject) {
	if f := n.strikes(FaultAck, s); f != nil {
		c.sendLater(n.ack(node, n.stamp(textOf(node.Attrs["id"])), atoi(f.Params["code"], failServer)))
		return
	}
	ack := n.chatMessage(d.party(), node)
	if n.strikes(FaultAckLost, s) != nil {
		return
	}
	c.sendLater(ack)
}

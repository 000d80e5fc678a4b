package meta

import (
	"fmt"
	"slices"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is how the server passes receipts and the signs of life between people on WhatsApp.

// linkedReceipt takes a receipt of a linked device (docs/protocol.md#receipts).
func (n *Network) linkedReceipt(c *connection, d *device, node binary.Node) {
	to, _ := node.Attrs["to"].(types.JID)
	id, kind := attrText(node, "id"), attrText(node, "type")
	if id == "" || to.User == "" || !slices.Contains(receiptKinds(), kind) {
		n.finding("bad-receipt", fmt.Sprintf("%s: receipt %q of type %q to %s", d.text(), id, kind, textOf(node.Attrs["to"])))
		return
	}
	c.sendLater(n.ack(node, stamp(n.now()), 0))
	n.mu.Lock()
	for _, each := range receiptIDs(node) {
		n.settle(d, queueKey("message", each, otherSide(node.Attrs, "to"), ""), func(q *queued) bool {
			q.retried = q.retried || kind == "retry"
			return kind != "retry" || q.acked
		})
	}
	n.mu.Unlock()
	n.chatReceipt(d.party(), node)
}

// receiptKinds are the types of receipts in ordinary chats; the empty one is of delivery.
func receiptKinds() []string {
	return []string{"", "inactive", "read", "read-self", "played", "played-self", "retry", "sender", "peer_msg", "hist_sync", "server-error"}
}

// chatReceipt passes a receipt on: to the devices of the message's author, and to the reader's own other devices what they
// have to know of it.
func (n *Network) chatReceipt(from party, node binary.Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	to, _ := node.Attrs["to"].(types.JID)
	kind := attrText(node, "type")
	switch kind {
	case "sender":
	case "peer_msg", "hist_sync", "server-error":
		n.hand(from.user, 0, n.receiptFrom(from, from.as(types.DefaultUserServer), node))
	case "retry":
		n.retryReceipt(from, to, node)
	default:
		n.passReceipt(from, to, kind, node)
	}
}

// receiptFrom is a receipt as others get it.
func (n *Network) receiptFrom(from party, sender types.JID, node binary.Node) binary.Node {
	attrs := binary.Attrs{"from": sender, "id": node.Attrs["id"], "t": n.stamp(textOf(node.Attrs["id"])).seconds()}
	if kind := attrText(node, "type"); kind != "" {
		attrs["type"] = kind
	}
	return binary.Node{Tag: "receipt", Attrs: attrs, Content: node.Content}
}

// retryReceipt goes to the one device that sent the message. The model must be locked.
func (n *Network) retryReceipt(from party, to types.JID, node binary.Node) {
	author, receipt := to, binary.Node{}
	if to.Server == types.GroupServer {
		author, _ = node.Attrs["participant"].(types.JID)
		receipt = n.receiptFrom(from, to, node)
		receipt.Attrs["participant"] = from.as(author.Server)
	} else {
		receipt = n.receiptFrom(from, from.as(to.Server), node)
	}
	u := n.userAt(author)
	if u == nil {
		return
	}
	if recipient, found := node.Attrs["recipient"]; found {
		receipt.Attrs["recipient"] = recipient
	}
	key := from.text() + "/" + textOf(node.Attrs["id"])
	if u.asked[key]++; u.asked[key] > maxRetries {
		n.finding("too-many-retries", fmt.Sprintf("%s: retry %d for %v", from.text(), u.asked[key], node.Attrs["id"]))
		return
	}
	n.hand(u, author.Device, receipt)
}

// passReceipt tells of delivery, reading and playing. The model must be locked.
func (n *Network) passReceipt(from party, to types.JID, kind string, node binary.Node) {
	group := to.Server == types.GroupServer
	author := to
	if group {
		author, _ = node.Attrs["participant"].(types.JID)
	}
	u := n.userAt(author.ToNonAD())
	read := slices.Contains([]string{"read", "read-self", "played", "played-self"}, kind)
	if u == nil || group && n.groups[to.User].member(from.user) == nil {
		return
	}
	private := kind == "read-self" || kind == "played-self" || kind == "read" && from.user.privacy["readreceipts"] == "none"
	if u != from.user && !private && !u.blocked[jidText(from.user.lid)] {
		sender := from.as(author.Server)
		receipt := n.receiptFrom(from, sender, node)
		if group {
			receipt.Attrs["from"], receipt.Attrs["participant"] = to, sender
		}
		for _, number := range u.deviceNumbers() {
			n.hand(u, number, receipt)
		}
	}
	if !read {
		return
	}
	own := n.receiptFrom(from, from.as(author.Server), node)
	own.Attrs["recipient"] = to.ToNonAD()
	if group {
		own.Attrs["from"], own.Attrs["participant"], own.Attrs["recipient"] = to, from.as(author.Server), author.ToNonAD()
	}
	for _, number := range from.user.deviceNumbers() {
		if number != from.number {
			n.hand(from.user, number, own)
		}
	}
}

// otherSide is whom a stanza came from or goes to, as both sides of a queue name it.
func otherSide(attrs binary.Attrs, key string) string {
	text := sideText(attrs[key])
	if participant, found := attrs["participant"]; found {
		text += "/" + sideText(participant)
	}
	return text
}

func sideText(value any) string {
	if jid, ok := value.(types.JID); ok {
		return jidText(jid)
	}
	return textOf(value)
}

// chatTyping passes typing on to those devices that are connected; it is never queued.
func (n *Network) chatTyping(from party, node binary.Node) {
	to, _ := node.Attrs["to"].(types.JID)
	n.mu.Lock()
	defer n.mu.Unlock()
	if to.Server == types.GroupServer {
		g := n.groups[to.User]
		if g.member(from.user) == nil {
			return
		}
		for _, m := range g.members {
			if m.user != from.user {
				n.handNow(m.user, binary.Node{Tag: "chatstate", Attrs: binary.Attrs{"from": to, "participant": from.user.lid}, Content: node.Content})
			}
		}
		return
	}
	u := n.userAt(to)
	if u == nil {
		n.finding("bad-chatstate", fmt.Sprintf("%s: typing to %s", from.text(), jidText(to)))
		return
	}
	if u != from.user && !u.blocked[jidText(from.user.lid)] {
		n.handNow(u, binary.Node{Tag: "chatstate", Attrs: binary.Attrs{"from": from.user.as(to.Server)}, Content: node.Content})
	}
}

// handNow gives a stanza to the phone and to the companions that are there. The model must be locked.
func (n *Network) handNow(u *user, node binary.Node) {
	u.phone.post(node)
	for _, d := range u.linked() {
		if d.conn != nil && d.active {
			d.conn.send(node)
		}
	}
}

// linkedPresence takes a companion's <presence>: whether it is in use, or a wish to know of somebody's presence.
func (n *Network) linkedPresence(d *device, node binary.Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	kind := attrText(node, "type")
	if kind == "subscribe" || kind == "unsubscribe" {
		to, _ := node.Attrs["to"].(types.JID)
		u := n.userAt(to)
		if u == nil {
			n.finding("bad-presence", d.text()+": subscription to "+textOf(node.Attrs["to"]))
			return
		}
		if u.watchers == nil {
			u.watchers = map[*device]types.JID{}
		}
		if kind == "unsubscribe" {
			delete(u.watchers, d)
			return
		}
		u.watchers[d] = to
		n.tellPresence(d, u, to)
		return
	}
	owner := d.companion.owner
	if kind == "available" || kind == "unavailable" {
		d.companion.available = kind == "available"
		n.setPresence(owner, d.companion.available)
	}
	if name := attrText(node, "name"); name != "" {
		d.companion.pushName = name
	}
}

// setPresence notes whether somebody is there, and tells those who asked. The model must be locked.
func (n *Network) setPresence(u *user, available bool) {
	u.present = available
	if !available {
		u.lastSeen = n.now()
	}
	for d, as := range u.watchers {
		n.tellPresence(d, u, as)
	}
}

func (n *Network) tellPresence(d *device, u *user, as types.JID) {
	if d.conn == nil || !d.active {
		return
	}
	attrs := binary.Attrs{"from": as.ToNonAD()}
	if !u.present {
		attrs["type"] = "unavailable"
		attrs["last"] = "deny"
		if !u.lastSeen.IsZero() && u.privacy["last"] == "all" {
			attrs["last"] = u.lastSeen.Unix()
		}
	}
	d.conn.send(binary.Node{Tag: "presence", Attrs: attrs})
}

package meta

import (
	"fmt"
	"slices"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// maxRetries is how often one message may be asked for again (docs/protocol.md#nack).
const maxRetries = 5

// receipt takes a receipt of a provider's user to a phone (docs/protocol.md#receipts).
func (n *Network) receipt(c *connection, d *device, node binary.Node) {
	id, _ := node.Attrs["id"].(string)
	kind, _ := node.Attrs["type"].(string)
	to, _ := node.Attrs["to"].(types.JID)
	if id == "" || to.Device != 0 || to.Server != serverOf(d.product) {
		n.finding("bad-receipt", fmt.Sprintf("%s: receipt %q to %s", jidText(d.jid), id, textOf(node.Attrs["to"])))
		return
	}
	n.checkStored(d, kind, receiptIDs(node))
	c.sendLater(n.ack(node, stamp(n.now()), 0))
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, each := range receiptIDs(node) {
		n.settle(d, queueKey("message", each, jidText(to), ""), func(q *queued) bool {
			q.retried = q.retried || kind == "retry"
			return kind != "retry" || q.acked
		})
	}
	u := n.personAt(d.product, to)
	if u == nil || !n.receiptAllowed(d, u, kind, id) {
		return
	}
	attrs := binary.Attrs{"from": d.jid, "id": id, "t": n.stamp(id).seconds()}
	if kind != "" {
		attrs["type"] = kind
	}
	u.phone.post(binary.Node{Tag: "receipt", Attrs: attrs, Content: node.Content})
}

// receiptAllowed decides whether a receipt goes on to a person. The model must be locked.
func (n *Network) receiptAllowed(d *device, u *user, kind, id string) bool {
	switch kind {
	case "", "inactive":
	case "read":
		if !d.readReceipts {
			n.finding("read-receipt-although-disabled", fmt.Sprintf("%s: read receipt for %s", jidText(d.jid), id))
			return false
		}
	case "retry":
		key := jidText(d.jid) + "/" + id
		if u.asked[key]++; u.asked[key] > maxRetries {
			n.finding("too-many-retries", fmt.Sprintf("%s: retry %d for %s", jidText(d.jid), u.asked[key], id))
			return false
		}
	default:
		n.finding("bad-receipt", fmt.Sprintf("%s: receipt of type %s is not part of interop", jidText(d.jid), kind))
		return false
	}
	return u.accepts(d.enlistment.Integrator) && !u.blocked[jidText(d.jid)]
}

// receiptIDs are the messages that a receipt speaks of.
func receiptIDs(node binary.Node) []string {
	id, _ := node.Attrs["id"].(string)
	ids := []string{id}
	list := childOf(node, "list")
	if list.Tag != "list" {
		return ids
	}
	for _, item := range list.GetChildren() {
		if id, _ := item.Attrs["id"].(string); id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// acknowledged takes a client's <ack>. A message is done by its receipt, or by an
// acknowledgement when it was refused or asked for again.
func (n *Network) acknowledged(d *device, node binary.Node) {
	class, _ := node.Attrs["class"].(string)
	id, _ := node.Attrs["id"].(string)
	kind, _ := node.Attrs["type"].(string)
	refusal, refused := node.Attrs["error"].(string)
	n.mu.Lock()
	defer n.mu.Unlock()
	if refused {
		n.refusals = append(n.refusals, Refusal{From: jidText(d.jid), Class: class, ID: id, Code: atoi(refusal, 0)})
	}
	n.settle(d, queueKey(class, id, otherSide(node.Attrs, "to"), kind), func(q *queued) bool {
		q.acked = true
		return class != "message" || refused || q.retried || isOpen(q.node)
	})
}

// Refusal is a stanza that a client refused, with its reason.
type Refusal struct {
	From  string `json:"from"`
	Class string `json:"class"`
	ID    string `json:"id"`
	Code  int    `json:"code"`
}

// Refusals lists what clients refused; the sender is never told.
func (n *Network) Refusals() []Refusal {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.refusals)
}

// phoneReceipt takes a receipt of a phone to a provider's user.
func (n *Network) phoneReceipt(u *user, node binary.Node) {
	n.transcript.stanza(n.now(), ">", jidText(u.lid), node)
	id, _ := node.Attrs["id"].(string)
	kind, _ := node.Attrs["type"].(string)
	to, _ := node.Attrs["to"].(types.JID)
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.enlistmentAt(u.product, to)
	if e == nil || e.Status == enlistmentWithdrawn || !u.optedIn[e.Integrator] {
		return
	}
	d := n.deviceOf(e)
	if kind == "read" && !d.readReceipts {
		return
	}
	if kind == "retry" {
		d.retries[u.lid.User+"/"+id]++
	}
	attrs := binary.Attrs{"from": u.lid, "id": id, "t": n.stamp(id + kind).seconds()}
	for _, key := range []string{"type", "sts"} {
		if value, found := node.Attrs[key]; found {
			attrs[key] = value
		}
	}
	n.enqueue(d, binary.Node{Tag: "receipt", Attrs: attrs, Content: node.Content})
}

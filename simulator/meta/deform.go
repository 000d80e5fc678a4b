package meta

import (
	"slices"

	"go.mau.fi/whatsmeow/binary"
)

// passOn queues a phone's message for a client, deformed if a fault says so, and now and
// then after news of the sender's devices that change nothing. The model must be locked.
func (n *Network) passOn(d *device, u *user, node binary.Node) {
	s := about("message", "", jidText(d.jid), jidText(u.lid))
	if n.strikes(FaultSenderDevice, s) != nil {
		from := u.lid
		from.Device = 3
		node.Attrs["from"] = from
	}
	if n.strikes(FaultStringJID, s) != nil {
		node.Attrs["from"] = jidText(u.lid)
	}
	if n.strikes(FaultParticipants, s) != nil {
		node.Content = []binary.Node{{Tag: "participants", Content: []binary.Node{
			{Tag: "to", Attrs: binary.Attrs{"jid": d.jid}, Content: node.Content}}}}
	}
	if n.strikes(FaultReorder, s) != nil && d.held == nil {
		d.held = &node
		return
	}
	if id := textOf(node.Attrs["id"]); n.misfortune("devices", id, 0.01) {
		n.enqueue(d, binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": u.lid, "type": "devices", "id": "devices-" + id,
			"t": node.Attrs["t"]}, Content: []binary.Node{{Tag: "update", Attrs: binary.Attrs{"hash": "Ca1m"}}}})
	}
	n.enqueue(d, node)
	if held := d.held; held != nil {
		d.held = nil
		n.enqueue(d, *held)
	}
}

// mangle spoils a ciphertext, if it is to be spoilt.
func (n *Network) mangle(d *device, u *user, id string, enc binary.Node) binary.Node {
	return n.mangleFor(about("message", "", jidText(d.jid), jidText(u.lid)), id, enc)
}

func (n *Network) mangleFor(s subject, id string, enc binary.Node) binary.Node {
	first := enc.Attrs["count"] == nil
	if n.strikes(FaultMangleAlways, s) == nil &&
		!(first && (n.strikes(FaultMangle, s) != nil || n.misfortune("mangle", id, 0.01))) {
		return enc
	}
	data := slices.Clone(enc.Content.([]byte))
	data[len(data)-1] ^= 0xff
	return binary.Node{Tag: enc.Tag, Attrs: enc.Attrs, Content: data}
}

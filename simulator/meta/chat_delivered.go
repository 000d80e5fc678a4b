package meta

import (
	"slices"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is what a message looks like to those who get it.

// head is what every delivered form of a message has.
func (p *parcel) head(from types.JID) binary.Attrs {
	attrs := binary.Attrs{"from": from, "id": p.id, "t": p.at.seconds(), "type": p.kind, "notify": p.from.pushName()}
	if p.edit != "" {
		attrs["edit"] = p.edit
	}
	return attrs
}

// contents are the ciphertexts for one device, the sender's identity where a session begins, and what goes beside.
func (p *parcel) contents(encs ...binary.Node) []binary.Node {
	list := slices.Clone(encs)
	if p.identity.Tag != "" && slices.ContainsFunc(encs, func(enc binary.Node) bool { return attrText(enc, "type") == "pkmsg" }) {
		list = append(list, p.identity)
	}
	return append(list, p.beside...)
}

// forPerson is a direct message as the other side's device gets it, under the number that the sender wrote to.
func (p *parcel) forPerson(to *user, server string, enc binary.Node) binary.Node {
	attrs := p.head(p.from.as(server))
	other, key := p.from.user.lid, "sender_lid"
	attrs["addressing_mode"] = "pn"
	if server != types.DefaultUserServer {
		other, key = p.from.user.pn, "sender_pn"
		attrs["addressing_mode"] = "lid"
	}
	if !p.from.user.oneName {
		attrs[key] = other
	}
	return binary.Node{Tag: "message", Attrs: attrs, Content: p.contents(enc)}
}

// forOwn is a direct message as another device of its sender gets it.
func (p *parcel) forOwn(chat types.JID, enc binary.Node) binary.Node {
	attrs := p.head(p.from.as(chat.Server))
	attrs["recipient"] = chat
	return binary.Node{Tag: "message", Attrs: attrs, Content: p.contents(enc)}
}

// withPeer adds the other number of the chat's partner. The model must be locked.
func (n *Network) withPeer(node binary.Node) binary.Node {
	chat, _ := node.Attrs["recipient"].(types.JID)
	if u := n.userAt(chat); u != nil && node.Tag == "message" {
		if chat.Server == types.HiddenUserServer {
			node.Attrs["peer_recipient_pn"] = u.pn
		} else {
			node.Attrs["peer_recipient_lid"] = u.lid
		}
	}
	return node
}

package meta

import (
	"fmt"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// linkedKeys serves name space encrypt for a linked device (docs/protocol.md#keys).
func (n *Network) linkedKeys(d *device, kind string, node, child binary.Node) ([]binary.Node, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch kind + " " + child.Tag {
	case "get count":
		return []binary.Node{{Tag: "count", Attrs: binary.Attrs{"value": n.prekeyCount(d, node)}}}, 0
	case "get digest":
		if !d.uploaded {
			return nil, codeNotFound
		}
		return []binary.Node{d.keys.digest()}, 0
	case "get key":
		return n.bundlesForLinked(d, child)
	case "set registration":
		return nil, n.uploadLinked(d, node)
	case "set rotate":
		return nil, n.rotateSigned(d, child)
	}
	n.finding("unserved-request", fmt.Sprintf("%s: <iq type=%s xmlns=encrypt><%s>", d.text(), kind, child.Tag))
	return nil, codeUnserved
}

// uploadLinked stores the keys of a linked device; with the first of them others can write to it. The model must be locked.
func (n *Network) uploadLinked(d *device, node binary.Node) int {
	first := !d.uploaded
	keys, err := readKeyUpload(node)
	if err != nil {
		n.finding("bad-key-upload", fmt.Sprintf("%s: %v", d.text(), err))
		return codeMalformed
	}
	if keys.identity != d.keys.identity || keys.registration != d.keys.registration {
		n.finding("keys-not-linked", d.text()+": uploaded keys are not those that were linked")
		return codeForbidden
	}
	if err = d.keys.mergeOneTime(keys.oneTime); err != nil {
		n.finding("prekey-replayed", fmt.Sprintf("%s: %v", d.text(), err))
		return codeForbidden
	}
	d.keys.signed, d.uploaded = keys.signed, true
	if first && d.companion.owner.companions[d.jid.Device] == d {
		n.announceDevice(d, "add")
	}
	return 0
}

func (n *Network) rotateSigned(d *device, child binary.Node) int {
	signed, err := readSignedKey(childOf(child, "skey"))
	if err != nil || !signed.signedBy(d.keys.identity) {
		n.finding("bad-key-upload", fmt.Sprintf("%s: rotation: %v", d.text(), err))
		return codeMalformed
	}
	d.keys.signed = signed
	return 0
}

// prekeyCount is how many one-time keys the server says it has. The model must be locked.
func (n *Network) prekeyCount(d *device, node binary.Node) int {
	if n.strikes(FaultPrekeysLost, about("iq", "encrypt", jidText(d.jid))) != nil {
		d.keys.oneTime = nil
	}
	count := len(d.keys.oneTime)
	if n.misfortune("count", textOf(node.Attrs["id"]), 0.05) {
		count = min(count, lowPrekeys-1)
	}
	return count
}

// bundlesForLinked answers for each asked device by itself, under the very address that was asked.
func (n *Network) bundlesForLinked(d *device, asked binary.Node) ([]binary.Node, int) {
	var list []binary.Node
	for _, child := range asked.GetChildren() {
		jid, ok := child.Attrs["jid"].(types.JID)
		if !ok {
			n.finding("string-jid", d.text()+": key request: jid is not encoded as an address")
			return nil, codeMalformed
		}
		u := n.userAt(jid)
		if u == nil || u.keysOf(jid.Device) == nil {
			list = append(list, errorUser(jid, codeNotFound))
			continue
		}
		list = append(list, n.bundleOf(u, jid, d.text()))
	}
	if len(list) == 0 {
		return nil, codeMalformed
	}
	return []binary.Node{{Tag: "list", Content: list}}, 0
}

// bundleOf is one device's keys, with its signed identity if it is a linked one. The model must be locked.
func (n *Network) bundleOf(u *user, jid types.JID, asker string) binary.Node {
	keys := u.keysOf(jid.Device)
	answer := n.bundle(keys, jid, about("iq", "encrypt", asker, jidText(jid)))
	if _, failed := answer.GetOptionalChildByTag("error"); failed {
		return answer
	}
	left := len(keys.oneTime)
	if jid.Device == 0 {
		if left == lowPrekeys-1 || left == 0 {
			u.phone.post(lowKeysNotice(left, n.stamp("low")))
		}
		return answer
	}
	d := u.companions[jid.Device]
	answer.Content = append(answer.GetChildren(), binary.Node{Tag: "device-identity", Content: d.companion.identity})
	if left == lowPrekeys-1 {
		notice := lowKeysNotice(left, n.stamp("low"))
		notice.Attrs["id"] = fmt.Sprintf("low-%s-%d", d.text(), len(keys.handedOut))
		n.enqueue(d, notice)
	}
	return answer
}

// keysForPhone is the bundle of one device as another WhatsApp user's phone gets it.
func (n *Network) keysForPhone(asker *user, jid types.JID) binary.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.userAt(jid)
	if u == nil || u.keysOf(jid.Device) == nil {
		return errorUser(jid, codeNotFound)
	}
	return n.bundleOf(u, jid, jidText(asker.lid))
}

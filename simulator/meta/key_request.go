package meta

import (
	"fmt"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// keyRequest serves name space encrypt.
func (n *Network) keyRequest(d *device, node, child binary.Node) ([]binary.Node, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch child.Tag {
	case "count":
		if n.strikes(FaultPrekeysLost, about("iq", "encrypt", jidText(d.jid))) != nil {
			d.keys.oneTime = nil
		}
		count := len(d.keys.oneTime)
		if n.misfortune("count", textOf(node.Attrs["id"]), 0.05) {
			count = min(count, lowPrekeys-1)
		}
		return []binary.Node{{Tag: "count", Attrs: binary.Attrs{"value": count}}}, 0
	case "digest":
		return []binary.Node{d.keys.digest()}, 0
	case "key":
		return n.bundles(d, child)
	default:
		return nil, n.upload(d, node)
	}
}

// bundles answers for each asked device by itself, so that one error does not spoil the others.
func (n *Network) bundles(d *device, asked binary.Node) ([]binary.Node, int) {
	var list []binary.Node
	for _, child := range asked.GetChildren() {
		jid, ok := child.Attrs["jid"].(types.JID)
		if !ok {
			n.finding("string-jid", jidText(d.jid)+": key request: jid is not encoded as an address")
			return nil, codeMalformed
		}
		list = append(list, n.bundleForClient(d, jid))
	}
	if len(list) == 0 {
		return nil, codeMalformed
	}
	return []binary.Node{{Tag: "list", Content: list}}, 0
}

// bundleForClient is a bundle as a provider's user gets it: only of people who opted in, blocks not showing. assumed: U8
func (n *Network) bundleForClient(d *device, jid types.JID) binary.Node {
	if jid.Device != 0 {
		n.finding("device-not-zero", fmt.Sprintf("%s: asked for keys of device %d", jidText(d.jid), jid.Device))
		return errorUser(jid, codeNotFound)
	}
	u := n.personAt(d.product, jid)
	switch {
	case jid.Server != serverOf(d.product):
		n.finding("not-by-lid", fmt.Sprintf("%s: asked for keys by %s", jidText(d.jid), jid.Server))
		return errorUser(jid, codeMalformed)
	case u == nil || !u.eligible():
		return errorUser(jid, codeNotFound)
	case !u.accepts(d.enlistment.Integrator):
		return errorUser(jid, codeForbidden)
	}
	answer := n.bundle(&u.keys, jid, about("iq", "encrypt", jidText(d.jid), jidText(jid)))
	if left := len(u.keys.oneTime); left == lowPrekeys-1 || left == 0 {
		u.phone.post(lowKeysNotice(len(u.keys.oneTime), n.stamp("low")))
	}
	return answer
}

// bundleForPhone is the bundle of a provider's user as a phone gets it.
func (n *Network) bundleForPhone(u *user, jid types.JID) binary.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.enlistmentAt(u.product, jid)
	switch {
	case e == nil || e.Status == enlistmentWithdrawn || e.Status == enlistmentPending:
		return errorUser(jid, codeNotFound)
	case !u.accepts(e.Integrator):
		return errorUser(jid, codeForbidden)
	}
	d := n.deviceOf(e)
	answer := n.bundle(&d.keys, jid, about("iq", "encrypt", jidText(jid), jidText(u.lid)))
	if len(d.keys.oneTime) == lowPrekeys-1 {
		notice := lowKeysNotice(len(d.keys.oneTime), n.stamp("low"))
		notice.Attrs["id"] = fmt.Sprintf("low-%s-%d", jid.User, len(d.keys.handedOut))
		n.enqueue(d, notice)
	}
	return answer
}

// enlistmentAt is the enlistment with a product that an interop address names, nil if none. The model must be locked.
func (n *Network) enlistmentAt(product string, jid types.JID) *enlistment {
	if jid.Server != types.InteropServer {
		return nil
	}
	return n.enlistmentByAccount(product, int(jid.Integrator), jid.User)
}

func lowKeysNotice(left int, at stamp) binary.Node {
	return binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": types.ServerJID, "type": "encrypt", "id": "low", "t": at.seconds()},
		Content: []binary.Node{{Tag: "count", Attrs: binary.Attrs{"value": left}}}}
}

// deviceList answers which devices an account has: to an interop login, the primary and no other.
func (n *Network) deviceList(asked binary.Node) ([]binary.Node, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var users []binary.Node
	list := childOf(asked, "list")
	for _, child := range list.GetChildren() {
		jid, ok := child.Attrs["jid"].(types.JID)
		if !ok {
			return nil, codeMalformed
		}
		u := n.usersByLID[jid.User]
		if jid.Server == types.DefaultUserServer {
			u = n.usersByPhone[jid.User]
		}
		if u == nil {
			users = append(users, errorUser(jid, codeNotFound))
			continue
		}
		users = append(users, binary.Node{Tag: "user", Attrs: binary.Attrs{"jid": jid}, Content: []binary.Node{
			{Tag: "devices", Content: []binary.Node{{Tag: "device-list", Content: []binary.Node{
				{Tag: "device", Attrs: binary.Attrs{"id": 0, "key-index": 0}},
			}}}},
			{Tag: "lid", Attrs: binary.Attrs{"val": u.lid}},
		}})
	}
	attrs := binary.Attrs{}
	for _, key := range []string{"sid", "mode", "context", "index", "last"} {
		attrs[key] = asked.Attrs[key]
	}
	return []binary.Node{{Tag: "usync", Attrs: attrs, Content: []binary.Node{
		{Tag: "result"}, {Tag: "list", Content: users},
	}}}, 0
}

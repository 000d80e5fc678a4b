package meta

import (
	"fmt"
	"maps"
	"slices"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is what a linked device asks of the server, one name space a line.

// answerLinked is what a linked device's request gets: content, or an error code.
func (n *Network) answerLinked(d *device, node binary.Node, xmlns string) ([]binary.Node, int) {
	kind, _ := node.Attrs["type"].(string)
	child := firstChild(node)
	switch xmlns {
	case "encrypt":
		return n.linkedKeys(d, kind, node, child)
	case "usync":
		return n.usync(d, kind, child)
	case "w:g2":
		return n.groupRequest(d, kind, node, child)
	case "w:profile:picture":
		return n.pictureRequest(d, kind, node, child)
	case "w:sync:app:state":
		return n.appStateRequest(d, kind, child)
	case "privacy":
		return n.privacyRequest(d, kind, child)
	case "blocklist":
		return n.blocklistRequest(d, kind, child)
	}
	switch kind + " " + xmlns + " " + child.Tag {
	case "get w:p ", "get w:p ping", "set urn:xmpp:whatsapp:dirty clean", "set urn:xmpp:whatsapp:push config", "set disappearing_mode disappearing_mode":
		return nil, 0
	case "get urn:xmpp:whatsapp:push settings":
		return []binary.Node{{Tag: "settings"}}, 0
	case "get abt props":
		return []binary.Node{{Tag: "props", Attrs: binary.Attrs{"protocol": "1", "hash": "calm"}}}, 0
	case "set w:m media_conn":
		return n.mediaHostsAt(n.tlsAddr), 0 // other clients than the library go there as they are told, over https
	case "set md remove-companion-device":
		return nil, n.logoutRequest(d, child)
	case "get w:biz business_profile":
		return []binary.Node{{Tag: "business_profile", Attrs: binary.Attrs{"v": "244"}}}, 0
	}
	n.finding("unserved-request", fmt.Sprintf("%s: <iq type=%s xmlns=%s><%s>", d.text(), kind, xmlns, child.Tag))
	return nil, codeUnserved
}

// logoutRequest removes the device that asks, or another companion of its account.
func (n *Network) logoutRequest(d *device, child binary.Node) int {
	jid, ok := child.Attrs["jid"].(types.JID)
	n.mu.Lock()
	defer n.mu.Unlock()
	owner := d.companion.owner
	target := owner.companions[jid.Device]
	if !ok || n.userAt(jid) != owner || target == nil {
		return codeMalformed
	}
	c := target.conn
	n.removeCompanion(target)
	if n.ctx.Err() == nil {
		n.work.Go(func() {
			if c != nil && target != d {
				c.drop(dropRemoved)
			}
			if err := owner.phone.publishIndexes(); err != nil {
				n.cfg.logf("simulator: failed to sign the list of devices: %v", err)
			}
		})
	}
	return 0
}

func (n *Network) privacyRequest(d *device, kind string, child binary.Node) ([]binary.Node, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	u := d.companion.owner
	switch kind + " " + child.Tag {
	case "get privacy":
		return []binary.Node{u.privacyNode()}, 0
	case "set privacy":
		for _, category := range child.GetChildren() {
			name, value := textOf(category.Attrs["name"]), textOf(category.Attrs["value"])
			if _, known := u.privacy[name]; !known {
				return nil, codeMalformed
			}
			u.privacy[name] = value
		}
		n.tellPrivacy(u, d)
		return []binary.Node{u.privacyNode()}, 0
	case "set tokens":
		return nil, n.passTokens(d, child)
	}
	n.finding("unserved-request", fmt.Sprintf("%s: <iq type=%s xmlns=privacy><%s>", d.text(), kind, child.Tag))
	return nil, codeUnserved
}

// privacyCategories are the privacy settings of an account.
func privacyCategories() []string {
	return []string{"readreceipts", "last", "online", "status", "profile", "groupadd", "calladd", "messages", "defense", "stickers"}
}

func (u *user) privacyNode() binary.Node {
	var categories []binary.Node
	for _, name := range privacyCategories() {
		categories = append(categories, binary.Node{Tag: "category", Attrs: binary.Attrs{"name": name, "value": u.privacy[name]}})
	}
	return binary.Node{Tag: "privacy", Content: categories}
}

// tellPrivacy tells the other devices of an account about its settings. The model must be locked.
func (n *Network) tellPrivacy(u *user, except *device) {
	n.lastNotice++
	notice := binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": u.pn, "type": "account_sync",
		"id": fmt.Sprintf("privacy-%d", n.lastNotice), "t": n.stamp("privacy").seconds()}, Content: []binary.Node{u.privacyNode()}}
	for _, d := range u.linked() {
		if d != except {
			n.enqueue(d, notice)
		}
	}
}

// passTokens gives the tokens that a device issues for its contacts to those contacts. The model must be locked.
func (n *Network) passTokens(d *device, tokens binary.Node) int {
	owner := d.companion.owner
	for _, token := range tokens.GetChildren() {
		jid, ok := token.Attrs["jid"].(types.JID)
		to := n.userAt(jid)
		if !ok || textOf(token.Attrs["type"]) != "trusted_contact" {
			return codeMalformed
		}
		if to == nil || to == owner {
			continue
		}
		n.lastNotice++
		at := textOf(token.Attrs["t"])
		notice := binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": owner.pn, "sender_lid": owner.lid, "type": "privacy_token",
			"id": fmt.Sprintf("token-%d", n.lastNotice), "t": n.stamp("token").seconds()}, Content: []binary.Node{{Tag: "tokens",
			Content: []binary.Node{{Tag: "token", Attrs: binary.Attrs{"type": "trusted_contact", "t": at},
				Content: []byte("token-" + owner.lid.User)}}}}}
		for _, other := range to.linked() {
			n.enqueue(other, notice)
		}
	}
	return 0
}

// blocklistRequest shows or changes whom an account has blocked in ordinary chats.
func (n *Network) blocklistRequest(d *device, kind string, child binary.Node) ([]binary.Node, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	u := d.companion.owner
	if kind == "set" {
		jid, _ := child.Attrs["jid"].(types.JID)
		other := n.userAt(jid)
		if child.Tag != "item" || other == nil {
			return nil, codeMalformed
		}
		switch child.Attrs["action"] {
		case "block":
			u.blocked[jidText(other.lid)] = true
		case "unblock":
			delete(u.blocked, jidText(other.lid))
		default:
			return nil, codeMalformed
		}
	}
	return []binary.Node{u.blocklistNode()}, 0
}

func (u *user) blocklistNode() binary.Node {
	var items []binary.Node
	for _, text := range slices.Sorted(maps.Keys(u.blocked)) {
		if jid, err := parseJID(text); err == nil && jid.Server == types.HiddenUserServer {
			items = append(items, binary.Node{Tag: "item", Attrs: binary.Attrs{"jid": jid}})
		}
	}
	return binary.Node{Tag: "list", Attrs: binary.Attrs{"dhash": fmt.Sprintf("b%d", len(items))}, Content: items}
}

package meta

import (
	"fmt"
	"slices"
	"strings"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// usync answers what a linked device wants to know of people: which devices they have, their
// hidden numbers, whether a number is on WhatsApp, status texts and pictures.
func (n *Network) usync(d *device, kind string, asked binary.Node) ([]binary.Node, int) {
	query, list := childOf(asked, "query"), childOf(asked, "list")
	if kind != "get" || asked.Tag != "usync" || query.Tag == "" || list.Tag == "" {
		n.finding("bad-usync", d.text()+": no query or no list")
		return nil, codeMalformed
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var results, users []binary.Node
	for _, part := range query.GetChildren() {
		if !slices.Contains(usyncParts(), part.Tag) {
			n.finding("bad-usync", fmt.Sprintf("%s: query %s", d.text(), part.Tag))
			return nil, codeMalformed
		}
		results = append(results, binary.Node{Tag: part.Tag})
	}
	for _, child := range list.GetChildren() {
		answer, code := n.usyncUser(d, query, child)
		if code != 0 {
			return nil, code
		}
		users = append(users, answer)
	}
	attrs := binary.Attrs{}
	for _, key := range []string{"sid", "mode", "context", "index", "last"} {
		attrs[key] = asked.Attrs[key]
	}
	return []binary.Node{{Tag: "usync", Attrs: attrs, Content: []binary.Node{
		{Tag: "result", Content: results}, {Tag: "list", Content: users}}}}, 0
}

func usyncParts() []string {
	return []string{"devices", "lid", "contact", "status", "picture", "business", "disappearing_mode", "username", "sidelist", "text_status", "feature"}
}

// usyncUser answers about one person, who is named by an address or, for the contact query, by a number.
func (n *Network) usyncUser(d *device, query, child binary.Node) (binary.Node, int) {
	jid, named := child.Attrs["jid"].(types.JID)
	contact := childOf(child, "contact")
	asked := contentText(contact)
	contactQuery, byContact := query.GetOptionalChildByTag("contact")
	var u *user
	switch {
	case named:
		u = n.userAt(jid.ToNonAD())
	case byContact && asked != "":
		number, _, _ := strings.Cut(strings.TrimPrefix(asked, "+"), "@")
		u = n.usersByPhone[number]
	default:
		n.finding("bad-usync", d.text()+": a user without jid and without contact")
		return binary.Node{}, codeMalformed
	}
	if u == nil {
		attrs := binary.Attrs{}
		if named {
			attrs["jid"] = jid
		} else {
			number, _, _ := strings.Cut(strings.TrimPrefix(asked, "+"), "@")
			attrs["jid"] = types.NewJID(number, types.DefaultUserServer)
		}
		content := []binary.Node{}
		if byContact {
			content = append(content, binary.Node{Tag: "contact", Attrs: binary.Attrs{"type": "out"}, Content: []byte(asked)})
		}
		return binary.Node{Tag: "user", Attrs: attrs, Content: content}, 0
	}
	if !named {
		jid = u.pn
		if contactQuery.Attrs["addressing_mode"] == "lid" {
			jid = u.lid
		}
	}
	attrs := binary.Attrs{"jid": jid}
	if jid.Server == types.HiddenUserServer {
		attrs["pn_jid"] = u.pn
	}
	return binary.Node{Tag: "user", Attrs: attrs, Content: n.usyncAbout(d, u, query, asked)}, 0
}

// usyncAbout is what is told of a person; the hidden number is told whatever was asked, for no
// client can write to anybody without it.
func (n *Network) usyncAbout(d *device, u *user, query binary.Node, asked string) []binary.Node {
	content := []binary.Node{{Tag: "lid", Attrs: binary.Attrs{"val": u.lid}}}
	for _, part := range query.GetChildren() {
		switch part.Tag {
		case "devices":
			d.companion.knows[u] = true
			content = append(content, u.deviceListNode())
		case "contact":
			content = append(content, binary.Node{Tag: "contact", Attrs: binary.Attrs{"type": "in"}, Content: []byte(asked)})
		case "status":
			content = append(content, binary.Node{Tag: "status", Attrs: binary.Attrs{"t": u.aboutSet.Unix()}, Content: []byte(u.about)})
		case "picture":
			if u.picture != nil {
				content = append(content, binary.Node{Tag: "picture", Attrs: binary.Attrs{"id": u.picture.id}})
			}
		}
	}
	return content
}

// deviceListNode is a user's devices with the index of each one's key, and the phone's signature over the indexes.
func (u *user) deviceListNode() binary.Node {
	var list []binary.Node
	for _, number := range u.deviceNumbers() {
		list = append(list, binary.Node{Tag: "device", Attrs: binary.Attrs{"id": int(number), "key-index": u.keyIndex(number)}})
	}
	content := []binary.Node{{Tag: "device-list", Content: list}}
	if u.keyIndexes != nil {
		content = append(content, binary.Node{Tag: "key-index-list", Attrs: binary.Attrs{"ts": u.keyIndexesSet.Unix()}, Content: u.keyIndexes})
	}
	return binary.Node{Tag: "devices", Content: content}
}

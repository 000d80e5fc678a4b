package meta

import (
	"fmt"
	"slices"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is how the server passes messages between people on WhatsApp: from any device of one
// to every device of the others, and to the sender's own other devices.

// party is one device of somebody, as the sender of a stanza; number 0 is the phone.
type party struct {
	user   *user
	number uint16
}

func (p party) as(server string) types.JID { return withDevice(p.user.as(server), p.number) }
func (p party) text() string               { return p.as(types.DefaultUserServer).String() }

func (d *device) party() party { return party{d.companion.owner, d.jid.Device} }

// parcel is a message on its way, after its form was checked.
type parcel struct {
	id, kind, edit, category, phash string
	from                            party
	to                              types.JID
	// one is the one device that a repeated message or one to an own device is for, nil for a message to all.
	one      *types.JID
	flat     []binary.Node // ciphertexts for everybody: the sender key's in a group, or the one of a message to one device
	each     []binary.Node // the entries of <participants>
	identity binary.Node   // the sender's signed identity, for those who get a first message
	beside   []binary.Node // what else goes on to the other side
	at       stamp
}

// chatKinds are the types of a message's stanza in ordinary chats.
func chatKinds() []string { return []string{"text", "media", "reaction", "poll", "event"} }

// chatMessage takes a message within WhatsApp and returns its acknowledgement.
func (n *Network) chatMessage(from party, node binary.Node) binary.Node {
	at := n.stamp(textOf(node.Attrs["id"]))
	p, code := n.readParcel(from, node)
	extra := ""
	if code == 0 {
		p.at = at
		at, extra, code = n.carry(p)
	}
	ack := n.ack(node, at, code)
	if extra != "" {
		ack.Attrs["phash"] = extra
	}
	return ack
}

// readParcel checks the form of a message; a wrong one is a finding and gets an error code.
func (n *Network) readParcel(from party, node binary.Node) (p *parcel, code int) {
	wrong := func(kind, detail string) (*parcel, int) {
		n.finding(kind, fmt.Sprintf("%s: message: %s", from.text(), detail))
		return nil, codeBadShape
	}
	p = &parcel{from: from, id: attrText(node, "id"), kind: attrText(node, "type"), edit: attrText(node, "edit"),
		category: attrText(node, "category"), phash: attrText(node, "phash")}
	p.to, _ = node.Attrs["to"].(types.JID)
	switch {
	case p.id == "":
		return wrong("no-id", "no id")
	case !slices.Contains(chatKinds(), p.kind):
		return wrong("bad-message-type", "type "+p.kind)
	}
	for _, child := range node.GetChildren() {
		switch child.Tag {
		case "enc":
			p.flat = append(p.flat, child)
		case "participants":
			p.each = child.GetChildren()
		case "device-identity":
			p.identity = child
		case "meta", "biz", "reporting", "multicast":
			p.beside = append(p.beside, child)
		case "tctoken", "cstoken":
		default:
			return wrong("bad-message-shape", "unknown child "+child.Tag)
		}
	}
	if problem := p.checkShape(node); problem != "" {
		return wrong("bad-message-shape", problem)
	}
	return p, 0
}

// attrText is an attribute that has to be text, empty without it.
func attrText(node binary.Node, key string) string {
	text, _ := node.Attrs[key].(string)
	return text
}

// checkShape finds out whom a message is for, and says what is wrong with its form.
func (p *parcel) checkShape(node binary.Node) (problem string) {
	for _, entry := range p.each {
		if jid, ok := entry.Attrs["jid"].(types.JID); !ok || entry.Tag != "to" || len(entry.GetChildren()) != 1 || jid.User == "" {
			return "an entry of participants is no <to jid> with one ciphertext"
		}
		if problem := checkEnc(entry.GetChildren()[0], "pkmsg", "msg"); problem != "" {
			return problem
		}
	}
	for _, enc := range p.flat {
		if problem := checkEnc(enc, "pkmsg", "msg", "skmsg"); problem != "" {
			return problem
		}
	}
	participant, aimed := node.Attrs["participant"].(types.JID)
	group := p.to.Server == types.GroupServer
	switch {
	case p.category == "peer" || attrText(node, "device_fanout") == "false" || !group && p.to.Device != 0:
		p.one = &p.to
	case aimed && group:
		p.one = &participant
	}
	switch {
	case p.one != nil && (len(p.flat) != 1 || len(p.each) != 0):
		return "a message to one device has not exactly one ciphertext"
	case p.one == nil && group && (len(p.flat) != 1 || attrText(p.flat[0], "type") != "skmsg"):
		return "a message to a group has not exactly one ciphertext of the sender's key"
	case p.one == nil && !group && len(p.flat) != 0:
		return "a ciphertext outside of participants"
	}
	return ""
}

func checkEnc(enc binary.Node, kinds ...string) (problem string) {
	if _, ok := enc.Content.([]byte); !ok || enc.Tag != "enc" || attrText(enc, "v") != "2" || !slices.Contains(kinds, attrText(enc, "type")) {
		return "no ciphertext of version 2 and a known type"
	}
	return ""
}

// carry delivers a message, or says why not. A repeated message is acknowledged with the time of the first
// and goes nowhere; hash is set if the sender's list of devices is not the server's.
func (n *Network) carry(p *parcel) (at stamp, hash string, code int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.one != nil {
		return p.at, "", n.carryToOne(p)
	}
	key := p.from.text() + "/" + jidText(p.to) + "/" + p.id
	if first, repeated := n.carried[key]; repeated {
		n.count("repeated")
		return first, "", 0
	}
	if p.to.Server == types.GroupServer {
		hash, code = n.carryToGroup(p)
	} else {
		hash, code = n.carryToPerson(p)
	}
	if code == 0 {
		n.carried[key] = p.at
	}
	return p.at, hash, code
}

// carryToOne delivers a repeated message to the device that asked for it, or a message to an own device. The model must be locked.
func (n *Network) carryToOne(p *parcel) int {
	u := n.userAt(p.one.ToNonAD())
	switch {
	case u == nil:
		return codeNotFound
	case p.category == "peer" && u != p.from.user:
		n.finding("peer-to-stranger", fmt.Sprintf("%s: peer message to %s", p.from.text(), jidText(p.to)))
		return codeForbidden
	}
	enc := n.spoil(p, u, p.one.Device, p.flat[0])
	if p.to.Server == types.GroupServer {
		n.hand(u, p.one.Device, p.inGroup(p.groupHead(), enc))
		return 0
	}
	if u == p.from.user && p.category != "peer" {
		n.hand(u, p.one.Device, p.forOwn(p.to.ToNonAD(), enc))
		return 0
	}
	node := p.forPerson(u, p.to.Server, enc)
	if p.category != "" {
		node.Attrs["category"] = p.category
	}
	n.hand(u, p.one.Device, node)
	return 0
}

// carryToPerson delivers a direct message to every device that it is encrypted for. The model must be locked.
func (n *Network) carryToPerson(p *parcel) (hash string, code int) {
	to := n.userAt(p.to)
	if to == nil {
		return "", codeNotFound
	}
	for _, entry := range p.each {
		jid := entry.Attrs["jid"].(types.JID)
		u, enc := n.userAt(jid), entry.GetChildren()[0]
		switch {
		case u == nil || u.keysOf(jid.Device) == nil, u == p.from.user && jid.Device == p.from.number:
			// A device that is no more, or the sender's own: dropped without a word.
		case u == to && u != p.from.user:
			if !to.blocked[jidText(p.from.user.lid)] {
				n.hand(u, jid.Device, p.forPerson(u, p.to.Server, n.spoil(p, u, jid.Device, enc)))
			}
		case u == p.from.user:
			n.hand(u, jid.Device, p.forOwn(p.to, n.spoil(p, u, jid.Device, enc)))
		default:
			n.finding("foreign-participant", fmt.Sprintf("%s: message to %s is also for %s", p.from.text(), jidText(p.to), jidText(jid)))
		}
	}
	devices := to.devicesAs(p.to.Server)
	if to != p.from.user {
		devices = append(devices, p.from.user.devicesAs(p.to.Server)...)
	}
	return n.hashIfStale(p, devices), 0
}

// hashIfStale is the hash of the devices that a message should have gone to, empty if it did go to all of them.
func (n *Network) hashIfStale(p *parcel, devices []types.JID) string {
	covered := map[string]bool{p.from.text(): true}
	for _, entry := range p.each {
		jid := entry.Attrs["jid"].(types.JID)
		if u := n.userAt(jid); u != nil {
			covered[party{u, jid.Device}.text()] = true
		}
	}
	stale := n.strikes(FaultStaleDevices, about("message", "", p.from.text(), jidText(p.to))) != nil
	for _, jid := range devices {
		if u := n.userAt(jid); u != nil {
			stale = stale || !covered[party{u, jid.Device}.text()]
		}
	}
	if !stale {
		return ""
	}
	return devicesHash(devices)
}

// hand gives a stanza to one device of somebody: to the phone at once, to a companion through its queue. The model must be locked.
func (n *Network) hand(u *user, number uint16, node binary.Node) {
	node = n.withPeer(node)
	if number == 0 {
		u.phone.post(node)
		return
	}
	if d := u.companions[number]; d != nil {
		n.enqueue(d, node)
	}
}

// spoil mangles a ciphertext for a linked device, if a fault or the profile says so. The model must be locked.
func (n *Network) spoil(p *parcel, u *user, number uint16, enc binary.Node) binary.Node {
	if number == 0 {
		return enc
	}
	return n.mangleFor(about("message", "", u.companions.text(number), jidText(u.lid), jidText(u.pn), p.from.text()), p.id, enc)
}

// companions are the linked devices of an account by number.
type companions map[uint16]*device

func (c companions) text(number uint16) string {
	if d := c[number]; d != nil {
		return d.text()
	}
	return ""
}

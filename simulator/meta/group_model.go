package meta

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// The ranks of a group's members.
const (
	rankMember = ""
	rankAdmin  = "admin"
	rankOwner  = "superadmin"
)

// group is a group of people on WhatsApp. The model's lock guards it.
type group struct {
	jid               types.JID
	creator           *user
	created           time.Time
	subject           string
	subjectBy         *user
	subjectSet        time.Time
	topic, topicID    string
	topicBy           *user
	topicSet          time.Time
	picture           *picture
	announce, locked  bool
	approval          bool
	adminsAdd         bool
	community         bool   // it holds other groups and is no chat itself
	ephemeral         uint32 // seconds that messages live, 0 for ever
	code              string // of the invite link
	members           []*member
	requests          []*joinRequest
	invites           map[string]*user // by code, those who could not be added and got an invitation
	participantsCount int              // versions of the list of members so far
}

type member struct {
	user *user
	rank string
}

type joinRequest struct {
	user *user
	at   time.Time
}

// member finds somebody in a group, nil if they are not in it; also in no group at all.
func (g *group) member(u *user) *member {
	if g == nil {
		return nil
	}
	if i := slices.IndexFunc(g.members, func(m *member) bool { return m.user == u }); i >= 0 {
		return g.members[i]
	}
	return nil
}

func (m *member) admin() bool { return m != nil && m.rank != rankMember }

// node is a group as the server describes it to its members.
func (g *group) node() binary.Node {
	attrs := binary.Attrs{"id": g.jid.User, "subject": g.subject, "s_t": g.subjectSet.Unix(), "s_o": g.subjectBy.lid, "s_o_pn": g.subjectBy.pn,
		"creation": g.created.Unix(), "creator": g.creator.lid, "creator_pn": g.creator.pn, "addressing_mode": "lid",
		"size": len(g.members), "p_v_id": strconv.Itoa(g.participantsCount), "a_v_id": "1"}
	var content []binary.Node
	for _, m := range g.members {
		content = append(content, m.node())
	}
	if g.topic != "" {
		content = append(content, binary.Node{Tag: "description", Attrs: binary.Attrs{"id": g.topicID, "t": g.topicSet.Unix(),
			"participant": g.topicBy.lid, "participant_pn": g.topicBy.pn}, Content: []binary.Node{{Tag: "body", Content: []byte(g.topic)}}})
	}
	for tag, on := range map[string]bool{"announcement": g.announce, "locked": g.locked} {
		if on {
			content = append(content, binary.Node{Tag: tag})
		}
	}
	if g.community {
		content = append(content, binary.Node{Tag: "parent", Attrs: binary.Attrs{"default_membership_approval_mode": "request_required"}})
	}
	if g.approval {
		content = append(content, binary.Node{Tag: "membership_approval_mode", Content: []binary.Node{
			{Tag: "group_join", Attrs: binary.Attrs{"state": "on"}}}})
	}
	if g.ephemeral != 0 {
		content = append(content, binary.Node{Tag: "ephemeral", Attrs: binary.Attrs{"expiration": int(g.ephemeral), "trigger": "1"}})
	}
	mode := "all_member_add"
	if g.adminsAdd {
		mode = "admin_add"
	}
	return binary.Node{Tag: "group", Attrs: attrs, Content: append(content, binary.Node{Tag: "member_add_mode", Content: []byte(mode)})}
}

func (m *member) node() binary.Node {
	attrs := binary.Attrs{"jid": m.user.lid, "phone_number": m.user.pn}
	if m.rank != rankMember {
		attrs["type"] = m.rank
	}
	return binary.Node{Tag: "participant", Attrs: attrs}
}

// groupDevices are all devices of a group but the sender's phone, under their hidden numbers.
func (n *Network) groupDevices(from *user, jid types.JID) ([]types.JID, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	g := n.groups[jid.User]
	if g.member(from) == nil {
		return nil, fmt.Errorf("%s is not in %s: %w", from.name, jid, errRefused)
	}
	list := g.devices()
	return slices.DeleteFunc(list, func(d types.JID) bool { return d == from.lid }), nil
}

func (g *group) devices() (list []types.JID) {
	for _, m := range g.members {
		list = append(list, m.user.devicesAs(types.HiddenUserServer)...)
	}
	return list
}

// groupHead is what every delivered form of a message in a group has.
func (p *parcel) groupHead() binary.Attrs {
	attrs := p.head(p.to)
	attrs["participant"], attrs["participant_pn"], attrs["addressing_mode"] = p.from.as(types.HiddenUserServer), p.from.user.pn, "lid"
	return attrs
}

func (p *parcel) inGroup(head binary.Attrs, encs ...binary.Node) binary.Node {
	return binary.Node{Tag: "message", Attrs: head, Content: p.contents(encs...)}
}

// carryToGroup delivers a message to every device of a group: the sender's key to those that it is encrypted for, and the
// message itself to all. The model must be locked.
func (n *Network) carryToGroup(p *parcel) (hash string, code int) {
	g := n.groups[p.to.User]
	sender := g.member(p.from.user)
	switch {
	case g == nil:
		return "", codeNotFound
	case sender == nil, g.announce && !sender.admin():
		return "", codeForbidden
	}
	keys := map[string]binary.Node{}
	for _, entry := range p.each {
		jid := entry.Attrs["jid"].(types.JID)
		u := n.userAt(jid)
		if u == nil || g.member(u) == nil {
			n.finding("foreign-participant", fmt.Sprintf("%s: message to %s is also for %s", p.from.text(), p.to, jidText(jid)))
			continue
		}
		keys[party{u, jid.Device}.text()] = entry.GetChildren()[0]
	}
	for _, m := range g.members {
		for _, number := range m.user.deviceNumbers() {
			to := party{m.user, number}
			if to == p.from {
				continue
			}
			encs := []binary.Node{n.spoil(p, m.user, number, p.flat[0])}
			if key, found := keys[to.text()]; found {
				encs = append([]binary.Node{key}, encs...)
			}
			n.hand(m.user, number, p.inGroup(p.groupHead(), encs...))
		}
	}
	devices := g.devices()
	if want := devicesHash(devices); want != p.phash || n.strikes(FaultStaleDevices, about("message", "", p.from.text(), p.to.String())) != nil {
		return want, 0
	}
	return "", 0
}

package meta

import (
	"fmt"
	"slices"
	"strconv"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is what changes in groups, and how their members hear of it.

// noticeTo tells all devices of some members about a change. The model must be locked.
func (n *Network) noticeTo(members []*member, g *group, by *user, change binary.Node) {
	n.lastNotice++
	notice := binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": g.jid, "type": "w:gp2", "id": fmt.Sprintf("group-%d", n.lastNotice),
		"t": n.stamp("group").seconds(), "participant": by.lid, "participant_pn": by.pn, "notify": party{by, 0}.pushName(),
		"addressing_mode": "lid"}, Content: []binary.Node{change}}
	for _, m := range members {
		n.hand(m.user, 0, notice)
		for _, d := range m.user.linked() {
			n.enqueue(d, notice)
		}
	}
}

// participantsOf is a list of people as changes of membership have it.
func participantsOf(users ...*user) []binary.Node {
	var list []binary.Node
	for _, u := range users {
		list = append(list, binary.Node{Tag: "participant", Attrs: binary.Attrs{"jid": u.lid, "phone_number": u.pn}})
	}
	return list
}

// membership is a change of who is in a group, or with which rank; the list of members has a new version.
func (g *group) membership(tag, reason string, users ...*user) binary.Node {
	attrs := binary.Attrs{"prev_v_id": strconv.Itoa(g.participantsCount)}
	g.participantsCount++
	attrs["v_id"] = strconv.Itoa(g.participantsCount)
	if reason != "" {
		attrs["reason"] = reason
	}
	return binary.Node{Tag: tag, Attrs: attrs, Content: participantsOf(users...)}
}

// join puts somebody into a group, who then is told all about it. The model must be locked.
func (n *Network) join(g *group, u, by *user, reason string) {
	before := slices.Clone(g.members)
	g.members = append(g.members, &member{u, rankMember})
	n.joined(g, before, by, reason, u)
}

// joined tells those who were there about those who came, and those who came about the group.
func (n *Network) joined(g *group, before []*member, by *user, reason string, users ...*user) {
	n.noticeTo(before, g, by, g.membership("add", reason, users...))
	attrs := binary.Attrs{}
	if reason != "" {
		attrs["reason"] = reason
	}
	var fresh []*member
	for _, u := range users {
		fresh = append(fresh, g.member(u))
	}
	n.noticeTo(fresh, g, by, binary.Node{Tag: "create", Attrs: attrs, Content: []binary.Node{g.node()}})
}

// changeMembers adds, removes, promotes or demotes people; who could not be has an error. The model must be locked.
func (n *Network) changeMembers(g *group, by *user, child binary.Node) ([]binary.Node, int) {
	if !g.member(by).admin() && (child.Tag != "add" || g.adminsAdd) {
		return nil, codeForbidden
	}
	before := slices.Clone(g.members)
	var list []binary.Node
	var done []*user
	for _, each := range child.GetChildren() {
		jid, ok := each.Attrs["jid"].(types.JID)
		if !ok || each.Tag != "participant" {
			return nil, codeMalformed
		}
		entry, changed := n.changeMember(g, by, child.Tag, jid)
		if changed {
			done = append(done, n.userAt(jid))
		}
		list = append(list, entry)
	}
	if len(done) > 0 {
		if child.Tag == "add" {
			n.joined(g, before, by, "", done...)
		} else {
			n.noticeTo(before, g, by, g.membership(child.Tag, "", done...))
		}
	}
	return []binary.Node{{Tag: child.Tag, Content: list}}, 0
}

// changeMember does to one person what is asked.
func (n *Network) changeMember(g *group, by *user, what string, jid types.JID) (entry binary.Node, ok bool) {
	if what == "add" {
		return n.tryAdd(g, by, jid)
	}
	entry = binary.Node{Tag: "participant", Attrs: binary.Attrs{"jid": jid}}
	m := g.member(n.userAt(jid))
	switch {
	case m == nil:
		entry.Attrs["error"] = codeNotFound
		return entry, false
	case m.rank == rankOwner && m.user != by:
		entry.Attrs["error"] = codeNotAcceptable
		return entry, false
	}
	switch what {
	case "remove":
		g.members = slices.DeleteFunc(g.members, func(other *member) bool { return other == m })
	case "promote":
		m.rank = rankAdmin
	case "demote":
		m.rank = rankMember
	}
	entry.Attrs["jid"], entry.Attrs["phone_number"] = m.user.lid, m.user.pn
	return entry, true
}

// leaveGroups takes somebody out of groups at their own wish. A group without admins gets its oldest member as one.
func (n *Network) leaveGroups(u *user, child binary.Node) ([]binary.Node, int) {
	var list []binary.Node
	for _, each := range child.GetChildren() {
		jid, ok := each.Attrs["id"].(types.JID)
		if !ok {
			jid = types.NewJID(attrText(each, "id"), types.GroupServer)
		}
		entry := binary.Node{Tag: "group", Attrs: binary.Attrs{"id": jid}}
		if g := n.groups[jid.User]; g.member(u) == nil {
			entry.Attrs["error"] = codeNotFound
		} else {
			before := slices.Clone(g.members)
			g.members = slices.DeleteFunc(g.members, func(m *member) bool { return m.user == u })
			n.noticeTo(before, g, u, g.membership("remove", "", u))
			if len(g.members) > 0 && len(g.admins()) == 0 {
				g.members[0].rank = rankAdmin
				n.noticeTo(g.members, g, u, g.membership("promote", "", g.members[0].user))
			}
		}
		list = append(list, entry)
	}
	return []binary.Node{{Tag: "leave", Content: list}}, 0
}

// mayChange tells whether somebody may change a group's settings: members, unless only admins may.
func (g *group) mayChange(u *user, adminsOnly bool) int {
	switch m := g.member(u); {
	case g == nil:
		return codeNotFound
	case m == nil, adminsOnly && !m.admin():
		return codeForbidden
	}
	return 0
}

// changeGroup changes what a group is called and how it works. The model must be locked.
func (n *Network) changeGroup(g *group, by *user, child binary.Node) int {
	adminsOnly := g.locked || child.Tag != "subject" && child.Tag != "description" && child.Tag != "ephemeral" && child.Tag != "not_ephemeral"
	if code := g.mayChange(by, adminsOnly); code != 0 {
		return code
	}
	switch child.Tag {
	case "subject":
		return n.changeSubject(g, by, contentText(child))
	case "description":
		return n.changeTopic(g, by, child)
	case "ephemeral", "not_ephemeral":
		return n.changeEphemeral(g, by, child)
	}
	notice := binary.Node{Tag: child.Tag}
	switch child.Tag {
	case "locked", "unlocked":
		g.locked = child.Tag == "locked"
	case "announcement", "not_announcement":
		g.announce = child.Tag == "announcement"
		n.lastNotice++
		notice.Attrs = binary.Attrs{"v_id": strconv.Itoa(n.lastNotice)}
	case "membership_approval_mode":
		join := childOf(child, "group_join")
		g.approval = textOf(join.Attrs["state"]) == "on"
		notice.Content = []binary.Node{join}
	case "member_add_mode":
		g.adminsAdd = contentText(child) == "admin_add"
		notice.Content = []byte(contentText(child))
	}
	n.noticeTo(g.members, g, by, notice)
	return 0
}

func (n *Network) changeSubject(g *group, by *user, subject string) int {
	if subject == "" || len([]rune(subject)) > maxSubject {
		return codeNotAcceptable
	}
	g.subject, g.subjectBy, g.subjectSet = subject, by, n.now()
	n.noticeTo(g.members, g, by, binary.Node{Tag: "subject", Attrs: binary.Attrs{"subject": subject, "s_t": g.subjectSet.Unix(),
		"s_o": by.lid, "s_o_pn": by.pn}})
	return 0
}

// changeTopic changes the description; the change has to name the description that it replaces.
func (n *Network) changeTopic(g *group, by *user, child binary.Node) int {
	id := attrText(child, "id")
	deleted := attrText(child, "delete") == "true"
	body := contentText(childOf(child, "body"))
	switch {
	case attrText(child, "prev") != g.topicID:
		return codeConflict
	case !deleted && (body == "" || id == "" || len([]rune(body)) > maxTopic):
		return codeNotAcceptable
	}
	notice := binary.Node{Tag: "description", Attrs: binary.Attrs{"id": id}}
	if deleted {
		g.topic, g.topicID = "", ""
		notice.Content = []binary.Node{{Tag: "delete"}}
	} else {
		g.topic, g.topicID = body, id
		notice.Content = []binary.Node{{Tag: "body", Content: []byte(body)}}
	}
	g.topicBy, g.topicSet = by, n.now()
	n.noticeTo(g.members, g, by, notice)
	return 0
}

func (n *Network) changeEphemeral(g *group, by *user, child binary.Node) int {
	expiration := atoi(textOf(child.Attrs["expiration"]), 0)
	if child.Tag == "ephemeral" && !slices.Contains([]int{0, 86400, 604800, 7776000}, expiration) {
		return codeMalformed
	}
	g.ephemeral = uint32(expiration)
	notice := binary.Node{Tag: "not_ephemeral"}
	if g.ephemeral != 0 {
		notice = binary.Node{Tag: "ephemeral", Attrs: binary.Attrs{"expiration": expiration, "trigger": "1"}}
	}
	n.noticeTo(g.members, g, by, notice)
	return 0
}

// groupPictureChanged tells the members of a group about its picture. The model must be locked.
func (n *Network) groupPictureChanged(g *group, by *user) {
	change := binary.Node{Tag: "delete", Attrs: binary.Attrs{"jid": g.jid, "author": by.lid}}
	if g.picture != nil {
		change = binary.Node{Tag: "set", Attrs: binary.Attrs{"jid": g.jid, "author": by.lid, "id": g.picture.id}}
	}
	n.lastNotice++
	notice := binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": g.jid, "type": "picture", "participant": by.lid,
		"id": fmt.Sprintf("picture-%d", n.lastNotice), "t": n.stamp("picture").seconds()}, Content: []binary.Node{change}}
	for _, m := range g.members {
		n.hand(m.user, 0, notice)
		for _, d := range m.user.linked() {
			n.enqueue(d, notice)
		}
	}
}

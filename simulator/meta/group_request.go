package meta

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is what people ask of the server about groups, from their phones and their linked devices alike.

// The errors of requests about groups, besides those of every request.
const (
	codeNotAuthorized = 401
	codeConflict      = 409
	codeGone          = 410
)

// The limits of groups.
const (
	maxSubject = 100
	maxTopic   = 2048
	maxMembers = 1024
)

// groupRequest is a request of a linked device about groups.
func (n *Network) groupRequest(d *device, kind string, node, child binary.Node) ([]binary.Node, int) {
	return n.groupRequestOf(d.companion.owner, d.text(), kind, node, child)
}

// groupRequestOf answers somebody's request; who names the device in findings.
func (n *Network) groupRequestOf(u *user, who, kind string, node, child binary.Node) ([]binary.Node, int) {
	to, _ := node.Attrs["to"].(types.JID)
	n.mu.Lock()
	defer n.mu.Unlock()
	if to.Server != types.GroupServer {
		n.finding("bad-group-request", who+": addressed to "+textOf(node.Attrs["to"]))
		return nil, codeMalformed
	}
	if to.User == "" {
		return n.groupsRequest(u, who, kind, child)
	}
	g := n.groups[to.User]
	if g == nil {
		return nil, codeNotFound
	}
	switch kind + " " + child.Tag {
	case "get query":
		return n.queryGroup(g, u, child)
	case "get invite", "set invite":
		return g.inviteLink(n, u, kind == "set")
	case "set accept":
		return n.acceptInvite(g, u, child)
	}
	if g.member(u) == nil {
		return nil, codeForbidden
	}
	switch kind + " " + child.Tag {
	case "set add", "set remove", "set promote", "set demote":
		return n.changeMembers(g, u, child)
	case "get membership_approval_requests":
		return g.joinRequests(u)
	case "set membership_requests_action":
		return n.decideRequests(g, u, firstChild(child))
	case "set subject", "set description", "set locked", "set unlocked", "set announcement", "set not_announcement", "set ephemeral",
		"set not_ephemeral", "set membership_approval_mode", "set member_add_mode":
		return nil, n.changeGroup(g, u, child)
	}
	n.finding("unserved-request", fmt.Sprintf("%s: <iq type=%s xmlns=w:g2><%s>", who, kind, child.Tag))
	return nil, codeUnserved
}

// groupsRequest answers what concerns no group in particular. The model must be locked.
func (n *Network) groupsRequest(u *user, who, kind string, child binary.Node) ([]binary.Node, int) {
	switch kind + " " + child.Tag {
	case "set create":
		return n.createGroup(u, who, child)
	case "get participating":
		var list []binary.Node
		for _, g := range n.groupsOf(u) {
			list = append(list, g.node())
		}
		return []binary.Node{{Tag: "groups", Content: list}}, 0
	case "set leave":
		return n.leaveGroups(u, child)
	case "get invite", "set invite":
		return n.byLink(u, attrText(child, "code"), kind == "set")
	}
	n.finding("unserved-request", fmt.Sprintf("%s: <iq type=%s xmlns=w:g2 to=g.us><%s>", who, kind, child.Tag))
	return nil, codeUnserved
}

// groupsOf are the groups that somebody is in, oldest first. The model must be locked.
func (n *Network) groupsOf(u *user) []*group {
	var list []*group
	for _, g := range n.groups {
		if g.member(u) != nil {
			list = append(list, g)
		}
	}
	slices.SortFunc(list, func(a, b *group) int { return cmp.Compare(a.jid.User, b.jid.User) })
	return list
}

// createGroup makes a group of the people who let themselves be added, and of its creator.
func (n *Network) createGroup(u *user, who string, child binary.Node) ([]binary.Node, int) {
	subject := attrText(child, "subject")
	if len([]rune(subject)) > maxSubject {
		return nil, codeNotAcceptable
	}
	n.lastNotice++
	g := &group{jid: types.NewJID(fmt.Sprintf("12036300000%07d", n.lastNotice), types.GroupServer), creator: u, created: n.now(),
		subject: subject, subjectBy: u, subjectSet: n.now(), code: n.inviteCode(), invites: map[string]*user{}, participantsCount: 1,
		members: []*member{{u, rankOwner}}}
	var failed []binary.Node
	for _, each := range child.GetChildren() {
		switch each.Tag {
		case "participant":
			jid, _ := each.Attrs["jid"].(types.JID)
			if entry, ok := n.tryAdd(g, u, jid); !ok {
				failed = append(failed, entry)
			}
		case "ephemeral":
			g.ephemeral = uint32(atoi(textOf(each.Attrs["expiration"]), 0))
		case "announcement":
			g.announce = true
		case "locked":
			g.locked = true
		case "parent":
			g.community = true
		case "membership_approval_mode":
			g.approval = textOf(childOf(each, "group_join").Attrs["state"]) == "on"
		case "member_add_mode":
			g.adminsAdd = contentText(each) == "admin_add"
		default:
			n.finding("unserved-request", who+": a group with <"+each.Tag+">")
			return nil, codeUnserved
		}
	}
	n.groups[g.jid.User] = g
	n.lastNotice++
	n.noticeTo(g.members, g, u, binary.Node{Tag: "create", Attrs: binary.Attrs{"type": "new", "key": fmt.Sprintf("create-%d", n.lastNotice)},
		Content: []binary.Node{g.node()}})
	answer := g.node()
	answer.Content = append(answer.GetChildren(), failed...)
	return []binary.Node{answer}, 0
}

// inviteCode is what a group's link ends in.
func (n *Network) inviteCode() string {
	n.lastNotice++
	return fmt.Sprintf("Inv%s%03d", strings.ReplaceAll(n.secretText()[:16], "=", "x"), n.lastNotice%1000)
}

// tryAdd puts somebody into a group. Who does not let everybody do that gets an invitation instead, which the entry says.
func (n *Network) tryAdd(g *group, by *user, jid types.JID) (entry binary.Node, ok bool) {
	entry = binary.Node{Tag: "participant", Attrs: binary.Attrs{"jid": jid}}
	u := n.userAt(jid)
	switch {
	case u == nil:
		entry.Attrs["error"] = codeNotFound
		return entry, false
	case u == by:
		return g.member(u).node(), true
	case g.member(u) != nil:
		entry.Attrs["error"] = codeConflict
		return entry, false
	case len(g.members) >= maxMembers:
		entry.Attrs["error"] = codeForbidden
		return entry, false
	}
	entry.Attrs["jid"], entry.Attrs["phone_number"] = u.lid, u.pn
	if u.privacy["groupadd"] != "all" || u.blocked[jidText(by.lid)] {
		code := n.inviteCode()
		g.invites[code] = u
		entry.Attrs["error"] = codeForbidden
		entry.Content = []binary.Node{{Tag: "add_request", Attrs: binary.Attrs{"code": code, "expiration": n.now().Unix() + inviteLife}}}
		return entry, false
	}
	g.members = append(g.members, &member{u, rankMember})
	return entry, true
}

// inviteLife is how long a personal invitation holds, in seconds.
const inviteLife = 3 * 24 * 3600

// queryGroup describes a group to its members, and to those who have a personal invitation.
func (n *Network) queryGroup(g *group, u *user, child binary.Node) ([]binary.Node, int) {
	if request, found := child.GetOptionalChildByTag("add_request"); found {
		if g.invites[attrText(request, "code")] != u {
			return nil, codeNotAcceptable
		}
		return []binary.Node{g.node()}, 0
	}
	if g.member(u) == nil {
		return nil, codeForbidden
	}
	return []binary.Node{g.node()}, 0
}

// acceptInvite lets somebody in by a personal invitation.
func (n *Network) acceptInvite(g *group, u *user, child binary.Node) ([]binary.Node, int) {
	code := attrText(child, "code")
	if g.invites[code] != u {
		return nil, codeNotAcceptable
	}
	if g.member(u) != nil {
		return nil, codeConflict
	}
	delete(g.invites, code)
	n.join(g, u, u, "invite")
	return []binary.Node{{Tag: "group", Attrs: binary.Attrs{"jid": g.jid}}}, 0
}

// inviteLink is the code of a group's link, for its admins; a reset makes the old one void.
func (g *group) inviteLink(n *Network, u *user, reset bool) ([]binary.Node, int) {
	switch m := g.member(u); {
	case m == nil:
		return nil, codeForbidden
	case !m.admin():
		return nil, codeNotAuthorized
	}
	if reset {
		n.revokedCodes[g.code] = true
		g.code = n.inviteCode()
		n.noticeTo(g.members, g, u, binary.Node{Tag: "invite", Attrs: binary.Attrs{"code": g.code}})
	}
	return []binary.Node{{Tag: "invite", Attrs: binary.Attrs{"code": g.code}}}, 0
}

// byLink shows a group to somebody who has its link, or lets them in. The model must be locked.
func (n *Network) byLink(u *user, code string, join bool) ([]binary.Node, int) {
	var g *group
	for _, other := range n.groups {
		if other.code == code && code != "" {
			g = other
		}
	}
	switch {
	case n.revokedCodes[code]:
		return nil, codeGone
	case g == nil:
		return nil, codeNotAcceptable
	case !join:
		return []binary.Node{g.node()}, 0
	case g.member(u) != nil:
		return nil, codeConflict
	case g.approval:
		if !slices.ContainsFunc(g.requests, func(r *joinRequest) bool { return r.user == u }) {
			g.requests = append(g.requests, &joinRequest{u, n.now()})
			n.noticeTo(g.admins(), g, u, binary.Node{Tag: "created_membership_requests", Attrs: binary.Attrs{"request_method": "invite_link"},
				Content: []binary.Node{{Tag: "requested_user", Attrs: binary.Attrs{"jid": u.lid, "phone_number": u.pn}}}})
		}
		return []binary.Node{{Tag: "membership_approval_request", Attrs: binary.Attrs{"jid": g.jid}}}, 0
	}
	n.join(g, u, u, "invite")
	return []binary.Node{{Tag: "group", Attrs: binary.Attrs{"jid": g.jid}}}, 0
}

func (g *group) admins() []*member {
	return slices.DeleteFunc(slices.Clone(g.members), func(m *member) bool { return !m.admin() })
}

// joinRequests lists who waits to be let in.
func (g *group) joinRequests(u *user) ([]binary.Node, int) {
	if !g.member(u).admin() {
		return nil, codeForbidden
	}
	var list []binary.Node
	for _, r := range g.requests {
		list = append(list, binary.Node{Tag: "membership_approval_request", Attrs: binary.Attrs{"jid": r.user.lid, "phone_number": r.user.pn,
			"request_time": r.at.Unix()}})
	}
	return []binary.Node{{Tag: "membership_approval_requests", Content: list}}, 0
}

// decideRequests lets in or turns away those who wait.
func (n *Network) decideRequests(g *group, by *user, action binary.Node) ([]binary.Node, int) {
	if !g.member(by).admin() {
		return nil, codeForbidden
	}
	if action.Tag != "approve" && action.Tag != "reject" {
		return nil, codeMalformed
	}
	var list []binary.Node
	for _, each := range action.GetChildren() {
		jid, _ := each.Attrs["jid"].(types.JID)
		u := n.userAt(jid)
		entry := binary.Node{Tag: "participant", Attrs: binary.Attrs{"jid": jid}}
		i := slices.IndexFunc(g.requests, func(r *joinRequest) bool { return r.user == u })
		if i < 0 {
			entry.Attrs["error"] = codeNotFound
		} else {
			g.requests = slices.Delete(g.requests, i, i+1)
			if action.Tag == "approve" {
				n.join(g, u, by, "")
			}
		}
		list = append(list, entry)
	}
	return []binary.Node{{Tag: "membership_requests_action", Content: []binary.Node{{Tag: action.Tag, Content: list}}}}, 0
}

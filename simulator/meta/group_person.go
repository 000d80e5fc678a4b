package meta

import (
	"fmt"
	"slices"
	"strings"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is what a person does in groups; each goes to the server as the request that phones send.

// GroupInfo is a group as the server knows it.
type GroupInfo struct {
	JID         string        `json:"jid"`
	Subject     string        `json:"subject"`
	Description string        `json:"description,omitempty"`
	Announce    bool          `json:"announce"`
	Locked      bool          `json:"locked"`
	Approval    bool          `json:"approval"`
	Ephemeral   uint32        `json:"ephemeral_s"`
	HasPicture  bool          `json:"has_picture"`
	Members     []GroupMember `json:"members"`
	// Waiting are those who want to be let in.
	Waiting []string `json:"waiting,omitempty"`
}

// GroupMember is somebody in a group. Rank is empty, admin or superadmin.
type GroupMember struct {
	JID  string `json:"jid"`
	Name string `json:"name"`
	Rank string `json:"rank,omitempty"`
}

// Group shows a group by its address.
func (n *Network) Group(jid string) (GroupInfo, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	g := n.groups[strings.TrimSuffix(jid, "@"+types.GroupServer)]
	if g == nil {
		return GroupInfo{}, fmt.Errorf("group %s: %w", jid, errNoRecord)
	}
	info := GroupInfo{JID: g.jid.String(), Subject: g.subject, Description: g.topic, Announce: g.announce, Locked: g.locked,
		Approval: g.approval, Ephemeral: g.ephemeral, HasPicture: g.picture != nil}
	for _, m := range g.members {
		info.Members = append(info.Members, GroupMember{JID: jidText(m.user.lid), Name: m.user.name, Rank: m.rank})
	}
	for _, r := range g.requests {
		info.Waiting = append(info.Waiting, jidText(r.user.lid))
	}
	return info, nil
}

// Rank is what somebody is in a group, and whether they are in it at all.
func (i GroupInfo) Rank(p *Person) (rank string, found bool) {
	at := slices.IndexFunc(i.Members, func(m GroupMember) bool { return m.JID == p.LID() })
	if at < 0 {
		return "", false
	}
	return i.Members[at].Rank, true
}

// askGroups sends a request about a group, or about none if the address is empty.
func (p *Person) askGroups(kind, group string, child binary.Node) (binary.Node, error) {
	to := types.NewJID(strings.TrimSuffix(group, "@"+types.GroupServer), types.GroupServer)
	node := binary.Node{Tag: "iq", Attrs: binary.Attrs{"type": kind, "xmlns": "w:g2", "to": to, "id": p.n.secretText()[:8]},
		Content: []binary.Node{child}}
	p.n.transcript.stanza(p.n.now(), ">", jidText(p.user.lid), node)
	content, code := p.n.groupRequestOf(p.user, jidText(p.user.lid), kind, node, child)
	if code != 0 {
		return binary.Node{}, fmt.Errorf("%s: <%s> refused with code %d: %w", p.Name(), child.Tag, code, errRefused)
	}
	answer := requestResult(node, content...)
	p.n.transcript.stanza(p.n.now(), "<", jidText(p.user.lid), answer)
	return answer, nil
}

// participants are people by any of their names, as a request has them.
func (p *Person) participants(names []string) ([]binary.Node, error) {
	var list []binary.Node
	for _, name := range names {
		jid, err := p.chatOf(name)
		if err != nil {
			return nil, err
		}
		list = append(list, binary.Node{Tag: "participant", Attrs: binary.Attrs{"jid": p.n.canonical(jid)}})
	}
	return list, nil
}

// CreateGroup makes a group with some people and returns its address.
func (p *Person) CreateGroup(subject string, members ...string) (jid string, err error) {
	return p.createGroup(subject, members)
}

// CreateCommunity makes a community, which holds groups and is no chat itself.
func (p *Person) CreateCommunity(subject string, members ...string) (jid string, err error) {
	return p.createGroup(subject, members, binary.Node{Tag: "parent"})
}

func (p *Person) createGroup(subject string, members []string, more ...binary.Node) (jid string, err error) {
	list, err := p.participants(members)
	if err != nil {
		return "", err
	}
	list = append(list, more...)
	answer, err := p.askGroups("set", "", binary.Node{Tag: "create", Attrs: binary.Attrs{"subject": subject}, Content: list})
	if err != nil {
		return "", err
	}
	return attrText(childOf(answer, "group"), "id") + "@" + types.GroupServer, nil
}

// ChangeMembers does add, remove, promote or demote to people in a group.
func (p *Person) ChangeMembers(group, what string, who ...string) error {
	list, err := p.participants(who)
	if err != nil {
		return err
	}
	answer, err := p.askGroups("set", group, binary.Node{Tag: what, Content: list})
	if err != nil {
		return err
	}
	done := childOf(answer, what)
	for _, entry := range done.GetChildren() {
		if code, failed := entry.Attrs["error"]; failed {
			return fmt.Errorf("%s %v: code %v: %w", what, textOf(entry.Attrs["jid"]), code, errRefused)
		}
	}
	return nil
}

// InviteTo does what phones do for somebody who cannot be added to a group: the server gives an invitation for them alone, and
// it is sent to them as a message. Whoever can be added is, and no message is sent.
func (p *Person) InviteTo(group, who string) (id string, err error) {
	list, err := p.participants([]string{who})
	if err != nil {
		return "", err
	}
	answer, err := p.askGroups("set", group, binary.Node{Tag: "add", Content: list})
	if err != nil {
		return "", err
	}
	code := attrText(childOf(answer, "add", "participant", "add_request"), "code")
	if code == "" {
		return "", nil
	}
	return p.SendGroupInvite(who, group, code)
}

// SetSubject renames a group.
func (p *Person) SetSubject(group, subject string) error {
	_, err := p.askGroups("set", group, binary.Node{Tag: "subject", Content: []byte(subject)})
	return err
}

// SetDescription changes a group's description; the empty one removes it.
func (p *Person) SetDescription(group, text string) error {
	asked, err := p.askGroups("get", group, binary.Node{Tag: "query", Attrs: binary.Attrs{"request": "interactive"}})
	if err != nil {
		return err
	}
	child := binary.Node{Tag: "description", Attrs: binary.Attrs{"id": p.n.secretText()[:16]}}
	if previous := attrText(childOf(asked, "group", "description"), "id"); previous != "" {
		child.Attrs["prev"] = previous
	}
	if text == "" {
		child.Attrs["delete"] = "true"
	} else {
		child.Content = []binary.Node{{Tag: "body", Content: []byte(text)}}
	}
	_, err = p.askGroups("set", group, child)
	return err
}

// SetGroupMode switches a mode of a group: announcement, not_announcement, locked, unlocked.
func (p *Person) SetGroupMode(group, mode string) error {
	_, err := p.askGroups("set", group, binary.Node{Tag: mode})
	return err
}

// SetApproval decides whether those who join by link have to be let in.
func (p *Person) SetApproval(group string, on bool) error {
	state := map[bool]string{true: "on", false: "off"}[on]
	_, err := p.askGroups("set", group, binary.Node{Tag: "membership_approval_mode", Content: []binary.Node{
		{Tag: "group_join", Attrs: binary.Attrs{"state": state}}}})
	return err
}

// SetGroupEphemeral lets the messages of a group disappear after some seconds, of which the network knows a few; 0 is never.
func (p *Person) SetGroupEphemeral(group string, seconds int) error {
	child := binary.Node{Tag: "ephemeral", Attrs: binary.Attrs{"expiration": seconds}}
	if seconds == 0 {
		child = binary.Node{Tag: "not_ephemeral"}
	}
	_, err := p.askGroups("set", group, child)
	return err
}

// SetGroupPicture changes a group's picture, a JPEG; nil removes it.
func (p *Person) SetGroupPicture(group string, jpeg []byte) error {
	if jpeg != nil && !isJPEG(jpeg) {
		return fmt.Errorf("a picture has to be a JPEG: %w", errRefused)
	}
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	g := p.n.groups[strings.TrimSuffix(group, "@"+types.GroupServer)]
	if code := g.mayChange(p.user, g != nil && g.locked); code != 0 {
		return fmt.Errorf("picture of %s refused with code %d: %w", group, code, errRefused)
	}
	if g.picture = nil; jpeg != nil {
		g.picture = p.n.newPicture(jpeg)
	}
	p.n.groupPictureChanged(g, p.user)
	return nil
}

// LeaveGroup takes the person out of a group.
func (p *Person) LeaveGroup(group string) error {
	jid, err := p.chatOf(group)
	if err != nil {
		return err
	}
	_, err = p.askGroups("set", "", binary.Node{Tag: "leave", Content: []binary.Node{{Tag: "group", Attrs: binary.Attrs{"id": jid}}}})
	return err
}

// InviteLink is the link to a group, a new one that makes the old one void if reset.
func (p *Person) InviteLink(group string, reset bool) (string, error) {
	kind := map[bool]string{true: "set", false: "get"}[reset]
	answer, err := p.askGroups(kind, group, binary.Node{Tag: "invite"})
	if err != nil {
		return "", err
	}
	return inviteBase + attrText(childOf(answer, "invite"), "code"), nil
}

const inviteBase = "https://chat.whatsapp.com/"

// JoinByLink enters a group by its link; waits says that an admin has to agree first.
func (p *Person) JoinByLink(link string) (waits bool, err error) {
	answer, err := p.askGroups("set", "", binary.Node{Tag: "invite", Attrs: binary.Attrs{"code": strings.TrimPrefix(link, inviteBase)}})
	if err != nil {
		return false, err
	}
	_, waits = answer.GetOptionalChildByTag("membership_approval_request")
	return waits, nil
}

// Decide lets in (approve) or turns away (reject) those who wait at a group.
func (p *Person) Decide(group, action string, who ...string) error {
	list, err := p.participants(who)
	if err != nil {
		return err
	}
	_, err = p.askGroups("set", group, binary.Node{Tag: "membership_requests_action", Content: []binary.Node{{Tag: action, Content: list}}})
	return err
}

// SetPrivacy changes a privacy setting of the person: readreceipts, last, online, profile, groupadd and others to all, contacts or none.
func (p *Person) SetPrivacy(name, value string) error {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if _, known := p.user.privacy[name]; !known {
		return fmt.Errorf("privacy setting %q: %w", name, errNoRecord)
	}
	p.user.privacy[name] = value
	p.n.tellPrivacy(p.user, nil)
	return nil
}

package meta

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// maxLookup is the number of people in one lookup. assumed: U7
const maxLookup = 32

// pingPause is how long one sender's lookups bother the same person only once. assumed: U7
const pingPause = 24 * time.Hour

// lookup answers how a provider's user finds people, by phone number on WhatsApp (docs/protocol.md#lookup). assumed: U7
func (n *Network) lookup(d *device, asked binary.Node) ([]binary.Node, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	children := asked.GetChildren()
	if len(children) == 0 || len(children) > maxLookup {
		n.finding("bad-lookup", fmt.Sprintf("%s: lookup of %d people", jidText(d.jid), len(children)))
		return nil, codeMalformed
	}
	if d.enlistment.Status != enlistmentActive {
		return nil, codeForbidden
	}
	if !d.lookups.allow(n.now(), len(children), n.cfg.lookupsPerMinute, n.cfg.lookupsADay) {
		return nil, codeTooMany
	}
	found := make([]binary.Node, 0, len(children))
	for _, child := range children {
		answer := binary.Node{Tag: "user", Attrs: maps.Clone(child.Attrs)}
		find := n.findByPhone
		if d.product == productMessenger {
			find = n.findOnMessenger
		}
		u, code := find(d, child)
		if code == 0 {
			answer.Attrs["jid"] = u.lid
			if u.sharesName {
				answer.Attrs["name"] = u.name
			}
			delete(d.refused, u.lid.User)
		} else {
			answer.Content = []binary.Node{errorNode(code)}
		}
		found = append(found, answer)
	}
	return []binary.Node{{Tag: "wa_users", Content: found}}, 0
}

// findByPhone tells who has a number. assumed: U7
func (n *Network) findByPhone(d *device, asked binary.Node) (*user, int) {
	phone, _ := asked.Attrs["phone"].(string)
	digits, plus := strings.CutPrefix(phone, "+")
	if !plus || !isAccount(digits) || len(digits) < 7 {
		return nil, codeMalformed
	}
	return n.foundBy(d, n.usersByPhone[digits])
}

// foundBy is the answer about somebody; a block does not show. assumed: U7
func (n *Network) foundBy(d *device, u *user) (*user, int) {
	switch {
	case u == nil || !u.eligible():
		return nil, codeNotFound
	case !u.accepts(d.enlistment.Integrator):
		n.considerPing(d, u)
		return nil, codeForbidden
	}
	return u, 0
}

// considerPing tells a person that somebody tried to reach them, if they want to know. assumed: U7
func (n *Network) considerPing(d *device, u *user) {
	integrator := d.enlistment.Integrator
	if u.unreachable || (len(u.reachableBy) > 0 && !u.reachableBy[integrator]) || u.blocked[jidText(d.jid)] {
		return
	}
	sender := jidText(d.jid)
	if last, found := u.pinged[sender]; found && n.now().Sub(last) < pingPause {
		return
	}
	u.pinged[sender] = n.now()
	u.phone.post(binary.Node{Tag: "notification", Attrs: binary.Attrs{
		"type": "w:interop", "from": types.ServerJID, "id": fmt.Sprintf("ping-%d", len(u.pinged)), "t": n.stamp("ping").seconds(),
	}, Content: []binary.Node{{Tag: "ping", Attrs: binary.Attrs{"display_name": d.enlistment.DisplayName}, Content: []binary.Node{
		{Tag: "integrator", Attrs: binary.Attrs{"id": integrator, "name": n.integrators[integrator].Name}},
	}}}})
}

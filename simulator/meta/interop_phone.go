package meta

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// The terms that a WhatsApp user is shown and accepts before the first opt-in (docs/protocol.md#control).
const (
	termsID       = "20240306"
	termsShown    = "105"
	termsAccepted = "160"
)

// phoneRequest answers an <iq> of a phone about third-party chats (docs/protocol.md#control).
func (n *Network) phoneRequest(u *user, node binary.Node) binary.Node {
	n.transcript.stanza(n.now(), ">", jidText(u.lid), node)
	kind, _ := node.Attrs["type"].(string)
	xmlns, _ := node.Attrs["xmlns"].(string)
	var child binary.Node
	if children := node.GetChildren(); len(children) > 0 {
		child = children[0]
	}
	content, code := func() ([]binary.Node, int) {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.answerPhone(u, kind+" "+xmlns+" "+child.Tag, child)
	}()
	answer := requestResult(node, content...)
	if code != 0 {
		answer = requestError(node, code)
	}
	n.transcript.stanza(n.now(), "<", jidText(u.lid), answer)
	return answer
}

func (n *Network) answerPhone(u *user, what string, child binary.Node) ([]binary.Node, int) {
	if !u.eligible() && strings.Contains(what, "w:interop") {
		return nil, codeForbidden
	}
	switch what {
	case "set tos trackable":
		return nil, u.takeTerms(child)
	case "get w:interop integrator":
		return []binary.Node{n.integratorList(u)}, 0
	case "set w:interop opt_in_integrators":
		return n.optIn(u, childOf(child, "integrator_list"))
	case "get w:interop users":
		return n.findUsers(u.product, child)
	case "get w:interop reachability_settings":
		return []binary.Node{u.reachability()}, 0
	case "set w:interop reachability_settings":
		u.setReachability(child)
		return []binary.Node{u.reachability()}, 0
	case "set w:interop blocklist":
		return nil, u.block(childOf(child, "item"))
	case "set encrypt registration":
		return nil, 0
	default:
		return nil, codeUnserved
	}
}

func (u *user) takeTerms(trackable binary.Node) int {
	result, _ := trackable.Attrs["result"].(string)
	switch {
	case trackable.Attrs["id"] != termsID:
		return codeNotFound
	case result == termsShown:
		u.termsShown = true
	case result == termsAccepted && u.termsShown:
		u.termsAccepted = true
	default:
		return codeMalformed
	}
	return 0
}

func (n *Network) integratorList(u *user) binary.Node {
	var list []binary.Node
	for _, i := range n.sortedIntegrators() {
		list = append(list, binary.Node{Tag: "integrator", Attrs: binary.Attrs{
			"id": i.ID, "name": i.Name, "status": i.Status, "icon": fmt.Sprintf("https://icon.invalid/%d.png", i.ID),
			"identifier_type": i.IdentifierType, "opted_in": u.optedIn[i.ID],
		}, Content: []binary.Node{{Tag: "features", Attrs: binary.Attrs{"group_messaging": false}}}})
	}
	return binary.Node{Tag: "integrator_list", Attrs: binary.Attrs{"opted_in": len(u.optedIn) > 0}, Content: list}
}

func (n *Network) sortedIntegrators() []*Integrator {
	all := make([]*Integrator, 0, len(n.integrators))
	for _, i := range n.integrators {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b *Integrator) int { return a.ID - b.ID })
	return all
}

// optIn replaces the whole set; the empty list turns third-party chats off.
func (n *Network) optIn(u *user, list binary.Node) ([]binary.Node, int) {
	if !u.termsAccepted {
		return nil, codeForbidden
	}
	chosen := map[int]bool{}
	var answer []binary.Node
	for _, child := range list.GetChildren() {
		id := atoi(textOf(child.Attrs["id"]), 0)
		entry := binary.Node{Tag: "integrator", Attrs: binary.Attrs{"id": id}}
		if i := n.integrators[id]; i == nil || i.Status == integratorRemoved {
			entry.Content = []binary.Node{errorNode(codeNotFound)}
		} else {
			chosen[id], u.everOptedIn[id] = true, true
		}
		answer = append(answer, entry)
	}
	u.optedIn = chosen
	return []binary.Node{{Tag: "integrator_list", Content: answer}}, 0
}

// findUsers resolves the visible identifiers of providers' users.
func (n *Network) findUsers(product string, asked binary.Node) ([]binary.Node, int) {
	children := asked.GetChildren()
	if len(children) == 0 || len(children) > 256 {
		return nil, codeMalformed
	}
	var found []binary.Node
	for _, child := range children {
		external, _ := child.Attrs["external_id"].(string)
		integrator := atoi(textOf(child.Attrs["integrator_id"]), 0)
		answer := binary.Node{Tag: "user", Attrs: binary.Attrs{"external_id": external, "integrator_id": integrator}}
		if e := n.enlistedAs(product, integrator, external); e == nil {
			answer.Content = []binary.Node{errorNode(codeNotFound)}
		} else {
			answer.Attrs["normalized_external_id"], answer.Attrs["jid"] = e.Normalized, e.jid()
		}
		found = append(found, answer)
	}
	return []binary.Node{{Tag: "users", Content: found}}, 0
}

// enlistedAs finds a user of a provider on a product by visible identifier. assumed: U7
func (n *Network) enlistedAs(product string, integrator int, external string) *enlistment {
	for _, e := range n.enlistments {
		if e.Integrator == integrator && e.Product == product && strings.EqualFold(e.Normalized, external) &&
			(e.Status == enlistmentActive || e.Status == enlistmentSuspended) {
			return e
		}
	}
	return nil
}

func (u *user) reachability() binary.Node {
	var list []binary.Node
	for id := range u.reachableBy {
		list = append(list, binary.Node{Tag: "integrator", Attrs: binary.Attrs{"id": id}})
	}
	return binary.Node{Tag: "reachability_settings", Attrs: binary.Attrs{"enabled": !u.unreachable}, Content: list}
}

func (u *user) setReachability(settings binary.Node) {
	u.unreachable = textOf(settings.Attrs["enabled"]) != "true"
	clear(u.reachableBy)
	for _, child := range settings.GetChildren() {
		u.reachableBy[atoi(textOf(child.Attrs["id"]), 0)] = true
	}
}

func (u *user) block(item binary.Node) int {
	jid, ok := item.Attrs["jid"].(types.JID)
	if !ok || jid.Server != types.InteropServer {
		return codeMalformed
	}
	switch item.Attrs["action"] {
	case "block":
		u.blocked[jidText(jid)] = true
	case "unblock":
		delete(u.blocked, jidText(jid))
	default:
		return codeMalformed
	}
	return 0
}

// atoi reads a number, or takes the fallback.
func atoi(text string, fallback int) int {
	if v, err := strconv.Atoi(text); err == nil {
		return v
	}
	return fallback
}

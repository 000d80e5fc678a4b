package meta

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is what a person sets on their phone about third-party chats; each
// setting goes to the server as the stanza that phones send.

func (p *Person) request(kind, xmlns string, child binary.Node) (binary.Node, error) {
	p.mu.Lock()
	p.lastRequest++
	id := strconv.Itoa(p.lastRequest)
	p.mu.Unlock()
	answer := p.n.phoneRequest(p.user, binary.Node{Tag: "iq", Attrs: binary.Attrs{
		"type": kind, "xmlns": xmlns, "to": types.ServerJID, "id": id}, Content: []binary.Node{child}})
	if refusal, found := answer.GetOptionalChildByTag("error"); found && answer.Attrs["type"] == "error" {
		return answer, fmt.Errorf("%s: <%s> refused with code %v", p.Name(), child.Tag, refusal.Attrs["code"])
	}
	return answer, nil
}

// Integrators are the providers that the person has turned on.
func (p *Person) Integrators() ([]int, error) {
	answer, err := p.request("get", "w:interop", binary.Node{Tag: "integrator", Attrs: binary.Attrs{"fetch": "all"}})
	if err != nil {
		return nil, err
	}
	var on []int
	list := childOf(answer, "integrator_list")
	for _, child := range list.GetChildren() {
		if textOf(child.Attrs["opted_in"]) == "true" {
			on = append(on, atoi(textOf(child.Attrs["id"]), 0))
		}
	}
	return on, nil
}

// OptIn turns providers on, accepting the terms where that was not done before.
func (p *Person) OptIn(integrators ...int) error {
	for _, result := range []string{termsShown, termsAccepted} {
		if _, err := p.request("set", "tos", binary.Node{Tag: "trackable", Attrs: binary.Attrs{"id": termsID, "result": result}}); err != nil {
			return err
		}
	}
	on, err := p.Integrators()
	if err != nil {
		return err
	}
	return p.choose(append(on, integrators...))
}

// OptOut turns providers off, all of them if none is named.
func (p *Person) OptOut(integrators ...int) error {
	on, err := p.Integrators()
	if err != nil {
		return err
	}
	if len(integrators) == 0 {
		return p.choose(nil)
	}
	return p.choose(slices.DeleteFunc(on, func(id int) bool { return slices.Contains(integrators, id) }))
}

// choose sends the whole set of providers that are to be on.
func (p *Person) choose(integrators []int) error {
	wanted := map[int]bool{}
	for _, id := range integrators {
		wanted[id] = true
	}
	var list []binary.Node
	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		list = append(list, binary.Node{Tag: "integrator", Attrs: binary.Attrs{"id": id}})
	}
	answer, err := p.request("set", "w:interop", binary.Node{Tag: "opt_in_integrators", Content: []binary.Node{
		{Tag: "integrator_list", Content: list}}})
	if err != nil {
		return err
	}
	done := childOf(answer, "integrator_list")
	for _, child := range done.GetChildren() {
		if refusal, found := child.GetOptionalChildByTag("error"); found {
			return fmt.Errorf("integrator %v refused with code %v", child.Attrs["id"], refusal.Attrs["code"])
		}
	}
	return nil
}

// Find looks a provider's user up by visible identifier and returns the text address.
func (p *Person) Find(integrator int, externalID string) (jid string, err error) {
	answer, err := p.request("get", "w:interop", binary.Node{Tag: "users", Content: []binary.Node{
		{Tag: "user", Attrs: binary.Attrs{"external_id": externalID, "integrator_id": integrator}}}})
	if err != nil {
		return "", err
	}
	user := childOf(answer, "users", "user")
	found, ok := user.Attrs["jid"].(types.JID)
	if !ok {
		refusal := childOf(user, "error")
		return "", fmt.Errorf("integrator %d has no user %q: code %v", integrator, externalID, refusal.Attrs["code"])
	}
	return jidText(found), nil
}

// Block makes the server drop what a provider's user sends, without telling them.
func (p *Person) Block(jid string) error { return p.setBlock(jid, "block") }

// Unblock ends a block.
func (p *Person) Unblock(jid string) error { return p.setBlock(jid, "unblock") }

func (p *Person) setBlock(to, action string) error {
	jid, err := p.resolve(to)
	if err != nil {
		return err
	}
	_, err = p.request("set", "w:interop", binary.Node{Tag: "blocklist", Content: []binary.Node{
		{Tag: "item", Attrs: binary.Attrs{"action": action, "jid": jid}}}})
	return err
}

// SetReachable decides whether the person is told that somebody looked for them; naming no
// integrator means those of all.
func (p *Person) SetReachable(enabled bool, integrators ...int) error {
	var list []binary.Node
	for _, id := range integrators {
		list = append(list, binary.Node{Tag: "integrator", Attrs: binary.Attrs{"id": id}})
	}
	_, err := p.request("set", "w:interop", binary.Node{Tag: "reachability_settings",
		Attrs: binary.Attrs{"enabled": enabled}, Content: list})
	return err
}

// SetRegion moves the person to a country (ISO 3166-1 alpha-2), in or out of the region of third-party chats.
func (p *Person) SetRegion(country string) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.user.country = country
}

// HideNumber keeps the phone number out of what the person sends.
func (p *Person) HideNumber() {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.user.hidesNumber = true
}

// TellOneName has what the person sends carry one of their two numbers only, the one that it is sent under, as phones did
// before hidden numbers came; false ends that. Whoever asks the network for the person learns both all the same.
func (p *Person) TellOneName(on bool) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.user.oneName = on
}

// ShareName puts the person's name on what they send and on answers to lookups; normally it is kept back.
func (p *Person) ShareName() {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.user.sharesName = true
}

// NewIdentity gives the phone new keys, as after a new installation; partners are told.
func (p *Person) NewIdentity() {
	p.mu.Lock()
	p.renewSignal()
	keys, count := p.publicKeys(), p.identities
	p.mu.Unlock()
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.user.keys = keys
	for _, d := range p.n.devices {
		if d.product == p.user.product && d.partners[p.user.lid.User] {
			p.n.enqueue(d, binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": p.user.lid, "type": "encrypt",
				"id": fmt.Sprintf("identity-%s-%d", p.user.lid.User, count), "t": p.n.stamp("identity").seconds(),
			}, Content: []binary.Node{{Tag: "identity"}}})
		}
	}
	p.n.renewed(p.user, count)
}

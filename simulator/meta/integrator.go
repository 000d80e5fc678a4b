package meta

import (
	"cmp"
	"fmt"
	"slices"
)

// Integrators lists the providers on record, by number.
func (n *Network) Integrators() []Integrator {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]Integrator, 0, len(n.integrators))
	for _, i := range n.integrators {
		all = append(all, *i)
	}
	slices.SortFunc(all, func(a, b Integrator) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// ChangeIntegrator changes the record of a provider; its number stays. A provider that
// becomes removed is offboarded: its tokens are refused and nobody can opt in with it.
func (n *Network) ChangeIntegrator(id int, change func(*Integrator)) (Integrator, error) {
	n.mu.Lock()
	known := n.integrators[id]
	if known == nil {
		n.mu.Unlock()
		return Integrator{}, fmt.Errorf("integrator %d: %w", id, errNoRecord)
	}
	changed := *known
	n.mu.Unlock()
	changed.Products = slices.Clone(changed.Products)
	change(&changed)
	changed.ID = id
	if err := changed.check(); err != nil {
		return Integrator{}, err
	}
	if err := n.AddIntegrator(changed); err != nil {
		return Integrator{}, fmt.Errorf("%w: %w", errRefused, err)
	}
	return changed, nil
}

// check refuses values that no provider has; empty ones stand for their defaults.
func (i Integrator) check() error {
	if i.ID < 1 || i.ID > maxIntegrator {
		return fmt.Errorf("integrator number %d: want 1 to %d", i.ID, maxIntegrator)
	}
	for _, member := range []struct {
		name, value string
		allowed     []string
	}{
		{"status", i.Status, []string{integratorOnboarding, integratorActive, integratorRemoved}},
		{"identifier_type", i.IdentifierType, []string{"email", "pn", "username"}},
		{"mode_allowed", i.ModeAllowed, []string{modeClient, modeProxy, "both"}},
	} {
		if member.value != "" && !slices.Contains(member.allowed, member.value) {
			return fmt.Errorf("%s %q: want one of %v", member.name, member.value, member.allowed)
		}
	}
	for _, product := range i.Products {
		if product != productWhatsApp && product != productMessenger {
			return fmt.Errorf("product %q: want %s or %s", product, productWhatsApp, productMessenger)
		}
	}
	return nil
}

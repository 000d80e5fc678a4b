package meta

import (
	"fmt"
	"slices"
	"time"

	"go.mau.fi/whatsmeow/types"
)

// The states of an integrator (docs/protocol.md#control) and of an enlistment (docs/protocol.md#enlistment-api).
const (
	integratorOnboarding = "onboarding"
	integratorActive     = "active"
	integratorRemoved    = "removed"

	enlistmentPending   = "pending"
	enlistmentActive    = "active"
	enlistmentSuspended = "suspended"
	enlistmentWithdrawn = "withdrawn"

	productWhatsApp  = "whatsapp"
	productMessenger = "messenger"
)

// Integrator is what Meta has on record of a provider.
type Integrator struct {
	// ID is the number that the wire knows the provider by, 1 to 999.
	ID   int    `json:"id"`
	Name string `json:"name"`
	// IdentifierType is email, pn or username; empty means email.
	IdentifierType string `json:"identifier_type"`
	// Status is onboarding, active or removed; empty means active.
	Status string `json:"status"`
	// Issuer is the origin that signs the provider's tokens and serves their key set.
	Issuer string `json:"issuer"`
	// PushURL, PushSecret and MediaBase are where Meta calls the provider; empty means not at all.
	PushURL    string `json:"push_url,omitempty"`
	PushSecret string `json:"push_secret,omitempty"`
	MediaBase  string `json:"media_base,omitempty"`
	// ModeAllowed is client, proxy or both; empty means both.
	ModeAllowed string `json:"mode_allowed"`
	// Products are whatsapp and messenger; empty means both.
	Products []string `json:"products"`
}

// AddIntegrator puts a provider on record, replacing one of the same number.
func (n *Network) AddIntegrator(i Integrator) error {
	if i.ID < 1 || i.ID > maxIntegrator {
		return fmt.Errorf("integrator number %d: want 1 to %d", i.ID, maxIntegrator)
	}
	i.IdentifierType = orElse(i.IdentifierType, "email")
	i.Status = orElse(i.Status, integratorActive)
	i.ModeAllowed = orElse(i.ModeAllowed, "both")
	i.Name = orElse(i.Name, fmt.Sprintf("Provider %d", i.ID))
	if len(i.Products) == 0 {
		i.Products = []string{productWhatsApp, productMessenger}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, other := range n.integrators {
		if other.ID != i.ID && other.Issuer == i.Issuer && i.Issuer != "" {
			return fmt.Errorf("issuer %s belongs to integrator %d already", i.Issuer, other.ID)
		}
	}
	i.Products = slices.Clone(i.Products)
	n.integrators[i.ID] = &i
	return nil
}

func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// integratorByIssuer finds the provider that signs under issuer, nil if none. The model must be locked.
func (n *Network) integratorByIssuer(issuer string) *Integrator {
	for _, i := range n.integrators {
		if i.Issuer == issuer && issuer != "" {
			return i
		}
	}
	return nil
}

// enlistment is one provider user made known to one product.
type enlistment struct {
	ID, Product                string
	Integrator                 int
	Account, Subject           string
	IdentifierType, Identifier string
	Normalized, DisplayName    string
	Status                     string
	RegistrationID             uint32
	IdentityKey, NoiseKey      [32]byte
	SignedPrekeyID             uint32
	SignedPrekey               [32]byte
	SignedPrekeySignature      [64]byte
	Country                    string
	SuspendedUntil             time.Time
	Created, Updated           time.Time
}

func (e *enlistment) jid() types.JID { return interopJID(e.Integrator, e.Account) }

// answersTo tells whether name is the account id, the text address, the visible identifier or the id of the enlistment.
func (e *enlistment) answersTo(name string) bool {
	return slices.Contains([]string{e.Account, jidText(e.jid()), e.Normalized, e.ID}, name)
}

// enlistmentByAccount finds an enlistment by its account id, nil if there is none. The model must be locked.
func (n *Network) enlistmentByAccount(product string, integrator int, account string) *enlistment {
	for _, e := range n.enlistments {
		if e.Product == product && e.Integrator == integrator && e.Account == account {
			return e
		}
	}
	return nil
}

// EnlistmentInfo is what tests and the control plane see of an enlistment.
type EnlistmentInfo struct {
	ID          string `json:"enlistment_id"`
	JID         string `json:"jid"`
	Account     string `json:"account_id"`
	Integrator  int    `json:"integrator_id"`
	Identifier  string `json:"identifier"`
	DisplayName string `json:"display_name"`
	Product     string `json:"product"`
	Status      string `json:"status"`
}

// Enlistments lists all enlistments, oldest first.
func (n *Network) Enlistments() []EnlistmentInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]*enlistment, 0, len(n.enlistments))
	for _, e := range n.enlistments {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *enlistment) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	infos := make([]EnlistmentInfo, len(all))
	for i, e := range all {
		infos[i] = e.info()
	}
	return infos
}

func (e *enlistment) info() EnlistmentInfo {
	return EnlistmentInfo{ID: e.ID, JID: jidText(e.jid()), Account: e.Account, Integrator: e.Integrator,
		Identifier: e.Identifier, DisplayName: e.DisplayName, Product: e.Product, Status: e.Status}
}

// SetEnlistment changes the state of the enlistments that answer to a name (account id, text address,
// visible identifier or enlistment id): pending, active, suspended or
// withdrawn. Connections in being stay open, as they do on the real network; what they send is refused.
func (n *Network) SetEnlistment(account, status string) error {
	switch status {
	case enlistmentPending, enlistmentActive, enlistmentSuspended, enlistmentWithdrawn:
	default:
		return fmt.Errorf("unknown enlistment status %q", status)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	found := false
	for _, e := range n.enlistments {
		if e.answersTo(account) {
			e.Status, e.Updated, found = status, n.now(), true
		}
	}
	if !found {
		return fmt.Errorf("no enlistment with account %s", account)
	}
	return nil
}

// MoveEnlistment moves the users of the enlistments that answer to a name to another country: one outside of the region is not
// let in any more.
func (n *Network) MoveEnlistment(account, country string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	found := false
	for _, e := range n.enlistments {
		if e.answersTo(account) {
			e.Country, e.Updated, found = country, n.now(), true
		}
	}
	if !found {
		return fmt.Errorf("no enlistment with account %s", account)
	}
	return nil
}

// inEEA tells whether third-party chats exist in a country: the European Union with Iceland, Liechtenstein and Norway.
func inEEA(country string) bool {
	return slices.Contains([]string{
		"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS",
		"IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
	}, country)
}

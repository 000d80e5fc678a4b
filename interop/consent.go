package interop

import (
	"context"
	"fmt"
	"strings"
	"time"

	"causeway/database"
	"causeway/failpoint"
	"causeway/network"
)

// Terms is what a user must be told before they agree.
type Terms struct {
	Version string
	// Text is plain text; paragraphs are parted by an empty line.
	Text string
}

// Consent is a user's recorded yes.
type Consent struct {
	ID           string
	User         string
	Network      network.Network
	TermsVersion string
	Country      string
	GivenAt      time.Time
}

// Terms is the wording that is current for a network.
func (p *Provider) Terms(n network.Network) Terms {
	provider := p.cfg.Integrator.Name
	if provider == "" {
		provider = "This server"
	}
	text := strings.NewReplacer("{network}", n.DisplayName(), "{provider}", provider).Replace(p.terms)
	return Terms{Version: p.cfg.Consent.Version, Text: text}
}

// Offer records that the current terms are shown to the user now, and returns
// them. Offering again what is still open adds nothing to the ledger.
func (p *Provider) Offer(ctx context.Context, user string, n network.Network) (Terms, error) {
	if err := p.admit(user, n); err != nil {
		return Terms{}, fmt.Errorf("failed to offer terms: %w", err)
	}
	terms := p.Terms(n)
	unlock, err := p.lock(ctx, user, n)
	if err != nil {
		return Terms{}, err
	}
	defer unlock()
	open, err := p.db.OpenOffer(ctx, user, n, terms.Version, terms.Text)
	if err != nil || open != nil {
		return terms, err
	}
	return terms, p.db.InsertConsent(ctx, database.Consent{ID: newID("c_"), User: user, Network: n,
		TermsVersion: terms.Version, TermsText: terms.Text, OfferedAt: p.now()})
}

// Consent records that the user agrees to the current terms and states the country
// they live in (ISO 3166-1 alpha-2). The error wraps network.ErrRegion when that is
// not in the EEA; nothing is recorded then (docs/protocol.md#consent).
func (p *Provider) Consent(ctx context.Context, user string, n network.Network, country string) (Consent, error) {
	if err := p.admit(user, n); err != nil {
		return Consent{}, fmt.Errorf("failed to record consent: %w", err)
	}
	country = strings.ToUpper(strings.TrimSpace(country))
	if p.cfg.Region.Check != RegionOff && !InEEA(country) {
		return Consent{}, fmt.Errorf("failed to record consent: %w", network.ErrRegion)
	}
	unlock, err := p.lock(ctx, user, n)
	if err != nil {
		return Consent{}, err
	}
	defer unlock()
	terms := p.Terms(n)
	var row *database.Consent
	err = p.db.DoTxn(ctx, nil, func(ctx context.Context) (err error) {
		row, err = p.db.OpenOffer(ctx, user, n, terms.Version, terms.Text)
		if err != nil {
			return err
		}
		if row != nil {
			row.Country, row.GivenAt = country, p.now()
			_, err = p.db.GiveConsent(ctx, row.ID, country, row.GivenAt)
			return err
		}
		row = &database.Consent{ID: newID("c_"), User: user, Network: n, TermsVersion: terms.Version,
			TermsText: terms.Text, Country: country, GivenAt: p.now()}
		return p.db.InsertConsent(ctx, *row)
	})
	if err != nil {
		return Consent{}, fmt.Errorf("failed to record consent: %w", err)
	}
	if err = failpoint.Hit(failpoint.ConsentGiven); err != nil {
		return Consent{}, err
	}
	return Consent{ID: row.ID, User: user, Network: n, TermsVersion: row.TermsVersion, Country: country, GivenAt: row.GivenAt}, nil
}

// consent is the row behind an id if it is the user's, for this network, and stands.
func (p *Provider) consent(ctx context.Context, id, user string, n network.Network) (*database.Consent, error) {
	row, err := p.db.Consent(ctx, id)
	if err != nil {
		return nil, err
	}
	if !row.Current() || row.User != user || row.Network != n {
		return nil, ErrNoConsent
	}
	return row, nil
}

// eea is the states of the European Economic Area by ISO 3166-1 alpha-2 code: the 27 of the Union, Iceland, Liechtenstein, Norway.
const eea = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"

// InEEA says whether an upper-case ISO 3166-1 alpha-2 code is a state of the European Economic Area.
func InEEA(country string) bool {
	return len(country) == 2 && strings.Contains(" "+eea+" ", " "+country+" ")
}

// Countries is the codes that [InEEA] accepts, in alphabetical order.
func Countries() []string { return strings.Fields(eea) }

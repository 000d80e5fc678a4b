package interop

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"causeway/database"
	"causeway/network"
)

// What the region page finds out is kept as a decision and its time alone: neither the country nor the address
// (docs/decisions/0013-region-page-and-proxies.md).

// byPage says whether users have to confirm where they are on the page.
func (c *Config) byPage() bool { return c.Region.Check == RegionHeader }

// RegionByPage says whether users have to confirm where they are on the region page, before they are enlisted and from time to time.
func (p *Provider) RegionByPage() bool { return p.cfg.byPage() }

// RegionLink makes a link to the region page for a consent. It is good for one decision within [RegionLinkLife], which is
// told to the channel; a decision by another link for the same consent ends it.
func (p *Provider) RegionLink(consent Consent) (link string, inside <-chan bool) {
	return p.region.link(consent.ID, consent.User, consent.Network)
}

// RegionLinkOf is [Provider.RegionLink] for a standing login; what comes of it is told to [Calls].
func (p *Provider) RegionLinkOf(ctx context.Context, login network.Address) (string, error) {
	row, err := p.db.Enlistment(ctx, login.String())
	switch {
	case err != nil:
		return "", err
	case row == nil || Status(row.Status) == Withdrawn || Status(row.Status) == Withdrawing:
		return "", network.ErrNotEnlisted
	}
	link, _ := p.region.link(row.ConsentID, row.User, row.Network)
	return link, nil
}

// ClientAddress is where a user's client is, as far as the region page has seen it lately. In mode client nobody is asked.
func (p *Provider) ClientAddress(user string) (netip.Addr, bool) { return p.clients.address(user) }

// regionDecided records what the page has found out, and tells whom it concerns. The address is the one of the user's client.
func (p *Provider) regionDecided(ctx context.Context, ask *regionAsk, inside bool, address netip.Addr) error {
	stands, err := p.db.DecideRegion(ctx, ask.consentID, inside, p.now())
	if err != nil {
		return err
	}
	if !stands {
		return ErrNoConsent
	}
	p.log.Info().Str("network", string(ask.network)).Bool("inside", inside).Msg("A user has said where they are, by the region page")
	if inside {
		p.clients.seen(ask.user, address)
	} else {
		p.clients.forget(ask.user)
	}
	rows, err := p.db.EnlistmentsOf(ctx, ask.user, ask.network)
	if err != nil {
		return err
	}
	for _, row := range rows {
		login, err := network.ParseAddress(row.LoginID)
		if err != nil || row.ConsentID != ask.consentID {
			continue
		}
		if inside && p.env.Calls.OnRegionConfirmed != nil {
			p.env.Calls.OnRegionConfirmed(login)
		}
		if !inside && p.env.Calls.OnRegionLost != nil {
			p.env.Calls.OnRegionLost(login, ErrOutside)
		}
	}
	return nil
}

// checkRegion says whether a login may be connected as far as it is known where its user is. A user of whom that is known no
// more is asked, and has time to answer; until then nothing changes.
func (p *Provider) checkRegion(ctx context.Context, row *database.Enlistment, consent *database.Consent) error {
	if !p.cfg.byPage() {
		return nil
	}
	now := p.now()
	switch {
	case !consent.RegionAt.IsZero() && !consent.RegionInside:
		return ErrOutside
	case now.Sub(consent.RegionAt) < time.Duration(p.cfg.Region.Recheck):
		return nil
	case consent.RegionAskedAt.IsZero():
		if err := p.db.AskRegion(ctx, consent.ID, now); err != nil {
			return err
		}
		login, err := network.ParseAddress(row.LoginID)
		if err != nil {
			return fmt.Errorf("failed to read enlistment: %w", err)
		}
		if p.env.Calls.OnRegionDue != nil {
			p.env.Calls.OnRegionDue(login, now.Add(time.Duration(p.cfg.Region.Grace)))
		}
		return nil
	case now.Sub(consent.RegionAskedAt) < time.Duration(p.cfg.Region.Grace):
		return nil
	}
	return ErrUnconfirmed
}

// checkRegions looks after logins whose connections last longer than what is known of their users.
func (p *Provider) checkRegions(ctx context.Context, n network.Network) error {
	if !p.cfg.byPage() {
		return nil
	}
	rows, err := p.db.Enlistments(ctx, n)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if Status(row.Status) != Active {
			continue
		}
		consent, err := p.db.Consent(ctx, row.ConsentID)
		if err != nil || !consent.Current() {
			continue
		}
		lost := p.checkRegion(ctx, row, consent)
		if login, err := network.ParseAddress(row.LoginID); lost != nil && err == nil && p.env.Calls.OnRegionLost != nil {
			p.env.Calls.OnRegionLost(login, lost)
		}
	}
	return nil
}

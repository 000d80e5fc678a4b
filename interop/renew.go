package interop

import (
	"context"
	"fmt"

	"causeway/database"
	"causeway/network"
)

// TermsChanged says whether a login stands on other terms than today's, and which version today's are
// (docs/protocol.md#consent). It goes on as agreed until its user has agreed anew.
func (p *Provider) TermsChanged(ctx context.Context, login network.Address) (changed bool, version string, err error) {
	row, consent, err := p.standingOf(ctx, login)
	if err != nil || row == nil || consent == nil {
		return false, "", err
	}
	return consent.TermsVersion != p.cfg.Consent.Version, p.cfg.Consent.Version, nil
}

// standingOf is a login's active enlistment and the consent that it stands on, nil where there is none.
func (p *Provider) standingOf(ctx context.Context, login network.Address) (row *database.Enlistment, consent *database.Consent, err error) {
	err = p.db.DoTxn(ctx, nil, func(ctx context.Context) (err error) {
		if row, err = p.db.Enlistment(ctx, login.String()); err != nil || row == nil {
			return err
		}
		consent, err = p.db.Consent(ctx, row.ConsentID)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if row == nil || Status(row.Status) != Active || consent == nil || !consent.Current() {
		return nil, nil, nil
	}
	return row, consent, nil
}

// Renew puts a login on a newer consent of its user and tells the network so. Nothing else of it changes.
func (p *Provider) Renew(ctx context.Context, login network.Address, consentID string, noise [32]byte) error {
	row, _, err := p.standingOf(ctx, login)
	if err == nil && row == nil {
		err = network.ErrNotEnlisted
	}
	if err != nil {
		return fmt.Errorf("failed to renew a consent: %w", err)
	}
	unlock, err := p.lock(ctx, row.User, row.Network)
	if err != nil {
		return err
	}
	defer unlock()
	if row, _, err = p.standingOf(ctx, login); err != nil || row == nil {
		return fmt.Errorf("failed to renew a consent: %w", cmpError(err, network.ErrNotEnlisted))
	}
	consent, err := p.consent(ctx, consentID, row.User, row.Network)
	if err != nil {
		return err
	}
	if consent.TermsVersion != p.cfg.Consent.Version {
		return fmt.Errorf("%w: the terms have changed", ErrNoConsent)
	}
	if p.cfg.byPage() && !consent.RegionInside {
		return ErrUnconfirmed
	}
	if p.enlister == nil {
		return ErrIncomplete
	}
	change := EnlistChange{Terms: consent.TermsVersion, AcceptedAt: consent.GivenAt}
	if err = p.enlister.Change(ctx, row.Network, row.EnlistmentID, bearerOf(row, consent, noise), change); err != nil {
		return err
	}
	row.ConsentID, row.UpdatedAt = consent.ID, p.now()
	// The network knows of it: that must be remembered even if the caller is gone.
	return p.db.PutEnlistment(context.WithoutCancel(ctx), *row)
}

// PublishPrekey tells the network of a login's new signed prekey, which is signed by the same identity as before
// (docs/protocol.md#keys).
func (p *Provider) PublishPrekey(ctx context.Context, login network.Address, keys PublicKeys) error {
	row, consent, err := p.standingOf(ctx, login)
	switch {
	case err != nil:
	case row == nil:
		err = network.ErrNotEnlisted
	case row.KeysHash != keysHash(keys):
		err = ErrIdentityMismatch
	case p.enlister == nil:
		err = ErrIncomplete
	default:
		err = p.enlister.Change(ctx, row.Network, row.EnlistmentID, bearerOf(row, consent, keys.Noise), EnlistChange{Keys: &keys})
	}
	if err != nil {
		return fmt.Errorf("failed to publish a signed prekey: %w", err)
	}
	return nil
}

// bearerOf is an enlisted user as tokens name them.
func bearerOf(row *database.Enlistment, consent *database.Consent, noise [32]byte) Bearer {
	return Bearer{Subject: row.Subject, IdentifierType: IdentifierType(row.IdentifierType), Identifier: row.Identifier,
		DisplayName: row.DisplayName, ProvedAt: consent.GivenAt, NoiseKey: noise}
}

// cmpError is the first of two errors that is one.
func cmpError(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

package interop

import (
	"context"
	"fmt"

	"causeway/database"
	"causeway/network"
)

// ConnectToken is a fresh token for one connection of a login, bound to its Noise
// key (docs/protocol.md#token). Consent and enlistment are read in one
// transaction, so that nobody who has left gets a token.
func (p *Provider) ConnectToken(ctx context.Context, login network.Address, noise [32]byte) (string, error) {
	var row *database.Enlistment
	var consent *database.Consent
	err := p.db.DoTxn(ctx, nil, func(ctx context.Context) (err error) {
		if row, err = p.db.Enlistment(ctx, login.String()); err != nil || row == nil {
			return err
		}
		consent, err = p.db.Consent(ctx, row.ConsentID)
		return err
	})
	if err == nil {
		err = p.mayConnect(row, consent)
	}
	if err == nil {
		err = p.checkRegion(ctx, row, consent)
	}
	if err != nil {
		return "", fmt.Errorf("no token for %s: %w", login, err)
	}
	return p.tokens.Mint(PurposeConnect, row.Network, Bearer{
		Subject: row.Subject, IdentifierType: IdentifierType(row.IdentifierType), Identifier: row.Identifier,
		DisplayName: row.DisplayName, ProvedAt: consent.GivenAt, NoiseKey: noise, AccountID: row.AccountID,
	})
}

func (p *Provider) mayConnect(row *database.Enlistment, consent *database.Consent) error {
	if row == nil {
		return network.ErrNotEnlisted
	}
	if err := p.admit(row.User, row.Network); err != nil {
		return err
	}
	switch Status(row.Status) {
	case Active:
	case Suspended:
		return network.ErrSuspended
	case Withdrawing, Withdrawn:
		return network.ErrWithdrawn
	default:
		return network.ErrNotEnlisted
	}
	if !consent.Current() {
		return fmt.Errorf("%w: %w", network.ErrWithdrawn, ErrNoConsent)
	}
	return nil
}

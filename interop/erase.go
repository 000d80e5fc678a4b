package interop

import (
	"context"
	"fmt"
	"slices"

	"causeway/database"
)

// Erase forgets a user who has left all networks, as far as the law and the agreement allow: the ledger keeps versions,
// times and hashes. It fails while the user has a standing enlistment. What the network has
// not confirmed yet stays until it has, without the user's name.
func (p *Provider) Erase(ctx context.Context, user string) error {
	for _, n := range p.cfg.Products {
		unlock, err := p.lock(ctx, user, n)
		if err != nil {
			return err
		}
		defer unlock()
	}
	rows, err := p.db.EnlistmentsOfUser(ctx, user)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(rows, func(row *database.Enlistment) bool {
		return Status(row.Status) != Withdrawn && Status(row.Status) != Withdrawing
	}) {
		return fmt.Errorf("failed to erase a user: an enlistment stands")
	}
	return p.db.EraseUser(ctx, user, string(Withdrawn))
}

package interop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"causeway/database"
	"causeway/network"
)

const (
	// withdrawEvery is how often a withdrawal that is not confirmed yet is tried again.
	withdrawEvery = time.Minute
	// reconcileEvery is how often our records are compared with the network's, suspendedEvery the same while
	// somebody is suspended: the end of that is not announced.
	reconcileEvery = 6 * time.Hour
	suspendedEvery = 10 * time.Minute
	// roundTimeout bounds one round of the caretaker.
	roundTimeout = 2 * time.Minute
)

// Withdraw ends a login's enlistment and the consent behind it, for one of the
// Reason constants. Both end here at once, so that no token is made any more, and
// the files that were hosted for the login and its keys are gone: it must not be connected any more. An
// error means only that the network has not confirmed it yet: that is tried again
// until it does. Repeating it is harmless.
func (p *Provider) Withdraw(ctx context.Context, login network.Address, reason string) error {
	if !slices.Contains([]string{ReasonUser, ReasonRegion, ReasonAbuse, ReasonAccountDeleted, ReasonShutdown}, reason) {
		return fmt.Errorf("failed to withdraw %s: %q is no reason", login, reason)
	}
	row, err := p.db.Enlistment(ctx, login.String())
	if err != nil {
		return err
	}
	if row == nil {
		return fmt.Errorf("failed to withdraw %s: %w", login, network.ErrNotEnlisted)
	}
	unlock, err := p.lock(ctx, row.User, row.Network)
	if err != nil {
		return err
	}
	defer unlock()
	if row, err = p.end(ctx, login.String(), Withdrawing, reason); err != nil || Status(row.Status) == Withdrawn {
		return err
	}
	if err := p.confirm(ctx, row.Network, row.LoginID, row.EnlistmentID, reason); err != nil {
		select {
		case p.kick <- struct{}{}:
		default:
		}
		return fmt.Errorf("failed to withdraw %s: %w", login, err)
	}
	return nil
}

// end closes here what belongs to an enlistment, in one transaction: its consents, hosted files and keys; the user's
// lock is held. The row is as it was before, so that one which had ended already can be told.
func (p *Provider) end(ctx context.Context, loginID string, status Status, reason string) (*database.Enlistment, error) {
	var row *database.Enlistment
	var files []string
	err := p.db.DoTxn(ctx, nil, func(ctx context.Context) (err error) {
		// The row is read again, as it may have changed before the lock was ours.
		if row, err = p.db.Enlistment(ctx, loginID); err != nil {
			return err
		}
		if row == nil {
			return network.ErrNotEnlisted
		}
		if Status(row.Status) == Withdrawn {
			return nil
		}
		if err = p.db.WithdrawConsents(ctx, row.User, row.Network, p.now()); err != nil {
			return err
		}
		if files, err = p.db.DeleteMediaOf(ctx, row.LoginID); err != nil {
			return err
		}
		if err = p.db.DeleteSignalStore(ctx, row.LoginID); err != nil {
			return err
		}
		return p.db.SetEnlistmentStatus(ctx, row.LoginID, string(status), reason, p.now())
	})
	if err != nil {
		return nil, err
	}
	p.removeMedia(files)
	return row, nil
}

// confirm has the network end an enlistment that has ended here.
func (p *Provider) confirm(ctx context.Context, n network.Network, loginID, enlistmentID, reason string) error {
	if p.enlister == nil {
		return ErrIncomplete
	}
	if err := p.enlister.Withdraw(ctx, n, enlistmentID, reason); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if err := p.db.SetEnlistmentStatus(ctx, loginID, string(Withdrawn), reason, p.now()); err != nil {
		return err
	}
	return p.db.DropErased(ctx, loginID)
}

// finishWithdrawals has the network confirm what a user has left; the user's lock is held.
func (p *Provider) finishWithdrawals(ctx context.Context, user string, n network.Network) error {
	rows, err := p.db.EnlistmentsOf(ctx, user, n)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if Status(row.Status) != Withdrawing {
			continue
		}
		if err := p.confirm(ctx, n, row.LoginID, row.EnlistmentID, row.EndReason); err != nil {
			return err
		}
	}
	return nil
}

// Reconciled is what [Provider.Reconcile] found out.
type Reconciled struct {
	// Changed is the logins whose status was another one with the network than here.
	Changed []network.Address
	// Unknown counts what the network has and we do not: enlistments whose keys were lost, or another program's.
	Unknown int
}

// Reconcile compares our enlistments of a network with the network's own and takes over
// its word on how they stand. What ended here is never revived.
func (p *Provider) Reconcile(ctx context.Context, n network.Network) (Reconciled, error) {
	if !p.started.Load() || p.enlister == nil {
		return Reconciled{}, ErrNotStarted
	}
	began := p.now()
	records, err := p.enlister.List(ctx, n)
	if err != nil {
		return Reconciled{}, err
	}
	rows, err := p.db.Enlistments(ctx, n)
	if err != nil {
		return Reconciled{}, err
	}
	theirs := make(map[string]Record, len(records))
	for _, record := range records {
		theirs[record.ID] = record
	}
	var result Reconciled
	for _, row := range rows {
		record, found := theirs[row.EnlistmentID]
		delete(theirs, row.EnlistmentID)
		status := record.Status
		if !found {
			status = Withdrawn
		}
		ours := Status(row.Status)
		// A row that changed while we listed is newer than the list.
		if ours == status || status == Pending || ours == Withdrawn || ours == Withdrawing || !row.UpdatedAt.Before(began) {
			continue
		}
		address, err := network.ParseAddress(row.LoginID)
		if err != nil {
			return result, err
		}
		if err = p.takeOver(ctx, address, row, status); err != nil {
			return result, err
		}
		result.Changed = append(result.Changed, address)
	}
	for _, record := range theirs {
		if record.Status != Withdrawn {
			result.Unknown++
		}
	}
	return result, nil
}

// takeOver makes the network's word on an enlistment ours, and passes it on.
func (p *Provider) takeOver(ctx context.Context, login network.Address, row *database.Enlistment, status Status) error {
	unlock, err := p.lock(ctx, row.User, row.Network)
	if err != nil {
		return err
	}
	if status == Withdrawn {
		_, err = p.end(ctx, row.LoginID, Withdrawn, "")
	} else {
		err = p.db.SetEnlistmentStatus(ctx, row.LoginID, string(status), "", p.now())
	}
	unlock()
	if err != nil {
		return err
	}
	calls := p.env.Calls
	switch {
	case status == Withdrawn && calls.OnWithdrawn != nil:
		calls.OnWithdrawn(login, "")
	case status == Suspended && calls.OnSuspended != nil:
		calls.OnSuspended(login, "", time.Time{})
	case status == Active && calls.OnStanding != nil:
		calls.OnStanding(login)
	}
	return nil
}

// Recheck has our records compared with the network's soon: a login was turned away in a way that they do not explain.
func (p *Provider) Recheck() {
	select {
	case p.compare <- struct{}{}:
	default:
	}
}

// takeCare finishes withdrawals and reconciles until ctx ends.
func (p *Provider) takeCare(ctx context.Context) {
	withdraw, reconcile, suspended := time.NewTicker(withdrawEvery), time.NewTicker(reconcileEvery), time.NewTicker(suspendedEvery)
	defer withdraw.Stop()
	defer reconcile.Stop()
	defer suspended.Stop()
	p.round(ctx, true)
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.kick:
			p.round(ctx, false)
		case <-withdraw.C:
			p.round(ctx, false)
		case <-p.compare:
			p.round(ctx, true)
		case <-suspended.C:
			p.round(ctx, p.anySuspended(ctx))
		case <-reconcile.C:
			p.round(ctx, true)
		}
	}
}

// anySuspended says whether the network has suspended anybody.
func (p *Provider) anySuspended(ctx context.Context) bool {
	for _, n := range p.cfg.Products {
		rows, err := p.db.Enlistments(ctx, n)
		if err == nil && slices.ContainsFunc(rows, func(row *database.Enlistment) bool { return Status(row.Status) == Suspended }) {
			return true
		}
	}
	return false
}

// round looks after every network once.
func (p *Provider) round(ctx context.Context, reconcile bool) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	for _, n := range p.cfg.Products {
		if err := p.finishAll(ctx, n); err != nil && !errors.Is(err, context.Canceled) {
			p.log.Warn().Err(err).Str("network", string(n)).Msg("Withdrawals are not confirmed yet")
		}
		if err := p.checkRegions(ctx, n); err != nil && !errors.Is(err, context.Canceled) {
			p.log.Warn().Err(err).Str("network", string(n)).Msg("Failed to look where users are")
		}
		if !reconcile || p.cfg.KillSwitch {
			continue
		}
		result, err := p.Reconcile(ctx, n)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				p.log.Warn().Err(err).Str("network", string(n)).Msg("Failed to compare enlistments with the network's")
			}
			continue
		}
		if len(result.Changed) > 0 || result.Unknown > 0 {
			p.log.Warn().Str("network", string(n)).Int("changed", len(result.Changed)).Int("unknown", result.Unknown).
				Msg("The network had other enlistments than we")
		}
	}
}

// finishAll has the network confirm every withdrawal that it has not confirmed yet.
func (p *Provider) finishAll(ctx context.Context, n network.Network) error {
	rows, err := p.db.Enlistments(ctx, n)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if Status(row.Status) != Withdrawing {
			continue
		}
		unlock, err := p.lock(ctx, row.User, n)
		if err != nil {
			return err
		}
		err = p.finishWithdrawals(ctx, row.User, n)
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

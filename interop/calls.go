package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"causeway/database"
	"causeway/network"
)

const (
	// callsEvery is when events are looked for without being told, and old calls forgotten.
	callsEvery = time.Minute
	// callsAtOnce bounds how many events are read at a time.
	callsAtOnce = 100
)

// Calls takes what the network announces by push, or when our records are compared with its own. Each function may be nil; none should
// block. What they are told may come twice, late, or out of order.
type Calls struct {
	// OnWake: that many messages wait for the login, or it has to upload keys; it should connect.
	OnWake func(login network.Address, waiting int)
	// OnSuspended: the network has suspended the login, until a time if that is not zero.
	OnSuspended func(login network.Address, reason string, until time.Time)
	// OnStanding: the network lets the login in again; it should connect.
	OnStanding func(login network.Address)
	// OnWithdrawn: the network has ended the enlistment. Consents, hosted files and keys have ended already.
	OnWithdrawn func(login network.Address, reason string)
	// OnRegionDue: it is to be confirmed again, until a time, that the login's user is in the EEA.
	OnRegionDue func(login network.Address, until time.Time)
	// OnRegionLost: the login must not be connected, by ErrOutside or ErrUnconfirmed. It is told again and again.
	OnRegionLost func(login network.Address, err error)
	// OnRegionConfirmed: the login's user is in the EEA, by the region page.
	OnRegionConfirmed func(login network.Address)
	// OnAbuseReport: people have reported the login's user.
	OnAbuseReport func(login network.Address, report AbuseReport)
	// OnIntegratorStatus: the provider itself stands differently with the network.
	OnIntegratorStatus func(n network.Network, status string)
}

// AbuseReport is what the network tells of complaints about a user, in its own words.
type AbuseReport struct {
	CaseID, Category string
	Count            int
}

// handleCalls acts on what the network announced, until ctx ends.
func (p *Provider) handleCalls(ctx context.Context) {
	ticker := time.NewTicker(callsEvery)
	defer ticker.Stop()
	for {
		err := p.handleWaiting(ctx)
		if err == nil {
			err = p.db.ForgetPushDeliveries(ctx, p.now().Add(-pushRemembered))
		}
		if err != nil && ctx.Err() == nil {
			p.log.Err(err).Msg("Failed to act on the network's calls; they are tried again")
		}
		select {
		case <-ctx.Done():
			return
		case <-p.push.arrived:
		case <-ticker.C:
		}
	}
}

// handleWaiting acts on all events that wait, oldest first. An event is forgotten after it was acted on.
func (p *Provider) handleWaiting(ctx context.Context) error {
	for ctx.Err() == nil {
		events, err := p.db.PushEvents(ctx, callsAtOnce)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			if err = p.handle(ctx, e); err != nil {
				return fmt.Errorf("failed to act on %s: %w", e.Type, err)
			}
			if err = p.db.DeletePushEvent(ctx, e); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// handle acts on one event (docs/protocol.md#media, Push).
func (p *Provider) handle(ctx context.Context, e *database.PushEvent) error {
	var detail eventDetail
	if err := json.Unmarshal([]byte(e.Detail), &detail); err != nil {
		// The type is known even so, and what it wants is done.
		p.log.Warn().Err(err).Str("type", e.Type).Msg("An event of the network has members of other types than expected")
	}
	for _, words := range []*string{&detail.Reason, &detail.CaseID, &detail.Category, &detail.Status} {
		if !printable(*words, maxNameLength) {
			*words = ""
		}
	}
	if e.Type == eventIntegratorStatus {
		p.log.Error().Str("network", string(e.Network)).Str("status", detail.Status).Msg("The network changed how this provider stands")
		if p.env.Calls.OnIntegratorStatus != nil {
			p.env.Calls.OnIntegratorStatus(e.Network, detail.Status)
		}
		return nil
	}
	login, err := network.ParseAddress(e.LoginID)
	if err != nil {
		return err
	}
	switch e.Type {
	case eventMessageWaiting, eventPrekeysLow:
		// Whoever gets messages is not suspended any more.
		if row, err := p.db.Enlistment(ctx, e.LoginID); err != nil {
			return err
		} else if row != nil && Status(row.Status) == Suspended {
			p.Recheck()
		}
		if p.env.Calls.OnWake != nil {
			waiting := 0
			if e.Type == eventMessageWaiting {
				waiting = max(1, detail.Count)
			}
			p.env.Calls.OnWake(login, waiting)
		}
	case eventSuspended:
		return p.suspended(ctx, login, e, detail)
	case eventWithdrawn:
		return p.withdrawn(ctx, login, e, detail)
	case eventAbuseReport:
		p.log.Warn().Str("login_id", e.LoginID).Str("case_id", detail.CaseID).Int("count", detail.Count).Msg("People reported a user")
		if p.env.Calls.OnAbuseReport != nil {
			p.env.Calls.OnAbuseReport(login, AbuseReport{CaseID: detail.CaseID, Category: detail.Category, Count: detail.Count})
		}
	}
	return nil
}

// suspended takes over that the network suspended an enlistment.
func (p *Provider) suspended(ctx context.Context, login network.Address, e *database.PushEvent, detail eventDetail) error {
	row, unlock, err := p.ofEvent(ctx, e)
	if err != nil || row == nil {
		return err
	}
	if status := Status(row.Status); status == Active || status == Pending {
		err = p.db.SetEnlistmentStatus(ctx, row.LoginID, string(Suspended), "", p.now())
	}
	unlock()
	if err == nil && p.env.Calls.OnSuspended != nil {
		var until time.Time
		if detail.Until > 0 {
			until = time.Unix(detail.Until, 0)
		}
		p.env.Calls.OnSuspended(login, detail.Reason, until)
	}
	return err
}

// withdrawn does the local part of leaving, after the network has done the other.
func (p *Provider) withdrawn(ctx context.Context, login network.Address, e *database.PushEvent, detail eventDetail) error {
	row, unlock, err := p.ofEvent(ctx, e)
	if err != nil || row == nil {
		return err
	}
	_, err = p.end(ctx, row.LoginID, Withdrawn, detail.Reason)
	unlock()
	if errors.Is(err, network.ErrNotEnlisted) {
		return nil
	}
	if err == nil && p.env.Calls.OnWithdrawn != nil {
		p.env.Calls.OnWithdrawn(login, detail.Reason)
	}
	return err
}

// ofEvent is the enlistment that an event is about, with its user's lock held; nil if
// there is none, or it changed after the event was sent: then the network is asked how it stands.
func (p *Provider) ofEvent(ctx context.Context, e *database.PushEvent) (*database.Enlistment, func(), error) {
	row, err := p.db.Enlistment(ctx, e.LoginID)
	if err != nil || row == nil {
		return nil, nil, err
	}
	if row.UpdatedAt.Unix() > e.SentAt.Unix() {
		p.log.Info().Str("login_id", e.LoginID).Str("type", e.Type).Msg("An event of the network is older than the enlistment")
		p.Recheck()
		return nil, nil, nil
	}
	unlock, err := p.lock(ctx, row.User, row.Network)
	if err != nil {
		return nil, nil, err
	}
	return row, unlock, nil
}

package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2/networkid"

	"causeway/interop"
	"causeway/network"
	"causeway/puppet"
)

// calls is what becomes of what a network tells the provider beside the logins' connections. The provider does not
// wait for any of it.
func (c *Connector) calls() interop.Calls {
	return interop.Calls{
		OnWake: func(login network.Address, waiting int) {
			c.called(func(client *Client) { client.wake(waiting) })(login)
		},
		OnStanding:  c.called(func(client *Client) { client.reopen() }),
		OnSuspended: c.suspended,
		OnRegionDue: c.regionDue, OnRegionLost: c.regionLost, OnRegionConfirmed: c.regionConfirmed,
		OnWithdrawn: func(login network.Address, reason string) {
			c.called(func(client *Client) { client.ended(reason) })(login)
		},
		OnAbuseReport: func(login network.Address, report interop.AbuseReport) {
			c.called(func(client *Client) {
				c.tellAdministrators(c.bridge.BackgroundCtx, textAbuseReport(client.login.UserMXID.String(), login.Network,
					report.CaseID, report.Category, report.Count), nil)
			})(login)
		},
		OnIntegratorStatus: func(n network.Network, status string) {
			c.errands.Go(func() { c.tellAdministrators(c.bridge.BackgroundCtx, textIntegratorStatus(n, status), nil) })
		},
	}
}

func (c *Connector) suspended(login network.Address, _ string, until time.Time) {
	c.called(func(client *Client) {
		err := network.ErrSuspended
		if !until.IsZero() {
			err = suspension{until}
		}
		client.turnedAway(err)
	})(login)
}

// called runs something for the login that the network spoke of, if it is here, and does not wait for it.
func (c *Connector) called(do func(client *Client)) func(login network.Address) {
	return func(login network.Address) {
		c.errands.Go(func() {
			ctx := c.bridge.Log.WithContext(c.bridge.BackgroundCtx)
			client, err := c.client(ctx, networkid.UserLoginID(puppet.LoginID(login)))
			if err != nil {
				zerolog.Ctx(ctx).Info().Err(err).Str("login_id", login.String()).Msg("The network spoke of a login that is not here")
				return
			}
			do(client)
		})
	}
}

// suspension is [network.ErrSuspended] with the time of its end.
type suspension struct{ until time.Time }

// Error implements error.
func (s suspension) Error() string { return fmt.Sprintf("suspended until %s", s.until.UTC()) }

// Unwrap makes it known as a suspension.
func (s suspension) Unwrap() error { return network.ErrSuspended }

// wake connects at once if the login waits to, and has an open connection show that it lives. A login that was turned
// away is let in again by other means, and one that follows its user waits for them.
func (c *Client) wake(waiting int) {
	c.mutex.Lock()
	client, state, away := c.client, c.state.State, c.follows() && !c.attendance.here
	c.mutex.Unlock()
	if away {
		c.callHome(waiting)
		return
	}
	if waker, ok := client.(network.Waker); ok && state != network.Refused {
		waker.Wake()
	}
}

// reopen connects a login that was turned away and is let in again.
func (c *Client) reopen() {
	c.Disconnect()
	c.Connect(c.login.Log.WithContext(c.connector.bridge.BackgroundCtx))
}

// turnedAway ends the connection of a login that the network does not let in at the moment; the user is told.
func (c *Client) turnedAway(err error) {
	c.Disconnect()
	c.stateChanged(network.ConnectionEvent{State: network.Refused, Err: err})
}

// ended closes a login whose enlistment has ended with the network: the rooms stay, read-only, and nothing is left of
// its keys.
func (c *Client) ended(reason string) {
	c.turnedAway(network.ErrWithdrawn)
	ctx, cancel := context.WithTimeout(c.login.Log.WithContext(c.connector.bridge.BackgroundCtx), withdrawTimeout)
	defer cancel()
	zerolog.Ctx(ctx).Warn().Str("reason", reason).Msg("The network has ended an enlistment")
	c.closeAllRooms(ctx)
	c.eraseKeys(ctx)
}

// eraseKeys erases what the end of the enlistment has left, as a connection may have written after it.
func (c *Client) eraseKeys(ctx context.Context) {
	err := errors.Join(c.connector.db.DeleteSignalStore(ctx, c.self.String()), c.connector.db.DeleteProofsOf(ctx, c.self.String()))
	if err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to erase the keys of a login")
	}
}

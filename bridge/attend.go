package bridge

import (
	"context"
	"fmt"
	"sync"
	"time"

	"maunium.net/go/mautrix/id"

	"causeway/interop"
	"causeway/network"
	"causeway/wire"
)

// In mode proxy the bridge stands in for its users' clients: a connection is made when its user shows that they are there, and
// ends when they have not for a while (docs/protocol.md#contract). What a homeserver tells of that is in package delivery.

// signs are when users have last shown that they are there.
type signs struct {
	mutex sync.Mutex
	last  map[id.UserID]time.Time
}

func (s *signs) note(user id.UserID) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.last == nil {
		s.last = make(map[id.UserID]time.Time)
	}
	s.last[user] = time.Now()
}

// since is how long ago that was.
func (s *signs) since(user id.UserID) time.Duration {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return time.Since(s.last[user])
}

// attendance is what a login that follows its user knows of them; guarded by the login's mutex.
type attendance struct {
	// here: the user is, since a time; their connection is made, or cannot be.
	here  bool
	since time.Time
	// told: they were told of what waits since they were here last; asked is when they were sent to the region page last.
	told  bool
	asked time.Time
}

// standsIn says whether the bridge stands in for its users' clients.
func (c *Connector) standsIn() bool { return c.config.Interop.Mode == interop.ModeProxy }

// checkTemporary refuses mode proxy where files would lie on a disk while they are converted or uploaded, if only for a moment.
func (c *Connector) checkTemporary(folder string) error {
	if !c.standsIn() {
		return nil
	}
	is, err := inMemory(folder)
	if err == nil && !is {
		err = fmt.Errorf("%s is on a disk", folder)
	}
	if err != nil {
		return fmt.Errorf("network.interop.mode: proxy must keep nothing of messages, and their files pass through the folder for "+
			"temporary files: %w; set the environment variable TMPDIR to a folder in memory, such as /dev/shm, or use client", err)
	}
	return nil
}

// follows says whether the login is connected only while its user is there. Linked accounts are devices of their own.
func (c *Client) follows() bool { return c.connector.standsIn() && !c.linked() }

// active takes a sign of life of a user. It does not block.
func (c *Connector) active(user id.UserID) {
	if !c.standsIn() {
		return
	}
	c.signs.note(user)
	for _, login := range c.bridge.GetAllCachedUserLogins() {
		if client, ok := clientOf(login.Client); ok && login.UserMXID == user && client.follows() {
			client.attend()
		}
	}
}

// attend connects a login whose user is there, unless they are known to be, or the login was turned away.
func (c *Client) attend() {
	c.mutex.Lock()
	if c.attendance.here || c.state.State == network.Refused {
		c.mutex.Unlock()
		return
	}
	if _, known := c.connector.provider.ClientAddress(c.login.UserMXID.String()); !known {
		ask := time.Since(c.attendance.asked) >= interop.RegionLinkLife
		if ask {
			c.attendance.asked = time.Now()
		}
		c.mutex.Unlock()
		if ask {
			c.connector.errands.Go(c.askAddress)
		}
		return
	}
	c.attendance = attendance{here: true, since: time.Now()}
	c.mutex.Unlock()
	c.connector.errands.Go(c.stay)
	c.Connect(c.login.Log.WithContext(c.connector.bridge.BackgroundCtx))
}

// stay ends the connection when the user has not been there for a while.
func (c *Client) stay() {
	idle := c.connector.config.Interop.IdleAfter()
	for {
		for wait := idle; wait > 0; wait = idle - c.connector.signs.since(c.login.UserMXID) {
			if !sleep(c.connector.bridge.BackgroundCtx, wait) {
				return
			}
		}
		// They count as there until all has ended, so that nobody connects meanwhile.
		c.Disconnect()
		c.mutex.Lock()
		refused := c.state.State == network.Refused
		c.mutex.Unlock()
		if !refused {
			c.stateChanged(network.ConnectionEvent{State: network.Resting})
		}
		c.mutex.Lock()
		if back := c.connector.signs.since(c.login.UserMXID) < idle; !back || refused {
			c.attendance.here = false
			c.mutex.Unlock()
			return
		}
		c.mutex.Unlock()
		c.Connect(c.login.Log.WithContext(c.connector.bridge.BackgroundCtx))
	}
}

// askAddress sends the user to the region page, without which nobody knows where their client is.
func (c *Client) askAddress() {
	ctx, cancel := context.WithTimeout(c.connector.bridge.BackgroundCtx, tellTimeout)
	defer cancel()
	link, err := c.connector.provider.RegionLinkOf(ctx, c.self)
	if err != nil {
		c.login.Log.Err(err).Msg("Failed to make a link to the region page")
		return
	}
	c.stateChanged(network.ConnectionEvent{State: network.Resting, Err: interop.ErrNoClientAddress})
	c.tellUser(textAddressWanted(c.self.Network, link))
}

// behalf is whom a connection of the login stands in for.
func (c *Client) behalf() (wire.Behalf, error) {
	address, known := c.connector.provider.ClientAddress(c.login.UserMXID.String())
	if !known {
		return wire.Behalf{}, interop.ErrNoClientAddress
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return wire.Behalf{Address: address, Since: c.attendance.since}, nil
}

// callHome tells a user who is away that messages wait; their homeserver tells their client.
func (c *Client) callHome(waiting int) {
	c.mutex.Lock()
	tell := waiting > 0 && !c.attendance.told && c.state.State != network.Refused
	c.attendance.told = c.attendance.told || tell
	c.mutex.Unlock()
	if tell {
		c.tellUser(textWaitsForYou(c.self.Network, waiting))
	}
}

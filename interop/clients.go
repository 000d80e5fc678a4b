package interop

import (
	"net/netip"
	"sync"
	"time"
)

// clients is where users' clients were last seen by the region page, for mode proxy. It is in memory only, and in no log.
type clients struct {
	// life is how long an address is taken for the client's.
	life time.Duration
	now  func() time.Time

	mutex  sync.Mutex
	byUser map[string]sighting
}

type sighting struct {
	address netip.Addr
	at      time.Time
}

func newClients(life time.Duration, now func() time.Time) *clients {
	return &clients{life: life, now: now, byUser: make(map[string]sighting)}
}

// seen remembers a user's address. Mode client has no use for it and keeps none.
func (c *clients) seen(user string, address netip.Addr) {
	if c.life == 0 {
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.byUser[user] = sighting{address, c.now()}
}

func (c *clients) forget(user string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.byUser, user)
}

// address is a user's, while it is young enough.
func (c *clients) address(user string) (netip.Addr, bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	found, ok := c.byUser[user]
	if !ok || c.now().Sub(found.at) >= c.life {
		delete(c.byUser, user)
		return netip.Addr{}, false
	}
	return found.address, true
}

package meta

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow/binary"
)

// ConnInfo is one open connection of the chat server.
type ConnInfo struct {
	ID int `json:"id"`
	// JID and Account name who logged in, empty before the login.
	JID     string `json:"jid,omitempty"`
	Account string `json:"account,omitempty"`
	// Mode is client or proxy, as the upgrade said.
	Mode string `json:"mode"`
	// ClientIP and ClientSince are whom a connection of mode proxy stands in for, as the upgrade said.
	ClientIP    string     `json:"client_ip,omitempty"`
	ClientSince *time.Time `json:"client_since,omitempty"`
	Since       time.Time  `json:"since"`
	// Active is set once the client asked for its stanzas.
	Active bool `json:"active"`
}

// The ways to end a connection, see [Network.DropConnections].
const (
	dropClose    = "close"
	dropReset    = "reset"
	dropSilence  = "silence"
	dropDeaf     = "deaf"
	drop503      = "503"
	drop515      = "515"
	dropReplaced = "replaced"
	dropRemoved  = "device_removed"
	// dropClientClosed ends nothing: the client that the connection stands in for is closed, and it is the proxy's to end it.
	dropClientClosed = "client_closed"
)

// track numbers a new connection; false if the network is closing.
func (n *Network) track(c *connection) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() != nil {
		return false
	}
	n.work.Add(1)
	n.lastConnection++
	c.id = n.lastConnection
	n.connections[c.id] = c
	return true
}

// forget takes an ended connection out of the model and leaves its device offline.
func (n *Network) forget(c *connection) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.connections[c.id] != c {
		return
	}
	defer n.work.Done()
	delete(n.connections, c.id)
	c.leave()
}

// detach leaves a connection's device offline, while the connection may still be open.
func (n *Network) detach(c *connection) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.leave()
	c.over = true
}

// leave puts the device offline, if it is still on this connection. The model must be locked.
func (c *connection) leave() {
	if d := c.device; d != nil && d.conn == c {
		d.conn, d.active = nil, false
		d.rewind()
		c.n.pushes.forget(d)
		c.n.considerPush(d)
	}
}

// name is how the transcript calls a connection.
func (c *connection) name() string { return fmt.Sprintf("#%d", c.id) }

// Connections lists the open connections, oldest first, without those that were told to end.
func (n *Network) Connections() []ConnInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	infos := make([]ConnInfo, 0, len(n.connections))
	for _, c := range n.connections {
		if c.over {
			continue
		}
		info := ConnInfo{ID: c.id, Mode: c.mode, Since: c.since}
		if c.mode == modeProxy {
			at := clientSince(c.header)
			info.ClientIP, info.ClientSince = c.header.Get(headerClientIP), &at
		}
		if d := c.device; d != nil {
			info.JID, info.Account, info.Active = d.text(), d.jid.User, d.active
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b ConnInfo) int { return a.ID - b.ID })
	return infos
}

// DropConnections ends the connections of an account (any name that it answers to; empty
// means everyone's): close, reset, silence (stays open and answers nothing), deaf (stays open, brings what it has to
// bring, and takes nothing in), 503, 515, replaced or device_removed. client_closed tells that the client is closed for which a
// connection stands in, and finds fault with a proxy that holds on. It says how many there were.
func (n *Network) DropConnections(account, how string) int {
	n.mu.Lock()
	var victims []*connection
	for _, c := range n.connections {
		if c.over {
			continue
		}
		if account == "" || (c.device != nil && c.device.answersTo(account)) {
			victims = append(victims, c)
		}
	}
	n.mu.Unlock()
	for _, c := range victims {
		c.drop(how)
	}
	return len(victims)
}

func (c *connection) drop(how string) {
	switch how {
	case dropReset:
		c.n.detach(c)
		c.reset()
	case dropSilence:
		c.mu.Lock()
		c.silent = true
		c.mu.Unlock()
	case dropDeaf:
		c.mu.Lock()
		c.deaf = true
		c.mu.Unlock()
	case dropClientClosed:
		c.clientClosed()
	case drop503, drop515:
		c.finish(binary.Node{Tag: "stream:error", Attrs: binary.Attrs{"code": how}})
	case dropReplaced:
		c.finish(conflict("", dropReplaced))
	case dropRemoved:
		c.finish(conflict("401", dropRemoved))
	default:
		c.n.detach(c)
		c.close()
	}
}

// clientClosed gives a proxy its time to end the connection (docs/protocol.md#contract).
func (c *connection) clientClosed() {
	if c.mode != modeProxy {
		return
	}
	timer := time.AfterFunc(c.n.cfg.proxyLimit, func() {
		c.n.finding("proxy-connection-held", fmt.Sprintf("connection #%d is still there %s after its client was closed", c.id, c.n.cfg.proxyLimit))
	})
	context.AfterFunc(c.ctx, func() { timer.Stop() })
}

func conflict(code, kind string) binary.Node {
	return binary.Node{Tag: "stream:error", Attrs: binary.Attrs{"code": code}, Content: []binary.Node{
		{Tag: "conflict", Attrs: binary.Attrs{"type": kind}},
	}}
}

// login makes c the one connection of a device; an older one is told that it was replaced.
func (n *Network) login(c *connection, d *device) {
	n.mu.Lock()
	old := d.conn
	d.conn, d.active, c.device = c, false, d
	d.rewind()
	n.mu.Unlock()
	if old != nil && old != c {
		n.work.Go(func() { n.replace(old, d.text()) })
	}
	c.limitAge()
}

// limitAge ends the connection after 2 to 10 minutes if the profile is faults then, half of the times announced.
func (c *connection) limitAge() {
	about, how := strconv.Itoa(c.id), dropReset
	if c.n.roll("announced", about) < 0.5 {
		how = drop503
	}
	age := 2*time.Minute + time.Duration(c.n.roll("age", about)*float64(8*time.Minute))
	timer := time.AfterFunc(age, func() {
		if c.n.Profile() == Faults {
			c.drop(how)
		}
	})
	context.AfterFunc(c.ctx, func() { timer.Stop() })
}

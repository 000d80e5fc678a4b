package meta

import (
	"fmt"
	"strconv"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"
)

// admitWhatsApp lets a linked device in, or lets a new one show codes.
func (n *Network) admitWhatsApp(c *connection, payload *waWa6.ClientPayload, static [32]byte) {
	account := strconv.FormatUint(payload.GetUsername(), 10)
	if reason, extra := n.turnsAway(payload, account); reason != 0 {
		c.fail(reason, extra)
		return
	}
	if payload.DevicePairingData != nil {
		n.beginPairing(c, payload, static)
		return
	}
	if payload.Username == nil || payload.Device == nil || !payload.GetPassive() || !payload.GetPull() || payload.UserAgent == nil {
		n.finding("bad-login-payload", fmt.Sprintf("connection #%d: login of a linked device without username, device, passive or pull", c.id))
		c.fail(failMalformed, nil)
		return
	}
	n.mu.Lock()
	var d *device
	if u := n.usersByPhone[account]; u != nil {
		d = u.companions[uint16(payload.GetDevice())]
	}
	known := d != nil && d.companion.noise == static
	n.mu.Unlock()
	if !known {
		c.fail(failWithdrawn, nil)
		return
	}
	n.login(c, d)
	c.send(binary.Node{Tag: "success", Attrs: binary.Attrs{"t": n.now().Unix(), "lid": d.lid(), "creation": d.companion.since.Unix(),
		"props": "27", "abprops": "5", "group_abprops": "2", "location": "lla"}})
}

// turnsAway tells whether the server refuses a client whatever it is, by the faults that are set.
func (n *Network) turnsAway(payload *waWa6.ClientPayload, account string) (reason int, extra binary.Attrs) {
	version := payload.GetUserAgent().GetAppVersion()
	who := about("login", "", account, account+"@"+types.DefaultUserServer, "+"+account)
	if n.strikesIf(FaultOutdated, who, func(f Fault) bool { return f.Params["always"] != "" || version.GetTertiary() < clientRevision }) {
		return failOutdated, nil
	}
	if f := n.strikes(FaultLogin, who); f != nil {
		return f.failure()
	}
	return 0, nil
}

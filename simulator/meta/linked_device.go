package meta

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// maxCompanions is how many devices an account can link besides the phone.
const maxCompanions = 4

// companion is what the server keeps of a linked device, besides what it keeps of every [device].
type companion struct {
	owner    *user
	noise    [32]byte
	keyIndex uint32
	// identity is the device's identity with both signatures, as it goes with its keys.
	identity []byte
	platform string
	since    time.Time
	// available says that the device announced itself as in use.
	available bool
	pushName  string
	// knows are the people whose device lists it asked for, and hears of.
	knows   map[*user]bool
	removed atomic.Bool
}

// gone tells whether a linked device was removed from its account.
func (d *device) gone() bool { return d.companion.removed.Load() }

// LinkedDevice is a companion device of somebody's account.
type LinkedDevice struct {
	// JID and LID name the device under the account's number and hidden number.
	JID string `json:"jid"`
	LID string `json:"lid"`
	// Device is the number after the colon of both.
	Device uint16 `json:"device"`
	// Platform is what the device calls itself.
	Platform  string `json:"platform,omitempty"`
	Connected bool   `json:"connected"`
	// Waiting counts the stanzas that the device has not finished with.
	Waiting int `json:"waiting"`
}

// withDevice is an address of one device.
func withDevice(jid types.JID, number uint16) types.JID {
	jid.Device = number
	return jid
}

func (d *device) lid() types.JID { return withDevice(d.companion.owner.lid, d.jid.Device) }

func (d *device) info() LinkedDevice {
	return LinkedDevice{JID: d.jid.String(), LID: d.lid().String(), Device: d.jid.Device, Platform: d.companion.platform,
		Connected: d.conn != nil, Waiting: len(d.waiting) + len(d.flight)}
}

// answersTo tells whether a name means the device: an address of it or of its account, or what its enlistment answers to.
func (d *device) answersTo(name string) bool {
	if d.companion == nil {
		return d.enlistment.answersTo(name)
	}
	u := d.companion.owner
	return slices.Contains([]string{d.jid.String(), d.lid().String(), jidText(u.pn), jidText(u.lid), u.pn.User, "+" + u.pn.User}, name)
}

// text names the device in findings.
func (d *device) text() string {
	if d.companion != nil {
		return d.jid.String()
	}
	return jidText(d.jid)
}

// LinkedDevices lists the person's linked devices, oldest first.
func (p *Person) LinkedDevices() []LinkedDevice {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	list := []LinkedDevice{}
	for _, d := range p.user.linked() {
		list = append(list, d.info())
	}
	return list
}

// linked are the companions in the order of their numbers. The model must be locked.
func (u *user) linked() []*device {
	return slices.SortedFunc(maps.Values(u.companions), func(a, b *device) int { return int(a.jid.Device) - int(b.jid.Device) })
}

// deviceNumbers are the devices of a user that can be written to; the phone is 0. The model must be locked.
func (u *user) deviceNumbers() []uint16 {
	numbers := []uint16{0}
	for _, d := range u.linked() {
		if d.uploaded {
			numbers = append(numbers, d.jid.Device)
		}
	}
	return numbers
}

// keysOf are the keys of one device of a user, nil if there is none. The model must be locked.
func (u *user) keysOf(number uint16) *publicKeys {
	if number == 0 {
		return &u.keys
	}
	if d := u.companions[number]; d != nil && d.uploaded {
		return &d.keys
	}
	return nil
}

// userAt is whom an address on WhatsApp means, whichever of the two numbers it has; nil if nobody. The model must be locked.
func (n *Network) userAt(jid types.JID) *user {
	switch jid.Server {
	case types.DefaultUserServer, types.LegacyUserServer:
		return n.usersByPhone[jid.User]
	case types.HiddenUserServer:
		return n.usersByLID[jid.User]
	}
	return nil
}

// as is the address of a user on the server of another address.
func (u *user) as(server string) types.JID {
	if server == types.DefaultUserServer {
		return u.pn
	}
	return u.lid
}

// devicesHash is how both sides compare lists of devices.
func devicesHash(devices []types.JID) string {
	texts := make([]string, len(devices))
	for i, jid := range devices {
		texts[i] = jid.ADString()
	}
	slices.Sort(texts)
	sum := sha256.Sum256([]byte(strings.Join(texts, "")))
	return "2:" + base64.RawStdEncoding.EncodeToString(sum[:6])
}

// devicesAs are all devices of a user under one of the two numbers. The model must be locked.
func (u *user) devicesAs(server string) []types.JID {
	var list []types.JID
	for _, number := range u.deviceNumbers() {
		list = append(list, withDevice(u.as(server), number))
	}
	return list
}

// announceDevice tells everybody who has the user's device list that a device came or went:
// change is add or remove. The model must be locked.
func (n *Network) announceDevice(d *device, change string) {
	u := d.companion.owner
	n.lastNotice++
	notice := binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": u.pn, "lid": u.lid, "type": "devices",
		"id": fmt.Sprintf("devices-%d", n.lastNotice), "t": n.stamp("devices").seconds()},
		Content: []binary.Node{{Tag: change, Attrs: binary.Attrs{"device_hash": devicesHash(u.devicesAs(types.DefaultUserServer)),
			"device_lid_hash": devicesHash(u.devicesAs(types.HiddenUserServer))},
			Content: []binary.Node{{Tag: "device", Attrs: binary.Attrs{"jid": d.jid, "lid": d.lid(), "key-index": d.companion.keyIndex}}}}}}
	for _, other := range n.companionsAnywhere() {
		if other.companion.owner != u && other.companion.knows[u] {
			n.enqueue(other, notice)
		}
	}
	n.tellOwnDevices(u, d)
}

// tellOwnDevices tells the phone and the other companions of an account about its devices. The model must be locked.
func (n *Network) tellOwnDevices(u *user, except *device) {
	list := u.devicesAs(types.DefaultUserServer)
	var devices []binary.Node
	for _, jid := range list {
		devices = append(devices, binary.Node{Tag: "device", Attrs: binary.Attrs{"jid": jid, "key-index": u.keyIndex(jid.Device)}})
	}
	n.lastNotice++
	notice := binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": u.pn, "type": "account_sync",
		"id": fmt.Sprintf("own-devices-%d", n.lastNotice), "t": n.stamp("devices").seconds()},
		Content: []binary.Node{{Tag: "devices", Attrs: binary.Attrs{"dhash": devicesHash(list)}, Content: devices}}}
	for _, d := range u.linked() {
		if d != except {
			n.enqueue(d, notice)
		}
	}
	u.phone.post(notice)
}

func (u *user) keyIndex(number uint16) uint32 {
	if d := u.companions[number]; d != nil {
		return d.companion.keyIndex
	}
	return 0
}

// companionsAnywhere are all linked devices of the network. The model must be locked.
func (n *Network) companionsAnywhere() []*device {
	var all []*device
	for _, u := range n.usersByPhone {
		all = append(all, u.linked()...)
	}
	slices.SortFunc(all, func(a, b *device) int { return strings.Compare(a.jid.String(), b.jid.String()) })
	return all
}

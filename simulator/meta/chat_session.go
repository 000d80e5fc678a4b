package meta

import (
	"fmt"
	"slices"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// This file is how a phone begins sessions with the devices of others.

// sealFor encrypts for one device, beginning a session where there is none. p.mu is held.
func (p *Person) sealFor(jid types.JID, plaintext []byte, id string) (binary.Node, error) {
	address := p.sessionWith(jid)
	if !p.signal.hasSession(address) {
		if err := p.beginSession(jid, address); err != nil {
			return binary.Node{}, err
		}
	}
	enc, err := p.signal.encrypt(address, pad(slices.Clone(plaintext), p.n.roll("pad", id)))
	if err != nil {
		return enc, fmt.Errorf("failed to encrypt for %s: %w", jid, err)
	}
	return enc, nil
}

// sessionWith is what a phone's session with a device goes by: the hidden number, on phones from before there were any the
// number that they write to.
func (p *Person) sessionWith(jid types.JID) types.JID {
	p.n.mu.Lock()
	old := p.user.oneName
	p.n.mu.Unlock()
	if old {
		return jid
	}
	return p.n.byLID(jid)
}

// byLID is a device under its account's hidden number, which is what sessions go by.
func (n *Network) byLID(jid types.JID) types.JID {
	n.mu.Lock()
	defer n.mu.Unlock()
	if u := n.userAt(jid); u != nil {
		return withDevice(u.lid, jid.Device)
	}
	return jid
}

// beginSession begins a session with a device, whose signed identity it checks. p.mu is held.
func (p *Person) beginSession(jid, address types.JID) error {
	answer := p.n.keysForPhone(p.user, jid)
	if refusal, found := answer.GetOptionalChildByTag("error"); found {
		return fmt.Errorf("no keys of %s: code %v", jid, refusal.Attrs["code"])
	}
	k, err := readKeyUpload(answer)
	if err != nil {
		return fmt.Errorf("keys of %s: %w", jid, err)
	}
	if key, found := answer.GetOptionalChildByTag("key"); found {
		oneTime, err := readOneTimeKey(key)
		if err != nil {
			return fmt.Errorf("keys of %s: %w", jid, err)
		}
		k.oneTime = []oneTimeKey{oneTime}
	}
	if jid.Device != 0 {
		identity, _ := childOf(answer, "device-identity").Content.([]byte)
		if err = checkIdentity(identity, p.n.accountKey(jid), k.identity); err != nil {
			return fmt.Errorf("keys of %s: %w", jid, err)
		}
	}
	return p.signal.startSession(address, k)
}

// accountKey is the key that an account's devices are signed with: the identity of its phone.
func (n *Network) accountKey(jid types.JID) [32]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	if u := n.userAt(jid.ToNonAD()); u != nil {
		return u.keys.identity
	}
	return [32]byte{}
}

// chatDevices are the devices that a direct message goes to: all of the other side's, and the sender's own but the phone.
func (n *Network) chatDevices(from *user, to types.JID) []types.JID {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []types.JID
	if u := n.userAt(to); u != nil && u != from {
		list = u.devicesAs(to.Server)
	}
	return append(list, from.devicesAs(to.Server)[1:]...)
}

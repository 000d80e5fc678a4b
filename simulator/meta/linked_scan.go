package meta

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// This file is the phone's part in linking a device by a code that the device shows.

// Why a code cannot be scanned.
var (
	errQRForm    = errors.New("not a code for linking a device")
	errQRUnknown = errors.New("nobody shows this code")
	errQRUsed    = errors.New("this code was scanned before")
	errQRExpired = errors.New("this code is too old")
	errTooMany   = errors.New("too many linked devices")
)

// scanPatience is how long a phone waits for the device to answer.
const scanPatience = 30 * time.Second

// qrPrefix is in front of a code since the camera of a phone opens links; older clients leave it out.
const qrPrefix = "https://wa.me/settings/linked_devices#"

// qrCode is what a device shows.
type qrCode struct {
	ref             string
	noise, identity [32]byte
	secret          []byte
}

func parseQR(text string) (q qrCode, err error) {
	parts := strings.Split(strings.TrimPrefix(strings.TrimSpace(text), qrPrefix), ",")
	if len(parts) != 4 && len(parts) != 5 || parts[0] == "" {
		return q, errQRForm
	}
	var raw [3][]byte
	for i := range raw {
		if raw[i], err = base64.StdEncoding.DecodeString(parts[i+1]); err != nil || len(raw[i]) != 32 {
			return q, errQRForm
		}
	}
	return qrCode{parts[0], [32]byte(raw[0]), [32]byte(raw[1]), raw[2]}, nil
}

// ScanQR links the device that shows a code, and returns when the device has signed.
func (p *Person) ScanQR(ctx context.Context, text string) (LinkedDevice, error) {
	q, err := parseQR(text)
	if err != nil {
		return LinkedDevice{}, err
	}
	pairing, err := p.n.pairingOf(q)
	if err != nil {
		return LinkedDevice{}, err
	}
	return p.link(ctx, pairing, q.secret)
}

// pairingOf finds the connection that shows a code.
func (n *Network) pairingOf(q qrCode) (*pairing, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.usedRefs[q.ref] {
		return nil, errQRUsed
	}
	for _, c := range n.connections {
		p := c.pairing
		if p == nil {
			continue
		}
		i := slices.IndexFunc(p.refs, func(r pairingRef) bool { return r.text == q.ref })
		switch {
		case i < 0:
			continue
		case p.scan != nil:
			return nil, errQRUsed
		case n.now().After(p.refs[i].expires):
			return nil, errQRExpired
		case p.static != q.noise || p.keys.identity != q.identity:
			return nil, fmt.Errorf("the keys are not those of the device that shows it: %w", errQRForm)
		}
		n.usedRefs[q.ref] = true
		return p, nil
	}
	return nil, errQRUnknown
}

// link signs a device's identity and waits for the device to sign back.
func (p *Person) link(ctx context.Context, pairing *pairing, secret []byte) (LinkedDevice, error) {
	if p.n.demandsPasskey(p, pairing) {
		return LinkedDevice{}, errors.New("the server demands a passkey of the device")
	}
	if err := p.firstState(); err != nil {
		return LinkedDevice{}, err
	}
	s, err := p.n.beginScan(p, pairing)
	if err != nil {
		return LinkedDevice{}, err
	}
	p.mu.Lock()
	account := p.signal.device.IdentityKey
	p.mu.Unlock()
	if s.signed, err = signDevice(account, pairing.keys.identity, s.index, p.n.now()); err != nil {
		return LinkedDevice{}, err
	}
	container, err := p.n.spoilIdentity(p, s, secret)
	if err == nil {
		err = p.n.sendPairSuccess(pairing, s, container)
	}
	if err != nil {
		return LinkedDevice{}, err
	}
	if err = pairing.outcome(ctx, s); err != nil {
		return LinkedDevice{}, err
	}
	if err = p.publishIndexes(); err != nil {
		return LinkedDevice{}, err
	}
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	return p.user.companions[s.number].info(), nil
}

// outcome waits until the device has signed. It closes its connection as soon as it has.
func (p *pairing) outcome(ctx context.Context, s *scan) error {
	ctx, cancel := context.WithTimeout(ctx, scanPatience)
	defer cancel()
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the device did not answer: %w", ctx.Err())
	case <-p.c.ctx.Done():
	}
	select {
	case err := <-s.done:
		return err
	default:
		return errors.New("the device went away")
	}
}

// beginScan gives the device its numbers.
func (n *Network) beginScan(p *Person, pairing *pairing) (*scan, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	u := p.user
	switch {
	case pairing.scan != nil:
		return nil, errQRUsed
	case len(u.companions) >= maxCompanions:
		return nil, errTooMany
	}
	u.lastDevice++
	pairing.scan = &scan{by: p, number: u.lastDevice, index: uint32(u.lastDevice), done: make(chan error, 2)}
	return pairing.scan, nil
}

// publishIndexes signs the list of the account's devices anew.
func (p *Person) publishIndexes() error {
	p.mu.Lock()
	account := p.signal.device.IdentityKey
	p.mu.Unlock()
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	var valid []uint32
	for _, d := range p.user.linked() {
		valid = append(valid, d.companion.keyIndex)
	}
	list, err := signIndexes(account, valid, p.n.now())
	if err == nil {
		p.user.keyIndexes, p.user.keyIndexesSet = list, p.n.now()
	}
	return err
}

// Unlink removes a linked device, as the phone's list of devices does. The device is told
// when it is connected, and otherwise when it comes back.
func (p *Person) Unlink(number uint16) error {
	p.n.mu.Lock()
	d := p.user.companions[number]
	if d == nil {
		p.n.mu.Unlock()
		return fmt.Errorf("device %d of %s: %w", number, p.Name(), errNoRecord)
	}
	c := d.conn
	p.n.removeCompanion(d)
	p.n.mu.Unlock()
	if c != nil {
		c.drop(dropRemoved)
	}
	return p.publishIndexes()
}

// removeCompanion takes a linked device off the record. The model must be locked.
func (n *Network) removeCompanion(d *device) {
	d.companion.removed.Store(true)
	delete(d.companion.owner.companions, d.jid.Device)
	if d.uploaded {
		n.announceDevice(d, "remove")
	}
}

package meta

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// This file is the control plane as the phone of those who link devices.

// scanCall is the body of a call to scan a code; without an account the network chooses one.
type scanCall struct {
	QR      string `json:"qr"`
	Account string `json:"account"`
	DelayMS int    `json:"delay_ms"`
}

// scanQR lets a phone scan the code that a device shows: the body is the code alone, or JSON.
func (a *admin) scanQR(r *http.Request) (any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("failed to read the body: %w", err)
	}
	call := scanCall{QR: strings.TrimSpace(string(data))}
	if strings.HasPrefix(call.QR, "{") {
		call = scanCall{}
		if err = json.Unmarshal(data, &call); err != nil {
			return nil, fmt.Errorf("failed to read the body: %w", err)
		}
	}
	phone, err := a.n.phoneToScan(call.QR, call.Account)
	if err != nil {
		return nil, err
	}
	if call.DelayMS > 0 {
		select {
		case <-time.After(time.Duration(call.DelayMS) * time.Millisecond):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return phone.ScanQR(context.WithoutCancel(r.Context()), call.QR)
}

// phoneToScan is the phone of an account; without a name the one that the client named itself after, else the first
// without linked devices, else a new one.
func (n *Network) phoneToScan(qr, account string) (*Person, error) {
	if account != "" {
		return n.personNamed(account)
	}
	q, err := parseQR(qr)
	if err != nil {
		return nil, err
	}
	pairing, err := n.pairingOf(q)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	delete(n.usedRefs, q.ref) // it is scanned below
	wanted := pairing.pushName
	n.mu.Unlock()
	var free *Person
	for _, p := range n.People() {
		if p.user.product != productWhatsApp {
			continue
		}
		if wanted != "" && (p.Name() == wanted || p.answersTo(wanted)) {
			return p, nil
		}
		if len(p.LinkedDevices()) == 0 && (free == nil || p.Phone() < free.Phone()) {
			free = p
		}
	}
	if free == nil {
		free = n.WhatsApp("+49151"+fmt.Sprintf("%07d", 9000000+len(n.People())), orElse(wanted, "Phone"))
	}
	return free, nil
}

// answersTo tells whether a name means the person: LID address, number address or E.164 number.
func (p *Person) answersTo(name string) bool {
	return name != "" && (name == p.LID() || name == p.Phone() || name == jidText(p.user.pn))
}

func (n *Network) personNamed(name string) (*Person, error) {
	for _, p := range n.People() {
		if p.answersTo(name) || p.answersTo("+"+name) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("person %s: %w", name, errNoRecord)
}

// ownPhone reads a body that names the account of a call.
func (a *admin) ownPhone(r *http.Request, body any, account *string) (*Person, error) {
	if err := readAdmin(r, body); err != nil {
		return nil, err
	}
	return a.n.personNamed(*account)
}

func (a *admin) linkCode(r *http.Request) (any, error) {
	var body struct {
		Phone string `json:"phone"`
		Code  string `json:"code"`
	}
	p, err := a.ownPhone(r, &body, &body.Phone)
	if err != nil {
		return nil, err
	}
	return p.EnterLinkCode(context.WithoutCancel(r.Context()), body.Code)
}

func (a *admin) devices(p *Person, _ *http.Request) (any, error) { return p.LinkedDevices(), nil }

func (a *admin) unlink(r *http.Request) (any, error) {
	var body struct {
		Account string `json:"account"`
		Device  uint16 `json:"device"`
	}
	p, err := a.ownPhone(r, &body, &body.Account)
	if err != nil {
		return nil, err
	}
	if err = p.Unlink(body.Device); err != nil {
		return nil, err
	}
	return p.LinkedDevices(), nil
}

package meta

import (
	"fmt"
	"slices"
	"sync"
)

// FaultKind names something that a network can be told to get wrong.
type FaultKind string

// The scripted faults.
const (
	// The chat server's certificate chain: foreign root, leaf for another key, out of date, wrong issuer.
	FaultCertificateRoot    FaultKind = "certificate_root"
	FaultCertificateLeafKey FaultKind = "certificate_leaf_key"
	FaultCertificateExpired FaultKind = "certificate_expired"
	FaultCertificateEarly   FaultKind = "certificate_not_yet_valid"
	FaultCertificateIssuer  FaultKind = "certificate_issuer"

	// FaultLogin refuses a login with the failure reason of Params["reason"], and its code and expire if there are any.
	FaultLogin FaultKind = "login_failure"
	// FaultRequest answers a request with the error code of Params["code"]; FaultRequestLost does not answer.
	FaultRequest     FaultKind = "request_error"
	FaultRequestLost FaultKind = "request_lost"
	// FaultAck refuses a message with the code of Params["code"]; FaultAckLost takes it and does not say so.
	FaultAck     FaultKind = "ack_error"
	FaultAckLost FaultKind = "ack_lost"
	// FaultDrop ends the connection after the stanza that it matches, as Params["how"] of [Network.DropConnections] says.
	FaultDrop FaultKind = "drop"
	// FaultGarbage sends a frame that is no stanza; FaultUnknownStanza sends a stanza that no client knows.
	FaultGarbage       FaultKind = "garbage_frame"
	FaultUnknownStanza FaultKind = "unknown_stanza"

	// FaultMangle corrupts the first transmission of a message to a client, FaultMangleAlways each of them.
	FaultMangle       FaultKind = "mangle"
	FaultMangleAlways FaultKind = "mangle_always"
	// FaultDuplicate delivers a message twice.
	FaultDuplicate FaultKind = "duplicate"
	// FaultUnknownField puts a field outside the subset into what a phone sends.
	FaultUnknownField FaultKind = "unknown_field"

	// What phones send, deformed on the way: from a device other than 0, in a list of participants, with the
	// sender as text, one message behind the next; unpadded, under the id of the message before, and
	// the ciphertext of the message before under a new id.
	FaultSenderDevice FaultKind = "sender_device"
	FaultParticipants FaultKind = "participants"
	FaultStringJID    FaultKind = "string_jid"
	FaultReorder      FaultKind = "reorder"
	FaultNoPadding    FaultKind = "no_padding"
	FaultSameID       FaultKind = "same_id"
	FaultReplay       FaultKind = "replay"
	// FaultFranking spoils the franking tag of what a phone on Messenger sends.
	FaultFranking FaultKind = "franking"

	// Bundles: without a one-time key, with a wrong signature of the signed one, or none at all.
	FaultNoOneTimeKey    FaultKind = "no_one_time_prekey"
	FaultBadSignedPrekey FaultKind = "bad_signed_prekey"
	FaultNoBundle        FaultKind = "no_bundle"
	// FaultPrekeysLost makes the server forget a client's one-time keys when it asks for their number.
	FaultPrekeysLost FaultKind = "prekeys_lost"
)

// Match says what a fault applies to; empty members match everything.
type Match struct {
	// Account is an account id or the text address of either side.
	Account string `json:"account,omitempty"`
	// Stanza is the tag of a stanza, XMLNS the name space of a request.
	Stanza string `json:"stanza,omitempty"`
	XMLNS  string `json:"xmlns,omitempty"`
	// Nth lets the first Nth-1 matches pass.
	Nth int `json:"nth,omitempty"`
}

// Fault is a thing to get wrong.
type Fault struct {
	Kind  FaultKind `json:"kind"`
	Match Match     `json:"match"`
	// Count is how often the fault strikes; zero means once, below zero without end.
	Count  int               `json:"count,omitempty"`
	Params map[string]string `json:"params,omitempty"`
}

// FaultHandle follows a fault that was set.
type FaultHandle struct {
	// ID names the fault within its network.
	ID int

	faults *faults
	fault  Fault
	seen   int
	struck int
}

// Struck tells how often the fault has struck.
func (h *FaultHandle) Struck() int {
	h.faults.mu.Lock()
	defer h.faults.mu.Unlock()
	return h.struck
}

// Remove ends the fault.
func (h *FaultHandle) Remove() {
	h.faults.mu.Lock()
	defer h.faults.mu.Unlock()
	h.faults.set = slices.DeleteFunc(h.faults.set, func(o *FaultHandle) bool { return o == h })
}

// faults has a lock of its own, since faults strike with and without the model's.
type faults struct {
	mu   sync.Mutex
	last int
	set  []*FaultHandle
}

// Fault sets a fault.
func (n *Network) Fault(f Fault) *FaultHandle {
	n.faults.mu.Lock()
	defer n.faults.mu.Unlock()
	if f.Count == 0 {
		f.Count = 1
	}
	n.faults.last++
	h := &FaultHandle{ID: n.faults.last, faults: &n.faults, fault: f}
	n.faults.set = append(n.faults.set, h)
	return h
}

// subject is what a fault is held against.
type subject struct {
	accounts      []string
	stanza, xmlns string
}

// about makes a subject of text addresses; an interop one also goes by its bare account id.
func about(stanza, xmlns string, addresses ...string) subject {
	s := subject{stanza: stanza, xmlns: xmlns, accounts: addresses}
	for _, address := range addresses {
		if jid, err := parseJID(address); err == nil {
			s.accounts = append(s.accounts, jid.User)
		}
	}
	return s
}

func (m Match) fits(s subject) bool {
	return (m.Account == "" || slices.Contains(s.accounts, m.Account)) &&
		(m.Stanza == "" || m.Stanza == s.stanza) && (m.XMLNS == "" || m.XMLNS == s.xmlns)
}

// strikes tells whether a fault of a kind strikes now, and which; nil if none does.
func (n *Network) strikes(kind FaultKind, s subject) *Fault {
	return n.strikesWhere(kind, s, func(Fault) bool { return true })
}

// strikesIf is strikes for faults with parameters that have to fit.
func (n *Network) strikesIf(kind FaultKind, s subject, fits func(Fault) bool) bool {
	return n.strikesWhere(kind, s, fits) != nil
}

func (n *Network) strikesWhere(kind FaultKind, s subject, fits func(Fault) bool) *Fault {
	n.faults.mu.Lock()
	defer n.faults.mu.Unlock()
	for _, h := range n.faults.set {
		if h.fault.Kind != kind || !h.fault.Match.fits(s) || h.fault.Count == h.struck || !fits(h.fault) {
			continue
		}
		if h.seen++; h.seen < h.fault.Match.Nth {
			continue
		}
		h.struck++
		n.transcript.note(n.now(), fmt.Sprintf("fault %s strikes %v", kind, s.accounts))
		return &h.fault
	}
	return nil
}

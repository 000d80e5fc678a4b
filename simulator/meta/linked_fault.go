package meta

import (
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// The faults of linked devices.
const (
	// FaultOutdated refuses clients that are older than the version on the start page, or each client with Params["always"].
	FaultOutdated FaultKind = "outdated"
	// FaultPairingSignature and FaultPairingHMAC spoil what a phone signs for a new device.
	FaultPairingSignature FaultKind = "pairing_signature"
	FaultPairingHMAC      FaultKind = "pairing_hmac"
	// FaultPasskey makes the server demand a passkey of a device that is being linked.
	FaultPasskey FaultKind = "passkey_demanded"
	// FaultStaleDevices lets an acknowledgement claim that the sender's list of devices is stale.
	FaultStaleDevices FaultKind = "stale_devices"
)

// failOutdated is the reason for which clients of an old version are turned away.
const failOutdated = 405

// spoilIdentity is the signed identity of a new device under its secret, spoilt if a fault says so.
func (n *Network) spoilIdentity(p *Person, s *scan, secret []byte) ([]byte, error) {
	who := about("pairing", "", jidText(p.user.pn), jidText(p.user.lid))
	if n.strikes(FaultPairingHMAC, who) != nil {
		secret = append([]byte{secret[0] ^ 1}, secret[1:]...)
	}
	if n.strikes(FaultPairingSignature, who) != nil {
		s.signed.AccountSignature[7] ^= 0xff
	}
	return sealIdentity(s.signed, secret)
}

// demandsPasskey tells whether the server wants a passkey of the device, and then asks it for one.
// assumed: only that the demand is made is known; what a device would answer is not served.
func (n *Network) demandsPasskey(p *Person, pairing *pairing) bool {
	if n.strikes(FaultPasskey, about("pairing", "", jidText(p.user.pn), jidText(p.user.lid))) == nil {
		return false
	}
	pairing.c.send(binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": types.ServerJID, "type": "passkey_prologue_request",
		"id": "passkey-" + n.secretText(), "t": n.now().Unix()}, Content: []binary.Node{{Tag: "passkey_request_options",
		Content: []byte(`{"challenge":"c2ltdWxhdGVk","rpId":"whatsapp.com","timeout":60000,"userVerification":"required","allowCredentials":[]}`)}}})
	return true
}

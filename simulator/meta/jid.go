package meta

import (
	"fmt"
	"strconv"
	"strings"

	"go.mau.fi/whatsmeow/types"
)

// The bounds of an interop address (docs/protocol.md#identifiers).
const (
	maxIntegrator    = 999
	maxAccountDigits = 15
)

// jidText is the text form of an address. An interop user has the integrator in
// front of the account number, which the binary form carries in a field of its own.
func jidText(jid types.JID) string {
	if jid.Server != types.InteropServer {
		return jid.ToNonAD().String()
	}
	return fmt.Sprintf("%d-%s@%s", jid.Integrator, jid.User, jid.Server)
}

// textOf is any attribute's value as text.
func textOf(value any) string {
	if jid, ok := value.(types.JID); ok {
		if jid.Device != 0 && jid.Server == types.InteropServer {
			return fmt.Sprintf("%d-%s:%d@%s", jid.Integrator, jid.User, jid.Device, jid.Server)
		}
		if jid.Server == types.InteropServer {
			return jidText(jid)
		}
		return jid.String()
	}
	return fmt.Sprint(value)
}

// parseJID is the inverse of jidText; it takes no device.
func parseJID(text string) (types.JID, error) {
	user, server, found := strings.Cut(text, "@")
	if !found || user == "" {
		return types.JID{}, fmt.Errorf("%q is not an address", text)
	}
	switch server {
	case types.InteropServer:
		cut := strings.LastIndexByte(user, '-')
		if cut < 1 {
			return types.JID{}, fmt.Errorf("interop address %q has no integrator", text)
		}
		integrator, err := strconv.Atoi(user[:cut])
		if err != nil || integrator < 1 || integrator > maxIntegrator || !isAccount(user[:cut]) {
			return types.JID{}, fmt.Errorf("interop address %q: integrator must be 1 to %d", text, maxIntegrator)
		}
		if !isAccount(user[cut+1:]) {
			return types.JID{}, fmt.Errorf("interop address %q: account must be 1 to %d digits", text, maxAccountDigits)
		}
		return interopJID(integrator, user[cut+1:]), nil
	case types.DefaultUserServer, types.HiddenUserServer, types.MessengerServer:
		if !isDigits(user) {
			return types.JID{}, fmt.Errorf("address %q is not a number", text)
		}
		return types.NewJID(user, server), nil
	default:
		return types.JID{}, fmt.Errorf("address %q is of an unknown server", text)
	}
}

func interopJID(integrator int, account string) types.JID {
	return types.JID{User: account, Integrator: uint16(integrator), Server: types.InteropServer}
}

// isAccount tells whether text is an account number: 1 to 15 digits, no leading zero.
func isAccount(text string) bool {
	return len(text) <= maxAccountDigits && isDigits(text) && text[0] != '0'
}

func isDigits(text string) bool {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return text != ""
}

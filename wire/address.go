package wire

import (
	"fmt"
	"strconv"
	"strings"

	"go.mau.fi/whatsmeow/types"

	"causeway/network"
)

// ToJID spells an address for the wire, where the integrator stands beside the
// account and not in its text (docs/protocol.md#identifiers).
func ToJID(address network.Address) (types.JID, error) {
	if err := address.Validate(); err != nil {
		return types.JID{}, err
	}
	if address.Kind == network.KindInterop {
		return types.JID{User: address.User, Integrator: address.Integrator, Server: types.InteropServer}, nil
	}
	server, err := serverOf(address.Kind)
	return types.NewJID(address.User, server), err
}

// serverOf is the part after the @ of people of a kind.
func serverOf(kind network.Kind) (string, error) {
	switch kind {
	case network.KindLID:
		return types.HiddenUserServer, nil
	case network.KindPhone:
		return types.DefaultUserServer, nil
	case network.KindAccount:
		return types.MessengerServer, nil
	}
	return "", fmt.Errorf("people of kind %q have no form on the wire", kind)
}

// FromJID reads what the wire of a network calls a person; devices other than 0 are refused.
func FromJID(n network.Network, jid types.JID) (network.Address, error) {
	address := network.Address{Network: n, User: jid.User, Integrator: jid.Integrator}
	switch jid.Server {
	case types.HiddenUserServer:
		address.Kind = network.KindLID
	case types.DefaultUserServer:
		address.Kind = network.KindPhone
	case types.MessengerServer:
		address.Kind = network.KindAccount
	case types.InteropServer:
		address.Kind = network.KindInterop
	default:
		return network.Address{}, fmt.Errorf("no person has server %q", jid.Server)
	}
	if jid.Device != 0 || jid.RawAgent != 0 {
		return network.Address{}, fmt.Errorf("address on server %s names another device than 0", jid.Server)
	}
	if err := address.Validate(); err != nil {
		return network.Address{}, err
	}
	return address, nil
}

// TextJID spells an address as it stands inside messages: "12-105012705411308@interop",
// "90000000000001@lid", "100001@msgr". Safety numbers name a person by it, too. // assumed: U11
func TextJID(address network.Address) (string, error) {
	jid, err := ToJID(address)
	if err != nil {
		return "", err
	}
	if address.Kind == network.KindInterop {
		return fmt.Sprintf("%d-%s@%s", address.Integrator, address.User, types.InteropServer), nil
	}
	return jid.User + "@" + jid.Server, nil
}

// ParseTextJID is the inverse of [TextJID] for people of a network; a device 0 is accepted and dropped.
func ParseTextJID(n network.Network, text string) (network.Address, error) {
	user, server, found := strings.Cut(text, "@")
	if !found {
		return network.Address{}, fmt.Errorf("not an address on the wire")
	}
	user = strings.TrimSuffix(user, ":0")
	jid := types.JID{User: user, Server: server}
	if server == types.InteropServer {
		split := strings.LastIndexByte(user, '-')
		if split < 1 || user[0] == '0' || split > 3 {
			return network.Address{}, fmt.Errorf("an interop address starts with its integrator")
		}
		integrator, err := strconv.ParseUint(user[:split], 10, 16)
		if err != nil {
			return network.Address{}, fmt.Errorf("an interop address starts with its integrator: %w", err)
		}
		jid.User, jid.Integrator = user[split+1:], uint16(integrator)
	}
	return FromJID(n, jid)
}

package whatsapp

import (
	"fmt"
	"strconv"
	"strings"

	"go.mau.fi/whatsmeow/types"

	"causeway/network"
)

// toJID spells an address for the wire, where the integrator stands beside the
// account and not in its text (docs/protocol.md#identifiers).
func toJID(address network.Address) (types.JID, error) {
	if err := address.Validate(); err != nil {
		return types.JID{}, err
	} else if address.Network != network.WhatsApp {
		return types.JID{}, fmt.Errorf("address %s is not of %s", address, network.WhatsApp)
	}
	switch address.Kind {
	case network.KindLID:
		return types.NewJID(address.User, types.HiddenUserServer), nil
	case network.KindPhone:
		return types.NewJID(address.User, types.DefaultUserServer), nil
	case network.KindInterop:
		return types.JID{User: address.User, Integrator: address.Integrator, Server: types.InteropServer}, nil
	}
	return types.JID{}, fmt.Errorf("address %s has no form on the wire", address)
}

// fromJID reads what the wire calls a person; devices other than 0 are refused.
func fromJID(jid types.JID) (network.Address, error) {
	var address network.Address
	switch jid.Server {
	case types.HiddenUserServer:
		address = network.LID(jid.User)
	case types.DefaultUserServer:
		address = network.Address{Network: network.WhatsApp, Kind: network.KindPhone, User: jid.User}
	case types.InteropServer:
		address = network.Interop(network.WhatsApp, jid.Integrator, jid.User)
	default:
		return network.Address{}, fmt.Errorf("no person has server %q", jid.Server)
	}
	if jid.Device != 0 || jid.RawAgent != 0 {
		return network.Address{}, fmt.Errorf("address on server %s names another device than 0", jid.Server)
	}
	if jid.Server != types.InteropServer && jid.Integrator != 0 {
		return network.Address{}, fmt.Errorf("address on server %s has an integrator", jid.Server)
	}
	return address, address.Validate()
}

// textJID spells an address as it stands inside messages: "12-105012705411308@interop",
// "90000000000001@lid". Safety numbers name a person by it, too. // assumed: U11
func textJID(address network.Address) (string, error) {
	jid, err := toJID(address)
	if err != nil {
		return "", err
	}
	if address.Kind == network.KindInterop {
		return fmt.Sprintf("%d-%s@%s", address.Integrator, address.User, types.InteropServer), nil
	}
	return jid.User + "@" + jid.Server, nil
}

// parseTextJID is the inverse of textJID; a device 0 is accepted and dropped.
func parseTextJID(text string) (network.Address, error) {
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
	return fromJID(jid)
}

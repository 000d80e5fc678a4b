package linked

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.mau.fi/whatsmeow/types"

	"causeway/network"
	"causeway/wire"
)

// errNobody says that a JID is neither a person nor a group: a channel, a broadcast, a bot.
var errNobody = errors.New("neither a person nor a group")

// plain is a JID as the user or group is known by, without a device, on one of the servers of today.
func plain(jid types.JID) types.JID {
	jid = jid.ToNonAD()
	switch jid.Server {
	case types.HostedServer, types.LegacyUserServer:
		jid.Server = types.DefaultUserServer
	case types.HostedLIDServer:
		jid.Server = types.HiddenUserServer
	}
	return jid
}

// address is what a JID is known by here: a person's LID as soon as the login knows it. Until then the phone number stands
// for the person, and that is remembered.
func (l *login) address(ctx context.Context, jid types.JID) (network.Address, error) {
	jid = plain(jid)
	switch jid.Server {
	case types.GroupServer:
		group := network.GroupAddress(jid.User)
		return group, group.Validate()
	case types.HiddenUserServer:
	case types.DefaultUserServer:
		lid, err := l.aliases.GetLIDForPN(ctx, jid)
		if err != nil {
			return network.Address{}, err
		} else if !lid.IsEmpty() {
			jid = lid
		} else if isNumber(jid.User) {
			if err = l.aliases.standIn(ctx, jid.User); err != nil {
				return network.Address{}, err
			}
		}
	default:
		return network.Address{}, errNobody
	}
	if jid.IsBot() {
		return network.Address{}, errNobody
	}
	person, err := wire.FromJID(network.WhatsApp, jid)
	if err != nil {
		return network.Address{}, fmt.Errorf("%w: %w", errNobody, err)
	}
	return person, nil
}

// alias is another address of the same person, zero if unknown.
func (l *login) alias(ctx context.Context, person network.Address) (network.Address, error) {
	jid, err := wire.ToJID(person)
	if err != nil || person.Kind == network.KindInterop {
		return network.Address{}, nil //nolint:nilerr // groups have none
	}
	other, err := l.aliases.other(ctx, jid)
	if err != nil || other.IsEmpty() {
		return network.Address{}, err
	}
	return wire.FromJID(network.WhatsApp, other)
}

// addresses translates several, without those that are nobody.
func (l *login) addresses(ctx context.Context, jids []types.JID) ([]network.Address, error) {
	var found []network.Address
	for _, jid := range jids {
		person, err := l.address(ctx, jid)
		switch {
		case errors.Is(err, errNobody):
		case err != nil:
			return nil, err
		default:
			found = append(found, person)
		}
	}
	return found, nil
}

// jid spells an address for the wire. Errors wrap [network.ErrUnknownPerson].
func jidOf(address network.Address) (types.JID, error) {
	if err := address.Validate(); err != nil || address.Network != network.WhatsApp || address.Kind == network.KindInterop {
		return types.JID{}, fmt.Errorf("%w: not somebody whom a linked device can reach", network.ErrUnknownPerson)
	}
	if address.IsGroup() {
		return types.NewJID(address.User, types.GroupServer), nil
	}
	return wire.ToJID(address)
}

// groupJID spells a group. Errors wrap [network.ErrUnknownGroup].
func groupJID(address network.Address) (types.JID, error) {
	if !address.IsGroup() || address.Validate() != nil {
		return types.JID{}, fmt.Errorf("%w: not a group", network.ErrUnknownGroup)
	}
	return types.NewJID(address.User, types.GroupServer), nil
}

// modes remembers by which of their names groups call their members.
type modes struct {
	mu sync.Mutex
	of map[types.JID]types.AddressingMode
}

func (m *modes) put(group types.JID, mode types.AddressingMode) {
	if group.Server != types.GroupServer || mode == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of[group] = mode
}

func (m *modes) get(group types.JID) types.AddressingMode {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of[group]
}

// memberJID is what a group or a chat calls a person: some older groups still know phone numbers only.
func (l *link) memberJID(ctx context.Context, chat types.JID, person network.Address) (types.JID, error) {
	jid, err := jidOf(person)
	if err != nil || chat.Server != types.GroupServer || jid.Server != types.HiddenUserServer {
		return jid, err
	}
	mode := l.owner.modes.get(chat)
	if mode == "" {
		info, err := l.lib.GetGroupInfo(ctx, chat)
		if err != nil {
			return jid, failure(err)
		}
		mode = info.AddressingMode
		l.owner.modes.put(chat, mode)
	}
	if mode == types.AddressingModeLID {
		return jid, nil
	}
	if person == l.owner.Self() {
		return l.device.GetJID().ToNonAD(), nil
	}
	phone, err := l.own.aliases.GetPNForLID(ctx, jid)
	if err != nil || phone.IsEmpty() {
		return jid, err
	}
	return phone, nil
}

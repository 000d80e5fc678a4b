package meta

import (
	"context"
	"fmt"
	"slices"

	"go.mau.fi/libsignal/groups"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// This file is how a phone writes to groups: under a sender key, which it hands out.

// sendToGroup writes to a group: once under the phone's sender key, and the key itself to each device that has
// not got it yet. p.mu is held.
func (p *Person) sendToGroup(s *sentChat) error {
	devices, err := p.n.groupDevices(p.user, s.to)
	if err != nil {
		return err
	}
	plaintext, err := proto.Marshal(s.message)
	if err != nil {
		return fmt.Errorf("failed to write a message: %w", err)
	}
	entries, err := p.handOutKey(s, devices)
	if err != nil {
		return err
	}
	builder, name := p.senderKey(s.to)
	sealed, err := groups.NewGroupCipher(builder, name, p.signal.device).Encrypt(context.Background(), pad(plaintext, p.n.roll("pad", s.id)))
	if err != nil {
		return fmt.Errorf("failed to encrypt for %s: %w", s.to, err)
	}
	enc := binary.Node{Tag: "enc", Attrs: binary.Attrs{"v": "2", "type": "skmsg"}, Content: sealed.SignedSerialize()}
	if _, media := kindOf(s.message); media != "" {
		enc.Attrs["mediatype"] = media
	}
	node := s.stanzaFor(s.to)
	node.Attrs["phash"], node.Attrs["addressing_mode"] = devicesHash(append(devices, p.user.lid)), "lid"
	if len(entries) > 0 {
		node.Content = []binary.Node{{Tag: "participants", Content: entries}}
	}
	node.Content = append(append(node.GetChildren(), enc), besideMessage(s.message)...)
	return p.relay(node)
}

func (p *Person) senderKey(group types.JID) (*groups.SessionBuilder, *protocol.SenderKeyName) {
	return groups.NewGroupSessionBuilder(p.signal.device, store.SignalProtobufSerializer),
		protocol.NewSenderKeyName(group.String(), signalAddress(p.user.lid))
}

// handOutKey encrypts the phone's sender key for the devices that do not have it. Somebody who left takes the
// old key along, so a new one is made then. p.mu is held.
func (p *Person) handOutKey(s *sentChat, devices []types.JID) (entries []binary.Node, err error) {
	holders, group := p.keyHolders[s.to.User], s.to
	for holder := range holders {
		if !slices.ContainsFunc(devices, func(d types.JID) bool { return d.String() == holder }) {
			delete(p.signal.senderKeys, senderKeyID(group.String(), signalAddress(p.user.lid).String()))
			holders = nil
			break
		}
	}
	if holders == nil {
		holders = map[string]bool{}
	}
	p.keyHolders[group.User] = holders
	plaintext, err := p.keyMessage(group)
	if err != nil {
		return nil, err
	}
	for _, jid := range devices {
		if holders[jid.String()] {
			continue
		}
		enc, err := p.sealFor(jid, plaintext, s.id)
		if err != nil {
			return nil, err
		}
		holders[jid.String()] = true
		entries = append(entries, binary.Node{Tag: "to", Attrs: binary.Attrs{"jid": jid}, Content: []binary.Node{enc}})
	}
	return entries, nil
}

// keyMessage is the message that hands out the phone's sender key of a group. p.mu is held.
func (p *Person) keyMessage(group types.JID) ([]byte, error) {
	key, err := p.keyDistribution(group)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&waE2E.Message{SenderKeyDistributionMessage: key})
}

func (p *Person) keyDistribution(group types.JID) (*waE2E.SenderKeyDistributionMessage, error) {
	builder, name := p.senderKey(group)
	key, err := builder.Create(context.Background(), name)
	if err != nil {
		return nil, fmt.Errorf("failed to make a sender key: %w", err)
	}
	return &waE2E.SenderKeyDistributionMessage{GroupID: proto.String(group.String()), AxolotlSenderKeyDistributionMessage: key.Serialize()}, nil
}

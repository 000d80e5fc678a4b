package meta

import (
	"fmt"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// This file is what a phone and its linked devices say to each other.

// sendPeer sends a message between own devices. p.mu is held.
func (p *Person) sendPeer(number uint16, m *waE2E.ProtocolMessage) error {
	s := &sentChat{to: withDevice(p.user.pn, number), message: &waE2E.Message{ProtocolMessage: m}, at: stamp(p.n.now()), id: p.nextID()}
	p.sentChats[s.id] = s
	plaintext, err := proto.Marshal(s.message)
	if err != nil {
		return fmt.Errorf("failed to write a message: %w", err)
	}
	enc, err := p.sealFor(s.to, plaintext, s.id)
	if err != nil {
		return err
	}
	node := s.stanzaFor(s.to)
	node.Attrs["category"], node.Content = "peer", []binary.Node{enc}
	return p.relay(node)
}

// handleOwnDevices greets linked devices that are new. p.mu is held.
func (p *Person) handleOwnDevices(devices binary.Node) {
	present := map[uint16]bool{}
	for _, child := range devices.GetChildren() {
		jid, _ := child.Attrs["jid"].(types.JID)
		if jid.Device == 0 {
			continue
		}
		present[jid.Device] = true
		if p.greeted[jid.Device] {
			continue
		}
		p.greeted[jid.Device] = true
		if err := p.greet(jid.Device); err != nil {
			p.n.cfg.logf("simulator: %s failed to greet device %d: %v", p.Name(), jid.Device, err)
		}
	}
	for number := range p.greeted {
		if !present[number] {
			delete(p.greeted, number)
		}
	}
	p.change()
}

// greet tells a new device what phones tell first. p.mu is held.
func (p *Person) greet(number uint16) error {
	return p.sendPeer(number, &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_INITIAL_SECURITY_NOTIFICATION_SETTING_SYNC.Enum(),
		InitialSecurityNotificationSettingSync: &waE2E.InitialSecurityNotificationSettingSync{SecurityNotificationEnabled: proto.Bool(true)}})
}

// peerMessage answers a linked device. p.mu is held.
func (p *Person) peerMessage(h hearing, m *waE2E.ProtocolMessage) {
	p.n.finding("unserved-peer-message", fmt.Sprintf("%s: %s", h.sender, m.GetType()))
}

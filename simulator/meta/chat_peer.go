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

// greet tells a new device what phones tell first: the keys of the account's state, and earlier messages. p.mu is held.
func (p *Person) greet(number uint16) error {
	err := p.sendPeer(number, &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_INITIAL_SECURITY_NOTIFICATION_SETTING_SYNC.Enum(),
		InitialSecurityNotificationSettingSync: &waE2E.InitialSecurityNotificationSettingSync{SecurityNotificationEnabled: proto.Bool(true)}})
	if err != nil {
		return err
	}
	if err = p.shareKeys(number); err != nil {
		return err
	}
	return p.sendHistory(number)
}

// peerMessage answers a linked device. p.mu is held.
func (p *Person) peerMessage(h hearing, m *waE2E.ProtocolMessage) {
	var err error
	switch m.GetType() {
	case waE2E.ProtocolMessage_APP_STATE_SYNC_KEY_REQUEST:
		var wanted [][]byte
		for _, id := range m.GetAppStateSyncKeyRequest().GetKeyIDs() {
			wanted = append(wanted, id.GetKeyID())
		}
		err = p.shareKeys(h.sender.Device, wanted...)
	case waE2E.ProtocolMessage_PEER_DATA_OPERATION_REQUEST_MESSAGE:
		err = p.peerRequest(h, m.GetPeerDataOperationRequestMessage())
	default:
		p.n.finding("unserved-peer-message", fmt.Sprintf("%s: %s", h.sender, m.GetType()))
	}
	if err != nil {
		p.n.finding("bad-peer-message", fmt.Sprintf("%s: %s: %v", h.sender, m.GetType(), err))
	}
}

// peerRequest serves what a linked device asks of the phone's data. p.mu is held.
func (p *Person) peerRequest(h hearing, request *waE2E.PeerDataOperationRequestMessage) error {
	response := &waE2E.PeerDataOperationRequestResponseMessage{PeerDataOperationRequestType: request.PeerDataOperationRequestType,
		StanzaID: proto.String(h.id)}
	switch request.GetPeerDataOperationRequestType() {
	case waE2E.PeerDataOperationRequestType_HISTORY_SYNC_ON_DEMAND:
		return p.sendOnDemand(h.sender.Device, h.id, request.GetHistorySyncOnDemandRequest())
	case waE2E.PeerDataOperationRequestType_PLACEHOLDER_MESSAGE_RESEND:
		for _, each := range request.GetPlaceholderMessageResendRequest() {
			result, err := p.placeholder(each.GetMessageKey().GetID())
			if err != nil {
				return err
			}
			response.PeerDataOperationResult = append(response.PeerDataOperationResult, result)
		}
	case waE2E.PeerDataOperationRequestType_COMPANION_SYNCD_SNAPSHOT_FATAL_RECOVERY:
		result, err := p.recovery(request.GetSyncdCollectionFatalRecoveryRequest().GetCollectionName())
		if err != nil {
			return err
		}
		response.PeerDataOperationResult = append(response.PeerDataOperationResult, result)
	default:
		return fmt.Errorf("request %s is not served", request.GetPeerDataOperationRequestType())
	}
	return p.sendPeer(h.sender.Device, &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE.Enum(),
		PeerDataOperationRequestResponseMessage: response})
}

// placeholder is a message that a linked device could not read, from the phone's own store; empty if the phone has not got it. p.mu is held.
func (p *Person) placeholder(id string) (*waE2E.PeerDataOperationRequestResponseMessage_PeerDataOperationResult, error) {
	result := &waE2E.PeerDataOperationRequestResponseMessage_PeerDataOperationResult{}
	t, err := p.talkByID(id)
	if err != nil {
		return result, nil
	}
	data, err := proto.Marshal(p.webMessage(t))
	if err != nil {
		return nil, fmt.Errorf("failed to write a message: %w", err)
	}
	result.PlaceholderMessageResendResponse = &waE2E.PeerDataOperationRequestResponseMessage_PeerDataOperationResult_PlaceholderMessageResendResponse{
		WebMessageInfoBytes: data}
	return result, nil
}

package meta

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.mau.fi/libsignal/groups"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/signalerror"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// This file is how a phone reads what other people on WhatsApp, and its own linked devices, write.

// hearing is a message within WhatsApp that came to a phone.
type hearing struct {
	node           binary.Node
	id             string
	from, sender   types.JID // as on the stanza; the sender's device by LID
	chat           types.JID // by LID, or the group
	own, group     bool
	at             time.Time
	name, category string
}

// isChat tells whether a stanza is of a chat within WhatsApp.
func isChat(node binary.Node) bool {
	from, _ := node.Attrs["from"].(types.JID)
	return from.User != "" && (from.Server == types.DefaultUserServer || from.Server == types.HiddenUserServer || from.Server == types.GroupServer)
}

func (p *Person) hearingOf(node binary.Node) hearing {
	h := hearing{node: node, id: attrText(node, "id"), name: attrText(node, "notify"), category: attrText(node, "category")}
	h.from, _ = node.Attrs["from"].(types.JID)
	seconds, _ := strconv.ParseInt(textOf(node.Attrs["t"]), 10, 64)
	h.at = time.Unix(seconds, 0)
	sender := h.from
	if h.group = h.from.Server == types.GroupServer; h.group {
		sender, _ = node.Attrs["participant"].(types.JID)
	}
	h.sender = p.n.byLID(sender)
	h.own = h.sender.User == p.user.lid.User
	h.chat = h.from.ToNonAD()
	if recipient, ok := node.Attrs["recipient"].(types.JID); ok && h.own && !h.group {
		h.chat = recipient
	}
	h.chat = p.n.canonical(h.chat)
	return h
}

// handleChat reads a message, shows it, and says that it has arrived.
func (p *Person) handleChat(node binary.Node) {
	h := p.hearingOf(node)
	p.mu.Lock()
	heard, fresh, receipt := p.openChat(h)
	scripts, receipts := p.scripts, p.autoReceipts
	p.mu.Unlock()
	if receipt && (receipts || h.own) {
		p.later("receipt/"+h.id, func() { p.confirm(h) })
	}
	if heard != nil && fresh {
		for _, script := range scripts {
			script(p, *heard)
		}
	}
}

// confirm sends the receipt that a phone sends by itself.
func (p *Person) confirm(h hearing) {
	kind := ""
	switch {
	case h.category == "peer":
		kind = "peer_msg"
	case h.own:
		kind = "sender"
	}
	p.sendReceipt(h.node, h.id, kind)
}

// sendReceipt answers a stanza with a receipt of some type, the empty one for delivery.
func (p *Person) sendReceipt(node binary.Node, id, kind string) {
	attrs := binary.Attrs{"id": id, "to": node.Attrs["from"]}
	if kind != "" {
		attrs["type"] = kind
	}
	for _, key := range []string{"participant", "recipient"} {
		if value, found := node.Attrs[key]; found {
			attrs[key] = value
		}
	}
	p.receiptOut(binary.Node{Tag: "receipt", Attrs: attrs})
}

func (p *Person) receiptOut(node binary.Node) {
	p.n.transcript.stanza(p.n.now(), ">", jidText(p.user.lid), node)
	p.n.chatReceipt(party{p.user, 0}, node)
}

// openChat decrypts a message. Nothing is heard if that failed or if the message is only between the account's own
// devices; receipt says whether the message counts as arrived. p.mu is held.
func (p *Person) openChat(h hearing) (heard *Heard, fresh, receipt bool) {
	key := jidText(h.sender) + "/" + h.id
	if i, before := p.index[key]; before {
		return &p.heard[i], false, true
	}
	var shown *waE2E.Message
	for _, enc := range h.node.GetChildrenByTag("enc") {
		m, err := p.decryptChat(h, enc)
		if errors.Is(err, signalerror.ErrOldCounter) {
			p.n.finding("old-counter", fmt.Sprintf("%s sent %s under a used Signal counter", h.sender, h.id))
			return nil, false, false
		}
		if errors.Is(err, errADV) {
			p.n.finding("bad-device-identity", fmt.Sprintf("%s sent %s: %v", h.sender, h.id, err))
			return nil, false, false
		}
		if err != nil {
			p.askChatAgain(h)
			return nil, false, false
		}
		if m = p.unwrap(h, m); m != nil {
			shown = m
		}
	}
	if shown == nil {
		return nil, false, true
	}
	p.index[key] = len(p.heard)
	p.heard = append(p.heard, p.showChat(h, shown))
	p.remember(talk{chat: h.chat, sender: h.sender.ToNonAD(), id: h.id, at: h.at, name: h.name, message: shown})
	p.change()
	return &p.heard[len(p.heard)-1], true, true
}

// decryptChat opens one ciphertext. p.mu is held.
func (p *Person) decryptChat(h hearing, enc binary.Node) (*waE2E.Message, error) {
	var padded []byte
	var err error
	if attrText(enc, "type") == "skmsg" {
		padded, err = p.openSenderKey(h, enc)
	} else {
		padded, err = p.signal.decrypt(h.sender, enc)
		if err == nil && attrText(enc, "type") == "pkmsg" && h.sender.Device != 0 {
			err = p.checkSender(h)
		}
	}
	if err != nil {
		return nil, err
	}
	plaintext, err := unpad(padded)
	if err != nil {
		return nil, err
	}
	m := &waE2E.Message{}
	if err = proto.Unmarshal(plaintext, m); err != nil {
		return nil, fmt.Errorf("failed to read a message: %w", err)
	}
	return m, nil
}

// checkSender verifies the signed identity that a linked device sends with its first messages. p.mu is held.
func (p *Person) checkSender(h hearing) error {
	identity, _ := childOf(h.node, "device-identity").Content.([]byte)
	return checkIdentity(identity, p.n.accountKey(h.sender), p.signal.identities[signalAddress(h.sender).String()])
}

func (p *Person) openSenderKey(h hearing, enc binary.Node) ([]byte, error) {
	data, _ := enc.Content.([]byte)
	message, err := protocol.NewSenderKeyMessageFromBytes(data, store.SignalProtobufSerializer.SenderKeyMessage)
	if err != nil {
		return nil, err
	}
	builder := groups.NewGroupSessionBuilder(p.signal.device, store.SignalProtobufSerializer)
	name := protocol.NewSenderKeyName(h.from.String(), signalAddress(h.sender))
	return groups.NewGroupCipher(builder, name, p.signal.device).Decrypt(context.Background(), message)
}

// unwrap takes what a message says besides its content, and returns the content, nil if there is none to show. p.mu is held.
func (p *Person) unwrap(h hearing, m *waE2E.Message) *waE2E.Message {
	if key := m.GetSenderKeyDistributionMessage(); key != nil {
		p.takeSenderKey(h, key)
		m.SenderKeyDistributionMessage = nil
	}
	if inner := m.GetDeviceSentMessage().GetMessage(); inner != nil {
		if !h.own {
			p.n.finding("foreign-copy", fmt.Sprintf("%s sent %s as a copy of its own", h.sender, h.id))
			return nil
		}
		if inner.MessageContextInfo == nil {
			inner.MessageContextInfo = m.MessageContextInfo
		}
		m = inner
	} else if h.own && !h.group && h.category != "peer" {
		p.n.finding("copy-not-wrapped", fmt.Sprintf("%s sent %s to its own phone without saying where it went", h.sender, h.id))
	}
	if h.category == "peer" {
		p.peerMessage(h, m.GetProtocolMessage())
		return nil
	}
	bare, _ := proto.Clone(m).(*waE2E.Message)
	bare.MessageContextInfo = nil
	if proto.Size(bare) == 0 {
		return nil
	}
	return m
}

func (p *Person) takeSenderKey(h hearing, key *waE2E.SenderKeyDistributionMessage) {
	message, err := protocol.NewSenderKeyDistributionMessageFromBytes(key.GetAxolotlSenderKeyDistributionMessage(),
		store.SignalProtobufSerializer.SenderKeyDistributionMessage)
	if err == nil && h.group && key.GetGroupID() == h.from.String() {
		builder := groups.NewGroupSessionBuilder(p.signal.device, store.SignalProtobufSerializer)
		err = builder.Process(context.Background(), protocol.NewSenderKeyName(h.from.String(), signalAddress(h.sender)), message)
	} else if err == nil {
		err = errors.New("it is for another chat")
	}
	if err != nil {
		p.n.finding("bad-sender-key", fmt.Sprintf("%s sent %s: %v", h.sender, h.id, err))
	}
}

// handleChatReceipt notes what others tell of the person's messages, and repeats what they could not read.
func (p *Person) handleChatReceipt(node binary.Node) {
	from, _ := node.Attrs["from"].(types.JID)
	participant, _ := node.Attrs["participant"].(types.JID)
	kind := attrText(node, "type")
	p.mu.Lock()
	defer p.mu.Unlock()
	if kind == "retry" {
		p.handleChatRetry(node, from, participant)
		return
	}
	sender := from
	if from.Server == types.GroupServer {
		sender = participant
	}
	seconds, _ := strconv.ParseInt(textOf(node.Attrs["t"]), 10, 64)
	for _, id := range receiptIDs(node) {
		p.receipts = append(p.receipts, Receipt{ID: id, From: jidText(p.n.byLID(sender)), Type: orElse(kind, "delivery"), Time: time.Unix(seconds, 0)})
	}
	p.change()
}

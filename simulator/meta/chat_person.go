package meta

import (
	"context"
	"fmt"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// This file is what a person does in chats within WhatsApp besides writing.

// quoting is what a reply says of the message that it answers.
func quoting(h Heard) *waE2E.ContextInfo {
	quoted := h.Message
	if quoted == nil {
		quoted = &waE2E.Message{Conversation: proto.String(h.Text)}
	}
	return &waE2E.ContextInfo{StanzaID: proto.String(h.ID), Participant: proto.String(h.From), QuotedMessage: quoted}
}

// keyOf names a message of a chat as seen by the person. p.mu is held.
func (p *Person) keyOf(chat types.JID, id string) *waCommon.MessageKey {
	key := &waCommon.MessageKey{RemoteJID: proto.String(chat.String()), ID: &id, FromMe: proto.Bool(true)}
	for _, t := range p.talks {
		if t.id == id && t.sender.User != p.user.lid.User {
			key.FromMe = proto.Bool(false)
			if chat.Server == types.GroupServer {
				key.Participant = proto.String(t.sender.String())
			}
		}
	}
	return key
}

func (p *Person) reactInChat(to, id, emoji string) (string, error) {
	chat, err := p.chatOf(to)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	key := p.keyOf(chat, id)
	p.mu.Unlock()
	return p.SendMessage(to, &waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{Key: key, Text: &emoji,
		SenderTimestampMS: proto.Int64(p.n.now().UnixMilli())}})
}

// acknowledgeChat sends a receipt for a message of a chat within WhatsApp.
func (p *Person) acknowledgeChat(h Heard, kind string) {
	from, err := types.ParseJID(h.From)
	if err != nil {
		return // what was heard has an address that can be read
	}
	attrs := binary.Attrs{"id": h.ID, "to": from}
	if chat, err := types.ParseJID(h.Chat); err == nil && chat.Server == types.GroupServer {
		attrs["to"], attrs["participant"] = chat, from
	}
	if kind != "" {
		attrs["type"], attrs["t"] = kind, stamp(p.n.now()).seconds()
	}
	p.receiptOut(binary.Node{Tag: "receipt", Attrs: attrs})
}

func (p *Person) typeInChat(to string, on bool) error {
	chat, err := p.chatOf(to)
	if err != nil {
		return err
	}
	state := "paused"
	if on {
		state = "composing"
	}
	p.n.chatTyping(party{p.user, 0}, binary.Node{Tag: "chatstate", Attrs: binary.Attrs{"to": chat}, Content: []binary.Node{{Tag: state}}})
	return nil
}

// waitChatTyping waits until somebody, or somebody in a group, is seen typing or not any more.
func (p *Person) waitChatTyping(ctx context.Context, from string, on bool) error {
	chat, err := p.chatOf(from)
	if err != nil {
		return err
	}
	key := jidText(p.n.canonical(chat))
	if err = p.wait(ctx, func() bool { state, seen := p.typing[key]; return seen && state == on }); err != nil {
		return fmt.Errorf("typing of %s did not become %t: %w", from, on, err)
	}
	return nil
}

// handleWithin takes a stanza of chats within WhatsApp.
func (p *Person) handleWithin(node binary.Node) {
	switch node.Tag {
	case "message":
		p.handleChat(node)
	case "receipt":
		p.handleChatReceipt(node)
	case "chatstate":
		from, _ := node.Attrs["from"].(types.JID)
		_, composing := node.GetOptionalChildByTag("composing")
		p.mu.Lock()
		defer p.mu.Unlock()
		p.typing[jidText(p.n.canonical(from))] = composing
		p.change()
	case "notification":
		p.mu.Lock()
		defer p.mu.Unlock()
		if devices, found := node.GetOptionalChildByTag("devices"); found && attrText(node, "type") == "account_sync" {
			p.handleOwnDevices(devices)
		}
		p.change()
	}
}

// renewed tells the linked devices of others that somebody's keys are new, and ends the person's own linked devices,
// which were signed with the old ones. The model must be locked.
func (n *Network) renewed(u *user, count int) {
	for _, d := range u.linked() {
		c := d.conn
		n.removeCompanion(d)
		if c != nil && n.ctx.Err() == nil {
			n.work.Go(func() { c.drop(dropRemoved) })
		}
	}
	u.keyIndexes = nil
	for _, d := range n.companionsAnywhere() {
		if d.companion.knows[u] {
			n.enqueue(d, binary.Node{Tag: "notification", Attrs: binary.Attrs{"from": u.pn, "lid": u.lid, "type": "encrypt",
				"id": fmt.Sprintf("identity-%s-%d", u.lid.User, count), "t": n.stamp("identity").seconds(),
			}, Content: []binary.Node{{Tag: "identity"}}})
		}
	}
}

package meta

import (
	"fmt"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// This file is what reaches linked devices from places that are no chats: status posts, broadcast lists, channels.

// PostStatus has somebody's linked devices get a status post of the person, as those do who have each other in their address books.
func (p *Person) PostStatus(to, text string) (id string, err error) {
	return p.spread(types.StatusBroadcastJID, to, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: &text}})
}

// SendToList writes to a broadcast list that somebody is on, whose linked devices get it; to them it is a message of the direct chat.
func (p *Person) SendToList(to, text string) (id string, err error) {
	return p.spread(types.NewJID("1414141414", types.BroadcastServer), to, &waE2E.Message{Conversation: &text})
}

// spread encrypts a message for the linked devices of somebody who gets it by way of a list.
func (p *Person) spread(list types.JID, to string, m *waE2E.Message) (id string, err error) {
	chat, err := p.chatOf(to)
	if err != nil {
		return "", err
	}
	plaintext, err := proto.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("failed to write a message: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	id = p.nextID()
	for _, jid := range p.n.chatDevices(p.user, chat) {
		if jid.Device == 0 || p.n.canonical(jid.ToNonAD()) == p.user.lid {
			continue
		}
		enc, err := p.sealFor(jid, plaintext, id)
		if err != nil {
			return "", err
		}
		p.n.mu.Lock()
		parcel := &parcel{id: id, kind: "text", from: party{p.user, 0}, at: p.n.stamp(id)}
		head := parcel.head(list)
		head["participant"], head["participant_pn"], head["addressing_mode"] = p.user.lid, p.user.pn, "lid"
		p.n.hand(p.n.userAt(chat), jid.Device, parcel.inGroup(head, enc))
		p.n.mu.Unlock()
	}
	return id, nil
}

// PublishTo has a channel that somebody follows publish a text, which is not encrypted.
func (n *Network) PublishTo(follower *Person, text string) error {
	plaintext, err := proto.Marshal(&waE2E.Message{Conversation: &text})
	if err != nil {
		return fmt.Errorf("failed to write a message: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lastNotice++
	id := fmt.Sprintf("channel-%d", n.lastNotice)
	for _, d := range follower.user.linked() {
		n.enqueue(d, binary.Node{Tag: "message", Attrs: binary.Attrs{"from": types.NewJID("120363000000000777", types.NewsletterServer), "id": id,
			"server_id": n.lastNotice, "t": n.stamp(id).seconds(), "type": "text"}, Content: []binary.Node{{Tag: "plaintext", Content: plaintext}}})
	}
	return nil
}

// isOpen tells whether a stanza is a channel's message: no receipt ends it.
func isOpen(node binary.Node) bool {
	from, _ := node.Attrs["from"].(types.JID)
	return from.Server == types.NewsletterServer
}

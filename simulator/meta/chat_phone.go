package meta

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// This file is how a phone writes to other people on WhatsApp: encrypted for each device of
// theirs, and as a copy for each linked device of its own.

// chatPhone is what a phone keeps about chats within WhatsApp. The person's lock guards it.
type chatPhone struct {
	sentChats    map[string]*sentChat
	talks        []talk
	keyHolders   map[string]map[string]bool // by group, the devices that have the phone's sender key
	greeted      map[uint16]bool            // linked devices that have been told what new ones are told
	linkRequests int
}

// sentChat is kept for the devices that could not read it.
type sentChat struct {
	to      types.JID
	message *waE2E.Message
	at      stamp
	id      string
}

// talk is a message of a chat as the phone keeps it, whoever wrote it.
type talk struct {
	chat, sender types.JID // by LID
	id           string
	at           time.Time
	name         string
	message      *waE2E.Message
}

// chatOf is the chat that a name means: a group's or person's address, or a phone number with a plus sign.
func (p *Person) chatOf(to string) (types.JID, error) {
	if group, found := strings.CutSuffix(to, "@"+types.GroupServer); found {
		return types.NewJID(group, types.GroupServer), nil
	}
	jid := types.NewJID(strings.TrimPrefix(to, "+"), types.DefaultUserServer)
	if !strings.HasPrefix(to, "+") {
		var err error
		if jid, err = parseJID(to); err != nil {
			return jid, err
		}
	}
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	u := p.n.userAt(jid)
	if u == nil {
		return jid, fmt.Errorf("nobody on WhatsApp is %s: %w", to, errNoRecord)
	}
	if strings.HasPrefix(to, "+") {
		return u.lid, nil
	}
	return jid, nil
}

// inChat tells whether a name means a chat within WhatsApp rather than one with a provider's user.
func (p *Person) inChat(to string) bool {
	if p.user.product != productWhatsApp {
		return false
	}
	_, server, found := strings.Cut(to, "@")
	switch {
	case found:
		return slices.Contains([]string{types.DefaultUserServer, types.HiddenUserServer, types.GroupServer}, server)
	case !strings.HasPrefix(to, "+"):
		return false
	}
	if _, err := p.resolve(to); err == nil {
		return false
	}
	_, err := p.chatOf(to)
	return err == nil
}

// SendMessage encrypts and sends any message to a person or a group on WhatsApp, by address or by phone
// number, and returns its id. An error means that the server did not take it.
func (p *Person) SendMessage(to string, m *waE2E.Message) (id string, err error) {
	return p.sendAs("", to, m)
}

// sendAs is SendMessage under an id of the caller's choice, empty for a new one.
func (p *Person) sendAs(id, to string, m *waE2E.Message) (string, error) {
	chat, err := p.chatOf(to)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if id == "" {
		id = p.nextID()
	}
	sent := &sentChat{to: chat, message: m, at: stamp(p.n.now()), id: id}
	p.sentChats[id] = sent
	if chat.Server == types.GroupServer {
		err = p.sendToGroup(sent)
	} else {
		err = p.sendToPerson(sent)
	}
	if err != nil {
		return "", err
	}
	p.remember(talk{chat: p.n.canonical(chat), sender: p.user.lid, id: id, at: p.n.now(), name: p.user.name, message: m})
	return id, nil
}

func (p *Person) remember(t talk) { p.talks = append(p.talks, t) }

// canonical is a chat's address by hidden number, where it has one.
func (n *Network) canonical(chat types.JID) types.JID {
	n.mu.Lock()
	defer n.mu.Unlock()
	if u := n.userAt(chat.ToNonAD()); u != nil {
		return u.lid
	}
	return chat.ToNonAD()
}

// stanzaFor is the stanza around a message, still without its ciphertexts.
func (s *sentChat) stanzaFor(to types.JID) binary.Node {
	kind, media := kindOf(s.message)
	attrs := binary.Attrs{"id": s.id, "to": to, "type": kind}
	if edit := editOf(s.message); edit != "" {
		attrs["edit"] = edit
	}
	_ = media
	return binary.Node{Tag: "message", Attrs: attrs}
}

// sendToPerson writes to every device of a person, and to the person's own linked devices. p.mu is held.
func (p *Person) sendToPerson(s *sentChat) error {
	plain, copied, err := plaintexts(s)
	if err != nil {
		return err
	}
	var entries []binary.Node
	for _, jid := range p.n.chatDevices(p.user, s.to) {
		body := plain
		if jid.User == p.user.lid.User || jid.User == p.user.pn.User {
			body = copied
		}
		entry, err := p.entryFor(jid, body, s)
		if err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	node := s.stanzaFor(s.to)
	node.Content = append([]binary.Node{{Tag: "participants", Content: entries}}, besideMessage(s.message)...)
	return p.relay(node)
}

// plaintexts are a message as others get it, and as the sender's own devices do.
func plaintexts(s *sentChat) (plain, copied []byte, err error) {
	if plain, err = proto.Marshal(s.message); err != nil {
		return nil, nil, fmt.Errorf("failed to write a message: %w", err)
	}
	copied, err = proto.Marshal(&waE2E.Message{MessageContextInfo: s.message.GetMessageContextInfo(), DeviceSentMessage: &waE2E.DeviceSentMessage{
		DestinationJID: proto.String(s.to.String()), Message: s.message}})
	if err != nil {
		return nil, nil, fmt.Errorf("failed to write a copy: %w", err)
	}
	return plain, copied, nil
}

// entryFor is one <to> of a message. p.mu is held.
func (p *Person) entryFor(jid types.JID, plaintext []byte, s *sentChat) (binary.Node, error) {
	enc, err := p.sealFor(jid, plaintext, s.id)
	if err != nil {
		return enc, err
	}
	if _, media := kindOf(s.message); media != "" {
		enc.Attrs["mediatype"] = media
	}
	if hidesFailure(s.message) {
		enc.Attrs["decrypt-fail"] = "hide"
	}
	return binary.Node{Tag: "to", Attrs: binary.Attrs{"jid": jid}, Content: []binary.Node{enc}}, nil
}

// relay hands a stanza to the server and returns why it was refused, if it was.
func (p *Person) relay(node binary.Node) error {
	p.n.transcript.stanza(p.n.now(), ">", jidText(p.user.lid), node)
	answer := p.n.chatMessage(party{p.user, 0}, node)
	p.n.transcript.stanza(p.n.now(), "<", jidText(p.user.lid), answer)
	if code := answer.Attrs["error"]; code != nil {
		return fmt.Errorf("message to %s refused with code %v", textOf(node.Attrs["to"]), code)
	}
	return nil
}

var errNotSent = errors.New("no such message was sent")

// resend encrypts a message anew for the one device that could not read it. p.mu is held.
func (p *Person) resend(id string, to, participant types.JID, count int) error {
	s := p.sentChats[id]
	if s == nil {
		return fmt.Errorf("%s: %w", id, errNotSent)
	}
	message, target := s.message, to
	group := to.Server == types.GroupServer
	if group {
		key, err := p.keyDistribution(to)
		if err != nil {
			return err
		}
		message, _ = proto.Clone(s.message).(*waE2E.Message)
		message.SenderKeyDistributionMessage, target = key, participant
	} else if p.n.byLID(to).User == p.user.lid.User {
		message = &waE2E.Message{MessageContextInfo: s.message.GetMessageContextInfo(), DeviceSentMessage: &waE2E.DeviceSentMessage{
			DestinationJID: proto.String(s.to.String()), Message: s.message}}
	}
	plaintext, err := proto.Marshal(message)
	if err != nil {
		return fmt.Errorf("failed to write a message: %w", err)
	}
	enc, err := p.sealFor(target, plaintext, id)
	if err != nil {
		return err
	}
	enc.Attrs["count"] = count
	node := s.stanzaFor(to)
	node.Attrs["t"] = s.at.seconds()
	if group {
		node.Attrs["participant"] = participant
	} else {
		node.Attrs["device_fanout"] = "false"
		if message != s.message {
			node.Attrs["recipient"] = s.to
		}
	}
	node.Content = append([]binary.Node{enc}, besideMessage(s.message)...)
	return p.relay(node)
}

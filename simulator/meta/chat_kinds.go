package meta

import (
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// This file is what a person writes in chats within WhatsApp that third-party chats do not have.

// Mention sends text that mentions people by any of their names; the text has to contain "@" and the number itself.
func (p *Person) Mention(to, text string, who ...string) (id string, err error) {
	context := &waE2E.ContextInfo{}
	for _, name := range who {
		jid, err := p.chatOf(name)
		if err != nil {
			return "", err
		}
		context.MentionedJID = append(context.MentionedJID, p.n.canonical(jid).String())
	}
	return p.SendMessage(to, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: &text, ContextInfo: context}})
}

func (p *Person) editInChat(to, messageID, text string) (id string, err error) {
	key, err := p.ownKey(to, messageID)
	if err != nil {
		return "", err
	}
	return p.SendMessage(to, &waE2E.Message{EditedMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
		Key: key, Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), EditedMessage: &waE2E.Message{Conversation: &text},
		TimestampMS: proto.Int64(p.n.now().UnixMilli())}}}})
}

func (p *Person) revokeInChat(to, messageID string) (id string, err error) {
	key, err := p.ownKey(to, messageID)
	if err != nil {
		return "", err
	}
	return p.SendMessage(to, &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{Key: key, Type: waE2E.ProtocolMessage_REVOKE.Enum()}})
}

func (p *Person) ownKey(to, messageID string) (*waCommon.MessageKey, error) {
	chat, err := p.chatOf(to)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keyOf(chat, messageID), nil
}

// SendLocation sends a place; SendLiveLocation one that is going to move.
func (p *Person) SendLocation(to string, latitude, longitude float64, name string) (id string, err error) {
	return p.SendMessage(to, &waE2E.Message{LocationMessage: &waE2E.LocationMessage{DegreesLatitude: &latitude, DegreesLongitude: &longitude,
		Name: filled(name)}})
}

// SendLiveLocation sends a place that is going to move.
func (p *Person) SendLiveLocation(to string, latitude, longitude float64, caption string) (id string, err error) {
	return p.SendMessage(to, &waE2E.Message{LiveLocationMessage: &waE2E.LiveLocationMessage{DegreesLatitude: &latitude, DegreesLongitude: &longitude,
		Caption: filled(caption), SequenceNumber: proto.Int64(1)}})
}

// Card is a person in an address book.
type Card struct {
	Name  string `json:"name"`
	Phone string `json:"phone"` // E.164
}

func (c Card) vcard() string {
	digits := c.Phone
	if len(digits) > 0 && digits[0] == '+' {
		digits = digits[1:]
	}
	return fmt.Sprintf("BEGIN:VCARD\nVERSION:3.0\nN:;%s;;;\nFN:%s\nTEL;type=CELL;waid=%s:%s\nEND:VCARD", c.Name, c.Name, digits, c.Phone)
}

// SendContacts sends one contact card or several in one message.
func (p *Person) SendContacts(to string, cards ...Card) (id string, err error) {
	var list []*waE2E.ContactMessage
	for _, card := range cards {
		list = append(list, &waE2E.ContactMessage{DisplayName: proto.String(card.Name), Vcard: proto.String(card.vcard())})
	}
	if len(list) == 1 {
		return p.SendMessage(to, &waE2E.Message{ContactMessage: list[0]})
	}
	return p.SendMessage(to, &waE2E.Message{ContactsArrayMessage: &waE2E.ContactsArrayMessage{
		DisplayName: proto.String(fmt.Sprintf("%d contacts", len(list))), Contacts: list}})
}

// SendAlbum sends several pictures and videos that belong together, and returns the ids, that of the album first.
func (p *Person) SendAlbum(to string, files ...Media) (ids []string, err error) {
	images, videos := uint32(0), uint32(0)
	for _, m := range files {
		if m.Kind == Video {
			videos++
		} else {
			images++
		}
	}
	album, err := p.SendMessage(to, withSecret(&waE2E.Message{AlbumMessage: &waE2E.AlbumMessage{ExpectedImageCount: &images, ExpectedVideoCount: &videos}}))
	if err != nil {
		return nil, err
	}
	parent, err := p.ownKey(to, album)
	if err != nil {
		return nil, err
	}
	ids = []string{album}
	for _, m := range files {
		body, err := p.mediaMessage(m)
		if err != nil {
			return nil, err
		}
		body.MessageContextInfo = &waE2E.MessageContextInfo{MessageAssociation: &waE2E.MessageAssociation{
			AssociationType: waE2E.MessageAssociation_MEDIA_ALBUM.Enum(), ParentMessageKey: parent}}
		id, err := p.SendMessage(to, body)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// SendViewOnceStub sends what linked devices get of a view-once message that the phone alone can show: nothing to decrypt.
func (p *Person) SendViewOnceStub(to string) (id string, err error) {
	chat, err := p.chatOf(to)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	id = p.nextID()
	p.mu.Unlock()
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	u := p.n.userAt(chat)
	if u == nil {
		return "", fmt.Errorf("nobody is %s: %w", to, errNoRecord)
	}
	stub := &parcel{id: id, kind: "media", from: party{p.user, 0}, to: chat, at: p.n.stamp(id)}
	for _, d := range u.linked() {
		node := stub.forPerson(u, chat.Server, binary.Node{Tag: "unavailable", Attrs: binary.Attrs{"type": "view_once"}})
		p.n.enqueue(d, node)
	}
	return id, nil
}

// Forward sends a message that the person heard on to somebody.
func (p *Person) Forward(to string, h Heard) (id string, err error) {
	copied, _ := proto.Clone(h.Message).(*waE2E.Message)
	if copied == nil {
		return "", fmt.Errorf("message %s: %w", h.ID, errNeverHeard)
	}
	copied.MessageContextInfo = nil
	if text := copied.GetConversation(); text != "" {
		copied = &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: &text}}
	}
	context := contextOf(inner(copied))
	if context == nil {
		context = setContext(inner(copied))
	}
	if context != nil {
		context.QuotedMessage, context.StanzaID, context.Participant = nil, nil, nil
		context.IsForwarded, context.ForwardingScore = proto.Bool(true), proto.Uint32(context.GetForwardingScore()+1)
	}
	return p.SendMessage(to, copied)
}

// setContext gives a content room for what it says of other messages, nil if it has no such field.
func setContext(m *waE2E.Message) *waE2E.ContextInfo {
	content := m.ProtoReflect()
	field := content.Descriptor().Fields().ByName(protoName(contentName(m)))
	if field == nil || field.Message() == nil {
		return nil
	}
	body := content.Mutable(field).Message()
	context := body.Descriptor().Fields().ByName("contextInfo")
	if context == nil {
		return nil
	}
	info, _ := body.Mutable(context).Message().Interface().(*waE2E.ContextInfo)
	return info
}

// SendGroupInvite invites somebody to a group by message, as happens to those who cannot be added.
func (p *Person) SendGroupInvite(to, group, code string) (id string, err error) {
	g, err := p.n.Group(group)
	if err != nil {
		return "", err
	}
	return p.SendMessage(to, &waE2E.Message{GroupInviteMessage: &waE2E.GroupInviteMessage{GroupJID: &g.JID, InviteCode: &code, GroupName: &g.Subject,
		InviteExpiration: proto.Int64(p.n.now().Unix() + inviteLife), Caption: proto.String("Follow this link to join my WhatsApp group")}})
}

// SendEvent announces a meeting.
func (p *Person) SendEvent(to, name string, start time.Time) (id string, err error) {
	return p.SendMessage(to, withSecret(&waE2E.Message{EventMessage: &waE2E.EventMessage{Name: &name, StartTime: proto.Int64(start.Unix()),
		Description: proto.String("An event")}}))
}

// SendUnknown sends content of a kind that no version knows.
func (p *Person) SendUnknown(to string) (id string, err error) {
	m := &waE2E.Message{}
	m.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 1999, protowire.BytesType), "from a later version"))
	return p.SendMessage(to, m)
}

// SetEphemeral lets the messages of a direct chat disappear after some seconds, 0 for never.
func (p *Person) SetEphemeral(to string, seconds uint32) (id string, err error) {
	return p.SendMessage(to, &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_EPHEMERAL_SETTING.Enum(),
		EphemeralExpiration: &seconds, EphemeralSettingTimestamp: proto.Int64(p.n.now().Unix())}})
}

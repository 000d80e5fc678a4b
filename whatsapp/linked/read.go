package linked

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// largestPayload is how many bytes of a message that cannot be shown are kept.
const largestPayload = 256 << 10

// drawing is the type of stickers that are a script to draw (Lottie, in a ZIP file): no Matrix client plays them, and nothing that
// could turn them into a picture is there.
const drawing = "application/was"

// reader reads what the library has decrypted.
type reader struct {
	names names
	self  network.Address
	keys  opener
}

// names is what a login knows people by.
type names interface {
	address(ctx context.Context, jid types.JID) (network.Address, error)
	alias(ctx context.Context, person network.Address) (network.Address, error)
}

// opener opens what is encrypted a second time, with the secret of the message that it belongs to.
type opener interface {
	DecryptReaction(ctx context.Context, reaction *events.Message) (*waE2E.ReactionMessage, error)
	DecryptComment(ctx context.Context, comment *events.Message) (*waE2E.Message, error)
	DecryptPollVote(ctx context.Context, vote *events.Message) (*waE2E.PollVoteMessage, error)
	DecryptSecretEncryptedMessage(ctx context.Context, evt *events.Message) (*waE2E.Message, error)
}

// event reads a message. Nil means that there is nothing to tell: it was between devices.
func (r reader) event(ctx context.Context, e *events.Message) (network.Event, error) {
	framed, err := r.frame(ctx, &e.Info)
	event, isMessage := framed.(network.MessageEvent)
	if err != nil {
		return nil, err
	}
	found, err := r.content(ctx, e, event.Message.ID)
	switch {
	case err != nil:
		return nil, err
	case found.chat != nil && isMessage:
		found.chat.Conversation, found.chat.Time, found.chat.By = event.Message.ID.Conversation, event.Message.Time, event.Message.ID.Sender
		return *found.chat, nil
	case found.content == nil:
		return nil, nil
	case !isMessage:
		return framed, nil
	}
	event.Message.Content = found.content
	return event, r.context(ctx, &event.Message, found)
}

// frame reads who wrote in which conversation. Of what no room is made for, it is an [network.OmittedEvent].
func (r reader) frame(ctx context.Context, info *types.MessageInfo) (network.Event, error) {
	chat := plain(info.Chat)
	omitted := network.OmittedEvent{Time: info.Timestamp}
	switch {
	case chat == types.StatusBroadcastJID:
		omitted.What = "status post"
	case chat.Server == types.NewsletterServer:
		omitted.What = "channel message"
	case chat.Server == types.BroadcastServer && info.IsFromMe:
		omitted.What = "message to a broadcast list"
	case chat.Server == types.BroadcastServer:
		chat = plain(info.Sender) // whoever gets it sees a message of the direct chat
	case chat.IsBot():
		omitted.What = "message of a bot"
	}
	sender := r.self
	var err error
	if !info.IsFromMe {
		sender, err = r.names.address(ctx, info.Sender)
	}
	if omitted.What == "" && err == nil {
		id := network.MessageID{Sender: sender, ID: wire.Clean(info.ID)}
		if id.Conversation, err = r.names.address(ctx, chat); err == nil {
			return r.message(ctx, id, info)
		}
		omitted.What = "message from somewhere unknown"
	}
	if err != nil && !errors.Is(err, errNobody) {
		return nil, err
	}
	if omitted.What == "" {
		omitted.What = "message from somewhere unknown"
	}
	omitted.Sender = sender
	return omitted, nil
}

func (r reader) message(ctx context.Context, id network.MessageID, info *types.MessageInfo) (network.Event, error) {
	event := network.MessageEvent{Message: network.Message{ID: id, Time: info.Timestamp}}
	if id.Sender == r.self {
		return event, nil
	}
	event.SenderName = wire.Clean(info.PushName)
	if event.SenderName == "-" {
		event.SenderName = ""
	}
	var err error
	event.SenderAlias, err = r.names.alias(ctx, id.Sender)
	return event, err
}

// reading is what was found in a message.
type reading struct {
	// content is nil if there is nothing to tell.
	content network.Content
	info    *waE2E.ContextInfo
	// reply is the answered message where info does not say.
	reply *network.MessageID
	// chat is a change of the chat instead of a message.
	chat *network.ChatEvent
}

// content reads a message's content; own names the message.
func (r reader) content(ctx context.Context, e *events.Message, own network.MessageID) (reading, error) {
	message, wrap := peel(e.Message)
	wrap.viewOnce = wrap.viewOnce || e.IsViewOnce
	wrap.lottie = wrap.lottie || e.IsLottieSticker
	found, err := r.changing(ctx, e, message, own)
	if err != nil || found.chat != nil {
		return found, err
	}
	if found.content == nil {
		found = r.plainContent(ctx, message, own, wrap)
	}
	if media, isFile := found.content.(network.Media); isFile {
		switch {
		case len(media.Reference) == 0:
			found.content = network.Unsupported{Type: string(media.Kind) + " without a file", See: onPhone}
		case strings.HasPrefix(media.MIME, drawing):
			found.content = network.Unsupported{Type: "sticker that moves and cannot be drawn here", See: onPhone}
		}
	}
	if found.content == nil {
		found.content = unsupported(message)
	}
	if left, ok := found.content.(network.Unsupported); ok {
		left.Payload = payloadOf(e.RawMessage)
		found.content = left
	}
	return found, nil
}

func payloadOf(message *waE2E.Message) []byte {
	payload, err := proto.Marshal(message)
	if err != nil || len(payload) > largestPayload {
		return nil
	}
	return payload
}

// plainContent reads content that stands for itself; nil if there is none that can be shown.
func (r reader) plainContent(ctx context.Context, m *waE2E.Message, own network.MessageID, wrap wrapping) reading {
	switch {
	case m.Conversation != nil:
		return reading{content: network.Text{Body: wire.Clean(m.GetConversation())}}
	case m.ExtendedTextMessage != nil:
		return reading{content: readText(m.ExtendedTextMessage), info: m.ExtendedTextMessage.GetContextInfo()}
	case m.LocationMessage != nil:
		return reading{content: readLocation(m.LocationMessage), info: m.LocationMessage.GetContextInfo()}
	case m.LiveLocationMessage != nil:
		return reading{content: readLiveLocation(m.LiveLocationMessage), info: m.LiveLocationMessage.GetContextInfo()}
	case m.ContactMessage != nil:
		return reading{content: readContacts(m.ContactMessage), info: m.ContactMessage.GetContextInfo()}
	case m.ContactsArrayMessage != nil:
		return reading{content: readContacts(m.ContactsArrayMessage.GetContacts()...), info: m.ContactsArrayMessage.GetContextInfo()}
	case m.GroupInviteMessage != nil:
		return readInvite(m.GroupInviteMessage)
	case m.AlbumMessage != nil:
		return reading{info: m.AlbumMessage.GetContextInfo(), content: network.Album{
			Images: count(m.AlbumMessage.GetExpectedImageCount()), Videos: count(m.AlbumMessage.GetExpectedVideoCount()),
		}}
	}
	if poll := pollOf(m); poll != nil {
		return reading{content: readPoll(poll), info: poll.GetContextInfo()}
	}
	media, info, ok := readMedia(m, wrap)
	if !ok {
		return reading{}
	}
	media.Album = r.albumOf(ctx, m, own)
	return reading{content: media, info: info}
}

// count is a number that a stranger says, kept within reason.
func count(n uint32) int { return int(min(n, 1000)) }

// context reads what a message says beside its content: what it answers, whom it calls.
func (r reader) context(ctx context.Context, message *network.Message, found reading) error {
	info := found.info
	message.ReplyTo = found.reply
	message.Forwarded = info.GetIsForwarded()
	message.MentionsAll = info.GetNonJIDMentions() > 0
	if expires := info.GetExpiration(); expires > 0 {
		message.Expires = time.Duration(expires) * time.Second
	}
	if err := r.mentions(ctx, message, info.GetMentionedJID()); err != nil {
		return err
	}
	if message.ReplyTo != nil || info.GetStanzaID() == "" {
		return nil
	}
	reply, err := r.quoted(ctx, info, message.ID.Conversation)
	message.ReplyTo = reply
	return err
}

// quoted is the message that another one answers, nil if it is nowhere to be seen, such as a status post.
func (r reader) quoted(ctx context.Context, info *waE2E.ContextInfo, conversation network.Address) (*network.MessageID, error) {
	reply := network.MessageID{Conversation: conversation, ID: wire.Clean(info.GetStanzaID())}
	if remote := info.GetRemoteJID(); remote != "" {
		elsewhere, err := r.parsed(ctx, remote)
		if err != nil {
			return nil, unlessNobody(err)
		}
		reply.Conversation = elsewhere
	}
	sender, err := r.parsed(ctx, info.GetParticipant())
	if err != nil {
		return nil, unlessNobody(err)
	}
	reply.Sender = sender
	return &reply, nil
}

// parsed is who a JID as text is. Errors wrap errNobody where it is none.
func (r reader) parsed(ctx context.Context, text string) (network.Address, error) {
	jid, err := types.ParseJID(text)
	if err != nil || jid.User == "" {
		return network.Address{}, fmt.Errorf("%w: not a JID", errNobody)
	}
	return r.names.address(ctx, jid)
}

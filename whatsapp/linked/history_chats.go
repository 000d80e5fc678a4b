package linked

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"go.mau.fi/whatsmeow/proto/waWeb"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// The fields of a piece of history, and of a conversation in it, that are read.
const (
	pieceConversations = 2
	piecePushNames     = 7
	pieceMappings      = 15
	pieceSalt          = 19

	conversationMessages = 2
)

const (
	// partSize is how many messages of a conversation are held at a time.
	partSize = 100
	// largestHead bounds what a conversation says of itself, in bytes; largestPast one message; mostPast the messages of a piece.
	largestHead = 1 << 20
	largestPast = 4 << 20
	mostPast    = 500_000
	mostChats   = 100_000
)

// pastReader reads one piece of history.
type pastReader struct {
	link  *link
	limit int64
	heads []*waHistorySync.Conversation
	read  int
}

// overview reads all but the messages: how the chats stand, what people are called, which numbers belong together.
func (r *pastReader) overview(ctx context.Context, file io.ReadSeeker) error {
	return r.fields(ctx, file, func(p *protoReader, number protowire.Number, kind protowire.Type, length int64) error {
		if kind != protowire.BytesType {
			return p.skip(kind, length)
		}
		switch number {
		case pieceConversations:
			return p.within(length, r.head)
		case piecePushNames, pieceMappings, pieceSalt:
			return r.aboutPeople(ctx, p, number, kind, length)
		}
		return p.skip(kind, length)
	})
}

// fields goes through the fields of a piece.
func (r *pastReader) fields(
	ctx context.Context, file io.ReadSeeker, each func(p *protoReader, number protowire.Number, kind protowire.Type, length int64) error,
) error {
	p, err := inflated(file, r.limit)
	if err != nil {
		return err
	}
	for {
		number, kind, length, err := p.next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err = errors.Join(ctx.Err(), each(p, number, kind, length)); err != nil {
			return err
		}
	}
}

// head reads what a conversation says of itself.
func (r *pastReader) head(p *protoReader) error {
	if len(r.heads) >= mostChats {
		return fmt.Errorf("%w: over %d conversations", network.ErrTooLarge, mostChats)
	}
	var raw []byte
	for {
		number, kind, length, err := p.next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if number == conversationMessages {
			if err = p.skip(kind, length); err != nil {
				return err
			}
			continue
		}
		field, err := p.raw(number, kind, length, largestHead-int64(len(raw)))
		if err != nil {
			return err
		}
		raw = append(raw, field...)
	}
	head := &waHistorySync.Conversation{}
	if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(raw, head); err != nil {
		return errors.Join(errBroken, err)
	}
	head.Participant, head.Wallpaper = nil, nil
	r.heads = append(r.heads, head)
	return nil
}

// aboutPeople reads what a piece says of people.
func (r *pastReader) aboutPeople(ctx context.Context, p *protoReader, number protowire.Number, kind protowire.Type, length int64) error {
	raw, err := p.raw(number, kind, length, largestHead)
	if err != nil {
		return err
	}
	var piece waHistorySync.HistorySync
	if err = (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(raw, &piece); err != nil {
		return errors.Join(errBroken, err)
	}
	device, own := r.link.device, r.link.own
	for _, name := range piece.GetPushnames() {
		jid, err := types.ParseJID(name.GetID())
		if err != nil || name.GetPushname() == "" || name.GetPushname() == "-" {
			continue
		}
		if _, _, err = device.Contacts.PutPushName(ctx, plain(jid), name.GetPushname()); err != nil {
			return fmt.Errorf("failed to keep a name: %w", err)
		}
	}
	var pairs []store.LIDMapping
	for _, mapping := range piece.GetPhoneNumberToLidMappings() {
		phone, err := types.ParseJID(mapping.GetPnJID())
		lid, err2 := types.ParseJID(mapping.GetLidJID())
		if err == nil && err2 == nil {
			pairs = append(pairs, store.LIDMapping{LID: plain(lid), PN: plain(phone)})
		}
	}
	if err = own.aliases.PutManyLIDMappings(ctx, pairs); err != nil {
		return err
	}
	if salt := piece.GetNctSalt(); len(salt) > 0 {
		return device.NCTSalt.PutNCTSalt(ctx, salt)
	}
	return nil
}

// chats reads the messages, and yields them conversation by conversation.
func (r *pastReader) chats(ctx context.Context, file io.ReadSeeker, yield func(network.HistoryChat) error) error {
	for _, head := range r.heads {
		if err := r.learn(ctx, head); err != nil {
			return err
		}
	}
	index := 0
	return r.fields(ctx, file, func(p *protoReader, number protowire.Number, kind protowire.Type, length int64) error {
		if number != pieceConversations || kind != protowire.BytesType || index >= len(r.heads) {
			return p.skip(kind, length)
		}
		head := r.heads[index]
		index++
		return p.within(length, func(p *protoReader) error { return r.chat(ctx, p, head, yield) })
	})
}

// learn notes which numbers a conversation says belong together, and the token by which its person lets us write.
func (r *pastReader) learn(ctx context.Context, head *waHistorySync.Conversation) error {
	chat, err := types.ParseJID(head.GetID())
	if err != nil {
		return nil //nolint:nilerr // a conversation without a name is passed over
	}
	chat = plain(chat)
	for _, text := range []string{head.GetPnJID(), head.GetLidJID()} {
		if other, err := types.ParseJID(text); err == nil && other.User != "" {
			r.link.lib.StoreLIDPNMapping(ctx, chat, plain(other))
		}
	}
	if len(head.GetTcToken()) == 0 || chat.Server == types.GroupServer {
		return nil
	}
	return r.link.device.PrivacyTokens.PutPrivacyTokens(ctx, store.PrivacyToken{
		User: chat, Token: head.GetTcToken(), Timestamp: time.Unix(int64(head.GetTcTokenTimestamp()), 0),
		SenderTimestamp: time.Unix(int64(head.GetTcTokenSenderTimestamp()), 0),
	})
}

// chat yields one conversation, in parts.
func (r *pastReader) chat(
	ctx context.Context, p *protoReader, head *waHistorySync.Conversation, yield func(network.HistoryChat) error,
) error {
	jid, err := types.ParseJID(head.GetID())
	if err != nil {
		return nil //nolint:nilerr // as above; the rest is passed over
	}
	chat, err := r.standing(ctx, plain(jid), head)
	if err != nil {
		return unlessNobody(err)
	}
	var part []*waWeb.WebMessageInfo
	yielded := false
	for {
		number, kind, length, err := p.next()
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return err
		}
		if len(part) >= partSize || ended && (len(part) > 0 || !yielded) {
			if chat.Messages, err = r.messages(ctx, plain(jid), part); err != nil {
				return err
			}
			if err = yield(chat); err != nil {
				return err
			}
			part, yielded = nil, true
		}
		switch {
		case ended:
			return nil
		case number != conversationMessages || kind != protowire.BytesType:
			if err = p.skip(kind, length); err != nil {
				return err
			}
		default:
			message, err := r.message(p, length)
			if err != nil {
				return err
			}
			if message != nil {
				part = append(part, message)
			}
		}
	}
}

// message reads one message of the past; one that cannot be read is nil.
func (r *pastReader) message(p *protoReader, length int64) (*waWeb.WebMessageInfo, error) {
	if r.read++; r.read > mostPast {
		return nil, fmt.Errorf("%w: over %d messages", network.ErrTooLarge, mostPast)
	}
	raw, err := p.bytes(length, largestPast)
	if err != nil {
		return nil, err
	}
	var message waHistorySync.HistorySyncMsg
	if proto.Unmarshal(raw, &message) != nil {
		return nil, nil
	}
	return message.GetMessage(), nil
}

// standing is how a conversation stands. Errors wrap errNobody where no room is made for it.
func (r *pastReader) standing(ctx context.Context, jid types.JID, head *waHistorySync.Conversation) (network.HistoryChat, error) {
	var chat network.HistoryChat
	var err error
	if chat.Conversation, err = r.link.own.address(ctx, jid); err != nil {
		return chat, err
	}
	if chat.Alias, err = r.link.own.alias(ctx, chat.Conversation); err != nil {
		return chat, err
	}
	chat.Name = wire.Clean(firstText(head.GetName(), head.GetDisplayName()))
	chat.Unread, chat.MarkedUnread = int(min(head.GetUnreadCount(), 1<<20)), head.GetMarkedAsUnread()
	chat.Pinned, chat.Archived = head.GetPinned() > 0, head.GetArchived()
	chat.Timer = time.Duration(head.GetEphemeralExpiration()) * time.Second
	chat.Gone = head.GetReadOnly() || head.GetTerminated()
	switch end := int64(head.GetMuteEndTime()); {
	case end < 0: // for good
		chat.Mute.On = true
	case end > 0 && moment(end).After(time.Now()):
		chat.Mute = network.Mute{On: true, Until: moment(end)}
	}
	if last := head.GetConversationTimestamp(); last > 0 {
		chat.Last = time.Unix(int64(min(last, 1<<40)), 0)
	}
	return chat, nil
}

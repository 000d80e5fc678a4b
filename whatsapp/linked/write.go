package linked

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

const (
	// secretSize is the size of a message's secret in bytes.
	secretSize = 32
	// fewestOptions and mostChoices bound the options of a poll, longestOption each one's characters.
	fewestOptions = 2
	mostChoices   = 12
	longestOption = 100
)

// writer spells messages for one chat.
type writer struct {
	link *link
	chat types.JID
}

// message spells a message; its file is uploaded on the way.
func (w writer) message(ctx context.Context, msg network.Message) (*waE2E.Message, error) {
	switch content := msg.Content.(type) {
	case network.Edit:
		return w.edit(ctx, msg, content)
	case network.Remove:
		return w.remove(ctx, content)
	case network.Reaction:
		return w.reaction(ctx, msg, content)
	case network.Vote:
		return w.vote(ctx, content)
	}
	info, err := w.context(ctx, &msg)
	if err != nil {
		return nil, err
	}
	return w.plain(ctx, msg, info)
}

// plain spells content that stands for itself.
func (w writer) plain(ctx context.Context, msg network.Message, info *waE2E.ContextInfo) (*waE2E.Message, error) {
	switch content := msg.Content.(type) {
	case network.Text:
		return writeText(content, info)
	case network.Media:
		return w.media(ctx, content, info)
	case network.Album:
		return &waE2E.Message{AlbumMessage: &waE2E.AlbumMessage{
			ExpectedImageCount: proto.Uint32(uint32(max(content.Images, 0))), ExpectedVideoCount: proto.Uint32(uint32(max(content.Videos, 0))),
			ContextInfo: info,
		}}, nil
	case network.Location:
		return writeLocation(content, info)
	case network.Contacts:
		return writeContacts(content, info)
	case network.Poll:
		return w.poll(msg.ID, content, info)
	case network.GroupInvite:
		return writeInvite(content, info)
	}
	return nil, fmt.Errorf("%w: content of type %T", network.ErrUnsupported, msg.Content)
}

// context spells what a message says beside its content, nil if that is nothing. Texts call people by their names in the chat.
func (w writer) context(ctx context.Context, msg *network.Message) (*waE2E.ContextInfo, error) {
	info := &waE2E.ContextInfo{}
	if msg.ReplyTo != nil {
		sender, err := w.link.memberJID(ctx, w.chat, msg.ReplyTo.Sender)
		if err != nil {
			return nil, fmt.Errorf("quoted sender: %w", err)
		}
		info.StanzaID, info.Participant = proto.String(msg.ReplyTo.ID), proto.String(sender.String())
		info.QuotedMessage = &waE2E.Message{Conversation: proto.String(msg.Quote)}
		if elsewhere, err := jidOf(msg.ReplyTo.Conversation); err == nil && elsewhere != w.chat {
			info.RemoteJID = proto.String(elsewhere.String())
		}
	}
	called := map[string]string{}
	for _, person := range msg.Mentions {
		jid, err := w.link.memberJID(ctx, w.chat, person)
		if err != nil {
			return nil, fmt.Errorf("mentioned person: %w", err)
		}
		info.MentionedJID = append(info.MentionedJID, jid.String())
		called[person.User] = jid.User
	}
	msg.Content = rewritten(msg.Content, func(text string) string { return renameMentions(text, called) })
	if msg.MentionsAll {
		info.NonJIDMentions = proto.Uint32(1)
	}
	if msg.Forwarded {
		info.IsForwarded, info.ForwardingScore = proto.Bool(true), proto.Uint32(1)
	}
	if msg.Expires > 0 {
		info.Expiration = proto.Uint32(uint32(msg.Expires / time.Second))
	}
	if proto.Size(info) == 0 {
		return nil, nil
	}
	return info, nil
}

func writeText(text network.Text, info *waE2E.ContextInfo) (*waE2E.Message, error) {
	if err := wire.CheckText(text.Body); err != nil {
		return nil, err
	}
	if info == nil && text.Preview == nil {
		return &waE2E.Message{Conversation: proto.String(text.Body)}, nil
	}
	extended := &waE2E.ExtendedTextMessage{Text: proto.String(text.Body), ContextInfo: info}
	if preview := text.Preview; preview != nil {
		matched := preview.Matched
		if matched == "" {
			matched = preview.URL
		}
		extended.MatchedText, extended.Title, extended.Description = optional(matched), optional(preview.Title), optional(preview.Description)
		extended.PreviewType = waE2E.ExtendedTextMessage_NONE.Enum()
		if len(preview.Thumbnail) <= wire.LargestThumbnail {
			extended.JPEGThumbnail = preview.Thumbnail
		}
	}
	return &waE2E.Message{ExtendedTextMessage: extended}, nil
}

// optional is a text field, which is absent when empty.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// edit spells an edit: the whole new content, around the key of the message that it replaces.
func (w writer) edit(ctx context.Context, msg network.Message, edit network.Edit) (*waE2E.Message, error) {
	if edit.Target.Sender != w.link.owner.Self() {
		return nil, fmt.Errorf("%w: the edit of somebody else's message", network.ErrUnsupported)
	}
	msg.Content = edit.Content
	info, err := w.context(ctx, &msg)
	if err != nil {
		return nil, err
	}
	inner, err := w.newContent(ctx, msg, info)
	if err != nil {
		return nil, err
	}
	key, err := w.key(ctx, edit.Target)
	if err != nil {
		return nil, err
	}
	return &waE2E.Message{EditedMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
		Key: key, Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), EditedMessage: inner, TimestampMS: proto.Int64(stamp(msg)),
	}}}}, nil
}

// newContent spells what an edit puts in place of the old: a text, or the new caption of a file.
func (w writer) newContent(ctx context.Context, msg network.Message, info *waE2E.ContextInfo) (*waE2E.Message, error) {
	switch content := msg.Content.(type) {
	case network.Text:
		return writeText(content, info)
	case network.Media:
		if content.Open != nil {
			return w.media(ctx, content, info)
		}
		switch content.Kind {
		case network.Image:
			return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{Caption: proto.String(content.Caption), ContextInfo: info}}, nil
		case network.Video, network.GIF:
			return &waE2E.Message{VideoMessage: &waE2E.VideoMessage{Caption: proto.String(content.Caption), ContextInfo: info}}, nil
		case network.Document:
			return &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{Caption: proto.String(content.Caption), ContextInfo: info}}, nil
		}
	}
	return nil, fmt.Errorf("%w: an edit to %T", network.ErrUnsupported, msg.Content)
}

func (w writer) remove(ctx context.Context, remove network.Remove) (*waE2E.Message, error) {
	if remove.Target.Sender != w.link.owner.Self() && w.chat.Server != types.GroupServer {
		return nil, fmt.Errorf("%w: the removal of somebody else's message", network.ErrUnsupported)
	}
	key, err := w.key(ctx, remove.Target)
	if err != nil {
		return nil, err
	}
	return &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_REVOKE.Enum(), Key: key}}, nil
}

func (w writer) reaction(ctx context.Context, msg network.Message, reaction network.Reaction) (*waE2E.Message, error) {
	key, err := w.key(ctx, reaction.Target)
	if err != nil {
		return nil, err
	}
	return &waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{
		Key: key, Text: proto.String(reaction.Emoji), SenderTimestampMS: proto.Int64(stamp(msg)),
	}}, nil
}

// stamp is the user's time of a message in milliseconds.
func stamp(msg network.Message) int64 {
	if msg.Time.IsZero() {
		return time.Now().UnixMilli()
	}
	return msg.Time.UnixMilli()
}

// key names a message inside another one, as the user's devices see it.
func (w writer) key(ctx context.Context, target network.MessageID) (*waCommon.MessageKey, error) {
	if target.ID == "" {
		return nil, fmt.Errorf("%w: a target without an id", network.ErrUnsupported)
	}
	own := target.Sender == w.link.owner.Self()
	key := &waCommon.MessageKey{RemoteJID: proto.String(w.chat.String()), FromMe: proto.Bool(own), ID: proto.String(target.ID)}
	if own || w.chat.Server != types.GroupServer {
		return key, nil
	}
	sender, err := w.link.memberJID(ctx, w.chat, target.Sender)
	if err != nil {
		return nil, err
	}
	key.Participant = proto.String(sender.String())
	return key, nil
}

// poll spells a poll. Its secret, with which votes are encrypted, is the same each time that the poll is sent.
func (w writer) poll(id network.MessageID, poll network.Poll, info *waE2E.ContextInfo) (*waE2E.Message, error) {
	if len(poll.Options) < fewestOptions || len(poll.Options) > mostChoices || poll.Question == "" {
		return nil, fmt.Errorf("%w: a poll of %d options", network.ErrUnsupported, len(poll.Options))
	}
	creation := &waE2E.PollCreationMessage{Name: proto.String(poll.Question), ContextInfo: info}
	seen := map[string]bool{}
	for _, option := range poll.Options {
		if option == "" || seen[option] || len([]rune(option)) > longestOption {
			return nil, fmt.Errorf("%w: an option of a poll that is empty, too long or there twice", network.ErrUnsupported)
		}
		seen[option] = true
		creation.Options = append(creation.Options, &waE2E.PollCreationMessage_Option{OptionName: proto.String(option)})
	}
	choices := poll.Choices
	if choices < 0 || choices >= len(poll.Options) {
		choices = 0 // any number
	}
	creation.SelectableOptionsCount = proto.Uint32(uint32(choices))
	if !poll.Ends.IsZero() {
		creation.EndTime = proto.Int64(unix(poll.Ends))
	}
	secret, err := w.link.secret(id)
	if err != nil {
		return nil, err
	}
	out := &waE2E.Message{MessageContextInfo: &waE2E.MessageContextInfo{MessageSecret: secret}}
	if choices == 1 {
		out.PollCreationMessageV3 = creation // what phones send for one choice
	} else {
		out.PollCreationMessage = creation
	}
	return out, nil
}

// secret is a message's secret, made from the device's own key and the message's name.
func (l *link) secret(id network.MessageID) ([]byte, error) {
	secret, err := hkdf.Key(sha256.New, l.device.IdentityKey.Priv[:], nil, "causeway message secret "+id.String(), secretSize)
	if err != nil {
		return nil, fmt.Errorf("failed to make a message's secret: %w", err)
	}
	return secret, nil
}

func (w writer) vote(ctx context.Context, vote network.Vote) (*waE2E.Message, error) {
	sender, err := w.link.memberJID(ctx, w.chat, vote.Poll.Sender)
	if err != nil {
		return nil, err
	}
	for _, option := range vote.Options {
		if len(option) != sha256.Size {
			return nil, fmt.Errorf("%w: an option that is no hash", network.ErrUnsupported)
		}
	}
	update, err := w.link.lib.EncryptPollVote(ctx, &types.MessageInfo{
		ID: vote.Poll.ID,
		MessageSource: types.MessageSource{
			Chat: w.chat, Sender: sender, IsGroup: w.chat.Server == types.GroupServer, IsFromMe: vote.Poll.Sender == w.link.owner.Self(),
		},
	}, &waE2E.PollVoteMessage{SelectedOptions: vote.Options})
	if err != nil {
		return nil, err
	}
	return &waE2E.Message{PollUpdateMessage: update}, nil
}

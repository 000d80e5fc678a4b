package portal

import (
	"fmt"
	"html"
	"strings"
	"time"

	"go.mau.fi/util/jsontime"
	"go.mau.fi/util/ptr"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"

	"causeway/network"
)

const (
	// EditWindow and RemoveWindow are how long a sender may edit a message, or take it back for everybody.
	EditWindow   = 15 * time.Minute
	RemoveWindow = 60 * time.Hour

	// linkedFeaturesID changes with every change of [LinkedFeatures], so that rooms are told again.
	linkedFeaturesID = "causeway.linked.2026.2"
)

// LinkedAbilities is what the chats of a user's own account carry.
func LinkedAbilities() Abilities {
	return Abilities{Edits: true, Removals: true, Stickers: true, Reactions: true, Quotes: true, Captions: true, PreviewPictures: true}
}

// LinkedFeatures is what a chat of a user's own account can carry.
func LinkedFeatures(group bool) *event.RoomFeatures {
	features := Features(LinkedAbilities(), true)
	features.ID = linkedFeaturesID
	features.MessageRequest = nil
	features.LocationMessage = event.CapLevelFullySupported
	features.Poll, features.PollMaxOptions, features.PollOptionMaxLength = event.CapLevelFullySupported, maxPollOptions, maxPollOption
	features.PollEnd = event.CapLevelPartialSupport
	features.Edit, features.EditMaxAge = event.CapLevelFullySupported, ptr.Ptr(jsontime.S(EditWindow))
	features.Delete, features.DeleteMaxAge = event.CapLevelFullySupported, ptr.Ptr(jsontime.S(RemoveWindow))
	features.DisappearingTimer = timerFeature()
	features.DeleteForMe = false
	delete(features.File[event.CapMsgSticker].MimeTypes, "image/png") // written anew, or a picture
	if !group {
		return features
	}
	features.ID += ".group"
	features.Formatting[event.FmtUserLink] = event.CapLevelFullySupported
	features.Formatting[event.FmtAtRoomMention] = event.CapLevelFullySupported
	features.State = event.StateFeatureMap{}
	for _, kind := range []event.Type{event.StateRoomName, event.StateTopic, event.StateRoomAvatar, event.StatePowerLevels} {
		features.State[kind.Type] = &event.StateFeatures{Level: event.CapLevelFullySupported}
	}
	features.MemberActions = event.MemberFeatureMap{
		event.MemberActionInvite: event.CapLevelFullySupported,
		event.MemberActionKick:   event.CapLevelFullySupported,
		event.MemberActionLeave:  event.CapLevelFullySupported,
		event.MemberActionBan:    event.CapLevelRejected,
	}
	return features
}

// LinkedWords are the words that stand in rooms with messages of linked accounts.
type LinkedWords struct {
	Notices
	// Placeholder says what was sent, what can be read of it, and where the rest is to be seen; the latter two may be empty.
	Placeholder func(kind, text, see string) string
	// Forwarded marks a message that was passed on.
	Forwarded string
	// Live follows the beginning of a live location.
	Live string
	// ViewOnce follows media that is meant to be seen once, ViewOnceAway stands for it where only the phone has it.
	ViewOnce, ViewOnceAway string
	// Invited says that the message invites into a group of that name; expires is empty if nobody knows.
	Invited func(group, expires string) string
	// PollHint says how to vote on a poll that is written out.
	PollHint string
}

// Linked is a message of a linked account on its way into a room.
type Linked struct {
	Message network.Message
	// Called are the people whom it calls.
	Called []Called
	Words  LinkedWords
	// PollsAsText writes polls out.
	PollsAsText bool
}

// ToMatrix converts a message whose content is no file. Edits, reactions, removals and votes are no messages of their own.
func (l Linked) ToMatrix() (*bridgev2.ConvertedMessage, error) {
	part, err := l.part()
	if err != nil {
		return nil, err
	}
	return l.Converted(part), nil
}

func (l Linked) part() (*bridgev2.ConvertedMessagePart, error) {
	switch content := l.Message.Content.(type) {
	case network.Text:
		return textPart(l.text(content)), nil
	case network.Location:
		part := placeToMatrix(content)
		if content.Live {
			part.Content.Body += "\n" + l.Words.Live
		}
		return part, nil
	case network.Poll:
		if l.PollsAsText {
			return textPart(textToMatrix(network.Text{Body: writtenPoll(content, l.Words.PollHint)})), nil
		}
		return pollToMatrix(content), nil
	case network.GroupInvite:
		return l.invite(content), nil
	case network.Contacts:
		return textPart(textToMatrix(network.Text{Body: CardsText(content)})), nil
	case network.Unsupported:
		part := textPart(notice(l.Words.Placeholder(content.Type, cleanText(content.Text), content.See)))
		part.DBMetadata = &MessageMetadata{Placeholder: true}
		return part, nil
	case network.Undecryptable:
		if content.ViewOnce {
			return textPart(notice(l.Words.ViewOnceAway)), nil
		}
		part := textPart(notice(l.Words.Undecryptable))
		part.DBMetadata = &MessageMetadata{Placeholder: true}
		return part, nil
	}
	return nil, fmt.Errorf("failed to convert a message: no conversion for %T", l.Message.Content)
}

// text writes a text with whom it calls, whether it was passed on, and the link that it describes.
func (l Linked) text(text network.Text) *event.MessageEventContent {
	content := &event.MessageEventContent{MsgType: event.MsgText}
	setCallingText(content, text.Body, l.Called, l.Message.MentionsAll)
	if text.Preview != nil {
		addPreview(content, *text.Preview)
	}
	l.markForwarded(content)
	return content
}

// Caption writes a file's caption like a text; it does nothing without one.
func (l Linked) Caption(content *event.MessageEventContent, caption string) {
	if strings.TrimSpace(caption) != "" {
		setCallingText(content, caption, l.Called, l.Message.MentionsAll)
	}
	l.markForwarded(content)
}

// markForwarded says ahead of a text or caption that it was passed on. A file without a caption gets that as its caption.
func (l Linked) markForwarded(content *event.MessageEventContent) {
	if !l.Message.Forwarded {
		return
	}
	rich := content.FormattedBody
	if rich == "" {
		rich, _ = markupToHTML(content.Body)
	}
	if content.MsgType.IsMedia() && content.Body == content.FileName {
		content.Body, rich = "", ""
	}
	content.Body = strings.TrimSuffix(l.Words.Forwarded+"\n"+content.Body, "\n")
	content.Format = event.FormatHTML
	content.FormattedBody = strings.TrimSuffix("<em>"+html.EscapeString(l.Words.Forwarded)+"</em><br>"+rich, "<br>")
}

func (l Linked) invite(invite network.GroupInvite) *bridgev2.ConvertedMessagePart {
	expires := ""
	if !invite.Expires.IsZero() {
		expires = invite.Expires.UTC().Format(time.DateTime) + " UTC"
	}
	body := l.Words.Invited(line(invite.Name, maxTitle), expires)
	if caption := cleanText(invite.Caption); caption != "" {
		body = caption + "\n\n" + body
	}
	part := textPart(textToMatrix(network.Text{Body: body}))
	part.DBMetadata = &MessageMetadata{Invite: &Invitation{
		Group: invite.Group.String(), Code: invite.Code, Name: invite.Name, Expires: invite.Expires, Inviter: l.Message.ID.Sender.String(),
	}}
	return part
}

// Converted is a message of ready parts, with the quote that belongs to it and the time after which it disappears.
func (l Linked) Converted(parts ...*bridgev2.ConvertedMessagePart) *bridgev2.ConvertedMessage {
	converted := Converted(l.Message, parts...)
	converted.Disappear = Timer(l.Message.Expires)
	return converted
}

func textPart(content *event.MessageEventContent) *bridgev2.ConvertedMessagePart {
	return &bridgev2.ConvertedMessagePart{Type: event.EventMessage, Content: content, DBMetadata: &MessageMetadata{}}
}

// Invitation is a group invitation that came as a message.
type Invitation struct {
	Group   string    `json:"group"`
	Code    string    `json:"code"`
	Name    string    `json:"name,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
	Inviter string    `json:"inviter"`
}

// GroupInvite is the invitation as the network's client wants it, and who sent it.
func (i Invitation) GroupInvite() (invite network.GroupInvite, inviter network.Address, err error) {
	if invite.Group, err = network.ParseAddress(i.Group); err != nil {
		return invite, inviter, fmt.Errorf("failed to read an invitation: %w", err)
	}
	invite.Code, invite.Name, invite.Expires = i.Code, i.Name, i.Expires
	if inviter, err = network.ParseAddress(i.Inviter); err != nil {
		return invite, inviter, fmt.Errorf("failed to read an invitation: %w", err)
	}
	return invite, inviter, nil
}

// LinkedFromMatrix converts what a user wrote, or where they are, with whom it calls; who is nil where nobody can be
// called, as in direct chats. Errors wrap [network.ErrUnsupported] and [network.ErrTooLarge]. Files are for [FileFromMatrix].
func LinkedFromMatrix(content *event.MessageEventContent, who Pills) (network.Message, error) {
	var msg network.Message
	switch content.MsgType {
	case event.MsgText, event.MsgNotice, event.MsgEmote:
	case event.MsgLocation:
		place, err := placeFromMatrix(content)
		msg.Content = place
		return msg, err
	default:
		return msg, fmt.Errorf("failed to convert a message of type %s: %w", content.MsgType, network.ErrUnsupported)
	}
	prefix := ""
	if content.MsgType == event.MsgEmote {
		prefix = "* "
	}
	text, msg := callingText(content, who)
	if text == "" {
		return msg, fmt.Errorf("failed to convert an empty message: %w", network.ErrUnsupported)
	}
	converted := network.Text{Body: prefix + text}
	converted.Preview = previewFromMatrix(content, converted.Body)
	msg.Content = converted
	return msg, nil
}

// CallingCaption is a file's caption with whom it calls.
func CallingCaption(content *event.MessageEventContent, who Pills) (string, network.Message) {
	plain := content.GetCaption()
	if plain == "" || content.MsgType == event.CapMsgSticker {
		return "", network.Message{}
	}
	return callingText(&event.MessageEventContent{
		Body: plain, Format: content.Format, FormattedBody: content.FormattedBody, Mentions: content.Mentions, RelatesTo: content.RelatesTo,
	}, who)
}

// callingText writes a text in the network's spelling, and says whom it calls.
func callingText(content *event.MessageEventContent, who Pills) (string, network.Message) {
	if who == nil {
		return writtenText(content), network.Message{}
	}
	called := calls{who: who}
	text := writtenCalling(content, called.pill)
	msg := network.Message{Mentions: called.people}
	if content.Mentions != nil && content.Mentions.Room {
		msg.MentionsAll = true
		text = strings.ReplaceAll(text, callRoom, callAll)
		if !strings.Contains(text, callAll) {
			text = callAll + " " + text
		}
	}
	return text, msg
}

// Quote is how the text of a room's message begins, without what it replied to itself.
func Quote(quoted *event.Event, limit int) string {
	content, ok := quoted.Content.Parsed.(*event.MessageEventContent)
	if !ok {
		return ""
	}
	text := []rune(writtenText(content))
	return string(text[:min(len(text), limit)])
}

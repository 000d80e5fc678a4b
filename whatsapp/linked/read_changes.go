package linked

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types/events"

	"causeway/network"
	"causeway/wire"
)

// changing reads content that changes another message; an empty reading if it is none of that.
func (r reader) changing(ctx context.Context, e *events.Message, m *waE2E.Message, own network.MessageID) (reading, error) {
	switch {
	case m.ReactionMessage != nil:
		return r.reaction(ctx, m.ReactionMessage, m.ReactionMessage.GetKey(), own)
	case m.EncReactionMessage != nil:
		opened, err := r.keys.DecryptReaction(ctx, e)
		if err != nil {
			return locked("reaction"), nil //nolint:nilerr // its message is older than this device
		}
		return r.reaction(ctx, opened, m.EncReactionMessage.GetTargetMessageKey(), own)
	case m.PollUpdateMessage != nil:
		opened, err := r.keys.DecryptPollVote(ctx, e)
		if err != nil {
			return locked("vote on a poll"), nil //nolint:nilerr // as above
		}
		poll, err := r.target(ctx, m.PollUpdateMessage.GetPollCreationMessageKey(), own)
		if err != nil {
			return locked("vote on a poll"), orUnsupported(err)
		}
		return reading{content: network.Vote{Poll: poll, Options: opened.GetSelectedOptions()}}, nil
	case m.ProtocolMessage != nil:
		return r.protocol(ctx, m.ProtocolMessage, own)
	case m.CommentMessage != nil:
		return r.comment(ctx, m.CommentMessage.GetMessage(), m.CommentMessage.GetTargetMessageKey(), own)
	case m.EncCommentMessage != nil:
		opened, err := r.keys.DecryptComment(ctx, e)
		if err != nil {
			return locked("comment"), nil //nolint:nilerr // as above
		}
		return r.comment(ctx, opened, m.EncCommentMessage.GetTargetMessageKey(), own)
	case m.SecretEncryptedMessage != nil:
		return r.secretEdit(ctx, e, m.SecretEncryptedMessage, own)
	}
	return r.betterCopy(ctx, m, own)
}

// locked stands for something whose key this device does not have.
func locked(what string) reading {
	return reading{content: network.Unsupported{Type: what, See: onPhone}}
}

// errNoTarget says that a message changes nothing that could be named.
var errNoTarget = errors.New("names no message")

// orUnsupported keeps an error unless it is only that a target is nowhere to be seen.
func orUnsupported(err error) error {
	if errors.Is(err, errNobody) || errors.Is(err, errNoTarget) {
		return nil
	}
	return err
}

func (r reader) reaction(ctx context.Context, m *waE2E.ReactionMessage, key *waCommon.MessageKey, own network.MessageID) (reading, error) {
	target, err := r.target(ctx, key, own)
	if err != nil {
		return locked("reaction"), orUnsupported(err)
	}
	return reading{content: network.Reaction{Target: target, Emoji: wire.Clean(m.GetText())}}, nil
}

func (r reader) protocol(ctx context.Context, m *waE2E.ProtocolMessage, own network.MessageID) (reading, error) {
	switch m.GetType() {
	case waE2E.ProtocolMessage_REVOKE:
		if m.Key == nil {
			return reading{}, nil
		}
		target, err := r.target(ctx, m.GetKey(), own)
		if err != nil {
			return locked("removal of a message"), orUnsupported(err)
		}
		return reading{content: network.Remove{Target: target}}, nil
	case waE2E.ProtocolMessage_MESSAGE_EDIT:
		return r.edit(ctx, m.GetEditedMessage(), m.GetKey(), own)
	case waE2E.ProtocolMessage_EPHEMERAL_SETTING:
		timer := time.Duration(m.GetEphemeralExpiration()) * time.Second
		return reading{chat: &network.ChatEvent{Timer: &timer}}, nil
	}
	return reading{}, nil
}

// edit reads an edit. Only senders edit their messages, so a key that says otherwise is not believed.
func (r reader) edit(ctx context.Context, m *waE2E.Message, key *waCommon.MessageKey, own network.MessageID) (reading, error) {
	if key.GetID() == "" || m == nil {
		return locked("edit of a message"), nil
	}
	message, wrap := peel(m)
	found := r.plainContent(ctx, message, own, wrap)
	if found.content == nil {
		if found.content = unsupported(message); found.content == nil {
			return locked("edit of a message"), nil
		}
	}
	target := own
	target.ID = wire.Clean(key.GetID())
	found.content = network.Edit{Target: target, Content: found.content}
	return found, nil
}

func (r reader) secretEdit(ctx context.Context, e *events.Message, m *waE2E.SecretEncryptedMessage, own network.MessageID) (reading, error) {
	opened, err := r.keys.DecryptSecretEncryptedMessage(ctx, e)
	if err != nil {
		return locked("edit of a message"), nil //nolint:nilerr // its message is older than this device
	}
	opened, _ = peel(opened)
	switch m.GetSecretEncType() {
	case waE2E.SecretEncryptedMessage_MESSAGE_EDIT, waE2E.SecretEncryptedMessage_POLL_EDIT:
		if inner := opened.GetProtocolMessage(); inner != nil {
			return r.edit(ctx, inner.GetEditedMessage(), m.GetTargetMessageKey(), own)
		}
		return r.edit(ctx, opened, m.GetTargetMessageKey(), own)
	case waE2E.SecretEncryptedMessage_POLL_ADD_OPTION:
		left := locked("new option of a poll").content.(network.Unsupported)
		left.Text = wire.Clean(opened.GetPollAddOptionMessage().GetAddOption().GetOptionName())
		return reading{content: left}, nil
	}
	return locked("change of an event"), nil
}

func (r reader) comment(ctx context.Context, m *waE2E.Message, key *waCommon.MessageKey, own network.MessageID) (reading, error) {
	message, wrap := peel(m)
	found := r.plainContent(ctx, message, own, wrap)
	if found.content == nil {
		return locked("comment"), nil
	}
	target, err := r.target(ctx, key, own)
	if err != nil {
		return found, orUnsupported(err)
	}
	found.reply = &target
	return found, nil
}

// betterCopy reads a picture or film that takes the place of an earlier, smaller copy of itself.
func (r reader) betterCopy(ctx context.Context, m *waE2E.Message, own network.MessageID) (reading, error) {
	association := m.GetMessageContextInfo().GetMessageAssociation()
	switch association.GetAssociationType() {
	case waE2E.MessageAssociation_HD_IMAGE_DUAL_UPLOAD, waE2E.MessageAssociation_HD_VIDEO_DUAL_UPLOAD,
		waE2E.MessageAssociation_HEVC_VIDEO_DUAL_UPLOAD:
		media, info, ok := readMedia(m, wrapping{})
		if ok && association.GetParentMessageKey().GetID() != "" {
			target := own
			target.ID = wire.Clean(association.GetParentMessageKey().GetID())
			return reading{content: network.Edit{Target: target, Content: media}, info: info}, nil
		}
	}
	return reading{}, ctx.Err()
}

// albumOf is the album that a picture or film belongs to.
func (r reader) albumOf(ctx context.Context, m *waE2E.Message, own network.MessageID) *network.MessageID {
	association := m.GetMessageContextInfo().GetMessageAssociation()
	if association.GetAssociationType() != waE2E.MessageAssociation_MEDIA_ALBUM {
		return nil
	}
	if _, err := r.target(ctx, association.GetParentMessageKey(), own); err != nil {
		return nil
	}
	album := own // an album is of one sender
	album.ID = wire.Clean(association.GetParentMessageKey().GetID())
	return &album
}

// target is the message that a key names, from the view of the sender of own. Errors wrap errNoTarget or errNobody.
func (r reader) target(ctx context.Context, key *waCommon.MessageKey, own network.MessageID) (network.MessageID, error) {
	target := network.MessageID{Conversation: own.Conversation, Sender: own.Sender, ID: wire.Clean(key.GetID())}
	switch {
	case target.ID == "":
		return target, errNoTarget
	case key.GetFromMe():
		return target, nil
	case key.GetParticipant() != "":
		sender, err := r.parsed(ctx, key.GetParticipant())
		target.Sender = sender
		return target, err
	case own.Conversation.IsGroup():
		return target, fmt.Errorf("%w: of whom", errNoTarget)
	case own.Sender == r.self:
		target.Sender = own.Conversation
	default:
		target.Sender = r.self
	}
	return target, nil
}

// mentions notes whom a message calls, and has its text call them by what they are known by here.
func (r reader) mentions(ctx context.Context, message *network.Message, jids []string) error {
	known := map[string]string{}
	for _, text := range jids[:min(len(jids), mostMentions)] {
		person, err := r.parsed(ctx, text)
		if errors.Is(err, errNobody) {
			continue
		} else if err != nil {
			return err
		}
		user, _, _ := strings.Cut(text, "@")
		known[user] = person.User
		message.Mentions = append(message.Mentions, person)
	}
	if len(known) > 0 {
		message.Content = rewritten(message.Content, func(text string) string { return renameMentions(text, known) })
	}
	return nil
}

// mostMentions is how many people a message can call: as many as the largest groups have.
const mostMentions = 2048

// renameMentions changes by what name a text calls people.
func renameMentions(text string, names map[string]string) string {
	return mentionPattern.ReplaceAllStringFunc(text, func(found string) string {
		if name, ok := names[found[1:]]; ok {
			return "@" + name
		}
		return found
	})
}

var mentionPattern = regexp.MustCompile(`@[0-9]+`)

// rewritten is content with another text.
func rewritten(content network.Content, change func(string) string) network.Content {
	switch content := content.(type) {
	case network.Text:
		content.Body = change(content.Body)
		return content
	case network.Media:
		content.Caption = change(content.Caption)
		return content
	case network.Edit:
		content.Content = rewritten(content.Content, change)
		return content
	}
	return content
}

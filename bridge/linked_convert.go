package bridge

import (
	"context"
	"fmt"
	"io"
	"strings"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// convertLinked makes a Matrix message of one that arrived for a linked account; see [Client.convertIncoming].
func (c *Client) convertLinked(
	ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, msg network.Message,
) (*bridgev2.ConvertedMessage, error) {
	linked := c.linkedMessage(ctx, msg)
	switch content := msg.Content.(type) {
	case network.Media:
		parts, err := c.convertLinkedFile(ctx, room, intent, linked, content)
		if err != nil {
			return nil, err
		}
		return linked.Converted(parts...), nil
	case network.Text:
		if _, long := portal.LongText(content); long {
			return c.convertText(ctx, room, intent, msg, content)
		}
		converted, err := linked.ToMatrix()
		if err == nil && content.Preview != nil {
			if image := c.uploadThumbnail(ctx, room, intent, content.Preview.Thumbnail); image != nil {
				portal.AddPreviewImage(converted.Parts[0].Content, *image)
			}
		}
		return converted, err
	case network.Contacts:
		return c.convertCards(ctx, room, intent, linked, content)
	case network.GroupInvite:
		converted, err := linked.ToMatrix()
		if err == nil && msg.ID.Sender != c.self {
			c.keepInvitation(ctx, room, converted.Parts[0])
		}
		return converted, err
	}
	return linked.ToMatrix()
}

// linkedMessage is a message with what the room has to know of it beside.
func (c *Client) linkedMessage(ctx context.Context, msg network.Message) portal.Linked {
	linked := portal.Linked{
		Message: msg, Words: linkedWords(c.connector.bridge.Config.CommandPrefix),
		PollsAsText: c.connector.config.Linked.Polls == PollsText,
	}
	for _, person := range msg.Mentions {
		linked.Called = append(linked.Called, c.called(ctx, person))
	}
	return linked
}

// called is how Matrix knows somebody whom a message calls.
func (c *Client) called(ctx context.Context, person network.Address) portal.Called {
	called := portal.Called{Digits: person.User}
	if person == c.self {
		called.User = c.login.UserMXID
		called.Name = firstText(c.login.RemoteProfile.Name, c.login.UserMXID.Localpart())
		return called
	}
	called.User = c.connector.bridge.Matrix.GhostIntent(puppet.ID(person)).GetMXID()
	called.Name = c.connector.nameOf(ctx, person)
	return called
}

// convertLinkedFile brings a file to the homeserver, and says beside it what has to be said.
func (c *Client) convertLinkedFile(
	ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, linked portal.Linked, media network.Media,
) ([]*bridgev2.ConvertedMessagePart, error) {
	if media.ViewOnce && c.connector.config.Linked.ViewOnce == ViewOncePlaceholder {
		return []*bridgev2.ConvertedMessagePart{noticePart(textViewOnceAway)}, nil
	}
	caption := media.Caption
	media.Caption = ""
	part, err := c.convertFile(ctx, room, intent, media)
	if err != nil {
		return nil, err
	}
	if part.Content.MsgType.IsMedia() || part.Type == event.EventSticker {
		remembered := *part.Content
		part.DBMetadata = &portal.MessageMetadata{File: &remembered}
	}
	if part.Type != event.EventSticker {
		linked.Caption(part.Content, caption)
	}
	parts := []*bridgev2.ConvertedMessagePart{part}
	if media.ViewOnce {
		parts = append(parts, noticePart(textViewOnce))
	}
	return parts, nil
}

// convertCards writes contacts out, and adds them as a file that address books can read.
func (c *Client) convertCards(
	ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, linked portal.Linked, contacts network.Contacts,
) (*bridgev2.ConvertedMessage, error) {
	converted, err := linked.ToMatrix()
	if err != nil {
		return nil, err
	}
	name, text := portal.CardsFile(contacts)
	file, err := c.convertFile(ctx, room, intent, network.Media{
		Kind: network.Document, MIME: "text/vcard", FileName: name,
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	})
	if err != nil {
		return nil, err
	}
	return linked.Converted(converted.Parts[0], file), nil
}

// keepInvitation remembers the newest invitation of a chat, for `accept`.
func (c *Client) keepInvitation(ctx context.Context, room *bridgev2.Portal, part *bridgev2.ConvertedMessagePart) {
	if metadata, ok := part.DBMetadata.(*portal.MessageMetadata); ok && metadata.Invite != nil {
		metadataOf(room).Invite = metadata.Invite
		c.remember(ctx, room)
	}
}

// convertLinkedEdit makes the new form of a message. Of a file whose caption is new only the caption is.
func (c *Client) convertLinkedEdit(
	ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, existing []*bridgedb.Message, msg network.Message, edit network.Edit,
) (*bridgev2.ConvertedEdit, error) {
	msg.Content = edit.Content
	linked := c.linkedMessage(ctx, msg)
	metadata, _ := existing[0].Metadata.(*portal.MessageMetadata)
	media, isFile := edit.Content.(network.Media)
	if isFile && media.Reference == nil && media.Open == nil {
		if metadata != nil && metadata.File != nil {
			content := *metadata.File
			linked.Caption(&content, media.Caption)
			part := &bridgev2.ConvertedEditPart{Part: existing[0], Type: event.EventMessage, Content: &content, NewMentions: content.Mentions}
			return &bridgev2.ConvertedEdit{ModifiedParts: []*bridgev2.ConvertedEditPart{part}}, nil
		}
		// a file that the user sent from Matrix: its new caption goes as a text
		linked.Message.Content = network.Text{Body: media.Caption}
	}
	converted, err := c.convertLinked(ctx, room, intent, linked.Message)
	if err != nil {
		return nil, fmt.Errorf("failed to convert new content: %w", err)
	}
	change := portal.NewForm(converted, existing, msg.ID)
	change.ModifiedParts[0].NewMentions = converted.Parts[0].Content.Mentions
	return change, nil
}

package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// maxCardFile is how many bytes a file of contacts may have to be sent as contacts.
const maxCardFile = 1 << 20

// HandleMatrixMessage implements [bridgev2.NetworkAPI]; see [Client.HandleMatrixMessage].
func (c *linkedClient) HandleMatrixMessage(ctx context.Context, msg *bridgev2.MatrixMessage) (*bridgev2.MatrixMessageResponse, error) {
	err := c.settled(ctx, msg.Portal, func() error { return c.deliver(ctx, msg) })
	return &bridgev2.MatrixMessageResponse{Pending: true}, err
}

func (c *linkedClient) deliver(ctx context.Context, msg *bridgev2.MatrixMessage) error {
	if metadataOf(msg.Portal).Left {
		return network.ErrNotMember
	}
	// what is written while there is no connection waits for the next one; an account that is not linked any more has none
	if _, err := c.live(); errors.Is(err, network.ErrUnlinked) {
		return network.ErrUnlinked
	}
	work := errand{room: msg.Portal, event: msg.Event, message: msg}
	if !portal.IsFile(msg.Content) {
		converted, err := portal.LinkedFromMatrix(msg.Content, c.pills(msg.Portal))
		if err != nil {
			return err
		}
		work.calls = converted
		return c.hand(ctx, work, c.withPreviewPicture(ctx, converted.Content, msg.Content), replyTarget(msg))
	}
	if cards, ok, err := c.cardsOf(ctx, msg.Content); ok || err != nil {
		if err != nil {
			return err
		}
		return c.hand(ctx, work, cards, replyTarget(msg))
	}
	return c.deliverFile(ctx, work)
}

// deliverFile hands on a file, and before it the caption of one that has no room for it.
func (c *linkedClient) deliverFile(ctx context.Context, work errand) error {
	replyTo := replyTarget(work.message)
	return c.withFile(ctx, work.message.Content, func(p parcel) (err error) {
		caption, calls := portal.CallingCaption(work.message.Content, c.pills(work.room))
		if p.apart != "" {
			ahead := errand{room: work.room, event: work.event, part: partAhead, calls: calls}
			if err = c.hand(ctx, ahead, network.Text{Body: caption}, replyTo); err != nil {
				return err
			}
			replyTo = nil
		} else if p.media.Caption != "" {
			p.media.Caption, work.calls = caption, calls
		}
		if p.media.Reference, err = json.Marshal(work.message.Content); err != nil {
			return fmt.Errorf("failed to remember where a file is: %w", err)
		}
		if err = c.hand(ctx, work, p.media, replyTo); err == nil && p.reduced {
			c.say(ctx, work.room, textSentAsDocument)
		}
		return err
	})
}

// replyTarget is the message that another one quotes, nil if it quotes none of its room.
func replyTarget(msg *bridgev2.MatrixMessage) *network.MessageID {
	if msg == nil || msg.ReplyTo == nil {
		return nil
	}
	return portal.ReplyTarget(msg.ReplyTo, msg.Portal.PortalKey)
}

// maxQuote is how many characters of a quoted message go along.
const maxQuote = 200

// quoteOf is how the text begins that a message quotes: phones that do not have it any more show this. Empty if it cannot be had.
func (c *Client) quoteOf(ctx context.Context, msg *bridgev2.MatrixMessage) string {
	if msg == nil || msg.ReplyTo == nil {
		return ""
	}
	quoted, err := c.connector.bridge.Bot.GetEvent(ctx, msg.Portal.MXID, msg.ReplyTo.MXID)
	if err != nil || quoted == nil {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("A message is sent without the text that it quotes")
		return ""
	}
	return portal.Quote(quoted, maxQuote)
}

// pills finds whom a text of a room calls; nil where nobody can be called.
func (c *Client) pills(room *bridgev2.Portal) portal.Pills {
	conversation, err := portal.Conversation(room.PortalKey)
	if err != nil || !conversation.IsGroup() {
		return nil
	}
	return func(user id.UserID) (network.Address, bool) {
		if user == c.login.UserMXID {
			return c.self, true
		}
		ghost, ok := c.connector.bridge.Matrix.ParseGhostMXID(user)
		if !ok {
			return network.Address{}, false
		}
		address, err := puppet.Address(ghost)
		return address, err == nil && puppet.IsPerson(address)
	}
}

// cardsOf reads the contacts of a file that holds nothing else; false if it is any other file.
func (c *Client) cardsOf(ctx context.Context, content *event.MessageEventContent) (cards network.Contacts, ok bool, err error) {
	mime, size := "", 0
	if content.Info != nil {
		mime, size = content.Info.MimeType, content.Info.Size
	}
	if content.MsgType != event.MsgFile || !portal.IsCard(mime, content.GetFileName()) || size > maxCardFile {
		return cards, false, nil
	}
	err = c.connector.bridge.Bot.DownloadMediaToFile(ctx, content.URL, content.File, false, func(file *os.File) error {
		text, err := io.ReadAll(io.LimitReader(file, maxCardFile+1))
		if err == nil && len(text) <= maxCardFile {
			cards, ok = portal.CardsFromMatrix(string(text))
		}
		return err
	})
	if err != nil {
		return cards, false, fmt.Errorf("failed to download a file: %w: %w", errNoDownload, err)
	}
	return cards, ok, nil
}

// HandleMatrixEdit implements [bridgev2.EditHandlingNetworkAPI]. The network lets a message be edited for a while only.
func (c *linkedClient) HandleMatrixEdit(ctx context.Context, msg *bridgev2.MatrixEdit) error {
	return c.settled(ctx, msg.Portal, func() error {
		target := portal.ReplyTarget(msg.EditTarget, msg.Portal.PortalKey)
		switch {
		case target == nil || target.Sender != c.self:
			return errNotHere
		case time.Since(msg.EditTarget.Timestamp) > portal.EditWindow:
			return network.ErrTooLate
		}
		work := errand{room: msg.Portal, event: msg.Event}
		edit := network.Edit{Target: *target, Sent: msg.EditTarget.Timestamp}
		if portal.IsFile(msg.Content) {
			caption, calls := portal.CallingCaption(msg.Content, c.pills(msg.Portal))
			work.calls = calls
			edit.Content = network.Media{Kind: fileKind(msg.Content.MsgType), Caption: caption}
		} else {
			converted, err := portal.LinkedFromMatrix(msg.Content, c.pills(msg.Portal))
			if err != nil {
				return err
			}
			work.calls, edit.Content = converted, converted.Content
		}
		return c.hand(ctx, work, edit, nil)
	})
}

// fileKind is what a file is by the type of its event.
func fileKind(kind event.MessageType) network.MediaKind {
	switch kind {
	case event.MsgImage:
		return network.Image
	case event.MsgVideo:
		return network.Video
	case event.MsgAudio:
		return network.Audio
	}
	return network.Document
}

// HandleMatrixMessageRemove implements [bridgev2.RedactionHandlingNetworkAPI]: the message is taken back for everybody. In
// a group its administrators may take back what others wrote; whether the user is one is for the network to say.
func (c *linkedClient) HandleMatrixMessageRemove(ctx context.Context, msg *bridgev2.MatrixMessageRemove) error {
	target := portal.ReplyTarget(msg.TargetMessage, msg.Portal.PortalKey)
	var err error
	switch {
	case target == nil || target.Sender != c.self && !target.Conversation.IsGroup():
		err = errNotHere
	case time.Since(msg.TargetMessage.Timestamp) > portal.RemoveWindow:
		err = network.ErrTooLate
	default:
		err = c.hand(ctx, errand{room: msg.Portal, event: msg.Event}, network.Remove{Target: *target, Sent: msg.TargetMessage.Timestamp}, nil)
	}
	if err != nil {
		return statusOf(err, c.self.Network)
	}
	return nil
}

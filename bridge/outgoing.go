package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"

	"maunium.net/go/mautrix/event"

	"causeway/delivery"
	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

const (
	// attemptPatience bounds one attempt to send: the acknowledgement of a broken connection never comes.
	attemptPatience = 10 * time.Second
	// fileAttemptPatience is the same for a file, which is fetched, encrypted and handed over first.
	fileAttemptPatience = 5 * time.Minute
	// askTimeout bounds a question to the network that a user waits for.
	askTimeout = 30 * time.Second
	// signalTimeout bounds what is not worth waiting for: typing and receipts.
	signalTimeout = 10 * time.Second
	// maxReceipts is how many messages one mark of reading covers.
	maxReceipts = 100
)

// HandleMatrixMessage implements [bridgev2.NetworkAPI]. After it the message is on disk and on its
// way; how it fares is told by [Connector.Report].
func (c *Client) HandleMatrixMessage(ctx context.Context, msg *bridgev2.MatrixMessage) (*bridgev2.MatrixMessageResponse, error) {
	err := c.settled(ctx, msg.Portal, func() error { return c.deliver(ctx, msg) })
	return &bridgev2.MatrixMessageResponse{Pending: true}, err
}

// settled hands something on from a room that says what it is; a failure becomes words.
func (c *Client) settled(ctx context.Context, room *bridgev2.Portal, hand func() error) error {
	c.announce(ctx, room)
	if err := hand(); err != nil {
		return statusOf(err, c.self.Network)
	}
	return nil
}

func (c *Client) deliver(ctx context.Context, msg *bridgev2.MatrixMessage) error {
	var replyTo *network.MessageID
	if msg.ReplyTo != nil {
		replyTo = portal.ReplyTarget(msg.ReplyTo, msg.Portal.PortalKey)
	}
	work := errand{room: msg.Portal, event: msg.Event, message: msg}
	if portal.IsFile(msg.Content) {
		return c.deliverFile(ctx, work, replyTo)
	}
	content, err := portal.FromMatrix(msg.Content)
	if err != nil {
		return err
	}
	return c.hand(ctx, work, c.withPreviewPicture(ctx, content, msg.Content), replyTo)
}

// deliverFile hands on a file, and before it what it has no room for: the quoted message, or its caption. The file
// is looked at now and fetched again when it is sent: until then the homeserver keeps it.
func (c *Client) deliverFile(ctx context.Context, work errand, replyTo *network.MessageID) error {
	return c.withFile(ctx, work.message.Content, func(p parcel) (err error) {
		apart := p.apart
		if replyTo != nil && !c.can().CarriesReply(p.media) && apart == "" {
			apart = textReplyAhead
		}
		if apart != "" {
			ahead := errand{room: work.room, event: work.event, part: partAhead}
			id, err := c.handOver(ctx, ahead, network.Text{Body: apart}, replyTo)
			if err != nil {
				return err
			}
			work.ahead, replyTo = id.String(), nil
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

// partAhead is the part of an event that is sent before the event itself.
const partAhead = 1

// errand is a Matrix event that is on its way to the network.
type errand struct {
	room  *bridgev2.Portal
	event *event.Event
	// message is the event where answers may refer to it, nil otherwise.
	message *bridgev2.MatrixMessage
	// part tells apart the messages that one event becomes; ahead is the id of the one that went before this one.
	part  int
	ahead string
	// metadata is what has to be remembered of the message, nil for nothing.
	metadata *portal.MessageMetadata
	// calls has the people whom the message calls, and nothing else.
	calls network.Message
	// to is the conversation where it is not the room's.
	to network.Address
}

// hand gives a message to the outbox. The id comes from the Matrix event, so that the network sees
// one message however often it is sent, also by a later run of the program.
func (c *Client) hand(ctx context.Context, work errand, content network.Content, replyTo *network.MessageID) error {
	_, err := c.handOver(ctx, work, content, replyTo)
	return err
}

// handOver is [Client.hand] with the id that the message has got.
func (c *Client) handOver(ctx context.Context, work errand, content network.Content, replyTo *network.MessageID) (network.MessageID, error) {
	conversation, err := portal.Conversation(work.room.PortalKey)
	if err != nil {
		return network.MessageID{}, fmt.Errorf("failed to read the room's conversation: %w", err)
	}
	if !work.to.IsZero() {
		conversation = work.to
	}
	if c.isBlocked(conversation) {
		return network.MessageID{}, errBlocked
	}
	if work.metadata == nil {
		work.metadata = &portal.MessageMetadata{Ahead: work.ahead}
	}
	out := delivery.Outgoing{
		Login: c.login.ID, Event: work.event, Part: work.part, NewID: c.product.newID,
		Message: network.Message{
			ID: network.MessageID{Conversation: conversation, Sender: c.self}, Content: content, ReplyTo: replyTo,
			Mentions: work.calls.Mentions, MentionsAll: work.calls.MentionsAll,
		},
	}
	if text, ok := content.(network.Text); ok {
		pieces := portal.Split(text)
		for _, piece := range pieces[:len(pieces)-1] {
			out.Ahead = append(out.Ahead, piece)
		}
		out.Message.Content = pieces[len(pieces)-1]
	}
	if replyTo != nil {
		out.Message.Quote = c.quoteOf(ctx, work.message)
	}
	if c.linked() {
		out.Message.Expires = work.room.Disappear.Timer
	}
	if work.message != nil {
		out.Record = &delivery.Mapping{
			Message: work.message, Row: bridgedb.Message{SenderID: puppet.ID(c.self), Metadata: work.metadata}, ID: portal.MessageID,
		}
	}
	id, err := c.connector.accept(ctx, out)
	if err == nil && work.message == nil && work.part == 0 {
		c.connector.promised.Store(work.event.ID, true)
	}
	return id, err
}

// sender is a login's client as the outbox uses it: each attempt is bounded, and users' files are fetched for it.
type sender struct {
	network.Client
	login *Client
}

var _ network.Asker = sender{}

// Ready implements [network.Asker].
func (s sender) Ready() error {
	if asker, ok := s.Client.(network.Asker); ok {
		return asker.Ready()
	}
	return network.ErrUnsupported
}

// AskAgain implements [network.Asker].
func (s sender) AskAgain(ctx context.Context, id network.MessageID, came time.Time) error {
	if asker, ok := s.Client.(network.Asker); ok {
		return asker.AskAgain(ctx, id, came)
	}
	return network.ErrUnsupported
}

// Send implements [network.Client].
func (s sender) Send(ctx context.Context, msg network.Message) (sent network.Sent, err error) {
	defer func() {
		if err == nil {
			s.login.heard()
		}
	}()
	media, isFile := msg.Content.(network.Media)
	if !isFile {
		ctx, cancel := context.WithTimeout(ctx, attemptPatience)
		defer cancel()
		return s.Client.Send(ctx, msg)
	}
	ctx, cancel := context.WithTimeout(ctx, fileAttemptPatience)
	defer cancel()
	var content event.MessageEventContent
	if err = json.Unmarshal(media.Reference, &content); err != nil {
		return sent, fmt.Errorf("failed to find a file again: %w: %w", network.ErrRejected, err)
	}
	tried := false
	err = s.login.withFile(ctx, &content, func(p parcel) (err error) {
		tried = true
		// what was sent ahead of it must not come once more
		p.media.Caption = media.Caption
		msg.Content = p.media
		sent, err = s.Client.Send(ctx, msg)
		return err
	})
	if err != nil && !tried {
		err = fmt.Errorf("%w: %w", network.ErrNotConnected, err)
	}
	return sent, err
}

// HandleMatrixReadReceipt tells the other side what the user has read, unless receipts are off.
func (c *Client) HandleMatrixReadReceipt(ctx context.Context, msg *bridgev2.MatrixReadReceipt) error {
	if !c.connector.config.Receipts.Read || metadataOf(msg.Portal).Reserved() {
		return nil
	}
	conversation, err := portal.Conversation(msg.Portal.PortalKey)
	if err != nil {
		return fmt.Errorf("failed to read the room's conversation: %w", err)
	}
	ids, err := c.readSince(ctx, msg, conversation)
	if err != nil || len(ids) == 0 {
		return err
	}
	client, err := c.live()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, signalTimeout)
	defer cancel()
	return client.MarkRead(ctx, conversation, ids, msg.Receipt.Timestamp)
}

// readSince is the other side's messages between two marks of reading, at most the newest [maxReceipts].
func (c *Client) readSince(ctx context.Context, msg *bridgev2.MatrixReadReceipt, conversation network.Address) ([]network.MessageID, error) {
	from := msg.LastRead
	if from.IsZero() {
		from = time.Unix(0, 0)
	}
	return c.theirMessages(ctx, msg.Portal, conversation, from, msg.ReadUpTo)
}

// theirMessages is what the other side wrote after one time and up to another, at most the newest [maxReceipts].
func (c *Client) theirMessages(ctx context.Context, room *bridgev2.Portal, conversation network.Address, from, to time.Time) ([]network.MessageID, error) {
	rows, err := room.Bridge.DB.Message.GetMessagesBetweenTimeQuery(ctx, room.PortalKey, from, to)
	if err != nil {
		return nil, fmt.Errorf("failed to find messages of a time: %w", err)
	}
	var ids []network.MessageID
	for _, row := range rows {
		id, err := portal.ParseMessageID(row.ID)
		if err == nil && id.Conversation == conversation && id.Sender != c.self {
			ids = append(ids, id)
		}
	}
	return ids[max(0, len(ids)-maxReceipts):], nil
}

// HandleMatrixTyping implements [bridgev2.TypingHandlingNetworkAPI].
func (c *Client) HandleMatrixTyping(ctx context.Context, msg *bridgev2.MatrixTyping) error {
	conversation, err := portal.Conversation(msg.Portal.PortalKey)
	if err != nil {
		return fmt.Errorf("failed to read the room's conversation: %w", err)
	}
	client, err := c.live()
	if metadata := metadataOf(msg.Portal); err != nil || metadata.ViewOnly || metadata.Reserved() {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, signalTimeout)
	defer cancel()
	return client.SetTyping(ctx, conversation, msg.IsTyping)
}

package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

const (
	// sendPatience bounds one message, repetitions included: its room waits for it.
	sendPatience = 45 * time.Second
	// attemptPatience bounds one attempt: the acknowledgement of a broken connection never comes.
	attemptPatience = 10 * time.Second
	// fileSendPatience and fileAttemptPatience are the same for a file, which is encrypted and handed over first.
	fileSendPatience    = 4 * time.Minute
	fileAttemptPatience = 2 * time.Minute
	firstPause          = time.Second
	longestPause        = 8 * time.Second
	// askTimeout bounds a question to the network that a user waits for.
	askTimeout = 30 * time.Second
	// signalTimeout bounds what is not worth waiting for: typing and receipts.
	signalTimeout = 10 * time.Second
	// maxReceipts is how many messages one mark of reading covers.
	maxReceipts = 100
)

// HandleMatrixMessage implements [bridgev2.NetworkAPI].
func (c *Client) HandleMatrixMessage(ctx context.Context, msg *bridgev2.MatrixMessage) (*bridgev2.MatrixMessageResponse, error) {
	return c.settled(ctx, msg.Portal, func() (*bridgev2.MatrixMessageResponse, error) { return c.deliver(ctx, msg) })
}

// settled sends something and draws the room's conclusions from how it went: whether it is open, and what its user is told.
func (c *Client) settled(
	ctx context.Context, room *bridgev2.Portal, send func() (*bridgev2.MatrixMessageResponse, error),
) (*bridgev2.MatrixMessageResponse, error) {
	c.announce(ctx, room)
	response, err := send()
	switch {
	case errors.Is(err, network.ErrNotOptedIn), errors.Is(err, network.ErrUnknownPerson):
		c.setAccess(ctx, room, true)
	case err == nil:
		c.setAccess(ctx, room, false)
	}
	if err != nil {
		return nil, statusOf(err, c.self.Network)
	}
	return response, nil
}

func (c *Client) deliver(ctx context.Context, msg *bridgev2.MatrixMessage) (*bridgev2.MatrixMessageResponse, error) {
	var replyTo *network.MessageID
	if msg.ReplyTo != nil {
		replyTo = portal.ReplyTarget(msg.ReplyTo, msg.Portal.PortalKey)
	}
	if portal.IsFile(msg.Content) {
		return c.deliverFile(ctx, msg, replyTo)
	}
	content, err := portal.FromMatrix(msg.Content)
	if err != nil {
		return nil, err
	}
	return c.deliverContent(ctx, errand{room: msg.Portal, event: msg.Event}, content, replyTo)
}

// deliverFile sends a file, and before it what it has no room for: the quoted message, or its caption.
func (c *Client) deliverFile(
	ctx context.Context, msg *bridgev2.MatrixMessage, replyTo *network.MessageID,
) (response *bridgev2.MatrixMessageResponse, err error) {
	work := errand{room: msg.Portal, event: msg.Event, file: true}
	err = c.withFile(ctx, msg.Portal, msg.Content, func(p parcel) error {
		apart := p.apart
		if replyTo != nil && !portal.CarriesReply(p.media) && apart == "" {
			apart = textReplyAhead
		}
		if apart != "" {
			ahead := work
			ahead.part = "/ahead"
			if _, err := c.deliverContent(ctx, ahead, network.Text{Body: apart}, replyTo); err != nil {
				return err
			}
			replyTo = nil
		}
		response, err = c.deliverContent(ctx, work, p.media, replyTo)
		if err == nil && p.reduced {
			c.say(ctx, msg.Portal, textSentAsDocument)
		}
		return err
	})
	return response, err
}

// deliverContent sends one message and returns its row.
func (c *Client) deliverContent(
	ctx context.Context, work errand, content network.Content, replyTo *network.MessageID,
) (*bridgev2.MatrixMessageResponse, error) {
	conversation, err := portal.Conversation(work.room.PortalKey)
	if err != nil {
		return nil, fmt.Errorf("failed to read the room's conversation: %w", err)
	}
	if c.isBlocked(conversation) {
		return nil, errBlocked
	}
	out := network.Message{
		ID:      network.MessageID{Conversation: conversation, Sender: c.self},
		Content: content,
		ReplyTo: replyTo,
	}
	sent, err := c.repeat(ctx, work, &out)
	if err != nil {
		return nil, fmt.Errorf("failed to send a message: %w", err)
	}
	return &bridgev2.MatrixMessageResponse{DB: &bridgedb.Message{
		ID:        portal.MessageID(out.ID),
		SenderID:  puppet.ID(c.self),
		Timestamp: sent.Time,
		Metadata:  &portal.MessageMetadata{},
	}}, nil
}

// errand is a Matrix event that is being sent to the network.
type errand struct {
	room  *bridgev2.Portal
	event *event.Event
	// part tells apart the messages that one event becomes.
	part string
	// file says that a file goes with it, which takes longer.
	file bool
}

// repeat sends a message until the network takes it, refuses it for good, or
// patience ends. The id comes from the Matrix event, so that the network sees
// one message however often it is sent, also by a later run of the program.
func (c *Client) repeat(ctx context.Context, work errand, out *network.Message) (network.Sent, error) {
	patience, once := sendPatience, attemptPatience
	if work.file {
		patience, once = fileSendPatience, fileAttemptPatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer context.AfterFunc(c.life(), cancel)()
	seed := []byte(string(work.event.ID) + work.part)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		sent, err := c.sendOnce(ctx, out, seed, once)
		if err == nil || !passes(err) {
			return sent, err
		}
		c.tellPending(ctx, work, err)
		if !sleep(ctx, pause) {
			return network.Sent{}, err
		}
	}
}

func (c *Client) sendOnce(ctx context.Context, out *network.Message, seed []byte, patience time.Duration) (network.Sent, error) {
	client, err := c.live()
	if err != nil {
		return network.Sent{}, err
	}
	out.ID.ID = client.NewMessageID(seed)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return client.Send(ctx, *out)
}

// passes says whether sending the same message again can help.
func passes(err error) bool {
	for _, passing := range []error{
		network.ErrOutcomeUnknown, network.ErrNotConnected, network.ErrTemporary, network.ErrRateLimited,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

func (c *Client) tellPending(ctx context.Context, work errand, err error) {
	pending := statusOf(err, c.self.Network)
	pending.Status, pending.SendNotice = event.MessageStatusPending, false
	work.room.Bridge.Matrix.SendMessageStatus(ctx, &pending, bridgev2.StatusEventInfoFromEvent(work.event))
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
	rows, err := msg.Portal.Bridge.DB.Message.GetMessagesBetweenTimeQuery(ctx, msg.Portal.PortalKey, from, msg.ReadUpTo)
	if err != nil {
		return nil, fmt.Errorf("failed to find what was read: %w", err)
	}
	var ids []network.MessageID
	for _, row := range rows {
		id, err := portal.ParseMessageID(row.ID)
		if err == nil && id.Conversation == conversation && id.Sender == conversation {
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

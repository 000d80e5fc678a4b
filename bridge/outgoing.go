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
	firstPause      = time.Second
	longestPause    = 8 * time.Second
	// askTimeout bounds a question to the network that a user waits for.
	askTimeout = 30 * time.Second
	// signalTimeout bounds what is not worth waiting for: typing and receipts.
	signalTimeout = 10 * time.Second
	// maxReceipts is how many messages one mark of reading covers.
	maxReceipts = 100
)

// HandleMatrixMessage implements [bridgev2.NetworkAPI].
func (c *Client) HandleMatrixMessage(ctx context.Context, msg *bridgev2.MatrixMessage) (*bridgev2.MatrixMessageResponse, error) {
	c.announce(ctx, msg.Portal)
	response, err := c.deliver(ctx, msg)
	switch {
	case errors.Is(err, network.ErrNotOptedIn), errors.Is(err, network.ErrUnknownPerson):
		c.setAccess(ctx, msg.Portal, true)
	case err == nil:
		c.setAccess(ctx, msg.Portal, false)
	}
	if err != nil {
		return nil, statusOf(err, c.self.Network)
	}
	return response, nil
}

func (c *Client) deliver(ctx context.Context, msg *bridgev2.MatrixMessage) (*bridgev2.MatrixMessageResponse, error) {
	conversation, err := portal.Conversation(msg.Portal.PortalKey)
	if err != nil {
		return nil, fmt.Errorf("failed to read the room's conversation: %w", err)
	}
	content, err := portal.FromMatrix(msg.Content)
	if err != nil {
		return nil, err
	}
	out := network.Message{
		ID:      network.MessageID{Conversation: conversation, Sender: c.self},
		Content: content,
		ReplyTo: portal.ReplyTarget(msg.ReplyTo, msg.Portal.PortalKey),
	}
	sent, err := c.repeat(ctx, msg, &out)
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

// repeat sends a message until the network takes it, refuses it for good, or
// patience ends. The id comes from the Matrix event, so that the network sees
// one message however often it is sent, also by a later run of the program.
func (c *Client) repeat(ctx context.Context, msg *bridgev2.MatrixMessage, out *network.Message) (network.Sent, error) {
	ctx, cancel := context.WithTimeout(ctx, sendPatience)
	defer cancel()
	defer context.AfterFunc(c.life(), cancel)()
	seed := []byte(msg.Event.ID)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		sent, err := c.sendOnce(ctx, out, seed)
		if err == nil || !passes(err) {
			return sent, err
		}
		c.tellPending(ctx, msg, err)
		if !sleep(ctx, pause) {
			return network.Sent{}, err
		}
	}
}

func (c *Client) sendOnce(ctx context.Context, out *network.Message, seed []byte) (network.Sent, error) {
	client, err := c.live()
	if err != nil {
		return network.Sent{}, err
	}
	out.ID.ID = client.NewMessageID(seed)
	ctx, cancel := context.WithTimeout(ctx, attemptPatience)
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

func (c *Client) tellPending(ctx context.Context, msg *bridgev2.MatrixMessage, err error) {
	pending := statusOf(err, c.self.Network)
	pending.Status, pending.SendNotice = event.MessageStatusPending, false
	msg.Portal.Bridge.Matrix.SendMessageStatus(ctx, &pending, bridgev2.StatusEventInfoFromEvent(msg.Event))
}

// HandleMatrixReadReceipt tells the other side what the user has read, unless receipts are off.
func (c *Client) HandleMatrixReadReceipt(ctx context.Context, msg *bridgev2.MatrixReadReceipt) error {
	if !c.connector.config.Receipts.Read {
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
	if err != nil || metadataOf(msg.Portal).ViewOnly {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, signalTimeout)
	defer cancel()
	return client.SetTyping(ctx, conversation, msg.IsTyping)
}

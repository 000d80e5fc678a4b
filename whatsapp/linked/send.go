package linked

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"

	"causeway/network"
	"causeway/whatsapp"
)

const (
	// editWindow is how long the network lets a message be edited, removeWindow how long be removed for everybody.
	editWindow   = whatsmeow.EditWindow
	removeWindow = 60 * time.Hour // phones offer it for about two days and a half
	// answerWithin is how long the server's acknowledgement may take.
	answerWithin = 75 * time.Second
)

// NewMessageID is an id of WhatsApp's shape made from seed.
func (c *Client) NewMessageID(seed []byte) string { return whatsapp.NewMessageID(seed) }

// Send delivers a message, see [network.Client].
func (c *Client) Send(ctx context.Context, msg network.Message) (network.Sent, error) {
	l, err := c.current()
	if err != nil {
		return network.Sent{}, err
	}
	chat, err := jidOf(msg.ID.Conversation)
	if err != nil {
		return network.Sent{}, err
	}
	if err = young(msg.Content, time.Now()); err != nil {
		return network.Sent{}, err
	}
	out, err := writer{link: l, chat: chat}.message(ctx, msg)
	if err != nil {
		return network.Sent{}, fmt.Errorf("failed to spell a message: %w", failure(err))
	}
	sendCtx, end := withSending(ctx)
	defer end()
	answer, err := l.lib.SendMessage(sendCtx, chat, out, whatsmeow.SendRequestExtra{ID: msg.ID.ID, Timeout: answerWithin})
	if err != nil {
		return network.Sent{}, fmt.Errorf("failed to send to WhatsApp: %w", sendFailure(err))
	}
	return network.Sent{Time: answer.Timestamp}, nil
}

// young refuses changes of messages that are too old for the network.
func young(content network.Content, now time.Time) error {
	var sent time.Time
	window := editWindow
	switch content := content.(type) {
	case network.Edit:
		sent = content.Sent
	case network.Remove:
		sent, window = content.Sent, removeWindow
	}
	if !sent.IsZero() && now.Sub(sent) > window {
		return network.ErrTooLate
	}
	return nil
}

// sendFailure is failure for what sending alone can run into.
func sendFailure(err error) error {
	if errors.Is(err, whatsmeow.ErrServerReturnedError) {
		code := 0
		if digits := refusalCode.FindString(err.Error()); digits != "" {
			code, _ = strconv.Atoi(digits) // three digits always are a number
		}
		return fmt.Errorf("%w: %w", refusal(code), err)
	}
	known := failure(err)
	if noPerson.MatchString(err.Error()) {
		return fmt.Errorf("%w: %w", network.ErrUnknownPerson, err)
	}
	if known == err { //nolint:errorlint // unchanged means unknown
		// the library does not say whether the frame was out; sending again under the same id is harmless
		return fmt.Errorf("%w: %w", network.ErrOutcomeUnknown, err)
	}
	return known
}

var (
	refusalCode = regexp.MustCompile(`[0-9]{3}$`)
	noPerson    = regexp.MustCompile(`^no LID found for`)
)

// refusal is what a message's refusal by the server means.
func refusal(code int) error {
	switch code {
	case 401, 403:
		return network.ErrNotMember
	case 404:
		return network.ErrUnknownPerson
	case 413:
		return network.ErrTooLarge
	case 420, 429, 463, 475: // too many new conversations, among others
		return network.ErrRateLimited
	case 500, 503, 408:
		return network.ErrTemporary
	}
	return network.ErrRejected
}

// MarkRead tells the senders of messages that they were read, and the user's other devices.
func (c *Client) MarkRead(ctx context.Context, conversation network.Address, ids []network.MessageID, at time.Time) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	chat, err := jidOf(conversation)
	if err != nil {
		return err
	}
	bySender := map[network.Address][]types.MessageID{}
	var senders []network.Address
	for _, id := range ids {
		if id.Sender == c.Self() || id.Conversation != conversation {
			continue
		}
		if bySender[id.Sender] == nil {
			senders = append(senders, id.Sender)
		}
		bySender[id.Sender] = append(bySender[id.Sender], id.ID)
	}
	kind := types.ReceiptTypeRead
	if !c.cfg.ReadReceipts {
		kind = types.ReceiptTypeReadSelf
	}
	for _, sender := range senders {
		member, err := l.memberJID(ctx, chat, sender)
		if err != nil {
			return err
		}
		if err = l.lib.MarkRead(ctx, bySender[sender], at, chat, member, kind); err != nil {
			return fmt.Errorf("failed to send a read receipt: %w", failure(err))
		}
	}
	return nil
}

// SetTyping tells the conversation that the user began or stopped typing.
func (c *Client) SetTyping(ctx context.Context, conversation network.Address, typing bool) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	chat, err := jidOf(conversation)
	if err != nil {
		return err
	}
	state := types.ChatPresencePaused
	if typing {
		state = types.ChatPresenceComposing
	}
	if err = l.lib.SendChatPresence(ctx, chat, state, types.ChatPresenceMediaText); err != nil {
		return fmt.Errorf("failed to send typing: %w", failure(err))
	}
	return nil
}

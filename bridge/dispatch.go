package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/util/ptr"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/bridgev2/status"

	"causeway/delivery"
	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// typingShown is how long a room shows somebody typing without hearing of them again.
const typingShown = 25 * time.Second

// take takes everything that happens on the network. Nil means that it is on disk and will be
// in its room; an error leaves it with the network.
func (c *Client) take(ctx context.Context, e network.Event) error {
	c.heard()
	change, ok := e.(network.ConnectionEvent)
	if !ok {
		if waitsForPast(e) && c.linked() {
			aside, err := c.setAside(func() error { return c.connector.delivery.Inbox.StageLive(ctx, c.login.ID, e) })
			if aside || err != nil {
				return err
			}
		}
		err := c.connector.delivery.Inbox.Take(ctx, c.login.ID, e)
		if errors.Is(err, delivery.ErrInboxFull) || errors.Is(err, delivery.ErrDiskLow) {
			// once for each connection: this one ends, and the next comes after a pause
			zerolog.Ctx(ctx).Warn().Err(err).Msg("Leaving what comes with the network")
		}
		return err
	}
	c.stateChanged(change)
	if change.State == network.Refused && refusedState(change.Err) == status.StateBadCredentials && !c.linked() {
		c.connector.provider.Recheck()
	}
	if change.State == network.Connected {
		c.connector.delivery.Outbox.Wake(c.login.ID)
		c.connector.errands.Go(c.tellTerms)
		c.connector.delivery.Inbox.Wake(c.login.ID)
	}
	return nil
}

// handle brings an event to its room. Nil means that it is there: bridgev2 handles events before it
// returns, as [delivery.Install] has set its queues to. After an error it is tried again.
func (c *Client) handle(ctx context.Context, e network.Event) error {
	e, done, err := c.underOneName(ctx, e)
	if err != nil {
		return err
	}
	defer done()
	if c.isBlocked(conversationOf(e)) {
		return nil
	}
	switch e := e.(type) {
	case network.MessageEvent:
		if err := c.changeOpened(ctx, e.Message); err != nil {
			return err
		}
		return c.messageArrived(ctx, e)
	case network.ReceiptEvent:
		return c.receiptArrived(ctx, e)
	case network.TypingEvent:
		return c.typingArrived(ctx, e)
	case network.IdentityEvent:
		return c.identityChanged(ctx, e)
	default:
		return c.handleLinked(ctx, e)
	}
}

// conversationOf is the chat that an event belongs to, zero if it belongs to none.
func conversationOf(e network.Event) network.Address {
	switch e := e.(type) {
	case network.MessageEvent:
		return e.Message.ID.Conversation
	case network.ReceiptEvent:
		return e.Conversation
	case network.TypingEvent:
		return e.Conversation
	case network.CallEvent:
		return e.Conversation
	}
	return network.Address{}
}

// openForChange opens a room for writing that was closed, since its other side takes part again: a message opens it as it comes.
func (c *Client) openForChange(ctx context.Context, msg network.Message) error {
	if c.linked() || !isChange(msg.Content) || c.isOpen(msg.ID.Conversation) {
		return nil
	}
	return c.inRoom(ctx, msg.ID.Conversation, func(ctx context.Context, room *bridgev2.Portal) { c.setAccess(ctx, room, false) })
}

// messageArrived brings a message to its room: somebody's, or the user's own from another device of a linked account.
func (c *Client) messageArrived(ctx context.Context, e network.MessageEvent) error {
	msg := e.Message
	if !c.linked() && msg.ID.Sender != msg.ID.Conversation {
		// A direct chat has one other side. Anything else is a fault of the adapter or an attempt to speak for somebody.
		zerolog.Ctx(ctx).Error().Msg("Dropped a message whose sender is not the other side of its chat")
		return nil
	}
	if msg.ID.Sender != c.self {
		err := c.connector.learn(ctx, c.login, puppet.Profile{Address: msg.ID.Sender, Phone: e.SenderAlias, Name: e.SenderName})
		if err != nil {
			return err
		}
	}
	if err := c.openForChange(ctx, msg); err != nil {
		return err
	}
	switch content := msg.Content.(type) {
	case network.Reaction:
		return c.reactionArrived(ctx, msg, content)
	case network.Edit:
		return c.editArrived(ctx, msg, content)
	case network.Remove:
		return c.removalArrived(ctx, msg, content)
	case network.Vote:
		return c.voteArrived(ctx, msg, content)
	case network.Undecryptable:
		if content.Hidden {
			return nil
		}
	case network.Album:
		return nil // its pictures follow, each as a message of its own
	}
	meta := c.meta(ctx, bridgev2.RemoteEventMessageUpsert, msg.ID.Conversation, msg.ID.Sender)
	meta.CreatePortal = true
	meta.Timestamp = msg.Time
	if !c.linked() {
		c.keepProof(ctx, e)
		meta.PreHandleFunc = func(ctx context.Context, room *bridgev2.Portal) {
			c.announce(ctx, room)
			c.setAccess(ctx, room, false)
			c.tellRequest(ctx, room)
		}
		return c.show(meta, msg)
	}
	meta.PreHandleFunc = c.announce
	leave, err := c.takeTurn(ctx, msg)
	if err != nil {
		return err
	}
	defer leave()
	if err = c.show(meta, msg); err == nil && msg.ID.Sender != c.self {
		c.wantPicture(msg.ID.Sender)
	}
	return err
}

// show has a message converted and sent into its room, or put in the place of what stood for it.
func (c *Client) show(meta simplevent.EventMeta, msg network.Message) error {
	var failure error
	err := c.queue(&simplevent.Message[network.Message]{
		EventMeta: meta, Data: msg, ID: portal.MessageID(msg.ID), HandleExistingFunc: c.handleKnown(&failure),
		ConvertMessageFunc: func(
			ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, msg network.Message,
		) (*bridgev2.ConvertedMessage, error) {
			if msg.ReplyTo != nil {
				msg.ReplyTo = ptr.Ptr(metadataOf(room).Original(*msg.ReplyTo))
			}
			return c.convertQuietly(ctx, room, intent, msg, &failure)
		},
	})
	if failure != nil {
		return fmt.Errorf("failed to convert a message: %w", failure)
	}
	return err
}

// convertQuietly converts a message and keeps an error to itself, for the event's own result: bridgev2 would put it into
// the room, at each try.
func (c *Client) convertQuietly(
	ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, msg network.Message, failure *error,
) (converted *bridgev2.ConvertedMessage, err error) {
	converted, *failure = c.convertIncoming(ctx, room, intent, msg)
	if *failure != nil {
		return nil, bridgev2.ErrIgnoringRemoteEvent
	}
	return converted, nil
}

// changeOpened takes the placeholder out of the room that stood for a change while it could not be opened. A message takes
// its placeholder's place; a change is shown elsewhere.
func (c *Client) changeOpened(ctx context.Context, msg network.Message) error {
	if !isChange(msg.Content) {
		return nil
	}
	stood, err := c.connector.bridge.DB.Message.GetFirstPartByID(ctx, puppet.LoginID(c.self), portal.MessageID(msg.ID))
	if err != nil {
		return fmt.Errorf("%w: failed to look for a placeholder: %w", bridgev2.ErrDatabaseError, err)
	}
	if stood == nil || !portal.IsPlaceholder(stood) {
		return nil
	}
	return c.removalArrived(ctx, msg, network.Remove{Target: msg.ID})
}

// upserter says what to do with a message whose id is known.
type upserter = func(
	_ context.Context, _ *bridgev2.Portal, _ bridgev2.MatrixAPI, existing []*bridgedb.Message, msg network.Message,
) (bridgev2.UpsertResult, error)

// handleKnown handles a message whose id is known: a repetition, unless all that is in the room is a placeholder for it, or
// not all of its events are there. What goes wrong is put into failure.
func (c *Client) handleKnown(failure *error) upserter {
	return func(
		ctx context.Context, room *bridgev2.Portal, _ bridgev2.MatrixAPI, existing []*bridgedb.Message, msg network.Message,
	) (bridgev2.UpsertResult, error) {
		isReplaced := portal.IsPlaceholder(existing[0])
		if isStandIn(msg.Content) || !isReplaced && !portal.IsIncomplete(existing) {
			return bridgev2.UpsertResult{}, nil
		}
		meta := c.meta(ctx, bridgev2.RemoteEventEdit, msg.ID.Conversation, msg.ID.Sender)
		meta.Timestamp = msg.Time
		meta.Sender.ForceEditOrigSender = !isReplaced // what a former ghost began to send, it ends
		if isReplaced {
			if *failure = c.sayAnew(ctx, room, msg.ID); *failure != nil {
				return bridgev2.UpsertResult{}, nil
			}
		}
		return bridgev2.UpsertResult{SubEvents: []bridgev2.RemoteEvent{c.completion(meta, msg, failure)}}, nil
	}
}

// isChange says whether content changes what is in the room already.
func isChange(content network.Content) bool {
	switch content.(type) {
	case network.Reaction, network.Edit, network.Remove, network.Vote:
		return true
	}
	return false
}

// isStandIn says whether content would only be shown as a placeholder itself.
func isStandIn(content network.Content) bool {
	switch content.(type) {
	case network.Undecryptable, network.Unsupported:
		return true
	}
	return false
}

// completion turns what is in the room of a message into the message: a placeholder, or some of its events.
func (c *Client) completion(meta simplevent.EventMeta, msg network.Message, failure *error) bridgev2.RemoteEvent {
	return &simplevent.Message[network.Message]{
		EventMeta: meta, Data: msg, ID: portal.MessageID(msg.ID), TargetMessage: portal.MessageID(msg.ID),
		ConvertEditFunc: func(
			ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, existing []*bridgedb.Message, msg network.Message,
		) (*bridgev2.ConvertedEdit, error) {
			converted, err := c.convertQuietly(ctx, room, intent, msg, failure)
			if err != nil {
				return nil, err
			}
			if portal.IsPlaceholder(existing[0]) {
				return portal.ReplacePlaceholder(converted, existing), nil
			}
			return portal.Complete(converted, existing), nil
		},
	}
}

// hasRoom says whether a conversation has its room. bridgev2 looks at a room from outside of its order when it is given an
// event for it, which must not happen while the room is being made; receipts and typing, which keep no order, ask first.
func (c *Client) hasRoom(ctx context.Context, conversation network.Address) (bool, error) {
	room, err := c.connector.bridge.GetExistingPortalByKey(ctx, portal.Key(conversation, c.self))
	if err != nil {
		return false, fmt.Errorf("%w: failed to look for a room: %w", bridgev2.ErrDatabaseError, err)
	}
	return room != nil && room.RoomCreated.IsSet(), nil
}

func (c *Client) receiptArrived(ctx context.Context, e network.ReceiptEvent) error {
	if has, err := c.hasRoom(ctx, e.Conversation); !has {
		return err
	}
	targets := make([]networkid.MessageID, len(e.IDs))
	author := c.self
	if !e.Sender.IsZero() {
		author = e.Sender
	}
	for i, id := range e.IDs {
		targets[i] = portal.MessageID(network.MessageID{Conversation: e.Conversation, Sender: author, ID: id})
	}
	kind := bridgev2.RemoteEventReadReceipt
	if e.Kind == network.Delivered {
		kind = bridgev2.RemoteEventDeliveryReceipt
	}
	meta := c.meta(ctx, kind, e.Conversation, e.Reader)
	meta.Timestamp = e.Time
	if e.Kind == network.Delivered && !e.Conversation.IsGroup() {
		meta.PostHandleFunc = func(ctx context.Context, room *bridgev2.Portal) { c.showDelivery(ctx, room, targets) }
	}
	return c.queue(&simplevent.Receipt{EventMeta: meta, Targets: targets})
}

func (c *Client) typingArrived(ctx context.Context, e network.TypingEvent) error {
	if has, err := c.hasRoom(ctx, e.Conversation); !has {
		return err
	}
	typing := &simplevent.Typing{EventMeta: c.meta(ctx, bridgev2.RemoteEventTyping, e.Conversation, e.Sender)}
	if e.Typing {
		typing.Timeout = typingShown
	}
	return c.queue(typing)
}

func (c *Client) identityChanged(ctx context.Context, e network.IdentityEvent) error {
	return c.inRoom(ctx, e.Person, func(ctx context.Context, room *bridgev2.Portal) {
		name := c.connector.nameOf(ctx, e.Person)
		if c.setVerified(ctx, e.Person, "") {
			c.say(ctx, room, textVerifiedChanged(name))
			return
		}
		c.say(ctx, room, textIdentityChanged(name))
	})
}

// inRoom runs fn in the room's own order, if there is a room. It must not be
// called from a handler of the same room: that would wait for itself.
func (c *Client) inRoom(ctx context.Context, conversation network.Address, fn func(ctx context.Context, room *bridgev2.Portal)) error {
	meta := c.meta(ctx, bridgev2.RemoteEventUnknown, conversation, network.Address{})
	meta.PreHandleFunc = fn
	if err := c.queue(&meta); err != nil && !errors.Is(err, delivery.ErrIgnored) {
		return err
	}
	return nil
}

func (c *Client) meta(ctx context.Context, kind bridgev2.RemoteEventType, conversation, sender network.Address) simplevent.EventMeta {
	meta := simplevent.EventMeta{Type: kind, PortalKey: portal.Key(conversation, c.self), MutateContextFunc: delivery.Carry(ctx)}
	if !sender.IsZero() {
		meta.Sender = puppet.Sender(sender, c.self)
	}
	return meta
}

func (c *Client) queue(e bridgev2.RemoteEvent) error {
	if err := delivery.ResultError(c.login.QueueRemoteEvent(e)); err != nil {
		return fmt.Errorf("failed to bring a %s to its room: %w", e.GetType(), err)
	}
	return nil
}

func notices() portal.Notices {
	return portal.Notices{Unsupported: textUnsupportedContent, Undecryptable: textUndecryptable}
}

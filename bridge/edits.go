package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/event"

	"causeway/delivery"
	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// editArrived puts new content in place of a message's.
func (c *Client) editArrived(ctx context.Context, msg network.Message, edit network.Edit) error {
	var failure error
	meta := c.meta(ctx, bridgev2.RemoteEventEdit, msg.ID.Conversation, msg.ID.Sender)
	meta.Timestamp = msg.Time
	meta.PreHandleFunc = func(ctx context.Context, room *bridgev2.Portal) { failure = c.sayAnew(ctx, room, edit.Target) }
	err := c.queue(&simplevent.Message[network.Message]{
		EventMeta: meta, Data: msg, ID: portal.MessageID(msg.ID), TargetMessage: portal.MessageID(edit.Target),
		ConvertEditFunc: func(
			ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, existing []*bridgedb.Message, msg network.Message,
		) (converted *bridgev2.ConvertedEdit, err error) {
			if failure == nil {
				converted, failure = c.convertEdit(ctx, room, intent, existing, msg, edit)
			}
			if failure != nil {
				return nil, bridgev2.ErrIgnoringRemoteEvent
			}
			return converted, nil
		},
	})
	if failure != nil {
		return fmt.Errorf("failed to convert an edit: %w", failure)
	}
	return err
}

// convertEdit makes the new form of a message: its first part is replaced, and those that only the old form had go.
func (c *Client) convertEdit(
	ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, existing []*bridgedb.Message, msg network.Message, edit network.Edit,
) (*bridgev2.ConvertedEdit, error) {
	if c.linked() {
		return c.convertLinkedEdit(ctx, room, intent, existing, msg, edit)
	}
	msg.Content = edit.Content
	converted, err := c.convertIncoming(ctx, room, intent, msg)
	if err != nil {
		return nil, err
	}
	return portal.NewForm(converted, existing, msg.ID), nil
}

// removalArrived takes a message out of its room that was taken back.
func (c *Client) removalArrived(ctx context.Context, msg network.Message, removal network.Remove) error {
	target := removal.Target
	target.Conversation = msg.ID.Conversation
	return c.takeOut(ctx, target, msg.ID.Sender, msg.Time)
}

// takeOut takes a message out of its room. bridgev2 would forget it also where the homeserver could not be asked.
func (c *Client) takeOut(ctx context.Context, target network.MessageID, by network.Address, at time.Time) error {
	var failure error
	found := false
	meta := c.meta(ctx, bridgev2.RemoteEventUnknown, target.Conversation, by)
	meta.PreHandleFunc = func(ctx context.Context, room *bridgev2.Portal) {
		found, failure = c.redact(ctx, room, target, by, at)
	}
	err := c.queue(&meta)
	switch {
	case failure != nil:
		return fmt.Errorf("failed to take a message out of its room: %w", failure)
	case found && errors.Is(err, delivery.ErrIgnored):
		return nil // bridgev2 itself had nothing to do
	}
	return err
}

// redact redacts the events of a message in the name of who removes it, and then forgets it, unless it may still come. It says whether
// there was one.
func (c *Client) redact(
	ctx context.Context, room *bridgev2.Portal, target network.MessageID, by network.Address, at time.Time,
) (found bool, err error) {
	parts, err := room.Bridge.DB.Message.GetAllPartsByID(ctx, room.Receiver, portal.MessageID(target))
	if err != nil || len(parts) == 0 {
		return false, err
	}
	intent, ok := room.GetIntentFor(ctx, puppet.Sender(by, c.self), c.login, bridgev2.RemoteEventMessageRemove)
	if !ok {
		return true, bridgev2.ErrFailedToGetIntent
	}
	for i, part := range parts {
		redaction := &event.Content{Parsed: &event.RedactionEventContent{Redacts: part.MXID}}
		extra := &bridgev2.MatrixSendExtra{Timestamp: at, MessageMeta: part, PartIndex: i}
		_, err = intent.SendMessage(ctx, room.MXID, event.EventRedaction, redaction, extra)
		if errors.Is(err, mautrix.MForbidden) {
			// a linked account's user removes on their phone what their Matrix account has written
			_, err = room.Bridge.Bot.SendMessage(ctx, room.MXID, event.EventRedaction, redaction, extra)
		}
		if err != nil {
			return true, err
		}
	}
	if portal.TakeBack(parts[0]) {
		return true, room.Bridge.DB.Message.Update(ctx, parts[0])
	}
	return true, room.Bridge.DB.Message.DeleteAllParts(ctx, room.Receiver, parts[0].ID)
}

package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/types"

	"causeway/network"
)

// receiver turns what the connection brings into events of package network.
type receiver struct{ *Account }

var _ Receiver = receiver{}

// unknownKind is what stands in the place of content outside the schema.
const unknownKind = "message of an unknown kind"

// ReceiveMessage implements [Receiver]: what cannot be read is told as such, and refused.
func (r receiver) ReceiveMessage(ctx context.Context, in Incoming) error {
	peer, err := FromJID(r.service.Network, in.From)
	if err != nil {
		return fmt.Errorf("%w: sender: %w", ErrContent, err)
	}
	event := network.MessageEvent{
		Message: network.Message{
			ID:   network.MessageID{Conversation: peer, Sender: peer, ID: in.ID},
			Time: in.Time,
		},
		SenderName: in.Name,
	}
	if alias, err := FromJID(r.service.Network, in.Alias.ToNonAD()); err == nil && alias.Kind == network.KindPhone {
		event.SenderAlias = alias
	}
	var refused error
	if in.Undecryptable {
		event.Message.Content = network.Undecryptable{}
	} else {
		event.Message.Content, event.Message.ReplyTo, refused = r.service.Codec.Decode(in, r.login.Self, peer)
		if refused != nil {
			event.Message.Content = network.Unsupported{Type: unknownKind, Payload: in.Plaintext}
		}
		event.Message.Content = r.openable(event.Message.Content)
		if prover, ok := r.service.Codec.(Prover); ok && refused == nil {
			event.Proof = prover.Proof(in)
		}
	}
	if err = r.login.Handler(ctx, event); err != nil {
		return notContent(err)
	}
	return refused
}

var _ network.Rereader = (*Account)(nil)

// Reread implements [network.Rereader].
func (a *Account) Reread(_ context.Context, msg network.Message) network.Message {
	unread, ok := msg.Content.(network.Unsupported)
	if !ok || len(unread.Payload) == 0 {
		return msg
	}
	in := Incoming{ID: msg.ID.ID, Time: msg.Time, Plaintext: unread.Payload}
	content, replyTo, err := a.service.Codec.Decode(in, a.login.Self, msg.ID.Sender)
	if err == nil {
		msg.Content, msg.ReplyTo = a.openable(content), replyTo
	}
	return msg
}

var _ network.Asker = (*Account)(nil)

// Ready implements [network.Asker].
func (a *Account) Ready() error { return a.client.Ready() }

// AskAgain implements [network.Asker].
func (a *Account) AskAgain(ctx context.Context, id network.MessageID, came time.Time) error {
	from, err := a.peer(id.Conversation)
	if err != nil {
		return err
	}
	return a.client.AskAgain(ctx, from, id.ID, came)
}

// notContent keeps an error of the handler from being taken for a refusal of content.
func notContent(err error) error {
	if errors.Is(err, ErrContent) {
		return errors.New(err.Error())
	}
	return err
}

// ReceiveReceipt implements [Receiver].
func (r receiver) ReceiveReceipt(ctx context.Context, in IncomingReceipt) error {
	kind := network.Delivered
	if in.Read {
		kind = network.Read
	}
	return r.tell(ctx, in.From, func(peer network.Address) network.Event {
		return network.ReceiptEvent{Kind: kind, Conversation: peer, Reader: peer, IDs: in.IDs, Time: in.Time}
	})
}

// ReceiveTyping implements [Receiver].
func (r receiver) ReceiveTyping(ctx context.Context, from types.JID, typing bool) error {
	return r.tell(ctx, from, func(peer network.Address) network.Event {
		return network.TypingEvent{Conversation: peer, Sender: peer, Typing: typing}
	})
}

// ReceiveIdentity implements [Receiver].
func (r receiver) ReceiveIdentity(ctx context.Context, person types.JID) error {
	return r.tell(ctx, person, func(peer network.Address) network.Event {
		return network.IdentityEvent{Person: peer}
	})
}

// tell gives an event about a person to the handler, unless it is nobody whom a handler could know.
func (r receiver) tell(ctx context.Context, from types.JID, event func(network.Address) network.Event) error {
	peer, err := FromJID(r.service.Network, from)
	if err != nil {
		return nil
	}
	return r.login.Handler(ctx, event(peer))
}

// ReceiveConnection implements [Receiver].
func (r receiver) ReceiveConnection(ctx context.Context, event network.ConnectionEvent) error {
	return r.login.Handler(ctx, event)
}

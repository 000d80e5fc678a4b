package whatsapp

import (
	"context"
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow/types"

	"causeway/network"
	"causeway/wire"
)

// receiver turns what the wire brings into events of package network.
type receiver struct{ *Interop }

var _ wire.Receiver = receiver{}

// unknownKind is what stands in the place of content outside the schema.
const unknownKind = "message of an unknown kind"

func (r receiver) ReceiveMessage(ctx context.Context, in wire.Incoming) error {
	peer, err := fromJID(in.From)
	if err != nil {
		return fmt.Errorf("%w: sender: %w", wire.ErrContent, err)
	}
	event := network.MessageEvent{
		Message: network.Message{
			ID:   network.MessageID{Conversation: peer, Sender: peer, ID: in.ID},
			Time: in.Time,
		},
		SenderName: in.Name,
	}
	if alias, err := fromJID(in.Alias.ToNonAD()); err == nil && alias.Kind == network.KindPhone {
		event.SenderAlias = alias
	}
	var refused error
	if in.Undecryptable {
		event.Message.Content = network.Undecryptable{}
	} else {
		event.Message.Content, event.Message.ReplyTo, refused = decode(in.Plaintext, r.self, peer)
		if refused != nil {
			event.Message.Content = network.Unsupported{Type: unknownKind}
		}
		event.Message.Content = r.openable(event.Message.Content)
	}
	if err = r.handler(ctx, event); err != nil {
		return notContent(err)
	}
	return refused
}

// notContent keeps an error of the handler from being taken for a refusal of content.
func notContent(err error) error {
	if errors.Is(err, wire.ErrContent) {
		return errors.New(err.Error())
	}
	return err
}

func (r receiver) ReceiveReceipt(ctx context.Context, in wire.IncomingReceipt) error {
	peer, err := fromJID(in.From)
	if err != nil {
		return nil // nobody whom a handler could know
	}
	kind := network.Delivered
	if in.Read {
		kind = network.Read
	}
	return r.handler(ctx, network.ReceiptEvent{Kind: kind, Conversation: peer, Reader: peer, IDs: in.IDs, Time: in.Time})
}

func (r receiver) ReceiveTyping(ctx context.Context, from types.JID, typing bool) error {
	peer, err := fromJID(from)
	if err != nil {
		return nil // nobody whom a handler could know
	}
	return r.handler(ctx, network.TypingEvent{Conversation: peer, Sender: peer, Typing: typing})
}

func (r receiver) ReceiveIdentity(ctx context.Context, person types.JID) error {
	peer, err := fromJID(person)
	if err != nil {
		return nil // nobody whom a handler could know
	}
	return r.handler(ctx, network.IdentityEvent{Person: peer})
}

func (r receiver) ReceiveConnection(ctx context.Context, event network.ConnectionEvent) error {
	return r.handler(ctx, event)
}

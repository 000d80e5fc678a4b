package wire

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow/types"

	"causeway/network"
)

// ErrContent is what a [Receiver] answers to a message that it took for good, but
// whose content is outside what the network allows: the message is refused with
// code 491 instead of being confirmed (docs/protocol.md#nack).
var ErrContent = errors.New("content outside the schema")

// Receiver takes what arrives, one thing at a time and in order. Nil, or [ErrContent],
// means taken for good: only then is the stanza acknowledged. Any other error, or a
// panic, leaves it with the server and resets the connection, so that it comes again.
//
// The context of a message, and of an identity that it shows to be new, may be part of a [Store.Transaction]: what is
// written with it is there exactly if the ratchet has moved.
type Receiver interface {
	ReceiveMessage(ctx context.Context, message Incoming) error
	ReceiveReceipt(ctx context.Context, receipt IncomingReceipt) error
	ReceiveTyping(ctx context.Context, from types.JID, typing bool) error
	// ReceiveIdentity tells that a person's identity key is another one than before.
	ReceiveIdentity(ctx context.Context, person types.JID) error
	ReceiveConnection(ctx context.Context, event network.ConnectionEvent) error
}

// Incoming is a message as it came, decrypted.
type Incoming struct {
	From types.JID
	// Alias is the sender's phone number, empty if it did not come along.
	Alias types.JID
	Name  string
	ID    string
	Time  time.Time
	// Undecryptable says that there is no plaintext; it was asked for again.
	Undecryptable bool
	// Plaintext is the message, without the padding of version 2.
	Plaintext []byte
	// Franking is the tag that came beside the message, nil if none did.
	Franking []byte
}

// IncomingReceipt tells how far messages of ours got.
type IncomingReceipt struct {
	From types.JID
	IDs  []string
	Read bool
	Time time.Time
}

package network

import "time"

// Event is something that happened on a network: one of the types of this file.
type Event interface{ event() }

// MessageEvent is a message that arrived, or one that the login's user sent from another device: its sender is then [Client.Self].
type MessageEvent struct {
	Message Message
	// SenderAlias is another address of the same sender, such as the phone number of a LID; zero if unknown.
	SenderAlias Address
	// SenderName is the name that came with the message; mostly empty in third-party chats.
	SenderName string
	// Proof shows the network later that the sender sent just this, for reports. It is opaque, holds the message, and is
	// empty where the network has none.
	Proof []byte
}

// ReceiptKind tells how far a message got.
type ReceiptKind string

// The receipts. That a voice message was played counts as read.
const (
	Delivered ReceiptKind = "delivered"
	Read      ReceiptKind = "read"
)

// ReceiptEvent tells that a person's device has, or a person has read, messages of ours; or that the login's
// user has read messages on another device, then Reader is [Client.Self].
type ReceiptEvent struct {
	Kind         ReceiptKind
	Conversation Address
	// Reader is whose device or eyes it was.
	Reader Address
	// Sender is who sent the messages, zero if it was this login.
	Sender Address
	// IDs are the bare ids of the messages, all of one sender.
	IDs  []string
	Time time.Time
}

// TypingEvent tells that a person began or stopped typing.
type TypingEvent struct {
	Conversation Address
	Sender       Address
	Typing       bool
}

// IdentityEvent tells that a person's Signal identity key is another one than before.
type IdentityEvent struct {
	Person Address
}

// ConnectionState is how a login stands with its network.
type ConnectionState string

// The states of a login's connection (docs/protocol.md#connection).
const (
	// Connecting: no answer yet.
	Connecting ConnectionState = "connecting"
	// Connected: the network answers and messages flow.
	Connected ConnectionState = "connected"
	// Interrupted: the connection broke; the client reconnects by itself.
	Interrupted ConnectionState = "interrupted"
	// Resting: there is no connection, on purpose: it is made when the login's user is there. Err is nil unless something
	// else is wanted before.
	Resting ConnectionState = "resting"
	// Refused: the network turned the login away and trying again will not help
	// before Err is mended; the client does not reconnect by itself.
	Refused ConnectionState = "refused"
)

// ConnectionEvent tells a change of a login's connection.
type ConnectionEvent struct {
	State ConnectionState
	// Err says why, nil when State is Connected; a sentinel of this package is in its chain where one fits.
	Err error
}

func (MessageEvent) event()    {}
func (ReceiptEvent) event()    {}
func (TypingEvent) event()     {}
func (IdentityEvent) event()   {}
func (ConnectionEvent) event() {}

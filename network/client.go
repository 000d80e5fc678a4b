package network

import (
	"context"
	"io"
	"time"
)

// Handler takes an event. Nil means that it is taken for good and may be
// acknowledged to the network; an error leaves it with the network, which will
// send it again. Calls for one client never overlap and come in order of arrival.
//
// A message, and a new identity, are taken while the client holds its secrets, in the transaction that moves them on: the
// handler stores the event and neither calls the client nor waits for anybody who does.
type Handler func(ctx context.Context, event Event) error

// Client is one login on one network. The two networks and the two account
// kinds all implement it; what only some can do is an extra interface of this file.
type Client interface {
	// Self is the login's own address.
	Self() Address
	// Connect starts the connection and returns; how it fares comes as [ConnectionEvent].
	// After Interrupted the client reconnects by itself, after Refused it does not. An error
	// means that nothing was started: bad configuration, or keys that cannot be read.
	Connect(ctx context.Context) error
	// Disconnect closes the connection and waits until no handler runs any more.
	Disconnect()
	// Send delivers a message to the network and waits for its acknowledgement. The
	// caller chooses msg.ID.ID (see [Client.NewMessageID]); sending the same id again is
	// harmless. Errors wrap the sentinels of this package; [ErrOutcomeUnknown] means that the
	// same message must be sent again under the same id.
	Send(ctx context.Context, msg Message) (Sent, error)
	// NewMessageID is an id of the network's shape made from seed, the same for the same seed.
	NewMessageID(seed []byte) string
	// MarkRead tells the senders of messages that they were read, up to and including the newest of ids.
	MarkRead(ctx context.Context, conversation Address, ids []MessageID, at time.Time) error
	// SetTyping tells the conversation that the user began or stopped typing.
	SetTyping(ctx context.Context, conversation Address, typing bool) error
}

// Sent is the network's acknowledgement of a message.
type Sent struct {
	// Time is the server's time of the message.
	Time time.Time
}

// DeliveryTeller is a client whose delivery receipts can be withheld while the user has not accepted a chat.
type DeliveryTeller interface {
	// MarkDelivered tells the other side of a direct chat late that messages of theirs arrived.
	MarkDelivered(ctx context.Context, conversation Address, ids []MessageID) error
}

// Fingerprinter is a client that knows what two people compare to be sure of each other's keys.
type Fingerprinter interface {
	// SafetyNumber is 60 digits, the same for both sides (docs/protocol.md#keys). It wraps [ErrNoEncryption]
	// while the two have not written to each other.
	SafetyNumber(ctx context.Context, person Address) (string, error)
}

// Finder is a client that can look a person up by what users know of them.
type Finder interface {
	// Find resolves a phone number (E.164 with plus sign), or whatever identifier the network
	// uses. Errors wrap ErrBadIdentifier, ErrNotOptedIn, ErrUnknownPerson or ErrRateLimited.
	Find(ctx context.Context, identifier string) (Person, error)
}

// Waker is a client that can be told by other ways than its connection that something waits for it.
type Waker interface {
	// Wake connects at once if the client is waiting to, and otherwise has the connection show that it lives.
	Wake()
}

// Asker is a client that can ask for a message again whose content was lost on this side.
type Asker interface {
	// Ready says nothing while messages can be asked for, and [ErrNotConnected] otherwise.
	Ready() error
	// AskAgain asks the sender of a message that came at a time to send it again; it then comes like a new one. The error is
	// [ErrNotConnected] while nobody can be asked, and nil also if the message was asked for too often.
	AskAgain(ctx context.Context, id MessageID, came time.Time) error
}

// MediaSource is a client that opens files which came in earlier, from what was kept of them.
type MediaSource interface {
	// OpenMedia reads the plaintext of the file that a [Media.Reference] stands for, as [Media.Open] does.
	OpenMedia(ctx context.Context, reference []byte) (io.ReadCloser, error)
}

// Rereader is a client that reads messages again which an earlier version of the program could not read.
type Rereader interface {
	// Reread reads a message of [Unsupported] content from its Payload. What it still cannot read stays as it is. It needs no connection.
	Reread(ctx context.Context, msg Message) Message
}

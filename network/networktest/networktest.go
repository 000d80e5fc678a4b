// Package networktest is the suite that every network.Client must pass: what a
// login promises to the rest of the program, whichever network and kind of account
// it is.
//
// It knows no network and no simulator: a test of an adapter brings them as a
// [Harness].
package networktest

import (
	"context"
	"slices"
	"testing"

	"causeway/network"
)

// Harness is a network with people on it. Whatever it hands out is new, so that
// the parts of the suite do not meet.
type Harness interface {
	// Login makes an account whose client gives its events to handler. It is not connected yet.
	Login(t *testing.T, handler network.Handler) Login
	// Person is somebody who accepts chats with our logins; Stranger is on the network and does not.
	Person(t *testing.T) Person
	Stranger(t *testing.T) Person
	// Unknown is a well-formed identifier of nobody, Malformed one that nobody can have.
	Unknown() string
	Malformed() string
}

// Ordinary is a harness whose logins are accounts of the network's own: nobody has to opt in to them, so
// that there are no strangers, and they have no tokens. The parts of the suite about those are left out.
type Ordinary interface{ Ordinary() }

func ordinary(h Harness) bool {
	_, is := h.(Ordinary)
	return is
}

// Login is an account of ours.
type Login interface {
	Client() network.Client
	// Token makes the login's tokens good or bad from now on.
	Token(TokenState)
	// Drop ends the connection from the server's side.
	Drop()
}

// TokenState is what is wrong with a login's tokens.
type TokenState int

// The states of tokens.
const (
	GoodToken TokenState = iota
	ExpiredToken
	// ForeignToken is signed by a key that the network does not know.
	ForeignToken
)

// Person is somebody on the network, with their own device.
type Person interface {
	Address() network.Address
	// Identifier is what users find the person by.
	Identifier() string
	Say(to network.Address, text string) (id string, err error)
	Reply(to Heard, text string) (id string, err error)
	// Hears waits for the next message, which the person's device confirms by itself.
	Hears(ctx context.Context) (Heard, error)
	Read(id string) error
	Typing(to network.Address, typing bool) error
	// WaitReceipt and WaitTyping wait for what the login tells this person.
	WaitReceipt(ctx context.Context, id string, kind network.ReceiptKind) error
	WaitTyping(ctx context.Context, from network.Address, typing bool) error
	// OptOut turns chats with our logins off.
	OptOut() error
}

// Heard is a message as a person reads it. ReplyTo is the bare id of what it quotes, empty if nothing.
type Heard struct {
	From    network.Address
	ID      string
	Text    string
	ReplyTo string
	// Media, Reaction and Preview are nil unless the message has one; a file's caption stands in Media alone.
	Media    *network.Media
	Reaction *HeardReaction
	Preview  *network.LinkPreview
	// Edited is the bare id of a message that has Text as its new text, Removed of one that was taken back.
	Edited, Removed string
}

// HeardReaction is a reaction as a person sees it.
type HeardReaction struct {
	// To is the bare id of its target; Own says that whoever reacted also wrote the target.
	To    string
	Own   bool
	Emoji string
}

// Suite runs all parts. Each makes its own harness.
func Suite(t *testing.T, start func(t *testing.T) Harness) {
	thirdParty := []string{"not opted in", "opted out", "expired token", "refused token"}
	parts := []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"messages from a person", messagesFromPerson},
		{"messages to a person", messagesToPerson},
		{"replies", replies},
		{"media from a person", mediaFromPerson},
		{"media to a person", mediaToPerson},
		{"reactions", reactions},
		{"link previews", linkPreviews},
		{"edits and removals", editsAndRemovals},
		{"receipts of our messages", receiptsOfOurs},
		{"receipts of their messages", receiptsOfTheirs},
		{"typing", typing},
		{"the same id twice is one message", sameIDTwice},
		{"message ids", messageIDs},
		{"what the handler refuses comes again", handlerRefuses},
		{"what the handler panics on comes again", handlerPanics},
		{"connecting again after a drop", reconnects},
		{"messages wait while away", waitsWhileAway},
		{"no connection", noConnection},
		{"not opted in", notOptedIn},
		{"opted out", optedOut},
		{"finding people", findsPeople},
		{"expired token", expiredToken},
		{"refused token", refusedToken},
		{"load both ways", loadBothWays},
	}
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) {
			h := start(t)
			if ordinary(h) && slices.Contains(thirdParty, part.name) {
				t.Skip("third-party accounts alone have this")
			}
			part.run(t, h)
		})
	}
}

package network

import (
	"context"
	"time"
)

// HistoryEvent tells that the phone has handed over a piece of the past. Its content waits on the network for some
// days; [History.ReadHistory] fetches it.
type HistoryEvent struct {
	// ID tells the piece apart from others; it is the same when the network repeats it.
	ID string
	// Reference is what ReadHistory needs, in a later process too. It is opaque, and secret as it holds the piece's key.
	Reference []byte
	// Recent says that it belongs to what a new login gets first. Progress is how much has come with it, in percent, if known.
	Recent   bool
	Progress int
	Time     time.Time
}

// HistoryChat is a conversation of the past, or a part of one: a long one comes in several parts that follow each other.
type HistoryChat struct {
	Conversation Address
	// Alias is another address of the same person, zero if unknown.
	Alias Address
	// Name is the group's, or what the phone calls the person; empty if unknown.
	Name string
	// Messages are in the order of the piece: the newest first. Reactions, edits and votes come as
	// messages of their own after the message that they belong to.
	Messages []MessageEvent
	// The rest is how the conversation stands; it is the same in each part.
	Unread           int
	MarkedUnread     bool
	Pinned, Archived bool
	Mute             Mute
	Timer            time.Duration
	// Last is the time of the newest message, zero if unknown.
	Last time.Time
	// Gone says that the login has left the group.
	Gone bool
}

// History is a client whose phone hands over the past.
type History interface {
	// ReadHistory fetches a piece and yields its conversations as they are read, without holding the whole. What the piece
	// says of people, [Directory] knows before the first conversation is yielded. An error of yield ends it. Errors wrap [ErrMediaGone] if the piece has expired, [ErrTooLarge] if it is larger than allowed.
	ReadHistory(ctx context.Context, reference []byte, yield func(HistoryChat) error) error
	// ForgetHistory tells the network that a piece is no longer needed.
	ForgetHistory(ctx context.Context, reference []byte) error
}

func (HistoryEvent) event() {}

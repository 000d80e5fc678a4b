package network

import (
	"fmt"
	"strings"
	"time"
)

// MessageID names one message for good. Senders choose the bare id, so an id
// alone must never stand for a message: conversation and sender belong to it.
type MessageID struct {
	// Conversation is the chat; in a direct chat, the other person's canonical address.
	Conversation Address
	Sender       Address
	// ID is the sender's own, opaque to us and never empty.
	ID string
}

// String is the id as it is stored. [ParseMessageID] is its inverse.
func (m MessageID) String() string {
	return m.Conversation.String() + "/" + m.Sender.String() + "/" + m.ID
}

// ParseMessageID reads the text form that [MessageID.String] writes.
func ParseMessageID(text string) (MessageID, error) {
	parts := strings.SplitN(text, "/", 3)
	if len(parts) != 3 || parts[2] == "" {
		return MessageID{}, fmt.Errorf("message id %q: want conversation/sender/id", text)
	}
	conversation, err := ParseAddress(parts[0])
	if err != nil {
		return MessageID{}, fmt.Errorf("message id %q: %w", text, err)
	}
	sender, err := ParseAddress(parts[1])
	if err != nil {
		return MessageID{}, fmt.Errorf("message id %q: %w", text, err)
	}
	return MessageID{Conversation: conversation, Sender: sender, ID: parts[2]}, nil
}

// Message is something that a person said, on its way in or out.
type Message struct {
	ID MessageID
	// Time is when the network's server took the message; zero on the way out.
	Time    time.Time
	Content Content
	// ReplyTo is the quoted message, nil if there is none.
	ReplyTo *MessageID
}

// Content is what a message carries: one of the types of this file.
type Content interface{ content() }

// Text is plain text with the network's own markup characters left in it.
type Text struct{ Body string }

// Unsupported stands for content that was understood to exist but cannot be shown.
type Unsupported struct {
	// Type names the content in plain words, as a person would: "poll", "sticker", "message of an unknown kind".
	Type string
}

// Undecryptable stands for a message whose content could not be opened; a retry has been asked for.
type Undecryptable struct{}

func (Text) content()          {}
func (Unsupported) content()   {}
func (Undecryptable) content() {}

package network

import (
	"context"
	"fmt"
	"io"
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
	// Quote is how the quoted message's text begins, shown by devices that do not have it any more; empty if unknown. Only
	// on the way out; Messenger's third-party chats have no room for it.
	Quote string
	// Mentions are people whom the text or caption calls: each stands in it as "@" and the digits of Address.User. Of an
	// [Edit] they are those of the new content. Only groups have mentions.
	Mentions []Address
	// MentionsAll calls everybody in the group; the text has "@all" where it does.
	MentionsAll bool
	// Forwarded says that the sender passed on what somebody else had written.
	Forwarded bool
	// Expires is how long after its time the message disappears, zero if it stays.
	Expires time.Duration
}

// Content is what a message carries: one of the types of this file.
type Content interface{ content() }

// Text is plain text with the network's own markup characters left in it.
type Text struct {
	Body string
	// Preview describes a link of the text, nil if nothing does.
	Preview *LinkPreview
}

// LinkPreview describes a web page that a text links to.
type LinkPreview struct {
	// URL is the page; Matched is the link as it stands in the text.
	URL, Matched       string
	Title, Description string
	// Thumbnail is a small JPEG, empty if there is none.
	Thumbnail []byte
}

// MediaKind tells what a file is to the people who exchange it.
type MediaKind string

// The kinds of media (docs/protocol.md#subset).
const (
	Image MediaKind = "image"
	Video MediaKind = "video"
	// GIF is a video without sound that plays in a loop.
	GIF MediaKind = "gif"
	// VideoNote is a round video, recorded on the spot.
	VideoNote MediaKind = "video note"
	Audio     MediaKind = "audio"
	// Voice is a voice message, recorded on the spot.
	Voice    MediaKind = "voice message"
	Document MediaKind = "document"
	// Sticker is a small WebP picture without a caption, maybe animated.
	Sticker MediaKind = "sticker"
)

// Media is a file. Its bytes are a stream that is opened when they are needed.
type Media struct {
	Kind MediaKind
	// MIME is the declared type, parameters included ("audio/ogg; codecs=opus").
	MIME string
	// FileName is empty unless the network carries one.
	FileName string
	// Caption is text with the network's markup, empty if there is none.
	Caption string
	// Size counts the plaintext's bytes as declared, zero if unknown. Whoever reads counts for themselves.
	Size int64
	// Width and Height are pixels, zero if unknown or meaningless.
	Width, Height int
	Duration      time.Duration
	// Waveform is the loudness of a voice message over time, 0 to 100 each, at most 64 of them.
	Waveform []byte
	// Thumbnail is a small JPEG of at most 64 KiB, empty if there is none.
	Thumbnail []byte
	// Animated says that a sticker moves.
	Animated bool
	// ViewOnce says that the sender wants the file to be seen once only.
	ViewOnce bool
	// Album is the [Album] message that the picture or video belongs to, nil if it stands alone.
	Album *MessageID
	// Reference is all that [MediaSource] needs to open an incoming file again, in a later process too.
	// It is opaque, and secret as it holds the file's key. Nil on the way out.
	Reference []byte
	// Open starts reading the plaintext; it may be called again for another try. The last read
	// fails where hash or MAC do not fit. Errors wrap [ErrMediaGone] where asking again is in vain.
	Open func(ctx context.Context) (io.ReadCloser, error) `json:"-"`
}

// Reaction is an emoji on a message; a person has at most one on each.
type Reaction struct {
	Target MessageID
	// Emoji is empty when the reaction is taken back.
	Emoji string
}

// Undecryptable stands for a message whose content could not be opened; a retry has been asked for. The
// message itself, if it ever comes, has the same id.
type Undecryptable struct {
	// ViewOnce says that it is a file to be seen once, which the network gives to the phone only: no retry helps.
	ViewOnce bool
	// Hidden says that there is nothing to be seen of it: it changes another message. What it keeps is its place before later changes.
	Hidden bool
}

func (Text) content()          {}
func (Media) content()         {}
func (Reaction) content()      {}
func (Undecryptable) content() {}

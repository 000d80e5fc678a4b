package wire

import (
	"fmt"
	"math"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"google.golang.org/protobuf/proto"

	"causeway/network"
)

// This file is what the networks' contents share, in the direct chat of self and peer.

// LongestText is the largest text in bytes; phones cut longer ones (docs/protocol.md#subset).
const LongestText = 65536

// CheckText says why a text cannot be sent. The error wraps sentinels of package network.
func CheckText(body string) error {
	switch {
	case body == "":
		return fmt.Errorf("%w: empty text", network.ErrUnsupported)
	case len(body) > LongestText:
		return fmt.Errorf("%w: a text of %d bytes", network.ErrTooLarge, len(body))
	}
	return nil
}

// Count is a count of pixels or seconds as messages say it, absent when unknown.
func Count(n int) *uint32 {
	if n <= 0 || int64(n) > math.MaxUint32 {
		return nil
	}
	return proto.Uint32(uint32(n))
}

// Seconds is a length of time in begun seconds, absent when unknown.
func Seconds(d time.Duration) *uint32 { return Count(int((d + time.Second - 1) / time.Second)) }

// Clean makes a foreign text valid UTF-8.
func Clean(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// Quoted names the message that a reply quotes, nil if it names none. A direct chat has
// two people, so whoever is not self is the peer, in whatever form the phone names them.
func Quoted(id, participant string, self, peer network.Address) *network.MessageID {
	if id == "" || participant == "" {
		return nil
	}
	sender := peer
	if quoted, err := ParseTextJID(self.Network, participant); err == nil && quoted == self {
		sender = self
	}
	return &network.MessageID{Conversation: peer, Sender: sender, ID: Clean(id)}
}

// MessageKey names a message inside another one, from the sender's view.
func MessageKey(target network.MessageID) (*waCommon.MessageKey, error) {
	conversation, err := TextJID(target.Conversation)
	if err != nil {
		return nil, err
	}
	return &waCommon.MessageKey{
		RemoteJID: proto.String(conversation), // assumed: U12
		FromMe:    proto.Bool(target.Sender != target.Conversation),
		ID:        proto.String(target.ID),
	}, nil
}

// OwnMessageKey is [MessageKey] for a message that only its sender may change: whoever writes about it. Errors
// wrap [network.ErrUnsupported].
func OwnMessageKey(target, about network.MessageID) (*waCommon.MessageKey, error) {
	key, err := MessageKey(target)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the message to change: %w", network.ErrUnsupported, err)
	case target.ID == "" || target.Sender != about.Sender || target.Conversation != about.Conversation:
		return nil, fmt.Errorf("%w: the message to change is not the sender's own", network.ErrUnsupported)
	}
	return key, nil
}

// KeyedOwnMessage is the inverse of [OwnMessageKey], for what the peer wrote. Errors wrap [ErrContent].
func KeyedOwnMessage(key *waCommon.MessageKey, self, peer network.Address) (network.MessageID, error) {
	target, err := KeyedMessage(key, self, peer)
	if err == nil && target.Sender != peer {
		err = fmt.Errorf("%w: a change of somebody else's message", ErrContent)
	}
	return target, err
}

// KeyedMessage is the inverse of [MessageKey], for what the peer wrote. Errors wrap [ErrContent].
func KeyedMessage(key *waCommon.MessageKey, self, peer network.Address) (network.MessageID, error) {
	if key.GetID() == "" {
		return network.MessageID{}, fmt.Errorf("%w: a key without an id", ErrContent)
	}
	sender := self
	if key.GetFromMe() {
		sender = peer
	}
	return network.MessageID{Conversation: peer, Sender: sender, ID: Clean(key.GetID())}, nil
}

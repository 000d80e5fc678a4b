// Package portal is conversations as Matrix rooms: their keys, what a room says
// about itself, what can be done in it, and messages converted both ways.
//
// It converts and nothing else: it does no I/O and holds no state, and the words
// that people read are handed in by package bridge.
package portal

import (
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/puppet"
)

// Key is the portal of a login's conversation. Every login has rooms of its own,
// so that two users never share what they write to the same person.
func Key(conversation, login network.Address) networkid.PortalKey {
	return networkid.PortalKey{
		ID:       networkid.PortalID(conversation.String()),
		Receiver: puppet.LoginID(login),
	}
}

// Conversation is the other side of a portal, the inverse of [Key].
func Conversation(key networkid.PortalKey) (network.Address, error) {
	return network.ParseAddress(string(key.ID))
}

// MessageID is a message's id in bridgev2's tables.
func MessageID(id network.MessageID) networkid.MessageID {
	return networkid.MessageID(id.String())
}

// ParseMessageID is the inverse of [MessageID].
func ParseMessageID(id networkid.MessageID) (network.MessageID, error) {
	return network.ParseMessageID(string(id))
}

// Metadata is what we remember of a portal beside bridgev2's columns.
type Metadata struct {
	// Announced says that the first notice and the state event about decryption are in the room.
	Announced bool `json:"announced,omitempty"`
	// ViewOnly says that the network takes no messages for this conversation at the moment.
	ViewOnly bool `json:"view_only,omitempty"`
	// Request is how the message request stands that the chat began with, empty if the user began it.
	Request Request `json:"request,omitempty"`
	// Reactions says that the other side has sent one, and so knows them.
	Reactions bool `json:"reactions,omitempty"`
	// Corrections are the messages in which edits were sent lately, oldest first.
	Corrections *Corrections `json:"corrections,omitempty"`
	// Announce and Locked are the modes of a group, Left says that the login is not in it any more.
	Announce bool `json:"announce,omitempty"`
	Locked   bool `json:"locked,omitempty"`
	Left     bool `json:"left,omitempty"`
	// Pinned and Archived are how the user's other devices have the chat.
	Pinned   bool `json:"pinned,omitempty"`
	Archived bool `json:"archived,omitempty"`
	// Picture is the network's id of the group's picture.
	Picture string `json:"picture,omitempty"`
	// Invite is the newest invitation into a group that came in this chat.
	Invite *Invitation `json:"invitation,omitempty"`
}

// Request is how a message request stands.
type Request string

// The states of a request.
const (
	RequestOpen     Request = "open"
	RequestAccepted Request = "accepted"
	RequestDeclined Request = "declined"
)

// Reserved says whether the user has not agreed to the chat: the other side is told nothing of what they read or type.
func (m *Metadata) Reserved() bool {
	return m.Request == RequestOpen || m.Request == RequestDeclined
}

// MessageMetadata is what we remember of a bridged message.
type MessageMetadata struct {
	// Placeholder says that the message stands for content that could not be opened or shown yet.
	Placeholder bool `json:"placeholder,omitempty"`
	// TakenBack says that the sender took back what the placeholder stood for: it is not in the room any more, and is not to come.
	TakenBack bool `json:"taken_back,omitempty"`
	// Parts is how many events a message has that needs more than one.
	Parts int `json:"parts,omitempty"`
	// Ahead is the network's id of the message that took what a file has no room for; it goes when the file goes.
	Ahead string `json:"ahead,omitempty"`
	// Poll names the options of a poll that a Matrix user asked.
	Poll PollMetadata `json:"poll,omitempty"`
	// Invite is the group invitation that the message is.
	Invite *Invitation `json:"invite,omitempty"`
	// File is the file as it stands in the room, without its caption: an edit of that has to name the file again.
	File *event.MessageEventContent `json:"file,omitempty"`
}

// AheadOf is the message that was sent ahead of a bridged one, nil if none was.
func AheadOf(message *database.Message) *network.MessageID {
	metadata, ok := message.Metadata.(*MessageMetadata)
	if !ok || metadata.Ahead == "" {
		return nil
	}
	id, err := network.ParseMessageID(metadata.Ahead)
	if err != nil {
		return nil
	}
	return &id
}

// ReplyTarget is the network's id of a message that is replied to, nil unless it
// was bridged in this very portal: a reply must not carry a message from one room into another.
func ReplyTarget(target *database.Message, key networkid.PortalKey) *network.MessageID {
	if target == nil || target.Room != key {
		return nil
	}
	id, err := ParseMessageID(target.ID)
	if err != nil {
		return nil
	}
	return &id
}

package network

import "time"

// Edit replaces the content of an earlier message of the same sender. Time says when; the id is the edit's own.
type Edit struct {
	Target MessageID
	// Sent is when the target was sent, zero if unknown. A network that edits young messages only refuses others with [ErrTooLate].
	Sent time.Time
	// Content is the whole new content. Of a [Media] without Reference and Open only the caption is new.
	Content Content
}

// Remove takes a message back for everybody. In a group its sender may be an administrator, who is then not the target's sender.
type Remove struct {
	Target MessageID
	// Sent is when the target was sent, as of [Edit].
	Sent time.Time
}

// Album announces pictures and videos that belong together; they follow as messages of their own, each
// naming this one in [Media.Album]. The counts are what the sender means to send, at most.
type Album struct{ Images, Videos int }

// Location is a place on the map.
type Location struct {
	// Latitude and Longitude are degrees (WGS 84).
	Latitude, Longitude float64
	// Accuracy is the radius in metres within which the place is right, zero if unknown.
	Accuracy int
	// Name and Address describe the place, URL has more about it, Caption is what the sender says; each may be empty.
	Name, Address, URL, Caption string
	// Live says that it is the beginning of a shared live location, whose further points do not come here.
	Live bool
	// Thumbnail is a small JPEG of the map, empty if there is none.
	Thumbnail []byte
}

// Contacts are people's cards, one or several.
type Contacts struct{ Cards []Card }

// Card is a contact as a vCard.
type Card struct {
	// Name is what to call the contact; VCard the text in vCard format, version 3.
	Name, VCard string
}

// Poll asks a question. Votes come as [Vote], each with all that its voter chose.
type Poll struct {
	Question string
	// Options are the answers, 2 to 12, no two alike.
	Options []string
	// Choices is how many options a voter may choose, zero for any number.
	Choices int
	// Ends is when voting ends, zero if it does not.
	Ends time.Time
}

// Vote is somebody's vote on a poll, in place of any earlier one of theirs.
type Vote struct {
	Poll MessageID
	// Options are the chosen options, each as the SHA-256 of its text; none takes the vote back.
	Options [][]byte
}

// GroupInvite invites the reader into a group; see [Groups.AcceptInvite].
type GroupInvite struct {
	Group Address
	// Name is the group's; Caption what the sender says.
	Name, Caption string
	// Code is the invitation's secret.
	Code string
	// Expires is when the invitation ends, zero if it is not known.
	Expires time.Time
	// Thumbnail is a small JPEG of the group's picture, empty if there is none.
	Thumbnail []byte
}

// Unsupported stands for content that was understood to exist but cannot be shown.
type Unsupported struct {
	// Type names the content in plain words, as a person would: "poll", "sticker", "message of an unknown kind".
	Type string
	// Text is what can be read of it all the same, empty if nothing can: the words above buttons, an event's name.
	Text string
	// See says where it can be seen, as the end of "see it in …": "WhatsApp on your phone". Empty if nowhere.
	See string
	// Payload is the content as the network spells it, kept for a later version that can show it. It is not for the room.
	Payload []byte
}

func (Edit) content()        {}
func (Remove) content()      {}
func (Album) content()       {}
func (Location) content()    {}
func (Contacts) content()    {}
func (Poll) content()        {}
func (Vote) content()        {}
func (GroupInvite) content() {}
func (Unsupported) content() {}

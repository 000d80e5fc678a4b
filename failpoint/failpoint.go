// Package failpoint names the places where the program must survive its own
// death. Each point of delivery has a name here and a call to [Hit] in the code.
//
// It is for tests only: without the build tag "failpoint" a hit does nothing and
// costs nothing, so no release build can be made to fail from outside. With the
// tag a schedule from the environment or from a test decides what a hit does: end
// the process at once, fail, panic or wait.
package failpoint

import "errors"

// ErrInjected is what a point returns whose schedule says "error".
var ErrInjected = errors.New("failure injected at a failpoint")

// The points on the way from a network to Matrix.
const (
	// FrameRead: a message's stanza is off the socket, nothing is done with it yet.
	FrameRead = "R1"
	// OpenBefore: about to decrypt.
	OpenBefore = "R2"
	// OpenRatcheted: decrypted, and the ratchet's step is written in a transaction that is not committed.
	OpenRatcheted = "R3"
	// InboxBeforeCommit: the event is normalised, its row not committed.
	InboxBeforeCommit = "R4"
	// InboxCommitted: the row is committed, the network has no acknowledgement yet.
	InboxCommitted = "R5"
	// InboxAcked: the network has the acknowledgement.
	InboxAcked = "R6"
	// SendBefore: about to ask the homeserver.
	SendBefore = "R7"
	// SendCommitted: the homeserver has the event, its answer is not used yet.
	SendCommitted = "R8"
	// SendUsed: the event id is on its way to bridgev2, which has no row for it yet.
	SendUsed = "R9"
	// InboxBeforeDone: bridgev2 has its rows, ours is still open.
	InboxBeforeDone = "R10"
	// MediaToMatrix: some of a file is on its way to the homeserver, not all.
	MediaToMatrix = "R11"
	// RoomCreated: the homeserver has made the room, no row names it.
	RoomCreated = "R12"
	// RedactOrEdit: about to send a redaction or an edit.
	RedactOrEdit = "R13"
)

// The points on the way from Matrix to a network.
const (
	// FrontBeforeCommit: a transaction is read, nothing of it committed.
	FrontBeforeCommit = "M1"
	// FrontCommitted: all of the transaction is committed, the homeserver has no answer.
	FrontCommitted = "M2"
	// FrontAnswered: the homeserver has its 200.
	FrontAnswered = "M3"
	// FrontWaitingKeys: a Matrix event waits for its room key.
	FrontWaitingKeys = "M4"
	// OutboxWritten: the row that promises the message is committed.
	OutboxWritten = "M5"
	// OutboxBeforeSend: about to hand the message to the network's client.
	OutboxBeforeSend = "M6"
	// FrameWritten: the message's stanza is on the socket, its acknowledgement has not come.
	FrameWritten = "M7"
	// OutboxAcked: the network has acknowledged, our row does not say so yet.
	OutboxAcked = "M8"
	// OutboxBeforeMapping: the outbox row is written and bridgev2's message row is not, within the commit of both.
	OutboxBeforeMapping = "M9"
	// OutboxBeforeStatus: the outcome is recorded, the author has not been told.
	OutboxBeforeStatus = "M10"
	// MediaToNetwork: some of a file is with the media host, not all.
	MediaToNetwork = "M11"
)

// The points of being a provider.
const (
	// ConsentGiven: a user's yes is recorded, nothing is asked of the network yet.
	ConsentGiven = "P1"
	// TokenIssued: a token is signed, and nobody has it yet.
	TokenIssued = "P2"
	// PushStored: what the network calls about is stored, the call not answered.
	PushStored = "P3"
	// MediaStored: a file is on the media host, and its path not given out.
	MediaStored = "P4"
)

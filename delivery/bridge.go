package delivery

import (
	"context"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
)

// Bridge is what delivery asks of the bridge that it works for. Its methods are called from several goroutines.
type Bridge interface {
	// PortalKey names the room of a conversation.
	PortalKey(login networkid.UserLoginID, conversation network.Address) networkid.PortalKey
	// HandleRemote gives an event to its portal and waits until it is handled. The remote event that is
	// queued must have the MutateContextFunc that [Carry] makes of ctx, and its result is told by [ResultError]. The
	// error is [ErrNotReady] while the login is not loaded, and [ErrGone] when it does not exist any more.
	HandleRemote(ctx context.Context, login networkid.UserLoginID, event network.Event) error
	// Reread reads a message again that could not be read when it came; what still cannot be read stays as it is. The error
	// is [ErrNotReady] as above.
	Reread(ctx context.Context, login networkid.UserLoginID, msg network.Message) (network.Message, error)
	// Bridged says whether bridgev2 knows a message.
	Bridged(ctx context.Context, key networkid.PortalKey, message network.MessageID) (bool, error)
	// Client returns a login's client. The error is [ErrNotReady] or [ErrGone] as above.
	Client(ctx context.Context, login networkid.UserLoginID) (network.Client, error)
	// Code is the short name under which the journal remembers why a message was not sent: the same for the same reason in
	// each version of the program, and without anything of the message. [Recorded] brings it back.
	Code(err error) string
	// Report tells the author of a Matrix event how it fares. An error has it told again at the next start.
	Report(ctx context.Context, report Report) error
	// Lost says where the login's user reads it that an event could not be shown; why is one of the classes of
	// [database.Entry].
	Lost(ctx context.Context, login networkid.UserLoginID, event network.Event, why string)
	// Disk tells the operator that nothing more is taken in for want of space on the disk, or that it is taken in again.
	Disk(ctx context.Context, low bool, free uint64)
}

// Recorded is the reason of a failure as the journal remembers it: a code of [Bridge.Code].
type Recorded string

// Error implements error.
func (r Recorded) Error() string { return "recorded reason " + string(r) }

// ResultError is what bridgev2 says of a handled event as an error: nil if the event had its effect,
// [ErrIgnored] if bridgev2 passed it over.
func ResultError(result bridgev2.EventHandlingResult) error {
	switch {
	case result.Error != nil:
		return result.Error
	case !result.Success:
		return errNoReason
	case result.Queued && journaled:
		return errQueued
	case result.Ignored:
		return ErrIgnored
	}
	return nil
}

// Progress tells how far a message of a Matrix user has got.
type Progress string

// The steps that are reported. Sent and Failed are final.
const (
	// Delayed: not sent after [Timing.Delayed]; still trying.
	Delayed Progress = "delayed"
	// Sent: the network has acknowledged the message.
	Sent Progress = "sent"
	// Failed: the message will not be sent (any more). If it expired after an unknown outcome it may have arrived.
	Failed Progress = "failed"
)

// Report is how a message of a Matrix user fares.
type Report struct {
	Login       networkid.UserLoginID
	Room        id.RoomID
	Event       id.EventID
	Author      id.UserID
	EventType   event.Type
	MessageType event.MessageType
	Progress    Progress
	// Err is why, nil when sent. It wraps a sentinel of package network or of this one where one fits; after a restart it
	// is a [Recorded].
	Err error
	// MayHaveArrived: the message left us, and no answer ever came.
	MayHaveArrived bool
	// Time is the network's time of a sent message.
	Time time.Time
}

// StatusInfo is the report's event as bridgev2 wants it for a message status.
func (r Report) StatusInfo() *bridgev2.MessageStatusEventInfo {
	return &bridgev2.MessageStatusEventInfo{
		RoomID: r.Room, SourceEventID: r.Event, EventType: r.EventType, MessageType: r.MessageType, Sender: r.Author,
	}
}

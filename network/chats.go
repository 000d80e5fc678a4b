package network

import (
	"context"
	"time"
)

// Mute says how long a conversation is silent.
type Mute struct {
	// On says whether it is; Until is when that ends, zero if it does not.
	On    bool
	Until time.Time
}

// ChatEvent tells that the user has put a conversation in another state, on their phone or another device. What did not change is nil.
type ChatEvent struct {
	Conversation             Address
	Mute                     *Mute `json:",omitempty"`
	Pinned, Archived, Unread *bool `json:",omitempty"`
	// Timer is how long new messages of the direct chat stay, zero if they do not disappear. By is who set it. Of a group, [GroupEvent] has it.
	Timer *time.Duration `json:",omitempty"`
	By    Address
	// Deleted says that the user deleted the whole chat for themselves, Cleared only its messages.
	Deleted, Cleared bool `json:",omitempty"`
	// Message, if it is not nil, is the one message that the user deleted for themselves.
	Message *MessageID `json:",omitempty"`
	Time    time.Time
}

// ChatStates is a client whose user's devices share how conversations stand.
type ChatStates interface {
	MuteChat(ctx context.Context, conversation Address, mute Mute) error
	PinChat(ctx context.Context, conversation Address, pinned bool) error
	// ArchiveChat and MarkUnread want the newest message of the chat, zero if unknown, and its time.
	ArchiveChat(ctx context.Context, conversation Address, archived bool, newest MessageID, at time.Time) error
	MarkUnread(ctx context.Context, conversation Address, unread bool, newest MessageID, at time.Time) error
	// SetTimer sets how long new messages of a conversation, direct or group, stay: zero, 24 hours, 7 or 90 days.
	SetTimer(ctx context.Context, conversation Address, timer time.Duration) error
	// SyncChats asks the network for all states anew; they come as [ChatEvent] and [PersonEvent].
	SyncChats(ctx context.Context) error
}

// CallState is how a call stands.
type CallState string

// The states of a call. A call ends once as one of the last four.
const (
	CallRinging CallState = "ringing"
	// CallElsewhere: answered or declined on another device of the user.
	CallElsewhere CallState = "elsewhere"
	CallMissed    CallState = "missed"
	CallEnded     CallState = "ended"
	CallDeclined  CallState = "declined"
)

// CallEvent tells of a call, which only the phone can take.
type CallEvent struct {
	// Conversation is where the call belongs: the caller, or the group.
	Conversation Address
	// ID is the call's, the same for all its states.
	ID     string
	Caller Address
	Video  bool
	State  CallState
	Time   time.Time
}

// Calls is a client that can decline calls.
type Calls interface {
	DeclineCall(ctx context.Context, call CallEvent) error
}

// PhoneEvent tells whether the phone that the login is linked to still shows signs of life. The network ends
// the link when it has not for about 14 days.
type PhoneEvent struct {
	// Away says that the phone has been silent for longer than it should; false that it is back.
	Away bool
	// Seen is its last sign of life.
	Seen time.Time
}

// OmittedEvent tells of something that happened where no room is made for it: a status post, a channel.
type OmittedEvent struct {
	// What names it in plain words: "status post", "channel message".
	What string
	// Sender is whose it is, zero if that does not matter.
	Sender Address
	Time   time.Time
}

func (ChatEvent) event()    {}
func (CallEvent) event()    {}
func (PhoneEvent) event()   {}
func (OmittedEvent) event() {}

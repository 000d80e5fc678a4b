package delivery

import (
	"fmt"
	"strconv"
	"time"

	"causeway/network"
)

// The kinds of inbox rows. The kind is part of an event's identity, so that a message that opens
// after all is not taken for a repeat of its placeholder.
const (
	kindMessage       = "message"
	kindUndecryptable = "undecryptable"
	kindUnsupported   = "unsupported"
	kindReaction      = "reaction"
	kindEdit          = "edit"
	kindRemove        = "delete"
	kindVote          = "vote"
	kindIdentity      = "identity_change"
	kindGroup         = "group_change"
	kindPerson        = "person_change"
	kindChat          = "chat_state"
	kindCall          = "call_notice"
	kindPhone         = "phone"
	kindOmitted       = "omitted"
	kindHistory       = "history"
)

// name is what tells an event apart from others, and where it belongs.
type name struct {
	// conversation is the chat whose order the event keeps, zero if it belongs to no chat.
	conversation network.Address
	sender       network.Address
	id, kind     string
	// target is the message that the event changes, empty for all others.
	target string
	// time is the network's, zero if it says none.
	time time.Time
}

// nameOf names an event. Those that have no id of their own take the row's number: one notice more is better than one too few.
func nameOf(event network.Event, seq int64) (name, error) {
	number := strconv.FormatInt(seq, 10)
	switch e := event.(type) {
	case network.MessageEvent:
		id := e.Message.ID
		named := name{conversation: id.Conversation, sender: id.Sender, id: id.ID, kind: kindOf(e.Message.Content), time: e.Message.Time}
		if target, changes := targetOf(e.Message.Content); changes {
			named.target = targetName(target.Sender.String(), target.ID)
		}
		return named, nil
	case network.IdentityEvent:
		return name{conversation: e.Person, sender: e.Person, id: number, kind: kindIdentity}, nil
	case network.GroupEvent:
		return name{conversation: e.Group, sender: e.By, id: e.ID, kind: kindGroup, time: e.Time}, nil
	case network.PersonEvent:
		return name{conversation: e.Person, sender: e.Person, id: number, kind: kindPerson, time: e.Time}, nil
	case network.ChatEvent:
		return name{conversation: e.Conversation, id: number, kind: kindChat, time: e.Time}, nil
	case network.CallEvent:
		return name{conversation: e.Conversation, sender: e.Caller, id: e.ID + "/" + string(e.State), kind: kindCall, time: e.Time}, nil
	case network.PhoneEvent:
		return name{id: number, kind: kindPhone}, nil
	case network.OmittedEvent:
		return name{sender: e.Sender, id: number, kind: kindOmitted, time: e.Time}, nil
	case network.HistoryEvent:
		return name{id: e.ID, kind: kindHistory, time: e.Time}, nil
	}
	return name{}, fmt.Errorf("the inbox does not take %T", event)
}

func kindOf(content network.Content) string {
	switch content.(type) {
	case network.Undecryptable:
		return kindUndecryptable
	case network.Unsupported:
		return kindUnsupported
	case network.Reaction:
		return kindReaction
	case network.Edit:
		return kindEdit
	case network.Remove:
		return kindRemove
	case network.Vote:
		return kindVote
	default:
		return kindMessage
	}
}

// targetOf is the message that content changes, if it changes one.
func targetOf(content network.Content) (target network.MessageID, changes bool) {
	switch content := content.(type) {
	case network.Reaction:
		return content.Target, true
	case network.Edit:
		return content.Target, true
	case network.Remove:
		return content.Target, true
	case network.Vote:
		return content.Poll, true
	}
	return target, false
}

// targetName is how rows name the message that they change: by sender and id, as senders choose ids.
func targetName(sender, remoteID string) string { return sender + "/" + remoteID }

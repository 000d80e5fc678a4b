package client

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
)

const typingFor = 20 * time.Second

// Line is one message in a room.
type Line struct {
	ID     id.EventID
	Sender id.UserID
	// Notice says that it is an m.notice, as programs send them.
	Notice bool
	Body   string
	Time   time.Time
	// Content is all that the message says; of a sticker, its MsgType is event.CapMsgSticker.
	Content event.MessageEventContent
}

// Reaction is an emoji on a message.
type Reaction struct {
	Sender id.UserID
	On     id.EventID
	Key    string
}

// Event is anything that happened in a room's timeline, state aside.
type Event struct {
	ID      id.EventID
	Type    string
	Sender  id.UserID
	Time    time.Time
	Content json.RawMessage
}

// Room is a room as its user's client sees it.
type Room struct {
	ID id.RoomID

	client     *Client
	membership event.Membership
	state      map[stateKey]json.RawMessage
	lines      []Line
	reactions  map[id.EventID]Reaction
	redacted   map[id.EventID]bool
	events     map[id.EventID]bool
	timeline   []Event
	receipts   map[id.UserID][]id.EventID
	typing     []id.UserID
}

type stateKey struct{ kind, key string }

// Joined says whether the user is in the room, and not only invited.
func (r *Room) Joined() bool {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	return r.membership == event.MembershipJoin
}

// Lines are the room's messages in the server's order.
func (r *Room) Lines() []Line {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	return slices.Clone(r.lines)
}

// Reactions are those that stand in the room, by their own ids.
func (r *Room) Reactions() map[id.EventID]Reaction {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	return maps.Clone(r.reactions)
}

// Events are those of a type that stand in the timeline, in the server's order.
func (r *Room) Events(kind string) []Event {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	var found []Event
	for _, evt := range r.timeline {
		if evt.Type == kind && !r.redacted[evt.ID] {
			found = append(found, evt)
		}
	}
	return found
}

// Redacted says whether an event was taken out of the room.
func (r *Room) Redacted(eventID id.EventID) bool {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	return r.redacted[eventID]
}

// State reads a state event's content into content and says whether there is one.
func (r *Room) State(kind, key string, content any) bool {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	data, ok := r.state[stateKey{kind, key}]
	return ok && json.Unmarshal(data, content) == nil
}

// StateKeys are the keys of a kind of state, sorted.
func (r *Room) StateKeys(kind string) []string {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	var keys []string
	for at := range r.state {
		if at.kind == kind {
			keys = append(keys, at.key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Name is the room's explicit name, empty if it has none.
func (r *Room) Name() string {
	var content event.RoomNameEventContent
	r.State("m.room.name", "", &content)
	return content.Name
}

// Type is the room's type, "m.space" for a space.
func (r *Room) Type() string {
	var content event.CreateEventContent
	r.State("m.room.create", "", &content)
	return string(content.Type)
}

// Member is how somebody stands to the room, empty if they never had to do with it.
func (r *Room) Member(user id.UserID) event.Membership {
	var content event.MemberEventContent
	r.State("m.room.member", string(user), &content)
	return content.Membership
}

// MemberName is the name that somebody shows in the room.
func (r *Room) MemberName(user id.UserID) string {
	var content event.MemberEventContent
	r.State("m.room.member", string(user), &content)
	return content.Displayname
}

// MaySpeak says whether the room's power levels let the user send messages.
func (r *Room) MaySpeak() bool {
	var levels event.PowerLevelsEventContent
	if !r.State("m.room.power_levels", "", &levels) {
		return true
	}
	return levels.GetUserLevel(r.client.UserID()) >= levels.GetEventLevel(event.EventMessage)
}

// HasRead says whether a read receipt of the user stands on the event, or has stood there.
func (r *Room) HasRead(user id.UserID, eventID id.EventID) bool {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	return slices.Contains(r.receipts[user], eventID)
}

// IsTyping says whether somebody is typing.
func (r *Room) IsTyping(user id.UserID) bool {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	return slices.Contains(r.typing, user)
}

// WaitForLine waits for a message that fits and returns it.
func (r *Room) WaitForLine(ctx context.Context, what string, fits func(Line) bool) (Line, error) {
	var found Line
	err := r.client.Wait(ctx, fmt.Sprintf("%s in %s", what, r.ID), func() bool {
		lines := r.Lines()
		at := slices.IndexFunc(lines, fits)
		if at >= 0 {
			found = lines[at]
		}
		return at >= 0
	})
	return found, err
}

// Send sends a text message.
func (r *Room) Send(ctx context.Context, text string) (id.EventID, error) {
	answer, err := r.client.Matrix.SendText(ctx, r.ID, text)
	if err != nil {
		return "", fmt.Errorf("failed to send: %w", err)
	}
	return answer.EventID, nil
}

// Read sends a read receipt.
func (r *Room) Read(ctx context.Context, eventID id.EventID) error {
	if err := r.client.Matrix.SendReceipt(ctx, r.ID, eventID, event.ReceiptTypeRead, struct{}{}); err != nil {
		return fmt.Errorf("failed to send a read receipt: %w", err)
	}
	return nil
}

// SetTyping starts or stops typing.
func (r *Room) SetTyping(ctx context.Context, typing bool) error {
	if _, err := r.client.Matrix.UserTyping(ctx, r.ID, typing, typingFor); err != nil {
		return fmt.Errorf("failed to show typing: %w", err)
	}
	return nil
}

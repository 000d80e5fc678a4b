package client

import (
	"encoding/json"
	"fmt"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
)

// take remembers one /sync answer and wakes whoever waits.
func (c *Client) take(news *mautrix.RespSync) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for roomID, invited := range news.Rooms.Invite {
		room := c.room(roomID)
		room.setMembership(event.MembershipInvite)
		room.takeAll(invited.State.Events)
	}
	for roomID, joined := range news.Rooms.Join {
		room := c.room(roomID)
		room.setMembership(event.MembershipJoin)
		room.takeAll(joined.State.Events)
		room.takeAll(joined.Timeline.Events)
		room.takeAll(joined.Ephemeral.Events)
	}
	for roomID, left := range news.Rooms.Leave {
		room := c.room(roomID)
		room.takeAll(left.Timeline.Events)
		room.setMembership(event.MembershipLeave)
	}
	c.wake()
}

// wake wakes whoever waits. The client is locked.
func (c *Client) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Client) room(roomID id.RoomID) *Room {
	if room := c.rooms[roomID]; room != nil {
		return room
	}
	room := &Room{
		ID: roomID, client: c,
		state: map[stateKey]json.RawMessage{}, events: map[id.EventID]bool{}, receipts: map[id.UserID][]id.EventID{},
		reactions: map[id.EventID]Reaction{}, redacted: map[id.EventID]bool{},
	}
	c.rooms[roomID] = room
	c.order = append(c.order, roomID)
	return room
}

func (r *Room) setMembership(membership event.Membership) {
	if r.membership != membership {
		r.note("own membership: %s", membership)
	}
	r.membership = membership
}

func (r *Room) takeAll(events []*event.Event) {
	for _, evt := range events {
		if evt.ID != "" && r.events[evt.ID] {
			continue
		}
		if evt.ID != "" {
			r.events[evt.ID] = true
		}
		r.takeOne(evt)
	}
}

func (r *Room) takeOne(evt *event.Event) {
	content := evt.Content.VeryRaw
	if evt.StateKey == nil && evt.ID != "" {
		r.timeline = append(r.timeline, Event{
			ID: evt.ID, Type: evt.Type.Type, Sender: evt.Sender, Time: time.UnixMilli(evt.Timestamp), Content: content,
		})
	}
	switch {
	case evt.StateKey != nil:
		r.state[stateKey{evt.Type.Type, *evt.StateKey}] = content
		r.note("state %s %q by %s: %s", evt.Type.Type, *evt.StateKey, evt.Sender, content)
	case evt.Type.Type == "m.room.message", evt.Type.Type == "m.sticker":
		var message event.MessageEventContent
		_ = json.Unmarshal(content, &message) // a message without a body is an empty line
		if evt.Type.Type == "m.sticker" {
			message.MsgType = event.CapMsgSticker
		}
		r.lines = append(r.lines, Line{
			ID: evt.ID, Sender: evt.Sender, Notice: message.MsgType == event.MsgNotice,
			Body: message.Body, Time: time.UnixMilli(evt.Timestamp), Content: message,
		})
		r.note("%s %s %s: %s", message.MsgType, evt.ID, evt.Sender, message.Body)
	case evt.Type.Type == "m.reaction":
		var reaction event.ReactionEventContent
		_ = json.Unmarshal(content, &reaction) // a reaction to nothing then
		r.reactions[evt.ID] = Reaction{Sender: evt.Sender, On: reaction.RelatesTo.EventID, Key: reaction.RelatesTo.Key}
		r.note("reaction %s by %s to %s: %s", evt.ID, evt.Sender, reaction.RelatesTo.EventID, reaction.RelatesTo.Key)
	case evt.Type.Type == "m.room.redaction":
		var redaction event.RedactionEventContent
		_ = json.Unmarshal(content, &redaction) // old rooms name the event outside of the content
		if redaction.Redacts == "" {
			redaction.Redacts = evt.Redacts
		}
		delete(r.reactions, redaction.Redacts)
		r.redacted[redaction.Redacts] = true
		r.note("redaction by %s of %s", evt.Sender, redaction.Redacts)
	case evt.Type.Type == "m.receipt":
		r.takeReceipts(content)
	case evt.Type.Type == "m.typing":
		var typing struct {
			Users []id.UserID `json:"user_ids"`
		}
		_ = json.Unmarshal(content, &typing) // nobody types then
		r.typing = typing.Users
		r.note("typing: %v", typing.Users)
	default:
		r.note("%s by %s: %s", evt.Type.Type, evt.Sender, content)
	}
}

func (r *Room) takeReceipts(content json.RawMessage) {
	var receipts map[id.EventID]map[string]map[id.UserID]json.RawMessage
	if json.Unmarshal(content, &receipts) != nil {
		return
	}
	for eventID, kinds := range receipts {
		for user := range kinds["m.read"] {
			r.receipts[user] = append(r.receipts[user], eventID)
			r.note("read up to %s by %s", eventID, user)
		}
	}
}

// note adds a line to the transcript that a failing test prints.
func (r *Room) note(format string, args ...any) {
	r.client.seen = append(r.client.seen, fmt.Sprintf("%s %s ", time.Now().Format("15:04:05.000"), r.ID)+fmt.Sprintf(format, args...))
}

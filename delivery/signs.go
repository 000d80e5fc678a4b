package delivery

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"maunium.net/go/mautrix/appservice"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
)

// noteSigns tells who has shown in a transaction that they are there: by something that they wrote, by typing, by
// reading, or by their presence. State says nothing, since others, and the bridge itself, have users join rooms.
func (f *front) noteSigns(txn transactionBody) {
	if f.d.options.Active == nil {
		return
	}
	var there []id.UserID
	for _, raw := range txn.Events {
		there = append(there, author(raw, f.d.now())...)
	}
	for _, raw := range slices.Concat(txn.Ephemeral, txn.OldEphemeral) {
		there = append(there, watchers(raw)...)
	}
	slices.Sort(there)
	for _, user := range slices.Compact(there) {
		if !f.ours(user) {
			f.d.options.Active(user)
		}
	}
}

// freshSign is how old an event may be that shows somebody to be there: what a homeserver has kept while we were away shows
// nothing. It leaves room for clocks that differ.
const freshSign = 2 * time.Minute

// author is who wrote an event, nobody if it is old, or state, or the bridge wrote it for them.
func author(raw json.RawMessage, now time.Time) []id.UserID {
	var head struct {
		Sender   id.UserID                  `json:"sender"`
		StateKey *string                    `json:"state_key"`
		Content  map[string]json.RawMessage `json:"content"`
		SentAt   int64                      `json:"origin_server_ts"`
	}
	if json.Unmarshal(raw, &head) != nil || head.Sender == "" || head.StateKey != nil || head.Content[appservice.DoublePuppetKey] != nil {
		return nil
	}
	if head.SentAt != 0 && now.Sub(fromMillis(head.SentAt)) > freshSign {
		return nil
	}
	return []id.UserID{head.Sender}
}

// watchers are the users whom an ephemeral event shows.
func watchers(raw json.RawMessage) (there []id.UserID) {
	var head struct {
		Type    string          `json:"type"`
		Sender  id.UserID       `json:"sender"`
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(raw, &head) != nil {
		return nil
	}
	switch head.Type {
	case event.EphemeralEventTyping.Type:
		var content event.TypingEventContent
		_ = json.Unmarshal(head.Content, &content)
		return content.UserIDs
	case event.EphemeralEventPresence.Type:
		var content event.PresenceEventContent
		if json.Unmarshal(head.Content, &content) == nil && (content.Presence == event.PresenceOnline || content.CurrentlyActive) {
			return []id.UserID{head.Sender}
		}
	case event.EphemeralEventReceipt.Type:
		var content map[id.EventID]map[string]map[id.UserID]map[string]json.RawMessage
		_ = json.Unmarshal(head.Content, &content)
		for _, kinds := range content {
			for kind, readers := range kinds {
				for reader, about := range readers {
					if strings.HasPrefix(kind, string(event.ReceiptTypeRead)) && about[appservice.DoublePuppetKey] == nil {
						there = append(there, reader)
					}
				}
			}
		}
	}
	return there
}

// Fetch reads an event from the homeserver again, as the bot sees it.
func (m *Matrix) Fetch(ctx context.Context, room id.RoomID, eventID id.EventID) (json.RawMessage, error) {
	var raw json.RawMessage
	path := m.Bot.BuildClientURL("v3", "rooms", room, "event", eventID)
	_, err := m.Bot.MakeRequest(ctx, http.MethodGet, path, nil, &raw)
	return raw, err
}

package delivery

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
)

// A network's event may have several effects of one kind. When it is tried again some of them are done and bridgev2 does not
// ask for them any more; those that are left must not be taken for them.
func TestEffectsThatAreLeftAreNotTakenForThoseThatAreDone(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		port := freePort(t)
		hs := newHomeserver(t, port)
		p := startProgram(t, on, hs, port, newClient())
		take(t, &process{Delivery: p.Delivery}, text(anna, "A", "one"), text(anna, "B", "two"))
		room := id.RoomID(onlyRoomShows(t, hs, "one", "two"))
		events := map[string]id.EventID{}
		for _, evt := range hs.Timeline(string(room)) {
			if evt.Type == "m.room.message" {
				var content struct{ Body string }
				require.NoError(t, json.Unmarshal(evt.Content, &content))
				events[content.Body] = id.EventID(evt.ID)
			}
		}
		ghost := p.matrix.GhostIntent(networkid.UserID(anna.String()))
		redaction := func(body string) *event.Content {
			return &event.Content{Parsed: &event.RedactionEventContent{Redacts: events[body]}}
		}
		notice := func(body string) *event.Content {
			return &event.Content{Parsed: &event.MessageEventContent{MsgType: event.MsgNotice, Body: body}}
		}
		part := func(name networkid.PartID) *bridgev2.MatrixSendExtra {
			return &bridgev2.MatrixSendExtra{MessageMeta: &bridgedb.Message{PartID: name}}
		}
		tries := 0
		// try is one try of one event, by a process that knows of earlier ones only what it reads in the room.
		try := func(kind event.Type, content *event.Content, extra *bridgev2.MatrixSendExtra) id.EventID {
			tries++
			found, err := scanRoom(t.Context(), p.matrix.Bot, room, p.secret.markerKey(), time.Now().Add(-time.Hour))
			require.NoError(t, err)
			carried := &carriage{
				identity: identity{chat: "chat", sender: "anna", remoteID: "C", kind: "reaction"},
				find:     func(marker string) (id.EventID, bool) { event, ok := found[marker]; return event, ok },
				remember: func(string, id.EventID) {},
			}
			resp, err := ghost.SendMessage(withCarriage(t.Context(), carried), room, kind, content, extra)
			require.NoError(t, err)
			return resp.EventID
		}
		sent := map[id.EventID]bool{}
		for _, effect := range []struct {
			kind    event.Type
			content *event.Content
			extra   *bridgev2.MatrixSendExtra
		}{
			{event.EventRedaction, redaction("one"), nil}, {event.EventRedaction, redaction("two"), nil},
			{event.EventMessage, notice("somebody new"), nil}, {event.EventMessage, notice("is open again"), nil},
			{event.EventMessage, notice("the beginning"), part("")}, {event.EventMessage, notice("the rest"), part("1")},
		} {
			first := try(effect.kind, effect.content, effect.extra)
			require.False(t, sent[first], "it was taken for another")
			sent[first] = true
			require.Equal(t, first, try(effect.kind, effect.content, effect.extra), "it was done twice")
		}
		require.Equal(t, 12, tries)
		for _, evt := range hs.Timeline(string(room)) {
			if id.EventID(evt.ID) == events["one"] || id.EventID(evt.ID) == events["two"] {
				require.NotEmpty(t, evt.RedactedBy)
			}
		}
	})
}

package delivery

import (
	"context"
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/simulator/homeserver"
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

// bridgev2 goes on where the old reaction could not be taken back, and would never try that again.
func TestATryEndsWithItsFirstFailure(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		port := freePort(t)
		hs := newHomeserver(t, port)
		p := startProgram(t, on, hs, port, newClient())
		take(t, &process{Delivery: p.Delivery}, text(anna, "A", "one"))
		room := id.RoomID(onlyRoomShows(t, hs, "one"))
		ghost := p.matrix.GhostIntent(networkid.UserID(anna.String()))
		redaction := &event.Content{Parsed: &event.RedactionEventContent{Redacts: "$old"}}
		notice := &event.Content{Parsed: &event.MessageEventContent{MsgType: event.MsgNotice, Body: "hello"}}
		reaction := &event.Content{Parsed: &event.ReactionEventContent{RelatesTo: event.RelatesTo{Type: event.RelAnnotation, EventID: "$new", Key: "👍"}}}
		send := func(ctx context.Context, kind event.Type, content *event.Content) error {
			_, err := ghost.SendMessage(ctx, room, kind, content, nil)
			return err
		}
		begin := func() context.Context {
			return withCarriage(t.Context(), &carriage{
				find: func(string) (id.EventID, bool) { return "", false }, remember: func(string, id.EventID) {},
			})
		}
		fails := func(kind homeserver.Kind) {
			hs.Fault(homeserver.Fault{Kind: kind, Path: regexp.MustCompile("/(send|redact)/"), Count: 1})
		}
		try := begin()
		fails(homeserver.Status500)
		failure := send(try, event.EventRedaction, redaction)
		require.Error(t, failure)
		require.Equal(t, failure, send(try, event.EventReaction, reaction), "its redaction is still to come")
		for _, evt := range hs.Timeline(string(room)) {
			require.NotEqual(t, "m.reaction", evt.Type)
		}
		try = begin()
		fails(homeserver.NotFound)
		require.Error(t, send(try, event.EventRedaction, redaction))
		require.NoError(t, send(try, event.EventReaction, reaction), "what is refused will always be")
		try = begin()
		fails(homeserver.NotFound)
		beginning := &event.Content{Parsed: &event.MessageEventContent{MsgType: event.MsgText, Body: "beginning"}}
		_, err := ghost.SendMessage(try, room, event.EventMessage, beginning, &bridgev2.MatrixSendExtra{MessageMeta: &bridgedb.Message{ID: "A"}})
		require.Error(t, err)
		require.Error(t, send(try, event.EventReaction, reaction), "the rest of a message stands after its beginning")
		try = begin()
		fails(homeserver.Status500)
		require.Error(t, send(try, event.EventMessage, notice))
		require.NoError(t, send(try, event.EventReaction, reaction), "a notice of ours stops nothing")
	})
}

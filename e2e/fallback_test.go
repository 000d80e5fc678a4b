package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/simulator/meta"
)

// Reactions come, change and go on both sides; they are sent to those who have shown that they know them.
func TestReactions(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000051", "Anna").OptedIn()
	room := alice.StartChat(anna)
	said := room.Says("shall we meet?")
	heard := anna.HearsText(alice, "shall we meet?")
	anna.Says(alice, "yes, at noon")
	noon := room.WaitForMessage(anna, "yes, at noon")

	room.reacts(noon.ID, "👍")
	room.WaitForNotice("not sent in this chat", "CW-1305")

	for _, emoji := range []string{"👍", "❤️"} {
		_, err := anna.React(heard, emoji)
		require.NoError(t, err)
		room.waitFor("the reaction "+emoji, func() bool { return room.stands(anna, said, emoji) && len(room.of(anna)) == 1 })
	}
	_, err := anna.React(heard, "")
	require.NoError(t, err)
	room.waitFor("no reaction", func() bool { return len(room.of(anna)) == 0 })

	own := room.reacts(noon.ID, "🎉")
	require.Equal(t, "🎉", anna.hearsReaction().Emoji)
	changed := room.reacts(noon.ID, "😂")
	require.Equal(t, "😂", anna.hearsReaction().Emoji)
	room.waitFor("the first reaction to go", func() bool { _, there := room.Reactions()[own]; return !there })
	_, err = alice.client.Matrix.RedactEvent(w.soon(), room.ID, changed)
	require.NoError(t, err)
	reaction := anna.hearsReaction()
	require.Empty(t, reaction.Emoji)
	require.NotEmpty(t, reaction.TargetID)
}

func (r *room) reacts(to id.EventID, emoji string) id.EventID {
	return r.sends(event.EventReaction, &event.ReactionEventContent{
		RelatesTo: event.RelatesTo{Type: event.RelAnnotation, EventID: to, Key: emoji},
	})
}

// of are the reactions of a person.
func (r *room) of(p *person) []client.Reaction {
	var own []client.Reaction
	for _, reaction := range r.Reactions() {
		if p.is(reaction.Sender) {
			own = append(own, reaction)
		}
	}
	return own
}

func (r *room) stands(p *person, on id.EventID, emoji string) bool {
	for _, reaction := range r.of(p) {
		if reaction.On == on && strings.TrimSuffix(reaction.Key, "\ufe0f") == strings.TrimSuffix(emoji, "\ufe0f") {
			return true
		}
	}
	return false
}

func (p *person) hearsReaction() *meta.HeardReaction {
	p.world.t.Helper()
	heard := p.hearsNext()
	require.NotNil(p.world.t, heard.Reaction, "%s heard %s %q", p.name, heard.Kind, heard.Text)
	return heard.Reaction
}

// What third-party chats do not know arrives in another form, or the room says why not.
func TestFallbacks(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000052", "Anna").OptedIn()
	room := alice.StartChat(anna)

	said := room.Says("at noom")
	original := anna.HearsText(alice, "at noom")
	edit := &event.MessageEventContent{MsgType: event.MsgText, Body: "at noon"}
	edit.SetEdit(said)
	room.sends(event.EventMessage, edit)
	correction := anna.HearsText(alice, "✏️ Correction: at noon")
	require.Equal(t, original.ID, correction.ReplyTo)

	_, err := alice.client.Matrix.RedactEvent(w.soon(), room.ID, said)
	require.NoError(t, err)
	room.WaitForNotice("keeps their copy")

	room.sends(event.EventMessage, &event.MessageEventContent{MsgType: event.MsgLocation, Body: "The pier", GeoURI: "geo:52.5,13.25"})
	anna.HearsText(alice, "📍 The pier\nhttps://www.openstreetmap.org/?mlat=52.5&mlon=13.25#map=16/52.5/13.25")

	poll := room.sends(event.EventUnstablePollStart, map[string]any{"org.matrix.msc3381.poll.start": map[string]any{
		"kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 1,
		"question": map[string]any{"org.matrix.msc1767.text": "When?"},
		"answers": []any{
			map[string]any{"id": "a", "org.matrix.msc1767.text": "Monday"},
			map[string]any{"id": "b", "org.matrix.msc1767.text": "Tuesday"},
		},
	}})
	anna.HearsText(alice, "📊 *When?*\n1. Monday\n2. Tuesday\n(Answer with the number of your choice.)")
	room.sends(event.EventUnstablePollResponse, map[string]any{
		"m.relates_to":                     map[string]any{"rel_type": "m.reference", "event_id": poll},
		"org.matrix.msc3381.poll.response": map[string]any{"answers": []string{"a"}},
	})
	room.WaitForNotice("Votes are not sent", "CW-1310")

	room.sends(event.EventMessage, map[string]any{"msgtype": "org.example.hologram", "body": "a hologram"})
	room.WaitForNotice("cannot carry this", "CW-1301")
}

// A link's preview goes along in both directions.
func TestLinkPreviews(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000053", "Anna").OptedIn()
	room := alice.StartChat(anna)

	const link = "https://example.eu/boats"
	_, err := anna.SendPreview(alice.jid, "look: "+link, meta.Preview{Matched: link, URL: link, Title: "Boats", Description: "All of them"})
	require.NoError(t, err)
	line := room.WaitForMessage(anna, "look: "+link)
	require.Len(t, line.Content.BeeperLinkPreviews, 1)
	require.Equal(t, "Boats", line.Content.BeeperLinkPreviews[0].Title)
	require.Contains(t, line.Content.FormattedBody, "All of them")

	room.sends(event.EventMessage, &event.MessageEventContent{MsgType: event.MsgText, Body: "and " + link, BeeperLinkPreviews: []*event.BeeperLinkPreview{
		{MatchedURL: link, LinkPreview: event.LinkPreview{CanonicalURL: link, Title: "Boats"}},
	}})
	heard := anna.HearsText(alice, "and "+link)
	require.NotNil(t, heard.Preview)
	require.Equal(t, "Boats", heard.Preview.Title)
}

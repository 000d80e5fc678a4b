package e2e

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/simulator/meta"
)

// pollIn is a poll as clients read it (MSC3381).
type pollIn struct {
	Start struct {
		MaxSelections int `json:"max_selections"`
		Question      struct {
			Text string `json:"org.matrix.msc1767.text"`
		} `json:"question"`
		Answers []struct {
			ID   string `json:"id"`
			Text string `json:"org.matrix.msc1767.text"`
		} `json:"answers"`
	} `json:"org.matrix.msc3381.poll.start"`
}

// votesOf is the answers of somebody's newest vote on a poll.
func (r *room) votesOf(p *person, poll id.EventID) (answers []string) {
	for _, evt := range r.Events("org.matrix.msc3381.poll.response") {
		var vote struct {
			RelatesTo event.RelatesTo `json:"m.relates_to"`
			Response  struct {
				Answers []string `json:"answers"`
			} `json:"org.matrix.msc3381.poll.response"`
		}
		if p.is(evt.Sender) && json.Unmarshal(evt.Content, &vote) == nil && vote.RelatesTo.EventID == poll {
			answers = vote.Response.Answers
		}
	}
	return answers
}

// A poll of a phone is a poll in the room; both sides vote, and change their votes.
func TestLinkedPollFromThePhone(t *testing.T) { linkedPollFromThePhone(newWorld(t, withoutHistory())) }

func linkedPollFromThePhone(w *world) {
	t, alice := w.t, newLinked(w)
	anna := w.Phone("+4915130000031", "Anna")
	asked, err := anna.SendPoll(alice.phone.LID(), "Which day?", 0, "Saturday", "Sunday", "Monday")
	require.NoError(t, err)
	room := alice.WaitForRoom(anna)
	started := room.WaitForEvent("org.matrix.msc3381.poll.start", func(client.Event) bool { return true })
	var poll pollIn
	require.NoError(t, json.Unmarshal(started.Content, &poll))
	require.Equal(t, "Which day?", poll.Start.Question.Text)
	require.Equal(t, 3, poll.Start.MaxSelections, "any number")
	require.Equal(t, "Sunday", poll.Start.Answers[1].Text)

	_, err = anna.Vote(alice.phone.LID(), asked, "Saturday", "Sunday")
	require.NoError(t, err)
	room.waitFor("Anna's vote", func() bool {
		return slices.Equal(room.votesOf(anna, started.ID), []string{poll.Start.Answers[0].ID, poll.Start.Answers[1].ID})
	})
	_, err = anna.Vote(alice.phone.LID(), asked, "Monday")
	require.NoError(t, err)
	room.waitFor("another vote", func() bool { return slices.Equal(room.votesOf(anna, started.ID), []string{poll.Start.Answers[2].ID}) })

	room.sends(event.EventUnstablePollResponse, map[string]any{
		"m.relates_to":                     map[string]any{"rel_type": "m.reference", "event_id": started.ID},
		"org.matrix.msc3381.poll.response": map[string]any{"answers": []string{poll.Start.Answers[1].ID}},
	})
	heard := anna.HearsLinked(alice)
	require.NotNil(t, heard.Vote, heard.Kind)
	require.Equal(t, []string{"Sunday"}, heard.Vote.Options)
}

// pollHeard is the poll of a message, of whatever version.
func pollHeard(heard meta.Heard) *waE2E.PollCreationMessage {
	for _, poll := range []*waE2E.PollCreationMessage{
		heard.Message.GetPollCreationMessage(), heard.Message.GetPollCreationMessageV2(), heard.Message.GetPollCreationMessageV3(),
	} {
		if poll != nil {
			return poll
		}
	}
	return nil
}

// A poll of a Matrix user is a poll on the phone, whichever names its client uses for the events; its end is told.
func TestLinkedPollFromMatrix(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000032", "Anna")
	room := alice.StartsChat(anna)
	text := func(text string) []map[string]string { return []map[string]string{{"body": text}} }
	started := room.sends(event.NewEventType("m.poll.start"), map[string]any{
		"m.text": text("Tea or coffee?"),
		"m.poll": map[string]any{"kind": "m.disclosed", "max_selections": 1, "question": map[string]any{"m.text": text("Tea or coffee?")},
			"answers": []map[string]any{{"m.id": "a", "m.text": text("Tea")}, {"m.id": "b", "m.text": text("Coffee")}}},
	})
	heard := anna.HearsLinked(alice)
	require.Equal(t, "Tea or coffee?", heard.Text, heard.Kind)
	pollID := heard.ID
	room.sends(event.NewEventType("m.poll.response"), map[string]any{
		"m.relates_to": map[string]any{"rel_type": "m.reference", "event_id": started}, "m.selections": []string{"b"},
	})
	heard = anna.HearsLinked(alice)
	require.NotNil(t, heard.Vote, heard.Kind)
	require.Equal(t, []string{"Coffee"}, heard.Vote.Options)
	_, err := anna.Vote(alice.phone.LID(), pollID, "Tea")
	require.NoError(t, err)
	room.waitFor("Anna's vote", func() bool { return slices.Equal(room.votesOf(anna, started), []string{"a"}) })
	room.sends(event.NewEventType("m.poll.end"), map[string]any{
		"m.relates_to": map[string]any{"rel_type": "m.reference", "event_id": started}, "m.text": text("The poll has ended. A draw."),
	})
	heard = anna.HearsLinked(alice)
	require.Equal(t, "📊 The poll has ended. A draw.", heard.Text)
	require.Equal(t, pollID, heard.ReplyTo)
	several := room.sends(event.EventUnstablePollStart, map[string]any{"org.matrix.msc3381.poll.start": map[string]any{
		"kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 2, "question": map[string]any{"org.matrix.msc1767.text": "Which two?"},
		"answers": []map[string]any{{"id": "a", "org.matrix.msc1767.text": "Apples"}, {"id": "b", "org.matrix.msc1767.text": "Pears"}, {"id": "c", "org.matrix.msc1767.text": "Plums"}},
	}})
	heard = anna.HearsLinked(alice)
	require.EqualValues(t, 2, pollHeard(heard).GetSelectableOptionsCount(), heard.Kind)
	_, err = anna.Vote(alice.phone.LID(), heard.ID, "Apples", "Plums")
	require.NoError(t, err)
	room.waitFor("both choices", func() bool { return slices.Equal(room.votesOf(anna, several), []string{"a", "c"}) })
	room.sends(event.EventUnstablePollStart, map[string]any{"org.matrix.msc3381.poll.start": map[string]any{
		"kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 1, "question": map[string]any{"org.matrix.msc1767.text": "One?"},
		"answers": []map[string]any{{"id": "a", "org.matrix.msc1767.text": "only"}},
	}})
	room.WaitForNotice("2 to 12 options")
}

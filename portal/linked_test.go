package portal_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
	"causeway/portal"
)

var ben = network.LID("90000000000002")

func linkedMessage(content network.Content) portal.Linked {
	return portal.Linked{
		Message: network.Message{ID: network.MessageID{Conversation: anna, Sender: anna, ID: "A"}, Content: content},
		Words: portal.LinkedWords{
			Forwarded: "Forwarded", Live: "live", PollHint: "answer", ViewOnceAway: "away",
			Placeholder: func(kind, text, see string) string { return kind + "|" + text + "|" + see },
			Invited:     func(group, expires string) string { return group + " " + expires },
		},
	}
}

// A text calls people by digits; a room shows names that lead to them, and never breaks a link.
func TestCallsInTexts(t *testing.T) {
	for text, want := range map[string]struct{ body, html string }{
		"@90000000000002 look":                     {"@Ben look", `<a href="https://matrix.to/#/@ben:x">@Ben</a> look`},
		"*@90000000000002*":                        {"*@Ben*", `<strong><a href="https://matrix.to/#/@ben:x">@Ben</a></strong>`},
		"https://x.org/@90000000000002 is no call": {"https://x.org/@90000000000002 is no call", ""},
		"@900000000000021":                         {"@900000000000021", ""},
		"@all now":                                 {"@room now", ""},
		"mail@90000000000002":                      {"mail@90000000000002", ""},
	} {
		message := linkedMessage(network.Text{Body: text})
		message.Called = []portal.Called{{Digits: ben.User, User: "@ben:x", Name: "Ben"}}
		message.Message.MentionsAll = strings.Contains(text, "@all")
		converted, err := message.ToMatrix()
		require.NoError(t, err)
		content := converted.Parts[0].Content
		require.Equal(t, want.body, content.Body, text)
		require.Equal(t, want.html, content.FormattedBody, text)
		require.Equal(t, strings.Contains(want.html, "@ben:x"), len(content.Mentions.UserIDs) == 1, text)
		require.Equal(t, message.Message.MentionsAll, content.Mentions.Room, text)
	}
}

// What a user calls is spelled by digits, in a group only.
func TestCallsFromMatrix(t *testing.T) {
	written := &event.MessageEventContent{
		MsgType: event.MsgText, Body: "Ben, @room: now", Format: event.FormatHTML,
		FormattedBody: `<a href="https://matrix.to/#/@ben:x">Ben</a>, @room: now`, Mentions: &event.Mentions{UserIDs: []id.UserID{"@ben:x"}, Room: true},
	}
	who := func(user id.UserID) (network.Address, bool) { return ben, user == "@ben:x" }
	msg, err := portal.LinkedFromMatrix(written, who)
	require.NoError(t, err)
	require.Equal(t, network.Text{Body: "@90000000000002, @all: now"}, msg.Content)
	require.Equal(t, []network.Address{ben}, msg.Mentions)
	require.True(t, msg.MentionsAll)
	msg, err = portal.LinkedFromMatrix(written, nil)
	require.NoError(t, err)
	require.Equal(t, network.Text{Body: "Ben, @room: now"}, msg.Content)
	require.Empty(t, msg.Mentions)
}

// A poll goes to the network and back under the ids that each side has chosen.
func TestPolls(t *testing.T) {
	var start event.PollStartEventContent
	require.NoError(t, json.Unmarshal([]byte(`{"org.matrix.msc3381.poll.start":{"max_selections":2,"question":{"org.matrix.msc1767.text":"Which?"},
		"answers":[{"id":"x","org.matrix.msc1767.text":"Tea"},{"id":"y","org.matrix.msc1767.text":"Coffee"},{"id":"z","org.matrix.msc1767.text":"Milk"}]}}`), &start))
	poll, answers, err := portal.PollFromMatrix(&start)
	require.NoError(t, err)
	require.Equal(t, network.Poll{Question: "Which?", Options: []string{"Tea", "Coffee", "Milk"}, Choices: 2}, poll)
	vote, err := portal.VoteFromMatrix(network.MessageID{ID: "A"}, &event.PollResponseEventContent{Response: event.PollResponse{Answers: []string{"y"}}}, answers)
	require.NoError(t, err)
	part := portal.VoteToMatrix(vote, "$poll", answers)
	require.Equal(t, []string{"y"}, part.Extra["org.matrix.msc3381.poll.response"].(map[string]any)["answers"])
	_, err = portal.VoteFromMatrix(network.MessageID{ID: "A"}, &event.PollResponseEventContent{Response: event.PollResponse{Answers: []string{"nothing"}}}, answers)
	require.ErrorIs(t, err, network.ErrUnsupported)
	for name, bad := range map[string][]event.PollOption{
		"one option":    {{ID: "x", MSC1767Message: event.MSC1767Message{Text: "a"}}},
		"equal options": {{ID: "x", MSC1767Message: event.MSC1767Message{Text: "a"}}, {ID: "y", MSC1767Message: event.MSC1767Message{Text: "a"}}},
	} {
		start.PollStart.Answers = bad
		_, _, err = portal.PollFromMatrix(&start)
		require.ErrorIs(t, err, network.ErrUnsupported, name)
	}
	message := linkedMessage(network.Poll{Question: "Which?", Options: []string{"Tea", "Coffee"}})
	message.PollsAsText = true
	converted, err := message.ToMatrix()
	require.NoError(t, err)
	require.Equal(t, "📊 Which?\n1. Tea\n2. Coffee\nanswer", converted.Parts[0].Content.Body)
}

// What cannot be shown yet can be put in its place later.
func TestLinkedPlaceholders(t *testing.T) {
	for _, content := range []network.Content{network.Unsupported{Type: "event"}, network.Undecryptable{}} {
		converted, err := linkedMessage(content).ToMatrix()
		require.NoError(t, err)
		require.True(t, portal.IsPlaceholder(&database.Message{Metadata: converted.Parts[0].DBMetadata}))
	}
	converted, err := linkedMessage(network.Undecryptable{ViewOnce: true}).ToMatrix()
	require.NoError(t, err)
	require.False(t, portal.IsPlaceholder(&database.Message{Metadata: converted.Parts[0].DBMetadata}), "it never comes")
}

func TestCards(t *testing.T) {
	text := "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Doe;Jane;;;\r\nitem1.TEL;type=CELL:+49 15\r\n 11\r\nEND:VCARD\r\nBEGIN:VCARD\nFN:Ben\\, junior\nEMAIL:b@x.org\nEND:VCARD"
	contacts, ok := portal.CardsFromMatrix(text)
	require.True(t, ok)
	require.Equal(t, []string{"Doe Jane", "Ben, junior"}, []string{contacts.Cards[0].Name, contacts.Cards[1].Name})
	require.Equal(t, "👤 Doe Jane\n    +49 1511\n👤 Ben, junior\n    b@x.org", portal.CardsText(contacts))
	for _, bad := range []string{"", "BEGIN:VCARD", "BEGIN:VCARD\nEND:VCARD", "hello"} {
		_, ok = portal.CardsFromMatrix(bad)
		require.False(t, ok, bad)
	}
	require.True(t, portal.IsCard("text/vcard; charset=utf-8", ""))
	require.False(t, portal.IsCard("text/plain", "notes.txt"))
}

func TestForwardedAndDisappearing(t *testing.T) {
	message := linkedMessage(network.Text{Body: "pass *it* on"})
	message.Message.Forwarded, message.Message.Expires = true, 24*time.Hour
	converted, err := message.ToMatrix()
	require.NoError(t, err)
	require.Equal(t, "Forwarded\npass *it* on", converted.Parts[0].Content.Body)
	require.Equal(t, "<em>Forwarded</em><br>pass <strong>it</strong> on", converted.Parts[0].Content.FormattedBody)
	require.Equal(t, 24*time.Hour, converted.Disappear.Timer)
}

func TestGroupLevels(t *testing.T) {
	levels := &event.PowerLevelsEventContent{}
	portal.GroupLevels(portal.GroupMode{Announce: true, Locked: true}).Apply("", levels)
	announce, locked := portal.ModeOf(levels)
	require.True(t, announce)
	require.True(t, locked)
	portal.GroupLevels(portal.GroupMode{}).Apply("", levels)
	announce, locked = portal.ModeOf(levels)
	require.False(t, announce)
	require.False(t, locked)
	portal.GroupLevels(portal.GroupMode{Left: true}).Apply("", levels)
	require.Greater(t, levels.EventsDefault, 75, "not even an owner writes in a group that was left")
}

package delivery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

func everyEvent() []network.Event {
	reply := network.MessageID{Conversation: anna, Sender: bob, ID: "a/b"}
	full := text(anna, "A", "hällo\x00\n")
	full.Message.Time = time.UnixMilli(1_700_000_000_123)
	full.Message.ReplyTo = &reply
	full.SenderAlias, full.SenderName, full.Proof = network.Phone("+4915110000001"), "Anna", []byte{0, 1}
	unsupported, undecryptable := text(bob, "B", ""), text(anna, "C", "")
	unsupported.Message.Content, undecryptable.Message.Content = network.Unsupported{Type: "poll"}, network.Undecryptable{}
	file, reaction := text(anna, "D", ""), text(bob, "E", "")
	file.Message.Content = network.Media{
		Kind: network.Voice, MIME: "audio/ogg; codecs=opus", Caption: "c", Size: 7, Duration: time.Second, Waveform: []byte{1, 100},
		Thumbnail: []byte{0xFF, 0xD8}, Reference: []byte(`{"key":"k"}`),
	}
	reaction.Message.Content = network.Reaction{Target: reply, Emoji: "👍"}
	full.Message.Content = network.Text{Body: "hällo\x00\n", Preview: &network.LinkPreview{URL: "https://a.example", Thumbnail: []byte{1}}}
	full.Message.Mentions, full.Message.MentionsAll = []network.Address{anna, bob}, true
	full.Message.Quote = "beginning"
	full.Message.Forwarded, full.Message.Expires = true, 24*time.Hour
	events := linkedEvents(reply)
	return append(events,
		file, reaction, full, unsupported, undecryptable, network.IdentityEvent{Person: anna},
		network.ReceiptEvent{Kind: network.Read, Conversation: anna, Reader: bob, IDs: []string{"1", "2"}, Time: time.UnixMilli(5)},
		network.ReceiptEvent{Kind: network.Read, Conversation: anna, Reader: bob, Sender: anna, IDs: []string{"1"}, Time: time.UnixMilli(5)},
	)
}

// linkedEvents has every content and event that only accounts of the network's own have.
func linkedEvents(target network.MessageID) []network.Event {
	group := network.GroupAddress("120363000000000001")
	album := network.MessageID{Conversation: group, Sender: anna, ID: "ALBUM"}
	at := time.UnixMilli(1_700_000_000_123).UTC()
	on, off, timer, name := true, false, 24*time.Hour, "name"
	var events []network.Event
	for _, content := range []network.Content{
		network.Edit{Target: target, Sent: time.UnixMilli(5), Content: network.Text{Body: "better"}},
		network.Edit{Target: target, Content: network.Media{Kind: network.Image, Caption: "the caption alone"}},
		network.Edit{Target: target, Content: network.Poll{Question: "?", Options: []string{"a", "b"}}},
		network.Remove{Target: target, Sent: at},
		network.Album{Images: 2, Videos: 1},
		network.Media{Kind: network.Sticker, Animated: true, ViewOnce: true, Album: &album, Reference: []byte("{}")},
		network.Location{Latitude: -1.5, Longitude: 7.25, Accuracy: 3, Name: "n", Address: "a", URL: "u", Caption: "c", Live: true, Thumbnail: []byte{1}},
		network.Contacts{Cards: []network.Card{{Name: "a", VCard: "BEGIN:VCARD"}, {Name: "b"}}},
		network.Poll{Question: "?", Options: []string{"a", "b"}, Choices: 1, Ends: at},
		network.Vote{Poll: target, Options: [][]byte{{1}, {2}}},
		network.GroupInvite{Group: group, Name: "g", Caption: "c", Code: "x", Expires: at, Thumbnail: []byte{1}},
		network.Unsupported{Type: "poll", Text: "t", See: "WhatsApp on your phone", Payload: []byte{1, 2}},
		network.Undecryptable{ViewOnce: true},
	} {
		event := text(anna, "X", "")
		event.Message.Content = content
		events = append(events, event)
	}
	return append(events,
		network.GroupEvent{Group: group, ID: "1", By: anna, ByAlias: bob, Time: at, Change: network.GroupChange{
			Whole: &network.Group{Address: group, Name: "g", Members: []network.Member{{Address: anna, Admin: true, Owner: true}}},
			Name:  &name, Topic: &name, Picture: &name, Announce: &on, Locked: &off, Approval: &on, Timer: &timer,
			Added: []network.Address{anna}, Joined: []network.Address{bob}, Removed: []network.Address{anna}, Left: []network.Address{bob},
			Promoted: []network.Address{anna}, Demoted: []network.Address{bob}, LinkReset: true, Deleted: true,
		}},
		network.PersonEvent{Person: anna, Alias: bob, Name: "Anna", ContactName: "Anna B", Picture: true, PictureID: "1", Time: at},
		network.ChatEvent{
			Conversation: anna, Mute: &network.Mute{On: true, Until: at}, Pinned: &on, Archived: &off, Unread: &on, Timer: &timer, By: bob,
			Deleted: true, Cleared: true, Message: &target, Time: at,
		},
		network.CallEvent{Conversation: anna, ID: "1", Caller: anna, Video: true, State: network.CallMissed, Time: at},
		network.PhoneEvent{Away: true, Seen: at},
		network.OmittedEvent{What: "status post", Sender: anna, Time: at},
		network.HistoryEvent{ID: "1", Reference: []byte("{}"), Recent: true, Progress: 30, Time: at},
	)
}

func TestEventsSurviveTheJournal(t *testing.T) {
	for _, event := range everyEvent() {
		data, err := encodeEvent(event)
		require.NoError(t, err)
		back, err := decodeEvent(data)
		require.NoError(t, err)
		require.Equal(t, event, back)
	}
	_, err := encodeEvent(network.TypingEvent{})
	require.Error(t, err)
	nested := text(anna, "F", "")
	nested.Message.Content = network.Edit{Content: network.Edit{}}
	_, err = encodeEvent(nested)
	require.Error(t, err, "the edit of an edit")
	_, err = encodeEvent(network.MessageEvent{})
	require.Error(t, err)
	lost := text(anna, "F", "")
	lost.Message.Content = network.Media{Kind: network.Image}
	_, err = encodeEvent(lost)
	require.ErrorIs(t, err, network.ErrUnsupported, "a file that cannot be opened again")
}

func FuzzDecodeEvent(f *testing.F) {
	for _, event := range everyEvent() {
		data, err := encodeEvent(event)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		event, err := decodeEvent(data)
		if err != nil {
			return
		}
		again, err := encodeEvent(event)
		require.NoError(t, err)
		back, err := decodeEvent(again)
		require.NoError(t, err)
		require.Equal(t, event, back)
	})
}

// Every event is stored as a row of its own, and repeats of those that have ids are known as repeats.
func TestEventsHaveNames(t *testing.T) {
	for _, event := range everyEvent() {
		if _, soft := event.(network.ReceiptEvent); soft {
			continue
		}
		first, err := nameOf(event, 1)
		require.NoError(t, err)
		again, err := nameOf(event, 2)
		require.NoError(t, err)
		require.NotEmpty(t, first.kind)
		require.NotEmpty(t, first.id)
		switch event.(type) {
		case network.MessageEvent, network.GroupEvent, network.CallEvent, network.HistoryEvent:
			require.Equal(t, first, again)
		default:
			require.NotEqual(t, first, again)
		}
	}
}

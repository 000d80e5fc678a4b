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
	full.SenderAlias, full.SenderName = network.Phone("+4915110000001"), "Anna"
	unsupported, undecryptable := text(bob, "B", ""), text(anna, "C", "")
	unsupported.Message.Content, undecryptable.Message.Content = network.Unsupported{Type: "poll"}, network.Undecryptable{}
	file, reaction := text(anna, "D", ""), text(bob, "E", "")
	file.Message.Content = network.Media{
		Kind: network.Voice, MIME: "audio/ogg; codecs=opus", Caption: "c", Size: 7, Duration: time.Second, Waveform: []byte{1, 100},
		Thumbnail: []byte{0xFF, 0xD8}, Reference: []byte(`{"key":"k"}`),
	}
	reaction.Message.Content = network.Reaction{Target: reply, Emoji: "👍"}
	full.Message.Content = network.Text{Body: "hällo\x00\n", Preview: &network.LinkPreview{URL: "https://a.example", Thumbnail: []byte{1}}}
	return []network.Event{
		file, reaction, full, unsupported, undecryptable, network.IdentityEvent{Person: anna},
		network.ReceiptEvent{Kind: network.Read, Conversation: anna, Reader: bob, IDs: []string{"1", "2"}, Time: time.UnixMilli(5)},
	}
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

package network_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

// Wherever an event names somebody, it names them by their new address, and the event that it was made of is as before.
func TestRenamed(t *testing.T) {
	old, now, other := network.Phone("4915110000001"), network.LID("90000000000001"), network.LID("90000000000002")
	id := network.MessageID{Conversation: old, Sender: old, ID: "A"}
	message := func(content network.Content) network.Event {
		return network.MessageEvent{Message: network.Message{ID: id, ReplyTo: &id, Mentions: []network.Address{old, other}, Content: content}}
	}
	people := []network.Address{old, other}
	for _, e := range []network.Event{
		message(network.Text{Body: "hello"}), message(network.Reaction{Target: id}), message(network.Remove{Target: id}),
		message(network.Vote{Poll: id}), message(network.Media{Album: &id}), message(network.Edit{Target: id, Content: network.Media{Album: &id}}),
		network.ReceiptEvent{Conversation: old, Reader: old, Sender: old}, network.TypingEvent{Conversation: old, Sender: old},
		network.IdentityEvent{Person: old}, network.PersonEvent{Person: old}, network.ChatEvent{Conversation: old, By: old, Message: &id}, network.CallEvent{Conversation: old, Caller: old},
		network.GroupEvent{Group: network.GroupAddress("1"), By: old, Change: network.GroupChange{
			Added: people, Joined: people, Removed: people, Left: people, Promoted: people, Demoted: people, Requested: people, Withdrawn: people,
			Whole: &network.Group{Members: []network.Member{{Address: old}, {Address: other}}},
		}},
	} {
		text := func(e network.Event) string {
			data, err := json.Marshal(e)
			require.NoError(t, err)
			return string(data)
		}
		before := text(e)
		named := func(a network.Address) string {
			data, err := json.Marshal(a)
			require.NoError(t, err)
			return string(data)
		}
		renamed := network.Renamed(e, func(a network.Address) network.Address {
			require.False(t, a.IsZero())
			if a == old {
				return now
			}
			return a
		})
		require.Equal(t, strings.ReplaceAll(before, named(old), named(now)), text(renamed), "%T", e)
		require.Equal(t, before, text(e), "%T", e)
	}
}

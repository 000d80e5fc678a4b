package bridge

import (
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

// A phone tells the newest first; what changes a message stays after it.
func TestThePastIsTurnedAround(t *testing.T) {
	message := func(id string, content network.Content) network.MessageEvent {
		return network.MessageEvent{Message: network.Message{ID: network.MessageID{ID: id}, Content: content}}
	}
	turned := oldestFirst([]network.MessageEvent{
		message("3", network.Text{}), message("2", network.Text{}), message("2a", network.Reaction{}), message("2b", network.Vote{}), message("1", network.Text{}),
	})
	var order []string
	for _, e := range turned {
		order = append(order, e.Message.ID.ID)
	}
	require.Equal(t, []string{"1", "2", "2a", "2b", "3"}, order)
	require.Empty(t, oldestFirst(nil))
}

package delivery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

// at is a message of anna's with the network's time.
func at(id, body string, minutesAgo int) network.Event {
	e := text(anna, id, body)
	e.Message.Time = time.Now().Add(-time.Duration(minutesAgo) * time.Minute)
	return e
}

// What is set aside comes in the order of its time when it is released, whatever order it came in; a repeat changes nothing.
func TestWhatIsSetAsideComesInOrder(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		stage := func(events ...network.Event) { require.NoError(t, p.Inbox.Stage(t.Context(), login, events)) }
		stage(at("C", "three", 30), at("D", "four", 20))
		stage(at("A", "one", 50), at("B", "two", 40), at("C", "three", 30))
		require.Equal(t, 4, p.Inbox.Waiting(login))
		released, err := p.Inbox.Release(t.Context(), login, ReleaseLimits{Chats: -1, Messages: -1})
		require.NoError(t, err)
		require.Equal(t, Released{Chats: 1, Messages: 4}, released)
		bridge.shows(t, anna, "one", "two", "three", "four")
		take(t, p, at("A", "one", 50), text(anna, "E", "five"))
		bridge.shows(t, anna, "one", "two", "three", "four", "five")
	})
}

// Beyond the limits the oldest are left out, and stay out when they come again.
func TestOnlyTheNewestAreReleased(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		require.NoError(t, p.Inbox.Stage(t.Context(), login, []network.Event{at("A", "one", 50), at("B", "two", 40), at("C", "three", 30)}))
		released, err := p.Inbox.Release(t.Context(), login, ReleaseLimits{Chats: -1, Messages: 2})
		require.NoError(t, err)
		require.Equal(t, Released{Chats: 1, Messages: 2, LeftOut: 1}, released)
		bridge.shows(t, anna, "two", "three")
		require.NoError(t, p.Inbox.Stage(t.Context(), login, []network.Event{at("A", "one", 50)}))
		released, err = p.Inbox.Release(t.Context(), login, ReleaseLimits{Chats: -1, Messages: -1})
		require.NoError(t, err)
		require.Zero(t, released)
	})
}

// No limit of the past leaves out what happens while it is gathered.
func TestLimitsArePastOnly(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		require.NoError(t, p.Inbox.Stage(t.Context(), login, []network.Event{at("A", "one", 50), at("B", "two", 40), at("C", "three", 30)}))
		require.NoError(t, p.Inbox.StageLive(t.Context(), login, at("D", "four", 35))) // by a phone whose clock is slow
		require.NoError(t, p.Inbox.StageLive(t.Context(), login, at("E", "five", 1)))
		released, err := p.Inbox.Release(t.Context(), login, ReleaseLimits{Chats: 0, Messages: 1})
		require.NoError(t, err)
		require.Equal(t, Released{Chats: 1, Messages: 2, LeftOut: 3}, released)
		bridge.shows(t, anna, "four", "five")
	})
}

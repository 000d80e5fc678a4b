package meta

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waHistorySync"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

// collect takes the parts of a history until the last one and counts each message.
func (c *client) collect(last func(*waHistorySync.HistorySync) bool) (seen map[string]int, chats map[string]bool) {
	c.t.Helper()
	seen, chats = map[string]int{}, map[string]bool{}
	for done := false; !done; {
		part := awaitEvent(c, func(h *events.HistorySync) bool { return h.Data.GetSyncType() != waHistorySync.HistorySync_PUSH_NAME }).Data
		for _, conversation := range part.GetConversations() {
			chats[conversation.GetID()] = true
			for _, m := range conversation.GetMessages() {
				seen[m.GetMessage().GetKey().GetID()]++
			}
		}
		done = last(part)
	}
	return seen, chats
}

// TestHistory links a device to a phone with 10,000 messages in 300 chats; each of them comes exactly once.
func TestHistory(t *testing.T) {
	for _, size := range []struct{ chats, messages int }{{1, 1}, {20, 300}, {300, 10_000}} {
		t.Run(fmt.Sprintf("%d in %d", size.messages, size.chats), func(t *testing.T) {
			w := newLinkedWorld(t, Profile(Calm))
			anna := w.WhatsApp("+4915110000001", "Anna")
			_, err := anna.GrowHistory(size.chats, size.messages)
			require.NoError(t, err)
			c := w.linked(anna)
			seen, chats := c.collect(func(h *waHistorySync.HistorySync) bool { return h.GetProgress() == 100 })
			require.Len(t, seen, size.messages)
			require.Len(t, chats, size.chats)
			for id, count := range seen {
				require.Equal(t, 1, count, id)
			}
		})
	}
}

// TestHistoryOfRealMessages proves that what was said before a device was linked is in its history, and parses there.
func TestHistoryOfRealMessages(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	id, err := bob.Say(anna.LID(), "before")
	require.NoError(t, err)
	_, err = anna.Hears(within(t))
	require.NoError(t, err)
	own, err := anna.Say(bob.LID(), "also before")
	require.NoError(t, err)
	c := w.linked(anna)
	part := awaitEvent(c, func(h *events.HistorySync) bool {
		return h.Data.GetSyncType() == waHistorySync.HistorySync_INITIAL_BOOTSTRAP
	}).Data
	require.Len(t, part.Conversations, 1)
	chat, err := types.ParseJID(part.Conversations[0].GetID())
	require.NoError(t, err)
	require.Equal(t, bob.user.lid, chat)
	var got []string
	for _, m := range part.Conversations[0].Messages {
		parsed, err := c.ParseWebMessage(chat, m.Message)
		require.NoError(t, err)
		got = append(got, fmt.Sprintf("%s %t %s", parsed.Info.ID, parsed.Info.IsFromMe, parsed.Message.GetConversation()))
	}
	require.ElementsMatch(t, []string{own + " true also before", id + " false before"}, got)
	names := awaitEvent(c, func(h *events.HistorySync) bool { return h.Data.GetSyncType() == waHistorySync.HistorySync_PUSH_NAME }).Data
	require.Equal(t, "Bob", names.Pushnames[0].GetPushname())
}

// TestHistoryOnDemand asks the phone for what is right before a message.
func TestHistoryOnDemand(t *testing.T) {
	w := newLinkedWorld(t, Profile(Calm))
	anna := w.WhatsApp("+4915110000001", "Anna")
	_, err := anna.GrowHistory(1, 100)
	require.NoError(t, err)
	c := w.linked(anna)
	c.collect(func(h *waHistorySync.HistorySync) bool { return h.GetProgress() == 100 })
	anna.mu.Lock()
	known := anna.talks[50]
	anna.mu.Unlock()
	_, err = c.SendPeerMessage(within(t), c.BuildHistorySyncRequest(&types.MessageInfo{MessageSource: types.MessageSource{Chat: known.chat}, ID: known.id,
		Timestamp: known.at}, 20))
	require.NoError(t, err)
	part := awaitEvent(c, func(h *events.HistorySync) bool { return h.Data.GetSyncType() == waHistorySync.HistorySync_ON_DEMAND }).Data
	require.Len(t, part.Conversations[0].Messages, 20)
	require.Equal(t, "old message 49", part.Conversations[0].Messages[0].GetMessage().GetMessage().GetConversation())
}

// TestQueueAfterDowntime proves that what was said while a device was away comes in order when it is back.
func TestQueueAfterDowntime(t *testing.T) {
	w := newLinkedWorld(t, Profile(Calm))
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)
	w.quiet(anna)
	c.Disconnect()
	for i := range 200 {
		_, err := bob.Say(anna.LID(), fmt.Sprintf("while away %d", i))
		require.NoError(t, err)
	}
	require.NoError(t, c.Connect())
	for i := range 200 {
		m := awaitEvent(c, func(m *events.Message) bool { return m.Message.GetConversation() != "" })
		require.Equal(t, fmt.Sprintf("while away %d", i), m.Message.GetConversation())
	}
	done := awaitEvent(c, func(e *events.OfflineSyncCompleted) bool { return e.Count >= 200 })
	require.GreaterOrEqual(t, done.Count, 200)
	w.quiet(anna)
}

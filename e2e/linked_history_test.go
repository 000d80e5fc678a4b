package e2e

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/e2e/client"
	"causeway/e2e/stage"
)

// takingHistory has the bridge take all that phones hand over.
func takingHistory() func(*settings) {
	return withConfig(func(config stage.Config) {
		config.Set("network.linked.history.max_messages", -1)
	})
}

// old are the messages of the past that stand in the user's rooms, by room in their order there.
func (u *matrixUser) old() (rooms map[string][]client.Line, all int) {
	rooms = map[string][]client.Line{}
	for _, candidate := range u.client.Rooms() {
		for _, line := range candidate.Lines() {
			if strings.HasPrefix(line.Body, "old message ") {
				rooms[string(candidate.ID)] = append(rooms[string(candidate.ID)], line)
				all++
			}
		}
	}
	return rooms, all
}

// requireHistory requires that every message of the past is there once, in order, with its time.
func (u *linkedUser) requireHistory(chats, messages int) {
	w := u.house.world
	w.t.Helper()
	rooms, all := u.old()
	require.Equal(w.t, messages, all)
	require.Len(w.t, rooms, chats)
	seen := map[string]bool{}
	for _, lines := range rooms {
		require.True(w.t, slices.IsSortedFunc(lines, func(a, b client.Line) int { return a.Time.Compare(b.Time) }), "in the order of their time")
		last := -1
		for _, line := range lines {
			number, err := strconv.Atoi(strings.TrimPrefix(line.Body, "old message "))
			require.NoError(w.t, err)
			require.Greater(w.t, number, last, "in the order in which they were written")
			require.False(w.t, seen[line.Body], "twice: %s", line.Body)
			require.Less(w.t, line.Time, time.Now().Add(-time.Minute), "with its own time")
			seen[line.Body], last = true, number
		}
	}
}

// What the phone hands over when it is linked is in its rooms, oldest first, once, at its time; what was said meanwhile comes after it.
func TestLinkedHistory(t *testing.T) {
	w := newWorld(t, takingHistory())
	alice := w.MatrixUser("alice")
	phone := w.Phone("+4915130000051", "Alice")
	messages, err := phone.GrowHistory(5, 60)
	require.NoError(t, err)
	linked := alice.LinksTo(phone)
	anna := w.Phone("+4915130000052", "Anna")
	var said []string
	for i := range 30 { // before, while and after it is brought on its way
		said = append(said, fmt.Sprintf("said while the past came %d", i))
		anna.WritesTo(linked, said[i])
	}
	w.eventually("all of the past", func() bool { _, all := alice.old(); return all >= messages })
	linked.requireHistory(5, messages)
	alice.WaitForRoom(anna).WaitForMessage(anna, said[len(said)-1])
	require.Contains(t, strings.Join(botSaid(alice), "\n"), "older messages")

	// downtime: what is written meanwhile comes once, and nothing of the past again
	require.NoError(t, w.stage.Bridge.Stop())
	for i := range 3 {
		anna.WritesTo(linked, fmt.Sprintf("while the bridge was away %d", i))
	}
	require.NoError(t, w.stage.Bridge.Start(w.ctx))
	room := alice.WaitForRoom(anna)
	room.WaitForMessage(anna, "while the bridge was away 2")
	said = append(said, "while the bridge was away 0", "while the bridge was away 1", "while the bridge was away 2")
	require.Equal(t, said, room.Texts(anna))
	linked.requireHistory(5, messages)
}

func botSaid(u *matrixUser) (said []string) {
	for _, line := range u.bot.Lines() {
		said = append(said, line.Body)
	}
	return said
}

// historyEnv names the environment variable that asks for the long run, as "chats/messages".
const historyEnv = "CAUSEWAY_HISTORY"

// A long past: how long it takes, and how much memory the bridge has needed at most. It runs only when asked for.
func TestLinkedLongHistory(t *testing.T) {
	var chats, messages int
	if _, err := fmt.Sscanf(os.Getenv(historyEnv), "%d/%d", &chats, &messages); err != nil {
		t.Skipf("%s is not set: a long past, such as 300/10000, takes minutes", historyEnv)
	}
	w := newWorld(t, takingHistory(), func(s *settings) { s.limit, s.plain = 20*time.Minute, true })
	alice := w.MatrixUser("alice")
	phone := w.Phone("+4915130000053", "Alice")
	grown, err := phone.GrowHistory(chats, messages)
	require.NoError(t, err)
	began := time.Now()
	linked := alice.LinksTo(phone)
	for {
		if _, all := alice.old(); all >= grown {
			break
		}
		select {
		case <-time.After(time.Second):
		case <-w.ctx.Done():
			_, all := alice.old()
			t.Fatalf("%d of %d messages after %s", all, grown, time.Since(began))
		}
	}
	took := time.Since(began)
	linked.requireHistory(chats, grown)
	t.Logf("%d messages of %d chats in %s on %d CPUs; the bridge's memory at most: %s", grown, chats, took.Round(time.Second), runtime.NumCPU(),
		peakMemory(w.stage.Bridge.PID()))
}

// peakMemory is the most memory that a process has had, as the kernel counts it.
func peakMemory(pid int) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown here"
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

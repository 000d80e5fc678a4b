package crash

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/e2e/child"
	"causeway/e2e/stage"
	"causeway/simulator/meta"
)

// The benchmarks measure the real bridge between the small homeserver and the simulated
// network in profile calm: one user, ten chats, plain text. An operation is one message
// from one side's acceptance to the other side's hands.
//
//	go test -run '^$' -bench . -benchtime 2000x ./e2e/crash

const benchChats = 10

func BenchmarkNetworkToMatrix(b *testing.B) {
	w := benchWorld(b)
	before := w.linesInRooms()
	w.measure(b, func(i int) error {
		_, err := w.chats[i%benchChats].person.Say(w.users[0].jid, "message "+strconv.Itoa(i))
		return err
	}, func() int { return w.linesInRooms() - before })
}

func BenchmarkMatrixToNetwork(b *testing.B) {
	w := benchWorld(b)
	var heard atomic.Int64
	for _, c := range w.chats {
		c.person.OnMessage(func(*meta.Person, meta.Heard) { heard.Add(1) })
	}
	w.measure(b, func(i int) error {
		c := w.chats[i%benchChats]
		_, err := w.hs.Send(c.room, c.user.id, "m.room.message", map[string]string{"msgtype": "m.text", "body": "message " + strconv.Itoa(i)})
		return err
	}, func() int { return int(heard.Load()) })
}

// measure says b.N messages as fast as they are taken and waits until all have arrived.
func (w *bench) measure(b *testing.B, say func(i int) error, arrived func() int) {
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	cpu := w.cpu(b)
	b.ResetTimer()
	for i := range b.N {
		require.NoError(b, say(i))
	}
	require.NoError(b, w.await(ctx, "all messages", func() bool { return arrived() >= b.N }))
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64((w.cpu(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/msg")
	b.ReportMetric(w.resident(b), "rss-MiB")
}

// bench is a world with the bridge running in it.
type bench struct {
	*world
	process *child.Process
}

func benchWorld(b *testing.B) *bench {
	b.Helper()
	dir := b.TempDir()
	binary := filepath.Join(dir, "causeway")
	require.NoError(b, stage.Build(b.Context(), binary, false))
	w, err := open(b.Context(), Options{
		Binary: binary, Dir: b.TempDir(), Profile: meta.Calm, Users: 1, People: benchChats,
		Postgres: os.Getenv("CAUSEWAY_TEST_POSTGRES"), Seed: 1,
	}.withDefaults())
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, w.close()) })
	process, err := w.stage.Bridge.Launch()
	require.NoError(b, err)
	b.Cleanup(func() { _ = process.Stop(10 * time.Second) })
	require.NoError(b, w.settle(b.Context(), &life{process: process}))
	for _, c := range w.chats {
		_, err = c.person.Say(w.users[0].jid, "hello") // a room and a session for each chat
		require.NoError(b, err)
	}
	require.NoError(b, w.await(b.Context(), "the first words", func() bool {
		w.learnRooms()
		return w.linesInRooms() >= benchChats
	}))
	return &bench{w, process}
}

// linesInRooms is how many messages of people the homeserver has.
func (w *world) linesInRooms() (count int) {
	for _, c := range w.chats {
		if c.room == "" {
			continue
		}
		for _, event := range w.hs.Timeline(c.room) {
			if event.Type == "m.room.message" && strings.HasPrefix(event.Sender, "@causeway_") {
				count++
			}
		}
	}
	return count
}

// cpu is the processor time that the bridge has used, in clock ticks of 10 ms.
func (w *bench) cpu(b *testing.B) time.Duration {
	fields := w.proc(b, "stat")
	user, err := strconv.Atoi(fields[13])
	require.NoError(b, err)
	system, err := strconv.Atoi(fields[14])
	require.NoError(b, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// resident is the bridge's memory in MiB.
func (w *bench) resident(b *testing.B) float64 {
	pages, err := strconv.Atoi(w.proc(b, "statm")[1])
	require.NoError(b, err)
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

func (w *bench) proc(b *testing.B, name string) []string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", w.process.PID(), name))
	if err != nil {
		b.Skipf("this system does not tell about processes: %v", err)
	}
	return strings.Fields(string(content))
}

package crash

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/database/databasetest"
	"causeway/e2e/child"
	"causeway/e2e/stage"
	"causeway/simulator/homeserver"
	"causeway/simulator/meta"
)

// The benchmark measures the real bridge between the small homeserver and the simulated
// network in profile calm: one user, fifty chats, plain text. An operation is one message
// from one side's acceptance to the other side's hands. docs/performance.md says how to read it.
//
//	go test -run '^$' -bench . -benchtime 3000x ./e2e/crash

const (
	benchChats = 50
	// benchSlice is how many messages go through one bridge before it is the other's turn.
	benchSlice = 250
	// profileEnv names a folder that gets a CPU profile of the bridge from each measurement.
	profileEnv  = "CAUSEWAY_BENCH_PROFILE"
	profileTime = 5 * time.Second
	stopLimit   = 20 * time.Second
	// arrivalLimit is how long the messages of one slice may take.
	arrivalLimit = 45 * time.Second
	benchSecret  = "a secret for benchmarks only"
)

// BenchmarkDelivery compares the bridge with itself as it would be without its journal: what comes in is acknowledged
// before it is delivered, and waits in bridgev2's own queues. Both run at once and work in turns, so that a machine that
// becomes slower becomes slower for both. "ratio" is the throughput with the journal, as a part of that without.
func BenchmarkDelivery(b *testing.B) {
	with, without := filepath.Join(b.TempDir(), "causeway"), filepath.Join(b.TempDir(), "causeway")
	require.NoError(b, stage.Build(b.Context(), with, false))
	require.NoError(b, stage.BuildUnjournaled(b.Context(), without))
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run("db="+kind, func(b *testing.B) {
			on, off := openBench(b, with, benchDatabase(b, kind)), openBench(b, without, benchDatabase(b, kind))
			b.Run("to=matrix", func(b *testing.B) { compare(b, on, off, (*bench).toMatrix) })
			b.Run("to=network", func(b *testing.B) { compare(b, on, off, (*bench).toNetwork) })
		})
	}
}

// benchDatabase is the URL of a database of its own for one bridge, empty for SQLite.
func benchDatabase(b *testing.B, kind string) string {
	if kind == "sqlite" {
		return ""
	}
	place, ok := databasetest.Postgres(b)
	if !ok {
		b.Skipf("needs a PostgreSQL server at %s", databasetest.PostgresEnv)
	}
	return place.URI
}

// compare sends b.N messages through each of two bridges, in turns.
func compare(b *testing.B, on, off *bench, send func(w *bench, b *testing.B, messages int)) {
	var cost, base spent
	ended := on.profile(b)
	b.ResetTimer()
	for left := b.N; left > 0; left -= benchSlice {
		slice := min(left, benchSlice)
		cost.add(on.take(b, func() { send(on, b, slice) }))
		b.StopTimer()
		base.add(off.take(b, func() { send(off, b, slice) }))
		b.StartTimer()
	}
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(n/cost.wall.Seconds(), "msg/s")
	b.ReportMetric(base.wall.Seconds()/cost.wall.Seconds(), "ratio")
	b.ReportMetric(float64(cost.bridge.Microseconds())/n, "bridge-µs/msg")
	b.ReportMetric(float64(base.bridge.Microseconds())/n, "unjournaled-µs/msg")
	b.ReportMetric(float64(cost.world.Microseconds())/n, "world-µs/msg")
	b.ReportMetric(on.resident(b), "rss-MiB")
	ended()
}

// spent is time: on the clock, and of processors by the bridge and by homeserver, network and generator together.
type spent struct{ wall, bridge, world time.Duration }

func (s *spent) add(more spent) {
	s.wall, s.bridge, s.world = s.wall+more.wall, s.bridge+more.bridge, s.world+more.world
}

func (w *bench) take(b *testing.B, work func()) spent {
	began, bridge, world := time.Now(), w.cpu(b), ownCPU(b)
	work()
	return spent{time.Since(began), w.cpu(b) - bridge, ownCPU(b) - world}
}

func (w *bench) toMatrix(b *testing.B, messages int) {
	w.send(b, messages, &w.shown, func(i int) error {
		_, err := w.chats[i%benchChats].person.Say(w.users[0].jid, "message "+strconv.Itoa(i))
		return err
	})
}

func (w *bench) toNetwork(b *testing.B, messages int) {
	w.send(b, messages, &w.heard, func(i int) error {
		c := w.chats[i%benchChats]
		_, err := w.hs.Send(c.room, c.user.id, "m.room.message", map[string]string{"msgtype": "m.text", "body": "message " + strconv.Itoa(i)})
		return err
	})
}

// send says messages as fast as they are taken and waits until all have arrived.
func (w *bench) send(b *testing.B, messages int, arrived *atomic.Int64, say func(i int) error) {
	ctx, cancel := context.WithTimeout(b.Context(), arrivalLimit)
	defer cancel()
	all := arrived.Load() + int64(messages)
	for i := range messages {
		require.NoError(b, say(i))
	}
	for arrived.Load() < all {
		select {
		case <-ctx.Done():
			b.Fatalf("%d messages have not arrived; the bridge says:\n%s", all-arrived.Load(), w.process.Tail())
		case <-time.After(time.Millisecond):
		}
	}
}

// bench is a world with the bridge running in it.
type bench struct {
	*world
	process *child.Process
	// shown and heard count the messages in rooms and on phones.
	shown, heard atomic.Int64
}

func openBench(b *testing.B, binary, postgres string) *bench {
	b.Helper()
	world, err := open(b.Context(), Options{
		Binary: binary, Dir: b.TempDir(), Profile: meta.Calm, Users: 1, People: benchChats, Postgres: postgres, Seed: 1,
		Edit: func(config stage.Config) {
			config.Set("provisioning.debug_endpoints", true)
			config.Set("provisioning.shared_secret", benchSecret)
		},
	}.withDefaults())
	require.NoError(b, err)
	w := &bench{world: world}
	b.Cleanup(func() { require.NoError(b, w.close()) })
	w.launch(b)
	require.NoError(b, w.settle(b.Context(), &life{process: w.process}))
	// a bridge spends its time after a start, not after a login: bridgev2 remembers less of logins that were just made
	require.NoError(b, w.process.Stop(stopLimit))
	w.launch(b)
	go w.count(b.Context())
	for _, c := range w.chats {
		c.person.OnMessage(func(*meta.Person, meta.Heard) { w.heard.Add(1) })
		_, err = c.person.Say(w.users[0].jid, "hello") // a room and a session for each chat
		require.NoError(b, err)
	}
	require.NoError(b, w.await(b.Context(), "the first words", func() bool { return w.shown.Load() >= benchChats }))
	w.learnRooms()
	return w
}

// launch starts the bridge and waits until it takes messages.
func (w *bench) launch(b *testing.B) {
	var err error
	w.process, err = w.stage.Bridge.Launch()
	require.NoError(b, err)
	process := w.process
	b.Cleanup(func() { _ = process.Stop(stopLimit) })
	require.NoError(b, w.await(b.Context(), "the bridge", func() bool { return stage.Ready(process) }))
}

// count follows the rooms until ctx ends.
func (w *bench) count(ctx context.Context) {
	// nothing matches, so it ends with ctx alone
	_, _ = w.hs.Await(ctx, 0, func(event homeserver.Event) bool {
		if event.Type == "m.room.message" && strings.HasPrefix(event.Sender, "@causeway_") {
			w.shown.Add(1)
		}
		return false
	})
}

// profile takes a CPU profile of the bridge if it is asked for; the function waits for its end.
func (w *bench) profile(b *testing.B) (end func()) {
	folder := os.Getenv(profileEnv)
	if folder == "" || b.N == 1 {
		return func() {}
	}
	path := filepath.Join(folder, strings.ReplaceAll(strings.TrimPrefix(b.Name(), "BenchmarkDelivery/"), "/", ",")+".pprof")
	ended := make(chan error, 1)
	go func() { ended <- w.saveProfile(path) }()
	return func() { require.NoError(b, <-ended) }
}

func (w *bench) saveProfile(path string) error {
	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", w.stage.Bridge.URL, profileTime/time.Second), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+benchSecret)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("failed to get a profile: %s: %w", answer.Status, err)
	}
	return os.WriteFile(path, data, 0o600)
}

// ownCPU is the processor time of this process: homeserver, network and generator together.
func ownCPU(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// cpu is the processor time that the bridge has used, and what it has had converted, in clock ticks of 10 ms.
func (w *bench) cpu(b *testing.B) time.Duration {
	ticks := 0
	for _, field := range w.proc(b, "stat")[13:17] { // of user and system, its own and its children's
		count, err := strconv.Atoi(field)
		require.NoError(b, err)
		ticks += count
	}
	return time.Duration(ticks) * 10 * time.Millisecond
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

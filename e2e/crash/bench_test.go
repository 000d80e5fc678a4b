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

	"causeway/e2e/child"
	"causeway/e2e/stage"
	"causeway/simulator/homeserver"
	"causeway/simulator/meta"
)

// The benchmarks measure the real bridge between the small homeserver and the simulated
// network in profile calm: one user, fifty chats, plain text. An operation is one message
// from one side's acceptance to the other side's hands. docs/performance.md says how to read them.
//
//	go test -run '^$' -bench . -benchtime 3000x ./e2e/crash

const (
	benchChats = 50
	// profileEnv names a folder that gets a CPU profile of the bridge from each measurement.
	profileEnv  = "CAUSEWAY_BENCH_PROFILE"
	profileTime = 5 * time.Second
	stopLimit   = 20 * time.Second
	benchSecret = "a secret for benchmarks only"
)

// BenchmarkDelivery compares the bridge with itself as it would be without its journal: what comes in is acknowledged
// before it is delivered, and waits in bridgev2's own queues.
func BenchmarkDelivery(b *testing.B) {
	binaries := map[string]string{"on": filepath.Join(b.TempDir(), "causeway"), "off": filepath.Join(b.TempDir(), "causeway")}
	require.NoError(b, stage.Build(b.Context(), binaries["on"], false))
	require.NoError(b, stage.BuildUnjournaled(b.Context(), binaries["off"]))
	for _, database := range []string{"sqlite", "postgres"} {
		b.Run("db="+database, func(b *testing.B) {
			url := ""
			if database == "postgres" {
				if url = os.Getenv("CAUSEWAY_TEST_POSTGRES"); url == "" {
					b.Skip("needs a PostgreSQL server at CAUSEWAY_TEST_POSTGRES")
				}
			}
			for _, journal := range []string{"on", "off"} {
				b.Run("journal="+journal, func(b *testing.B) {
					w := openBench(b, binaries[journal], url)
					b.Run("to=matrix", w.toMatrix)
					b.Run("to=network", w.toNetwork)
				})
			}
		})
	}
}

func (w *bench) toMatrix(b *testing.B) {
	w.measure(b, &w.shown, func(i int) error {
		_, err := w.chats[i%benchChats].person.Say(w.users[0].jid, "message "+strconv.Itoa(i))
		return err
	})
}

func (w *bench) toNetwork(b *testing.B) {
	w.measure(b, &w.heard, func(i int) error {
		c := w.chats[i%benchChats]
		_, err := w.hs.Send(c.room, c.user.id, "m.room.message", map[string]string{"msgtype": "m.text", "body": "message " + strconv.Itoa(i)})
		return err
	})
}

// measure says b.N messages as fast as they are taken and waits until all have arrived.
func (w *bench) measure(b *testing.B, arrived *atomic.Int64, say func(i int) error) {
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	profiled := w.profile(b)
	all := arrived.Load() + int64(b.N)
	cpu, own := w.cpu(b), ownCPU(b)
	b.ResetTimer()
	for i := range b.N {
		require.NoError(b, say(i))
	}
	require.NoError(b, w.await(ctx, "all messages", func() bool { return arrived.Load() >= all }))
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64((w.cpu(b)-cpu).Microseconds())/float64(b.N), "bridge-µs/msg")
	b.ReportMetric(float64((ownCPU(b)-own).Microseconds())/float64(b.N), "world-µs/msg")
	b.ReportMetric(w.resident(b), "rss-MiB")
	profiled()
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

package delivery

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"go.mau.fi/util/dbutil"

	"causeway/database"
	"causeway/network"
)

// BenchmarkInbox is the journal's own cost of an event from a network: synced row, lane, and its end, with 50
// conversations of 10 logins and a bridge that costs nothing.
func BenchmarkInbox(b *testing.B) {
	dir := b.TempDir()
	db, err := dbutil.NewWithDialect("file:"+filepath.Join(dir, "bench.db")+"?_txlock=immediate&_stmt_cache_size=128", "sqlite3-fk-wal-fullsync")
	if err != nil {
		b.Fatal(err)
	}
	bridge := newBridge()
	d := New(Options{
		DB: database.New(db), Bridge: bridge, Log: zerolog.Nop(), Exit: func(err error) { b.Error(err) },
		SecretFile: filepath.Join(dir, "secret"), LockFile: filepath.Join(dir, "lock"), EpochFile: filepath.Join(dir, "epoch"),
	})
	d.scan, d.dispatch = bridge.scan, bridge
	if err = d.Open(b.Context()); err == nil {
		err = d.Run(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	var logins sync.WaitGroup
	for l := range 10 {
		logins.Go(func() {
			for i := l; i < b.N; i += 10 {
				person := network.LID(fmt.Sprint(90000000000001 + i%50))
				if err := d.Inbox.Take(b.Context(), login, text(person, fmt.Sprint(i), "hello")); err != nil {
					b.Error(err)
				}
			}
		})
	}
	logins.Wait()
	for d.Inbox.count(string(login), 0) > 0 {
		pause()
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(b.N)/float64(d.Figures().Commits), "events/commit")
	d.Stop(b.Context())
	_ = db.Close()
}

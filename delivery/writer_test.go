package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/database"
)

func storedRow(i int64) database.InboxRow {
	return database.InboxRow{
		Seq: i, Login: "l", Chat: "c", Sender: "s", RemoteID: fmt.Sprint(i), Kind: kindMessage, State: database.InboxNew, Epoch: 1,
	}
}

// Whoever waits while a commit is on its way shares the next one.
func TestWritersShareCommits(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		p := boot(t, on, newBridge())
		t.Cleanup(p.die)
		release, entered := make(chan struct{}), make(chan struct{})
		p.writer.later(func(context.Context) error { close(entered); <-release; return nil }, func(error) {})
		<-entered
		before := p.writer.commits.Load()
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				err := p.writer.do(context.Background(), func(ctx context.Context) error {
					_, err := p.journal.AddInbox(ctx, storedRow(int64(i+1)))
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		until(t, func() bool { return len(p.writer.jobs) == 100 })
		close(release)
		all.Wait()
		require.EqualValues(t, 2, p.writer.commits.Load()-before)
		require.Equal(t, 100, p.inboxStates(t)[database.InboxNew])
	})
}

func TestOneBadWriteDoesNotTakeTheOthersWithIt(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		p := boot(t, on, newBridge())
		t.Cleanup(p.die)
		release, entered := make(chan struct{}), make(chan struct{})
		p.writer.later(func(context.Context) error { close(entered); <-release; return nil }, func(error) {})
		<-entered
		results := make([]error, 6)
		var all sync.WaitGroup
		for i := range results {
			all.Add(1)
			p.writer.later(func(ctx context.Context) error {
				if _, err := p.journal.AddInbox(ctx, storedRow(int64(i+1))); err != nil {
					return err
				}
				switch i {
				case 2:
					return errors.New("bad")
				case 4:
					panic("worse")
				}
				return nil
			}, func(err error) { results[i] = err; all.Done() })
		}
		close(release)
		all.Wait()
		for i, err := range results {
			require.Equal(t, i == 2 || i == 4, err != nil, "%d: %v", i, err)
		}
		require.Equal(t, 4, p.inboxStates(t)[database.InboxNew])
	})
}

func TestAReplacedProcessWritesNothingAndEnds(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		old := boot(t, on, bridge)
		t.Cleanup(func() { _ = old.db.Close() })
		old.release() // as if its lock had been lost while it was stopped
		young := boot(t, on, bridge)
		t.Cleanup(young.die)
		require.ErrorIs(t, old.Inbox.Take(t.Context(), login, text(anna, "A", "one")), database.ErrFenced)
		require.ErrorIs(t, <-old.exits, database.ErrFenced)
		_, err := old.Outbox.Accept(t.Context(), outgoingText("$1", "x"))
		require.ErrorIs(t, err, database.ErrFenced)
		require.Empty(t, old.exits, "told once")
		take(t, young, text(anna, "A", "one"))
		require.Equal(t, 1, young.inboxStates(t)[database.InboxNew])
	})
}

func TestAClosedWriterHasMadeWhatWaited(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		p := boot(t, on, newBridge())
		for i := range 50 {
			p.write(func(ctx context.Context) error { _, err := p.journal.AddInbox(ctx, storedRow(int64(i+1))); return err })
		}
		p.writer.close()
		require.ErrorIs(t, p.writer.do(t.Context(), func(context.Context) error { return nil }), errWriterClosed)
		rows, err := p.journal.InboxByState(t.Context(), database.InboxNew, 100)
		require.NoError(t, err)
		require.Len(t, rows, 50)
		p.die()
	})
}

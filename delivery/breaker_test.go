package delivery

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/database"
	"causeway/network"
)

// dieAt makes a process die at an event, as a crash would.
func dieAt(t *testing.T, on disk, bridge *playedBridge, messageID string) {
	reached := make(chan struct{}, 1)
	blocked, free := context.WithCancel(t.Context())
	bridge.set(func() {
		bridge.before = func(e network.MessageEvent) error {
			_, standIn := e.Message.Content.(network.Unsupported)
			if e.Message.ID.ID == messageID && !standIn {
				select {
				case reached <- struct{}{}:
				default:
				}
				<-blocked.Done()
				return errDown
			}
			return nil
		}
	})
	p := launch(t, on, bridge, func(o *Options) { o.Timing.DeadlyTries = 3 })
	<-reached
	_ = p.db.Close() // nothing of this process is written from here on
	free()
	p.die()
}

func TestAnEventThatEndsTheProcessBecomesAPlaceholderAndCanBeBroughtBack(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		first := boot(t, on, bridge)
		take(t, first, text(anna, "A", "one"), text(anna, "BAD", "deadly"), text(anna, "C", "three"))
		first.die()
		for range 3 {
			dieAt(t, on, bridge, "BAD")
		}
		died := bridge.before
		bridge.set(func() {
			bridge.before = func(e network.MessageEvent) error {
				if _, standIn := e.Message.Content.(network.Unsupported); !standIn && e.Message.ID.ID == "BAD" {
					t.Error("it was tried once more")
				}
				return nil
			}
		})
		require.NotNil(t, died)
		p := launch(t, on, bridge, func(o *Options) { o.Timing.DeadlyTries = 3 })
		bridge.shows(t, anna, "one", "network.Unsupported", "three")
		until(t, func() bool { return p.inboxStates(t)[database.InboxDone] == 3 })

		// what is kept of it comes back when an operator says so, beside the running process
		rows, err := p.journal.InboxByState(t.Context(), database.InboxDone, 10)
		require.NoError(t, err)
		require.Equal(t, endPlaceholder, rows[1].ErrorClass)
		asked := make(chan struct{})
		bridge.set(func() {
			bridge.before = func(network.MessageEvent) error {
				<-asked
				return nil
			}
			delete(bridge.rows, text(anna, "BAD", "").Message.ID.String())
		})
		ledger, err := OpenLedger(t.Context(), Options{DB: database.New(on.place.Open(t)), SecretFile: filepath.Join(on.dir, "secret"), LockFile: filepath.Join(on.dir, "lock")})
		require.NoError(t, err)
		running, err := ledger.Running(t.Context())
		require.NoError(t, err)
		require.True(t, running)
		entry, err := ledger.Show(t.Context(), rows[1].Seq)
		require.NoError(t, err)
		content, err := ledger.Content(t.Context(), entry)
		require.NoError(t, err)
		require.Contains(t, content, "deadly")
		require.NoError(t, ledger.Retry(t.Context(), entry))
		require.ErrorIs(t, ledger.Retry(t.Context(), entry), ErrNothingToRetry)
		require.ErrorIs(t, ledger.Drop(t.Context(), entry, "x"), ErrOnItsWay)
		close(asked)
		bridge.shows(t, anna, "one", "network.Unsupported", "three", "deadly")
		until(t, func() bool { return p.inboxStates(t)[database.InboxDone] == 3 })
		require.Zero(t, p.Inbox.count(string(login), 0), "it was not counted, neither in nor out")
	})
}

// A process that dies for another reason must not cost an event its place.
func TestAnOutageIsNoDeath(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		var tries atomic.Int32
		bridge.before = func(network.MessageEvent) error {
			tries.Add(1)
			return errDown
		}
		first := boot(t, on, bridge)
		take(t, first, text(anna, "A", "one"))
		first.die()
		for range 5 {
			p := launch(t, on, bridge, func(o *Options) {
				o.Timing.DeadlyTries, o.Timing.RetryFirst, o.Timing.RetryLimit = 3, time.Millisecond, time.Millisecond
			})
			tried := tries.Load()
			until(t, func() bool { return tries.Load() > tried+2 })
			p.Stop(t.Context())
			require.NoError(t, p.db.Close())
			after, err := database.New(on.place.Open(t)).Journal("").InboxByState(t.Context(), database.InboxRetry, 1)
			require.NoError(t, err)
			require.Len(t, after, 1)
			require.Zero(t, after[0].Deaths)
		}
		bridge.set(func() { bridge.before = nil })
		launch(t, on, bridge)
		bridge.shows(t, anna, "one")
	})
}

// A row that an older decoder could not read is read by the next version, by itself.
func TestTheNextVersionReadsWhatTheLastCouldNot(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		unread := text(anna, "NEW", "")
		unread.Message.Content = network.Unsupported{Type: "something new", Payload: []byte("poll")}
		version := func(name string) func(*Options) { return func(o *Options) { o.Software = name } }
		old := launch(t, on, bridge, version("1"))
		take(t, old, unread, text(anna, "B", "two"))
		bridge.shows(t, anna, "network.Unsupported", "two")
		until(t, func() bool { return old.inboxStates(t)[database.InboxDone] == 2 })
		old.die()

		// the played bridge edits nothing: it forgets the placeholder, so that the message is shown anew
		forget := func() { delete(bridge.rows, unread.Message.ID.String()) }
		bridge.set(forget)
		same := launch(t, on, bridge, version("1"))
		until(t, func() bool { return same.inboxStates(t)[database.InboxDone] == 2 })
		bridge.shows(t, anna, "network.Unsupported", "two")
		same.die()

		bridge.set(func() {
			forget()
			bridge.reread = func(payload []byte) network.Content { return network.Text{Body: "a " + string(payload)} }
		})
		next := launch(t, on, bridge, version("2"))
		bridge.shows(t, anna, "network.Unsupported", "two", "a poll")
		until(t, func() bool { return next.inboxStates(t)[database.InboxDone] == 2 })
		kept, err := next.Kept(t.Context())
		require.NoError(t, err)
		require.Zero(t, kept[database.WayIn], "what is shown is forgotten")
	})
}

func TestALostSecretIsNoEnd(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		first := boot(t, on, bridge)
		take(t, first, text(anna, "A", "one"), network.ReceiptEvent{Kind: network.Read, Conversation: anna, Reader: anna, IDs: []string{"x"}})
		first.die()
		lost := func(o *Options) { o.SecretFile = filepath.Join(on.dir, "another secret") }
		refused := newProcess(t, on, bridge, lost)
		require.Error(t, refused.Open(t.Context()))
		p := launch(t, on, bridge, lost, func(o *Options) { o.AcceptNewSecret = true })
		until(t, func() bool { return p.inboxStates(t)[database.InboxQuarantined] == 1 })
		take(t, p, text(anna, "B", "two"))
		bridge.shows(t, anna, "two")
		require.Equal(t, []string{string(faultUnreadable)}, bridge.lost)
	})
}

func TestTheLedgerNeedsAJournalOfThisVersion(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		_, err := OpenLedger(t.Context(), Options{DB: database.New(on.place.Open(t))})
		require.True(t, errors.Is(err, ErrNotCurrent))
	})
}

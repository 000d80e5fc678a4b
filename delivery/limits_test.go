package delivery

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/network"
)

func TestABurstPassesAndTheRestWaits(t *testing.T) {
	f := flood{Flood: Flood{Rate: 5, Burst: 3}}
	now := time.Unix(1_700_000_000, 0)
	for range 3 {
		require.Zero(t, f.take("alice", now))
	}
	require.Equal(t, 200*time.Millisecond, f.take("alice", now))
	require.Equal(t, 200*time.Millisecond, f.take("alice", now), "asking costs nothing")
	require.Zero(t, f.take("bob", now), "others are not held up")
	require.Equal(t, 50*time.Millisecond, f.take("alice", now.Add(150*time.Millisecond)))
	require.Zero(t, f.take("alice", now.Add(200*time.Millisecond)))
	require.NotZero(t, f.take("alice", now.Add(200*time.Millisecond)))
	later := now.Add(time.Hour)
	for range 3 {
		require.Zero(t, f.take("alice", later), "a pause gives the burst back")
	}
	require.NotZero(t, f.take("alice", later))
	for i := range 10 * floodUsers {
		f.take(fmt.Sprint(i), later.Add(time.Duration(i)*time.Second))
	}
	require.LessOrEqual(t, len(f.full), floodUsers, "who has been silent is forgotten")
	unbound := flood{}
	for range 1000 {
		require.Zero(t, unbound.take("alice", now))
	}
}

func TestAFloodIsSentInOrderAndTheOverflowRefused(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.change(func() { bridge.clientErr = network.ErrNotConnected })
		p := launch(t, on, bridge, func(o *Options) { o.Flood = Flood{Rate: 1000, Burst: 1, Waiting: 5} })
		for i := range 5 {
			accept(t, p, fmt.Sprint("$", i), fmt.Sprint("m", i))
		}
		_, err := p.Outbox.Accept(t.Context(), outgoingText("$5", "m5"))
		require.ErrorIs(t, err, ErrFlooded)
		accept(t, p, "$4", "m4") // dispatched again: it was taken, and must not be called refused
		p.die()

		bridge.change(func() { bridge.clientErr = nil })
		p = launch(t, on, bridge, func(o *Options) { o.Flood = Flood{Rate: 1000, Burst: 1, Waiting: 5} })
		bridge.client.hears(t, "m0", "m1", "m2", "m3", "m4")
		bridge.reported(t, "$4", Sent)
		until(t, func() bool { return !p.Outbox.flood.over("@alice:hs") })
		accept(t, p, "$5", "m5")
		bridge.client.hears(t, "m0", "m1", "m2", "m3", "m4", "m5")
	})
}

// Somebody who writes faster than people do waits their turn in each login's rooms: others do not wait for them, and nothing is lost.
func TestAPersonsFloodIsShownInTurn(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge, func(o *Options) { o.People = Flood{Rate: 50, Burst: 2} })
		began := time.Now()
		for i := range 7 {
			take(t, p, text(anna, fmt.Sprint("A", i), fmt.Sprint("a", i)))
		}
		bridge.shows(t, anna, "a0", "a1", "a2", "a3", "a4", "a5", "a6")
		require.GreaterOrEqual(t, time.Since(began), 5*time.Second/50, "two at once, and fifty a second after them")
	})
}

func TestWithTheDiskFullNothingIsTakenInAndThenEverythingIs(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		free := uint64(100)
		p := launch(t, on, bridge, func(o *Options) {
			o.Timing.DiskCheck = time.Hour // the test looks itself
			o.Disk = Disk{Reserve: 80, Free: func(string) (uint64, error) { return free, nil }}
		})
		p.checkDisk(t.Context())
		take(t, p, text(anna, "A", "one"))
		free = 79
		p.checkDisk(t.Context())
		require.ErrorIs(t, p.Inbox.Take(t.Context(), login, text(anna, "B", "two")), ErrDiskLow)
		f := newFront(p.Delivery, "token", nil, func(id.UserID) bool { return false })
		f.ready.Store(true)
		require.Equal(t, 503, put(f, "1", "token", `{"events":[]}`).Code)
		free = 85
		p.checkDisk(t.Context())
		require.ErrorIs(t, p.Inbox.Take(t.Context(), login, text(anna, "B", "two")), ErrDiskLow, "not yet: it would come and go")
		free = 90
		p.checkDisk(t.Context())
		take(t, p, text(anna, "B", "two"))
		require.Equal(t, 200, put(f, "1", "token", `{"events":[]}`).Code)
		bridge.shows(t, anna, "one", "two")
		until(t, func() bool {
			bridge.matrixSide.lock.Lock()
			defer bridge.matrixSide.lock.Unlock()
			return len(bridge.disk) == 2
		})
		require.ElementsMatch(t, []bool{true, false}, bridge.disk)
		space, err := freeSpace(on.dir)
		require.NoError(t, err)
		require.Positive(t, space)
	})
}

func TestASlowFileGivesItsChatFreeAndItsAuthorKnows(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.client.answer = func(msg network.Message) (bool, error) {
			if _, file := msg.Content.(network.Media); file {
				<-time.After(60 * time.Millisecond) // a slow network
				return false, network.ErrNotConnected
			}
			return true, nil
		}
		p := launch(t, on, bridge, func(o *Options) { o.Timing.FilePatience = 100 * time.Millisecond })
		file := outgoingText("$file", "")
		file.Message.Content = network.Media{Kind: network.Document, Reference: []byte("{}")}
		_, err := p.Outbox.Accept(t.Context(), file)
		require.NoError(t, err)
		accept(t, p, "$after", "after it")
		require.ErrorIs(t, bridge.reported(t, "$file", Delayed).Err, ErrSlow, "told while it is under way")
		require.ErrorIs(t, bridge.reported(t, "$file", Failed).Err, ErrSlow)
		bridge.reported(t, "$after", Sent)
		bridge.client.hears(t, "after it")
	})
}

// The content of a failed message stays, so that it can be tried again under the same id; until it is dropped.
func TestAFailedMessageIsRetriedOrDropped(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.change(func() { bridge.clientErr = network.ErrNotOptedIn })
		p := launch(t, on, bridge)
		first, second := accept(t, p, "$1", "one"), accept(t, p, "$2", "two")
		bridge.reported(t, "$1", Failed)
		bridge.reported(t, "$2", Failed)
		bridge.change(func() { bridge.clientErr = nil })
		rows := func(event string) []database.OutboxRow {
			require.NoError(t, p.flush(t.Context()))
			rows, err := p.journal.OutboxOfEvent(t.Context(), event)
			require.NoError(t, err)
			require.Len(t, rows, 1)
			return rows
		}
		done, err := p.Outbox.Drop(t.Context(), rows("$2")[0])
		require.NoError(t, err)
		require.True(t, done)
		for seq, want := range map[int64]bool{rows("$1")[0].Seq: true, rows("$2")[0].Seq: false} {
			done, err := p.Retry(t.Context(), database.WayOut, seq)
			require.NoError(t, err)
			require.Equal(t, want, done)
		}
		bridge.client.hears(t, "one")
		require.Equal(t, first.ID, bridge.client.calls()[0].ID.ID)
		require.NotEqual(t, second.ID, first.ID)
		bridge.reported(t, "$1", Sent)
		require.Equal(t, database.OutboxSent, rows("$1")[0].State)
	})
}

func TestAWaitingMessageIsDroppedByItsAuthor(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.change(func() { bridge.clientErr = network.ErrNotConnected })
		p := launch(t, on, bridge, func(o *Options) { o.Timing.ResendFirst, o.Timing.ResendLimit = time.Hour, time.Hour })
		accept(t, p, "$1", "one")
		accept(t, p, "$2", "two")
		rows, err := p.SentAs(t.Context(), "$1")
		require.NoError(t, err)
		done, err := p.Outbox.Drop(t.Context(), rows[0])
		require.NoError(t, err)
		require.True(t, done)
		require.ErrorIs(t, bridge.reported(t, "$1", Failed).Err, ErrDropped)
		bridge.change(func() { bridge.clientErr = nil })
		p.Outbox.Wake(login)
		bridge.client.hears(t, "two")
	})
}

func TestAReasonThatWasNotToldOutlivesTheProcess(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.change(func() { bridge.clientErr, bridge.reportErr = network.ErrNotOptedIn, errDown })
		p := launch(t, on, bridge)
		accept(t, p, "$1", "one")
		until(t, func() bool {
			rows, err := p.SentAs(t.Context(), "$1")
			return err == nil && rows[0].State == database.OutboxFailed
		})
		p.die()
		bridge.change(func() { bridge.reportErr = nil })
		launch(t, on, bridge)
		require.Equal(t, Recorded(network.ErrNotOptedIn.Error()), bridge.reported(t, "$1", Failed).Err)
	})
}

func TestReceiptsAreNotedOnTheirMessages(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		sent := accept(t, p, "$1", "one")
		bridge.reported(t, "$1", Sent)
		at := func(kind network.ReceiptKind, ms int64) network.ReceiptEvent {
			return network.ReceiptEvent{Kind: kind, Conversation: anna, Reader: anna, IDs: []string{sent.ID}, Time: time.UnixMilli(ms)}
		}
		take(t, p, at(network.Delivered, 1000), at(network.Delivered, 1500), at(network.Read, 2000))
		rows, err := p.SentAs(t.Context(), "$1")
		require.NoError(t, err)
		require.EqualValues(t, 1000, rows[0].DeliveredAt)
		require.EqualValues(t, 2000, rows[0].ReadAt)
	})
}

package database

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

var errRollBack = errors.New("only looking")

func outboxRow(seq int64, event string, state OutboxState) OutboxRow {
	return OutboxRow{
		EventID: event, Seq: seq, Login: "login", Chat: "chat", Room: "!r", Author: "@a:b", EventType: "m.room.message",
		RemoteID: "remote-" + event, Payload: []byte("x"), State: state, CreatedAt: 5, Epoch: 1,
	}
}

// journalOfAll has a row of each way in each kind of state; the sequence numbers say which.
func journalOfAll(t *testing.T, db *Database) *Journal {
	ctx, j := context.Background(), db.Journal("")
	for seq, state := range map[int64]InboxState{1: InboxNew, 2: InboxHeld, 3: InboxQuarantined, 4: InboxDone, 5: InboxDone} {
		row := inboxRow(seq, "anna", string(rune('a'+seq)))
		row.State, row.DoneAt, row.Payload, row.Epoch = state, 7, []byte("x"), 1
		switch seq {
		case 4:
			row.ErrorClass = "placeholder"
		case 5:
			row.Payload = nil
		}
		_, err := j.AddInbox(ctx, row)
		require.NoError(t, err)
	}
	for seq, state := range map[int64]OutboxState{11: OutboxReady, 12: OutboxFailed, 13: OutboxSent} {
		row := outboxRow(seq, string(rune('a'+seq)), state)
		if state == OutboxSent {
			row.Payload = nil
		}
		_, _, err := j.AddOutbox(ctx, row)
		require.NoError(t, err)
	}
	for _, seq := range []int64{21, 22} {
		_, err := j.AddMatrix(ctx, MatrixRow{EventID: string(rune('a' + seq)), Seq: seq, Room: "!r", Raw: []byte("{}"), ReceivedAt: 1, Epoch: 1})
		require.NoError(t, err)
	}
	require.NoError(t, j.QuarantineMatrix(ctx, string(rune('a'+22)), 7, "ours"))
	return j
}

func TestEntriesAreListedByWhatBecameOfThem(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, j := context.Background(), journalOfAll(t, db)
		list := func(which Entries) (seqs []int64) {
			which.Limit = max(which.Limit, 1)
			entries, err := j.Entries(ctx, which)
			require.NoError(t, err)
			for _, entry := range entries {
				seqs = append(seqs, entry.Seq)
			}
			return seqs
		}
		require.Equal(t, []int64{1, 2, 11, 21}, list(Entries{Open: true, Limit: 50}))
		require.Equal(t, []int64{3, 4, 12, 22}, list(Entries{Troubled: true, Limit: 50}))
		require.Equal(t, []int64{5, 13}, list(Entries{Ended: true, Limit: 50}))
		require.Len(t, list(Entries{Open: true, Troubled: true, Ended: true, Limit: 50}), 10)
		require.Equal(t, []int64{12, 22}, list(Entries{Troubled: true, Limit: 2}), "the newest")
		require.Equal(t, []int64{12}, list(Entries{Troubled: true, Way: WayOut, Limit: 50}))
		require.Equal(t, []int64{3, 4, 12}, list(Entries{Troubled: true, Login: "login", Limit: 50}))
		require.Empty(t, list(Entries{Limit: 50}))

		entry, err := j.Entry(ctx, 12)
		require.NoError(t, err)
		require.Equal(t, &Entry{Seq: 12, Way: WayOut, State: "failed", Login: "login", Chat: "chat", Room: "!r", Event: string(rune('a' + 12)),
			Kind: "m.room.message", At: 5, Kept: true}, entry)
		entry, err = j.Entry(ctx, 99)
		require.NoError(t, err)
		require.Nil(t, entry)
	})
}

func TestOnlyWhatNoProcessHoldsIsRetriedOrDroppedBesideIt(t *testing.T) {
	type verdicts struct{ retry, dropEnded, dropOpen bool }
	ways := map[int64]Way{1: WayIn, 2: WayIn, 3: WayIn, 4: WayIn, 5: WayIn, 11: WayOut, 12: WayOut, 13: WayOut, 21: WayMatrix, 22: WayMatrix}
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, j := context.Background(), journalOfAll(t, db)
		for seq, want := range map[int64]verdicts{
			1: {false, false, true}, 2: {true, false, true}, 3: {true, true, false}, 4: {true, true, false}, 5: {false, false, false},
			11: {false, false, true}, 12: {true, true, false}, 13: {false, false, false}, 21: {false, false, true}, 22: {true, true, false},
		} {
			try := func(change func(ctx context.Context) (bool, error)) (did bool) {
				require.ErrorIs(t, db.DoTxn(ctx, nil, func(ctx context.Context) (err error) {
					did, err = change(ctx)
					require.NoError(t, err)
					return errRollBack
				}), errRollBack)
				return did
			}
			got := verdicts{
				try(func(ctx context.Context) (bool, error) { return j.Retry(ctx, ways[seq], seq, 9) }),
				try(func(ctx context.Context) (bool, error) { return j.DropEnded(ctx, ways[seq], seq, 9) }),
				try(func(ctx context.Context) (bool, error) { return j.DropOpen(ctx, ways[seq], seq, 9, "dropped") }),
			}
			require.Equal(t, want, got, seq)
		}
	})
}

func TestARetriedRowIsOpenAndNotCounted(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, j := context.Background(), journalOfAll(t, db)
		before, err := j.CountInbox(ctx)
		require.NoError(t, err)
		for _, seq := range []int64{3, 4} {
			done, err := j.Retry(ctx, WayIn, seq, 9)
			require.NoError(t, err)
			require.True(t, done)
		}
		rows, err := j.OpenInbox(ctx, InboxLane{Chat: "chat", Receiver: "login"}, 10)
		require.NoError(t, err)
		require.Len(t, rows, 3)
		require.EqualValues(t, GivenBack, rows[1].Epoch)
		require.EqualValues(t, 9, rows[1].HoldUntil, "it must not be held any more")
		after, err := j.CountInbox(ctx)
		require.NoError(t, err)
		require.Equal(t, before, after)

		done, err := j.Retry(ctx, WayOut, 12, 9)
		require.NoError(t, err)
		require.True(t, done)
		out, err := j.OpenOutbox(ctx, OutboxLane{Login: "login", Chat: "chat"}, 10)
		require.NoError(t, err)
		require.Len(t, out, 2)
		require.EqualValues(t, 9, out[1].CreatedAt, "its time to live begins anew")
		done, err = j.Retry(ctx, WayMatrix, 22, 9)
		require.NoError(t, err)
		require.True(t, done)
	})
}

func TestContentGoesWhenItsTimeIsOverAndKeysStayTillThen(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, j := context.Background(), journalOfAll(t, db)
		require.NoError(t, j.ReportedOutbox(ctx, string(rune('a'+12)), 0))
		deleted, err := j.Expire(ctx, 100)
		require.NoError(t, err)
		require.EqualValues(t, 1, deleted, "rows with content stay: only the plainly done one goes")
		require.NoError(t, j.Forget(ctx, 7))
		kept, err := j.Entries(ctx, Entries{Troubled: true, Limit: 50})
		require.NoError(t, err)
		require.Len(t, kept, 3)
		require.NoError(t, j.Forget(ctx, 8))
		kept, err = j.Entries(ctx, Entries{Troubled: true, Limit: 50})
		require.NoError(t, err)
		require.Empty(t, kept)
		deleted, err = j.Expire(ctx, 100)
		require.NoError(t, err)
		require.EqualValues(t, 4, deleted)
	})
}

func TestTheFateOfASentMessage(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, j := context.Background(), journalOfAll(t, db)
		lane := OutboxLane{Login: "login", Chat: "chat"}
		remote := "remote-" + string(rune('a'+13))
		require.NoError(t, j.Arrived(ctx, lane, remote, false, 20))
		require.NoError(t, j.Arrived(ctx, lane, remote, false, 30))
		require.NoError(t, j.Arrived(ctx, lane, remote, true, 40))
		rows, err := j.OutboxOfEvent(ctx, string(rune('a'+13)))
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.EqualValues(t, 20, rows[0].DeliveredAt, "the first word counts")
		require.EqualValues(t, 40, rows[0].ReadAt)
	})
}

func TestTheSchemaIsKnownToBeCurrent(t *testing.T) {
	onEngines(t, func(t *testing.T, db *Database) {
		current, err := db.Current(t.Context())
		require.NoError(t, err)
		require.False(t, current)
		require.NoError(t, db.Upgrade(t.Context()))
		current, err = db.Current(t.Context())
		require.NoError(t, err)
		require.True(t, current)
	})
}

package database

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func inboxRow(seq int64, sender, id string) InboxRow {
	return InboxRow{
		Seq: seq, Login: "login", Chat: "chat", Receiver: "login", Sender: sender, RemoteID: id, Kind: "message",
		OrderTS: seq * 10, ReceivedAt: seq * 10, Payload: []byte{0, 1, 0xff}, State: InboxNew, Epoch: 1,
	}
}

func TestInboxKnowsAnEventByAllOfItsIdentity(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, j := context.Background(), db.Journal("bridge")
		add := func(r InboxRow) bool {
			added, err := j.AddInbox(ctx, r)
			require.NoError(t, err)
			return added
		}
		require.True(t, add(inboxRow(1, "anna", "A")))
		require.False(t, add(inboxRow(2, "anna", "A")), "the same again")
		require.True(t, add(inboxRow(3, "bob", "A")), "another sender's id")
		otherKind, otherChat, otherLogin := inboxRow(4, "anna", "A"), inboxRow(5, "anna", "A"), inboxRow(6, "anna", "A")
		otherKind.Kind, otherChat.Chat, otherLogin.Login = "undecryptable", "other", "other"
		require.True(t, add(otherKind))
		require.True(t, add(otherChat))
		require.True(t, add(otherLogin))
		last, err := j.LastSeq(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 6, last)
		empty, err := db.Journal("another bridge").LastSeq(ctx)
		require.NoError(t, err)
		require.Zero(t, empty)
	})
}

func TestInboxRowsLive(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, j := context.Background(), db.Journal("")
		lane := InboxLane{Chat: "chat", Receiver: "login"}
		for seq := int64(1); seq <= 3; seq++ {
			_, err := j.AddInbox(ctx, inboxRow(seq, "anna", fmt.Sprint(seq)))
			require.NoError(t, err)
		}
		late := inboxRow(4, "anna", "late")
		late.OrderTS, late.Target = 5, "anna/2"
		_, err := j.AddInbox(ctx, late)
		require.NoError(t, err)
		open := func() (seqs []int64) {
			rows, err := j.OpenInbox(ctx, lane, 10)
			require.NoError(t, err)
			for _, r := range rows {
				seqs = append(seqs, r.Seq)
			}
			return seqs
		}
		require.Equal(t, []int64{1, 2, 3, 4}, open(), "by arrival, whatever the network's time says")

		require.NoError(t, j.HoldInbox(ctx, 4, 100))
		require.NoError(t, j.RetryInbox(ctx, InboxRow{Seq: 1, Attempts: 7, ErrorClass: "transient"}))
		rows, err := j.OpenInbox(ctx, lane, 1)
		require.NoError(t, err)
		want := inboxRow(1, "anna", "1")
		want.State, want.Attempts, want.ErrorClass = InboxRetry, 7, "transient"
		require.Equal(t, []InboxRow{want}, rows)

		done := rows[0]
		done.State, done.DoneAt, done.Payload = InboxDone, 50, nil
		require.NoError(t, j.EndInbox(ctx, done))
		require.Equal(t, []int64{2, 3}, open())
		released, err := j.ReleaseInbox(ctx, lane, "anna/2")
		require.NoError(t, err)
		require.EqualValues(t, 1, released)
		require.Equal(t, []int64{2, 3, 4}, open())

		added, err := j.AddInbox(ctx, inboxRow(9, "anna", "1"))
		require.NoError(t, err)
		require.False(t, added, "a done row still knows its event")
		deleted, err := j.Expire(ctx, 51)
		require.NoError(t, err)
		require.EqualValues(t, 1, deleted)
		counts, err := j.CountInbox(ctx)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"login": 3}, counts)
	})
}

func TestOverdueRowsAreReleasedOnce(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, j := context.Background(), db.Journal("")
		_, err := j.AddInbox(ctx, inboxRow(1, "anna", "1"))
		require.NoError(t, err)
		require.NoError(t, j.HoldInbox(ctx, 1, 100))
		lanes, err := j.ReleaseOverdueInbox(ctx, 100)
		require.NoError(t, err)
		require.Empty(t, lanes)
		lanes, err = j.ReleaseOverdueInbox(ctx, 101)
		require.NoError(t, err)
		require.Equal(t, []InboxLane{{Chat: "chat", Receiver: "login"}}, lanes)
		rows, err := j.OpenInbox(ctx, lanes[0], 10)
		require.NoError(t, err)
		require.EqualValues(t, 100, rows[0].HoldUntil, "so that it is not held again")
	})
}

func TestOutboxKeepsTheFirstRowOfAnEvent(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, j := context.Background(), db.Journal("")
		row := OutboxRow{
			EventID: "$1", Seq: 1, Login: "login", Chat: "chat", Room: "!r", Author: "@a:b", EventType: "m.room.message", MsgType: "m.text",
			RemoteID: "3EB0", Payload: []byte("x"), State: OutboxReady, CreatedAt: 5, Epoch: 1,
		}
		kept, added, err := j.AddOutbox(ctx, row)
		require.NoError(t, err)
		require.True(t, added)
		require.Equal(t, row, kept)
		again := row
		again.Seq, again.RemoteID = 2, "3EB1"
		kept, added, err = j.AddOutbox(ctx, again)
		require.NoError(t, err)
		require.False(t, added)
		require.Equal(t, row, kept)
		other := row
		other.EventID, other.Seq = "$2", 3
		_, _, err = j.AddOutbox(ctx, other)
		require.Error(t, err, "two events must never share a remote id")

		row.State, row.DoneAt, row.ServerTS, row.Payload = OutboxSent, 9, 8, nil
		require.NoError(t, j.EndOutbox(ctx, row))
		unreported, err := j.UnreportedOutbox(ctx)
		require.NoError(t, err)
		require.Len(t, unreported, 1)
		require.Empty(t, unreported[0].Payload)
		require.NoError(t, j.ReportedOutbox(ctx, "$1", 0))
		unreported, err = j.UnreportedOutbox(ctx)
		require.NoError(t, err)
		require.Empty(t, unreported)
	})
}

func TestANewEpochFencesTheOld(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, j := context.Background(), db.Journal("")
		first, err := j.Begin(ctx, "name", 1)
		require.NoError(t, err)
		require.Equal(t, Instance{ID: "name", Epoch: 1}, first)
		write := func(epoch, seq int64) error {
			return j.InEpoch(ctx, epoch, func(ctx context.Context) error {
				_, err := j.AddInbox(ctx, inboxRow(seq, "anna", fmt.Sprint(seq)))
				return err
			})
		}
		require.NoError(t, write(1, 1))
		second, err := j.Begin(ctx, "another name", 2)
		require.NoError(t, err)
		require.Equal(t, Instance{ID: "name", Epoch: 2}, second)
		require.ErrorIs(t, write(1, 2), ErrFenced)
		require.NoError(t, write(2, 3))
		rows, err := j.InboxByState(ctx, InboxNew, 10)
		require.NoError(t, err)
		require.Len(t, rows, 2)
	})
}

func TestAPanicInATransactionRollsItBack(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, j := context.Background(), db.Journal("")
		_, err := j.Begin(ctx, "name", 1)
		require.NoError(t, err)
		err = j.InEpoch(ctx, 1, func(ctx context.Context) error {
			_, err := j.AddInbox(ctx, inboxRow(1, "anna", "1"))
			require.NoError(t, err)
			panic("boom")
		})
		require.ErrorContains(t, err, "boom")
		require.NoError(t, j.InEpoch(ctx, 1, func(ctx context.Context) error {
			rows, err := j.InboxByState(ctx, InboxNew, 10)
			return errors.Join(err, func() error {
				if len(rows) > 0 {
					return errors.New("the row of the panic is there")
				}
				return nil
			}())
		}), "the database is still usable")
	})
}

func TestMatrixEventsReceiptsAndRooms(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, j := context.Background(), db.Journal("")
		for i, id := range []string{"$a", "$b", "$a"} {
			added, err := j.AddMatrix(ctx, MatrixRow{EventID: id, Seq: int64(i), Room: "!r", Raw: []byte("{}"), ReceivedAt: 1, Epoch: 1})
			require.NoError(t, err)
			require.Equal(t, i < 2, added)
		}
		require.NoError(t, j.DoneMatrix(ctx, "$a", 2))
		require.NoError(t, j.TriedMatrix(ctx, "$b"))
		rows, err := j.OpenMatrix(ctx, "!r", 10)
		require.NoError(t, err)
		require.Equal(t, []MatrixRow{{EventID: "$b", Seq: 1, Room: "!r", Raw: []byte("{}"), Attempts: 1, ReceivedAt: 1, Epoch: 1}}, rows)

		receipt := ReceiptRow{Login: "l", Chat: "c", Reader: "r", Kind: "read", Payload: []byte("1"), UpdatedAt: 1}
		require.NoError(t, j.PutReceipt(ctx, receipt))
		newer := receipt
		newer.Payload, newer.UpdatedAt = []byte("2"), 2
		require.NoError(t, j.PutReceipt(ctx, newer))
		require.NoError(t, j.DropReceipt(ctx, receipt), "an older one was shown")
		receipts, err := j.Receipts(ctx)
		require.NoError(t, err)
		require.Equal(t, []ReceiptRow{newer}, receipts)

		room := PendingRoom{PortalID: "p", Marker: "m", CreatedAt: 1}
		require.NoError(t, j.PutPendingRoom(ctx, room))
		room.Room = "!new"
		require.NoError(t, j.PutPendingRoom(ctx, room))
		rooms, err := j.PendingRooms(ctx)
		require.NoError(t, err)
		require.Equal(t, []PendingRoom{room}, rooms)
		require.NoError(t, j.DropPendingRoom(ctx, "p", ""))

		added, err := j.AddToDevice(ctx, ToDeviceRow{Hash: "h", Seq: 1, Raw: []byte("x"), ReceivedAt: 1})
		require.NoError(t, err)
		require.True(t, added)
		require.NoError(t, j.DoneToDevice(ctx, "h"))
		added, err = j.AddToDevice(ctx, ToDeviceRow{Hash: "h", Seq: 2, Raw: []byte("x"), ReceivedAt: 1})
		require.NoError(t, err)
		require.False(t, added)
		require.NoError(t, j.PutLatest(ctx, LatestRow{Kind: "k", Item: "i", Value: []byte("1"), UpdatedAt: 1}))
		require.NoError(t, j.PutLatest(ctx, LatestRow{Kind: "k", Item: "i", Value: []byte("2"), UpdatedAt: 2}))
		latest, err := j.Latest(ctx)
		require.NoError(t, err)
		require.Equal(t, []LatestRow{{Kind: "k", Item: "i", Value: []byte("2"), UpdatedAt: 2}}, latest)
	})
}

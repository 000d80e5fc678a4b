package database

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const mediaOwner = "whatsapp-interop-12-105"

// putOwner stores an enlistment that media can belong to.
func putOwner(t *testing.T, db *Database, loginID, account string) {
	t.Helper()
	consent := "c_" + account
	require.NoError(t, db.InsertConsent(t.Context(), Consent{ID: consent, User: "@" + account + ":example.eu", Network: "whatsapp"}))
	require.NoError(t, db.PutEnlistment(t.Context(), Enlistment{LoginID: loginID, EnlistmentID: "e_" + account,
		User: "@" + account + ":example.eu", Network: "whatsapp", Integrator: 12, AccountID: account, Subject: "u_" + account,
		Status: "active", ConsentID: consent}))
}

func TestMediaRows(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, now := t.Context(), time.UnixMilli(1_790_000_000_000)
		other := "whatsapp-interop-12-106"
		putOwner(t, db, mediaOwner, "105")
		putOwner(t, db, other, "106")
		for i, m := range []Media{{ID: "a", LoginID: mediaOwner}, {ID: "b", LoginID: mediaOwner}, {ID: "c", LoginID: other}} {
			m.Size, m.SHA256, m.CreatedAt, m.ExpiresAt = int64(10*(i+1)), "00", now, now.Add(time.Duration(i)*time.Hour)
			require.NoError(t, db.InsertMedia(ctx, m))
			require.Error(t, db.InsertMedia(ctx, m), "an id is used once")
		}
		own, all, err := db.MediaUsage(ctx, mediaOwner)
		require.NoError(t, err)
		require.Equal(t, []int64{30, 60}, []int64{own, all})

		fresh, err := db.Media(ctx, "b")
		require.NoError(t, err)
		require.Equal(t, &Media{ID: "b", LoginID: mediaOwner, Size: 20, SHA256: "00", CreatedAt: now, ExpiresAt: now.Add(time.Hour)}, fresh)
		found, err := db.ReadyMedia(ctx, "b", now.Add(2*time.Hour))
		require.NoError(t, err)
		require.True(t, found)
		found, err = db.ReadyMedia(ctx, "x", now)
		require.NoError(t, err)
		require.False(t, found)
		fresh, err = db.Media(ctx, "b")
		require.NoError(t, err)
		require.True(t, fresh.Ready)
		require.Equal(t, now.Add(2*time.Hour), fresh.ExpiresAt)

		ids, err := db.DeleteExpiredMedia(ctx, now)
		require.NoError(t, err)
		require.Equal(t, []string{"a"}, ids)
		ids, err = db.DeleteMediaOf(ctx, mediaOwner)
		require.NoError(t, err)
		require.Equal(t, []string{"b"}, ids)
		require.NoError(t, db.DeleteMedia(ctx, "c"))
		require.NoError(t, db.DeleteMedia(ctx, "c"))
		own, all, err = db.MediaUsage(ctx, other)
		require.NoError(t, err)
		require.Equal(t, []int64{0, 0}, []int64{own, all})
		gone, err := db.Media(ctx, "b")
		require.NoError(t, err)
		require.Nil(t, gone)
	})
}

// Media belongs to somebody, and goes with them.
func TestMediaGoesWithItsOwner(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		require.Error(t, db.InsertMedia(t.Context(), Media{ID: "a", LoginID: "whatsapp-interop-12-999"}))
		putOwner(t, db, mediaOwner, "105")
		require.NoError(t, db.InsertMedia(t.Context(), Media{ID: "a", LoginID: mediaOwner}))
		_, err := db.Exec(t.Context(), "DELETE FROM cw_enlistment")
		require.NoError(t, err)
		gone, err := db.Media(t.Context(), "a")
		require.NoError(t, err)
		require.Nil(t, gone)
	})
}

func TestPushRows(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, now := t.Context(), time.UnixMilli(1_790_000_000_000)
		events := []PushEvent{
			{DeliveryID: "d1", Seq: 0, Network: "whatsapp", LoginID: mediaOwner, Type: "message_waiting", Detail: `{"count":3}`, SentAt: now},
			{DeliveryID: "d1", Seq: 2, Network: "whatsapp", Type: "integrator_status", Detail: `{}`, SentAt: now},
		}
		fresh, err := db.InsertPush(ctx, "d1", now, events)
		require.NoError(t, err)
		require.True(t, fresh)
		fresh, err = db.InsertPush(ctx, "d1", now, events)
		require.NoError(t, err)
		require.False(t, fresh, "the same call again")

		waiting, err := db.PushEvents(ctx, 10)
		require.NoError(t, err)
		require.Equal(t, []*PushEvent{&events[0], &events[1]}, waiting)
		waiting, err = db.PushEvents(ctx, 1)
		require.NoError(t, err)
		require.Len(t, waiting, 1)
		require.NoError(t, db.DeletePushEvent(ctx, waiting[0]))
		waiting, err = db.PushEvents(ctx, 10)
		require.NoError(t, err)
		require.Equal(t, []*PushEvent{&events[1]}, waiting)

		require.NoError(t, db.ForgetPushDeliveries(ctx, now.Add(-time.Millisecond)))
		fresh, err = db.InsertPush(ctx, "d1", now, nil)
		require.NoError(t, err)
		require.False(t, fresh)
		require.NoError(t, db.ForgetPushDeliveries(ctx, now))
		fresh, err = db.InsertPush(ctx, "d1", now, nil)
		require.NoError(t, err)
		require.True(t, fresh)
	})
}

// A call whose events cannot be stored is not remembered either.
func TestPushIsStoredWholeOrNotAtAll(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		now := time.UnixMilli(1_790_000_000_000)
		twice := []PushEvent{{Seq: 1}, {Seq: 1}}
		_, err := db.InsertPush(t.Context(), "d1", now, twice)
		require.Error(t, err)
		waiting, err := db.PushEvents(t.Context(), 10)
		require.NoError(t, err)
		require.Empty(t, waiting)
		fresh, err := db.InsertPush(t.Context(), "d1", now, nil)
		require.NoError(t, err)
		require.True(t, fresh)
	})
}

package database

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSignalStoresAreApart(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx := t.Context()
		one, two := db.SignalStore("whatsapp-interop-12-1"), db.SignalStore("whatsapp-interop-13-1")
		require.NoError(t, one.PutSessions(ctx, map[string][]byte{"5_1:0": {1}, "6_1:0": {2}}))
		require.NoError(t, two.PutSessions(ctx, map[string][]byte{"5_1:0": {3}}))
		require.NoError(t, one.PutSessions(ctx, map[string][]byte{"6_1:0": {4}, "7_1:0": {5}}))

		found, err := one.Sessions(ctx, []string{"5_1:0", "6_1:0", "7_1:0", "8_1:0"})
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"5_1:0": {1}, "6_1:0": {4}, "7_1:0": {5}}, found)
		found, err = two.Sessions(ctx, []string{"5_1:0", "6_1:0"})
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"5_1:0": {3}}, found)

		require.NoError(t, one.DeleteSession(ctx, "5_1:0"))
		require.NoError(t, one.PutIdentity(ctx, "5_1:0", []byte{9}))
		require.NoError(t, one.PutIdentity(ctx, "5_1:0", []byte{8}))
		key, err := one.Identity(ctx, "5_1:0")
		require.NoError(t, err)
		require.Equal(t, []byte{8}, key)
		key, err = two.Identity(ctx, "5_1:0")
		require.NoError(t, err)
		require.Nil(t, key)
		require.NoError(t, db.DeleteSignalStore(ctx, "whatsapp-interop-12-1"))
		key, err = one.Identity(ctx, "5_1:0")
		require.NoError(t, err)
		require.Nil(t, key)
	})
}

func TestSignalKeysAreNeverOverwritten(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx := t.Context()
		store := db.SignalStore("provisional-1")
		keys, err := store.PrivateKeys(ctx)
		require.NoError(t, err)
		require.Nil(t, keys)
		require.NoError(t, store.PutPrivateKeys(ctx, []byte{1, 2}))
		require.Error(t, store.PutPrivateKeys(ctx, []byte{3}))

		require.NoError(t, db.RenameSignalStore(ctx, "provisional-1", "whatsapp-interop-12-1"))
		keys, err = db.SignalStore("whatsapp-interop-12-1").PrivateKeys(ctx)
		require.NoError(t, err)
		require.Equal(t, []byte{1, 2}, keys)
		require.NoError(t, store.PutPrivateKeys(ctx, []byte{3}))
		require.ErrorContains(t, db.RenameSignalStore(ctx, "provisional-1", "whatsapp-interop-12-1"), "already has state")
	})
}

func TestSignalPreKeys(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx := t.Context()
		store := db.SignalStore("whatsapp-interop-12-1")
		keys := make(map[uint32][]byte)
		for id := uint32(1); id <= 812; id++ {
			keys[id] = []byte{byte(id)}
		}
		require.NoError(t, store.PutPreKeys(ctx, keys, false))
		pending, err := store.PendingPreKeys(ctx, 3)
		require.NoError(t, err)
		require.Equal(t, map[uint32][]byte{1: {1}, 2: {2}, 3: {3}}, pending)
		require.NoError(t, store.MarkPreKeysUploaded(ctx, 810))
		count, err := store.CountUploadedPreKeys(ctx)
		require.NoError(t, err)
		require.Equal(t, 810, count)
		pending, err = store.PendingPreKeys(ctx, 50)
		require.NoError(t, err)
		require.Len(t, pending, 2)

		require.NoError(t, store.DeletePreKey(ctx, 812))
		key, err := store.PreKey(ctx, 812)
		require.NoError(t, err)
		require.Nil(t, key)
		last, err := store.LastPreKeyID(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 812, last, "the id of a used key must not return")
	})
}

func TestSignalOpenedAndSent(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx := t.Context()
		store := db.SignalStore("whatsapp-interop-12-1")
		old, now := time.UnixMilli(1_000), time.UnixMilli(5_000)
		mark := func(hash string, at time.Time) (fresh bool, kept string) {
			fresh, plaintext, err := store.MarkOpened(ctx, []byte(hash), at)
			require.NoError(t, err)
			return fresh, string(plaintext)
		}
		fresh, _ := mark("taken", old)
		require.True(t, fresh)
		fresh, kept := mark("taken", now)
		require.False(t, fresh)
		require.Empty(t, kept)
		_, err := db.Exec(ctx, `INSERT INTO cw_signal_opened (login_id, hash, plaintext, opened_at) VALUES ($1, $2, $3, 1000), ($1, $4, $3, 1000)`,
			"whatsapp-interop-12-1", []byte("kept"), []byte("text"), []byte("waiting"))
		require.NoError(t, err, "as a former version did")
		fresh, kept = mark("kept", now)
		require.False(t, fresh)
		require.Equal(t, "text", kept)
		_, kept = mark("kept", now)
		require.Empty(t, kept)

		require.NoError(t, store.PutSent(ctx, "5@lid", "A", "text:", []byte("one"), old))
		require.NoError(t, store.PutSent(ctx, "5@lid", "A", "text:", []byte("one again"), now))
		require.NoError(t, store.PutSent(ctx, "6@lid", "A", "text:", []byte("two"), old))
		require.NoError(t, store.Prune(ctx, time.UnixMilli(2_000)))

		fresh, _ = mark("taken", now)
		require.True(t, fresh)
		_, kept = mark("waiting", now)
		require.Equal(t, "text", kept, "what nobody has taken stays")
		kind, plaintext, err := store.Sent(ctx, "5@lid", "A")
		require.NoError(t, err)
		require.Equal(t, "text:", kind)
		require.Equal(t, []byte("one again"), plaintext)
		_, plaintext, err = store.Sent(ctx, "6@lid", "A")
		require.NoError(t, err)
		require.Nil(t, plaintext)
	})
}

func TestSignalTransactionRollsBack(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx := t.Context()
		store := db.SignalStore("whatsapp-interop-12-1")
		cause := errors.New("no")
		err := store.Transaction(ctx, func(ctx context.Context) error {
			require.NoError(t, store.PutSessions(ctx, map[string][]byte{"5_1:0": {1}}))
			_, _, err := store.MarkOpened(ctx, []byte("hash"), time.Now())
			require.NoError(t, err)
			return cause
		})
		require.ErrorIs(t, err, cause)
		sessions, err := store.Sessions(ctx, []string{"5_1:0"})
		require.NoError(t, err)
		require.Empty(t, sessions)
		fresh, _, err := store.MarkOpened(ctx, []byte("hash"), time.Now())
		require.NoError(t, err)
		require.True(t, fresh)
	})
}

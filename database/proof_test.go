package database

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProofs(t *testing.T) {
	onUpgraded(t, func(t *testing.T, db *Database) {
		ctx, now := t.Context(), time.UnixMilli(1_790_000_000_000)
		keep := func(login, message, payload string, at time.Time) {
			require.NoError(t, db.KeepProof(ctx, login, message, []byte(payload), at, time.Hour))
		}
		kept := func(login, message string) string {
			payload, err := db.Proof(ctx, login, message)
			require.NoError(t, err)
			return string(payload)
		}
		keep("a", "1", "one", now)
		keep("a", "1", "another", now)
		keep("b", "1", "of another login", now)
		require.Equal(t, "one", kept("a", "1"), "the first stays")
		require.Equal(t, "of another login", kept("b", "1"))
		require.Empty(t, kept("a", "2"))
		require.NoError(t, db.DeleteProofsOf(ctx, "b"))
		require.Empty(t, kept("b", "1"))
		keep("a", "2", "two", now.Add(time.Hour))
		require.Equal(t, "one", kept("a", "1"), "its time is not over")
		keep("a", "3", "three", now.Add(time.Hour+time.Millisecond))
		require.Empty(t, kept("a", "1"))
		require.Equal(t, "two", kept("a", "2"))
	})
}

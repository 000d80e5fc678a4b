package delivery

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/database/databasetest"

	"causeway/database"
)

func TestASecondProcessEndsHavingChangedNothing(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		first := boot(t, on, newBridge())
		second := newProcess(t, on, newBridge())
		require.ErrorIs(t, second.Open(t.Context()), ErrAlreadyRunning)
		instance, err := first.journal.Instance(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, instance.Epoch)
		first.die()
		third := boot(t, on, newBridge())
		require.EqualValues(t, 2, third.instance.Epoch)
		third.die()
	})
}

func TestACleanStopIsNoted(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := boot(t, on, bridge)
		require.NoError(t, p.Run(t.Context()))
		take(t, p, text(anna, "A", "one"))
		p.Stop(t.Context())
		p.Stop(context.Background())
		next := newProcess(t, on, bridge)
		instance, err := next.journal.Instance(t.Context())
		require.NoError(t, err)
		require.True(t, instance.CleanStop)
		require.NoError(t, next.Open(t.Context()))
		instance, err = next.journal.Instance(t.Context())
		require.NoError(t, err)
		require.False(t, instance.CleanStop)
		require.NoError(t, next.Run(t.Context()))
		bridge.shows(t, anna, "one")
		next.die()
	})
}

func TestARestoredDatabaseIsNoticed(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		epochFile := filepath.Join(on.dir, "epoch")
		boot(t, on, newBridge()).die()
		p := boot(t, on, newBridge())
		ahead := p.instance
		ahead.Commits++
		p.die()

		for name, note := range map[string]database.Instance{
			"an epoch behind":    {ID: ahead.ID, Epoch: ahead.Epoch + 1},
			"commits behind":     ahead,
			"another database's": {ID: "another", Epoch: 1},
		} {
			require.NoError(t, writeEpochFile(epochFile, note))
			require.ErrorIs(t, newProcess(t, on, newBridge()).Open(t.Context()), ErrRestored, name)
		}
		failing := newProcess(t, on, newBridge(), func(o *Options) {
			o.AcceptRestore, o.OnRestore = true, func(context.Context) error { return errors.New("no") }
		})
		require.ErrorContains(t, failing.Open(t.Context()), "no")

		renewed := false
		accepted := boot(t, on, newBridge(), func(o *Options) {
			o.AcceptRestore, o.OnRestore = true, func(context.Context) error { renewed = true; return nil }
		})
		require.True(t, renewed)
		accepted.die()
		boot(t, on, newBridge()).die()

		require.NoError(t, os.Remove(epochFile))
		boot(t, on, newBridge()).die()
		require.FileExists(t, epochFile)
	})
}

func TestADatabaseKeepsItsSecret(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		path := filepath.Join(on.dir, "secret")
		boot(t, on, newBridge()).die()
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o400), info.Mode().Perm())
		require.NoError(t, os.Chmod(path, 0o440))
		require.ErrorContains(t, newProcess(t, on, newBridge()).Open(t.Context()), "chmod 0400")
		require.NoError(t, os.Remove(path))
		require.ErrorIs(t, newProcess(t, on, newBridge()).Open(t.Context()), os.ErrNotExist, "a used database gets no new secret")
	})
}

func TestPayloadsOpenForTheirRowOnly(t *testing.T) {
	secret, err := NewSecret(make([]byte, secretLength))
	require.NoError(t, err)
	sealed := secret.lock([]byte("hello"), "table", "row")
	require.NotContains(t, string(sealed), "hello")
	opened, err := secret.unlock(sealed, "table", "row")
	require.NoError(t, err)
	require.Equal(t, "hello", string(opened))
	_, err = secret.unlock(sealed, "table", "other row")
	require.Error(t, err)
	_, err = secret.unlock(sealed, "tabler", "ow")
	require.Error(t, err, "parts do not run into each other")
	sealed[len(sealed)-1] ^= 1
	_, err = secret.unlock(sealed, "table", "row")
	require.Error(t, err)
	_, err = secret.unlock(nil, "table", "row")
	require.Error(t, err)

	other, err := NewSecret(append(make([]byte, secretLength-1), 1))
	require.NoError(t, err)
	require.Equal(t, secret.transactionID("a", "b"), secret.transactionID("a", "b"))
	require.NotEqual(t, secret.transactionID("a", "b"), secret.transactionID("ab", ""))
	require.NotEqual(t, secret.transactionID("a", "b"), other.transactionID("a", "b"))
	require.NotEqual(t, secret.markerKey(), other.markerKey())
	require.Regexp(t, `^cw[a-z2-7]{40}$`, secret.transactionID("a"))
	require.Regexp(t, `^[0-9a-f]{32}$`, secret.marker("a"))
}

func TestADatabaseThatForgetsIsRefused(t *testing.T) {
	forgets := disk{dir: t.TempDir(), place: databasetest.SQLite(t.TempDir())}
	forgets.place.Driver = "sqlite3-fk-wal"
	require.ErrorContains(t, newProcess(t, forgets, newBridge()).Open(t.Context()), "sqlite3-fk-wal-fullsync")
	if place, ok := databasetest.Postgres(t); ok {
		forgets.place = place
		forgets.place.URI += "&synchronous_commit=off"
		require.ErrorContains(t, newProcess(t, forgets, newBridge()).Open(t.Context()), "synchronous_commit")
	}
}

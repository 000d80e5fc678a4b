package database

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"
)

func openTurns(t *testing.T, name string, wait time.Duration) *sql.DB {
	sql.Register(name, newSQLite(wait))
	db, err := sql.Open(name, "file:"+filepath.Join(t.TempDir(), "turns.db")+"?_txlock=immediate&_stmt_cache_size=16")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(5)
	_, err = db.ExecContext(t.Context(), "CREATE TABLE counter (id INTEGER PRIMARY KEY, value INTEGER NOT NULL)")
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "INSERT INTO counter VALUES (1, 0)")
	require.NoError(t, err)
	var level int
	require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&level))
	require.Equal(t, 2, level)
	return db
}

func TestSQLiteWritersTakeTurns(t *testing.T) {
	db := openTurns(t, "turns", writeWait)
	const each = 50
	var writers sync.WaitGroup
	for _, write := range []func(context.Context) error{
		func(ctx context.Context) error {
			_, err := db.ExecContext(ctx, "UPDATE counter SET value = value + 1")
			return err
		},
		func(ctx context.Context) error {
			var value int
			return db.QueryRowContext(ctx, "\n\tUPDATE counter SET value = value + 1 RETURNING value").Scan(&value)
		},
		func(ctx context.Context) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			var value int
			if err = tx.QueryRowContext(ctx, "select value FROM counter").Scan(&value); err != nil {
				return err
			}
			if _, err = tx.ExecContext(ctx, "UPDATE counter SET value = $1", value+1); err != nil {
				return err
			}
			return tx.Commit()
		},
		func(ctx context.Context) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			if _, err = tx.ExecContext(ctx, "UPDATE counter SET value = -1000"); err != nil {
				return err
			}
			return tx.Rollback()
		},
	} {
		writers.Go(func() {
			for range each {
				if err := write(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	var value int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT value FROM counter").Scan(&value))
	require.Equal(t, 3*each, value)
}

func TestASQLiteWriterThatWaitsForItselfEnds(t *testing.T) {
	db := openTurns(t, "turns that end soon", 10*time.Millisecond)
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	var busy sqlite3.Error
	_, err = db.ExecContext(t.Context(), "UPDATE counter SET value = 1")
	require.ErrorAs(t, err, &busy)
	require.Equal(t, sqlite3.ErrBusy, busy.Code)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = db.ExecContext(ended, "UPDATE counter SET value = 1")
	require.ErrorIs(t, err, context.Canceled)
	var value int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT value FROM counter").Scan(&value), "reading needs no turn")
	require.NoError(t, tx.Rollback())
	_, err = db.ExecContext(t.Context(), "UPDATE counter SET value = 1")
	require.NoError(t, err)
}

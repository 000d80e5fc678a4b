package delivery

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.mau.fi/util/dbutil"

	"causeway/database"
)

var (
	// ErrAlreadyRunning means that another process works on the same database.
	ErrAlreadyRunning = errors.New("another process is already running on this database")
	// ErrRestored means that the database is an older copy of itself. Its Signal sessions would use
	// keys a second time, so a start needs the operator's word that this is meant.
	ErrRestored = errors.New("the database is older than at the last run: it was restored from a backup. If that is meant, start once with --accept-restore: all encrypted sessions begin anew")
)

// sqliteFull is the least of SQLite's synchronous levels at which a commit is on disk.
const sqliteFull = 2

// lockPatience is how long a lock on the database server may still be held by a process that has just died: the server
// notices the end of its connection a moment later.
const (
	lockPatience = 4 * time.Second
	lockRetry    = 100 * time.Millisecond
)

// lockCheck is how often a lock on the database server is looked after.
const lockCheck = 2 * time.Second

// takeLock makes this process the only one on the database, until release is called. On SQLite it
// locks a file; on PostgreSQL it holds an advisory lock on a connection of its own, and lost is
// called when that connection breaks.
func takeLock(ctx context.Context, db *database.Database, path, bridgeID string, lost func(error)) (release func(), err error) {
	if db.Dialect == dbutil.Postgres {
		return takeServerLock(ctx, db, bridgeID, lost)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("failed to open the lock file: %w", err)
	}
	if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrAlreadyRunning
		}
		return nil, fmt.Errorf("failed to lock %s: %w", path, err)
	}
	// the file stays: removing it would let two processes lock two files of one name
	return func() { _ = file.Close() }, nil
}

func takeServerLock(ctx context.Context, db *database.Database, bridgeID string, lost func(error)) (func(), error) {
	conn, err := db.RawDB.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to connect for the lock: %w", err)
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte("causeway delivery " + bridgeID))
	if err = awaitServerLock(ctx, conn, int64(hash.Sum64())); err != nil {
		_ = conn.Close()
		return nil, err
	}
	watch, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watchLock(watch, conn.PingContext, lost)
	}()
	return func() {
		cancel()
		<-ended
		_, _ = conn.ExecContext(context.Background(), `SELECT pg_advisory_unlock_all()`)
		_ = conn.Close()
	}, nil
}

// awaitServerLock takes the lock, within [lockPatience] or not at all.
func awaitServerLock(ctx context.Context, conn *sql.Conn, key int64) error {
	for deadline := time.Now().Add(lockPatience); ; {
		var taken bool
		err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock(hashtextextended(current_schema(), $1))`, key).Scan(&taken)
		switch {
		case err != nil:
			return fmt.Errorf("failed to lock the database: %w", err)
		case taken:
			return nil
		case time.Now().After(deadline):
			return ErrAlreadyRunning
		case !sleep(ctx, lockRetry):
			return ctx.Err()
		}
	}
}

func watchLock(ctx context.Context, ping func(context.Context) error, lost func(error)) {
	ticker := time.NewTicker(lockCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := ping(ctx); err != nil && ctx.Err() == nil {
			lost(fmt.Errorf("failed to keep the lock on the database: %w", err))
			return
		}
	}
}

// checkSynced refuses a database whose commits may vanish with the power: each acknowledgement rests on one.
func checkSynced(ctx context.Context, db *database.Database) error {
	if db.Dialect == dbutil.Postgres {
		var level string
		if err := db.QueryRow(ctx, `SHOW synchronous_commit`).Scan(&level); err != nil {
			return fmt.Errorf("failed to read synchronous_commit: %w", err)
		}
		if level == "off" {
			return errors.New("the database server has synchronous_commit off: set it to on, or messages are lost with the power")
		}
		return nil
	}
	var level int
	if err := db.QueryRow(ctx, `PRAGMA synchronous`).Scan(&level); err != nil {
		return fmt.Errorf("failed to read PRAGMA synchronous: %w", err)
	}
	if level < sqliteFull {
		return errors.New("database.type: set it to sqlite3-fk-wal-fullsync, or messages are lost with the power")
	}
	return nil
}

// epochFile is kept beside the database and outside its backups. It never runs ahead of the
// database, so a database that is behind it is an old copy.
type epochFile struct {
	Instance string `json:"instance"`
	Epoch    int64  `json:"epoch"`
	Commits  int64  `json:"commits"`
}

// checkEpochFile compares the database with what the last run noted. It returns whether there was a note.
func checkEpochFile(path string, instance database.Instance) (found bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("failed to read the epoch file: %w", err)
	}
	var note epochFile
	if err = json.Unmarshal(data, &note); err != nil {
		return false, fmt.Errorf("failed to read the epoch file %s: %w", path, err)
	}
	switch {
	case note.Instance != instance.ID:
		return true, fmt.Errorf("%w (the epoch file %s belongs to another database)", ErrRestored, path)
	case note.Epoch > instance.Epoch, note.Epoch == instance.Epoch && note.Commits > instance.Commits:
		return true, ErrRestored
	}
	return true, nil
}

// writeEpochFile replaces the note, synced, so that a power cut leaves the old one or the new one.
func writeEpochFile(path string, instance database.Instance) error {
	data, err := json.Marshal(epochFile{Instance: instance.ID, Epoch: instance.Epoch, Commits: instance.Commits})
	if err != nil {
		return fmt.Errorf("failed to spell the epoch file: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("failed to write the epoch file: %w", err)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("failed to write the epoch file: %w", err)
	}
	return nil
}

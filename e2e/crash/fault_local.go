package crash

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"

	"causeway/e2e/crash/checker"
)

const (
	// bridgeService is the name of the bridge among the homeserver's application services.
	bridgeService = "causeway"
	outOfOrder    = checker.Disordered
	// cutEvery is how long connections to the database live that are cut again and again.
	cutEvery = time.Second
	// refusedWithin is how long a second process may take to find out that it is one.
	refusedWithin = 30 * time.Second
)

func localFaults() []Fault {
	return []Fault{
		{Name: "the database is locked by somebody else", Side: "local", Engine: "sqlite", begin: lockSQLite},
		{Name: "the journal's tables are locked by somebody else", Side: "local", Engine: "postgres", begin: lockPostgres},
		{Name: "the database server cuts connections", Side: "local", Engine: "postgres", begin: cutPostgres},
		{Name: "the process is stopped for a while", Side: "local", begin: stopped},
		{Name: "a second process on the same database", Side: "local", begin: secondProcess},
	}
}

// lockSQLite holds the right to write, as a backup program may that goes about it the wrong way.
func lockSQLite(ctx context.Context, r *runner, _ *life, _ time.Duration) (func() int, error) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(r.stage.Bridge.Dir, "causeway.db")+"?_txlock=immediate&_busy_timeout=20000")
	if err != nil {
		return nil, fmt.Errorf("failed to open the database: %w", err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("failed to lock the database: %w", err), db.Close())
	}
	return func() int {
		if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
			r.problem("the database could not be given free: %v", err)
		}
		return 1
	}, nil
}

func lockPostgres(ctx context.Context, r *runner, _ *life, _ time.Duration) (func() int, error) {
	tx, err := r.admin.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("failed to begin: %w", err)
	}
	if _, err = tx.ExecContext(ctx, "LOCK TABLE cw_inbox, cw_outbox IN ACCESS EXCLUSIVE MODE"); err != nil {
		return nil, errors.Join(fmt.Errorf("failed to lock the journal: %w", err), tx.Rollback())
	}
	return func() int {
		if err := tx.Rollback(); err != nil {
			r.problem("the journal could not be given free: %v", err)
		}
		return 1
	}, nil
}

// cutPostgres ends the bridge's connections again and again, but for the one that holds its lock: without that it must end.
func cutPostgres(ctx context.Context, r *runner, _ *life, lasts time.Duration) (func() int, error) {
	cut := 0
	stop := again(ctx, min(cutEvery, lasts/2), func() {
		count := 0
		err := r.admin.QueryRowContext(ctx, `
			SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()
			AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')`, bridgeName).Scan(&count)
		if err != nil && ctx.Err() == nil {
			r.options.note("failed to cut connections: %v", err)
		}
		cut += count
	})
	return func() int { stop(); return cut }, nil
}

// stopped keeps the process from running, as a suspended machine does.
func stopped(_ context.Context, r *runner, l *life, _ time.Duration) (func() int, error) {
	if err := syscall.Kill(l.process.PID(), syscall.SIGSTOP); err != nil {
		return nil, fmt.Errorf("failed to stop the process: %w", err)
	}
	return func() int {
		if err := syscall.Kill(l.process.PID(), syscall.SIGCONT); err != nil {
			r.problem("the process could not go on: %v", err)
		}
		return 1
	}, nil
}

// secondProcess starts the program a second time, which must end by itself and leave the first alone.
func secondProcess(_ context.Context, r *runner, _ *life, _ time.Duration) (func() int, error) {
	second, err := r.stage.Bridge.Launch()
	if err != nil {
		return nil, err
	}
	return func() int {
		defer second.Kill()
		select {
		case <-second.Done():
		case <-time.After(refusedWithin):
			r.problem("a second process runs beside the first")
			return 0
		}
		if second.Err() == nil || !strings.Contains(second.Output(), "another process is already running on this database") {
			r.problem("a second process ended without saying why: %v", second.Err())
		}
		return 1
	}, nil
}

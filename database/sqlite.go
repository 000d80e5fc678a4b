package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

const (
	// SQLiteDriver is the name of the driver that [RegisterSQLite] makes known.
	SQLiteDriver = "sqlite3-causeway"
	// writeWait is how long a writer waits for its turn, as SQLite itself would: so a writer that waits for itself ends.
	writeWait = 5 * time.Second
)

// RegisterSQLite makes [SQLiteDriver] known to database/sql: synced commits, foreign keys, and one writer at a time in
// the order of their coming. SQLite has one writer at a time too, but whoever finds another at work sleeps for
// milliseconds and looks again, while commits take a tenth of that. It is called once, for one database.
func RegisterSQLite() { sql.Register(SQLiteDriver, newSQLite(writeWait)) }

func newSQLite(wait time.Duration) *sqlite {
	return &sqlite{turn: make(chan struct{}, 1), wait: wait, inner: &sqlite3.SQLiteDriver{
		ConnectHook: func(conn *sqlite3.SQLiteConn) error {
			for _, pragma := range []string{
				"PRAGMA foreign_keys = ON", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 5000",
			} {
				if _, err := conn.Exec(pragma, nil); err != nil {
					return fmt.Errorf("failed to set %s: %w", pragma, err)
				}
			}
			return nil
		},
	}}
}

// sqlite is the driver. turn holds one while somebody writes.
type sqlite struct {
	inner *sqlite3.SQLiteDriver
	turn  chan struct{}
	wait  time.Duration
}

// Open implements [driver.Driver].
func (s *sqlite) Open(name string) (driver.Conn, error) {
	conn, err := s.inner.Open(name)
	if err != nil {
		return nil, err
	}
	inner, ok := conn.(*sqlite3.SQLiteConn)
	if !ok {
		return nil, errors.Join(errors.New("not a connection of SQLite"), conn.Close())
	}
	return &sqliteConn{SQLiteConn: inner, sqlite: s}, nil
}

// sqliteConn takes its turn before it writes.
type sqliteConn struct {
	*sqlite3.SQLiteConn
	sqlite *sqlite
	// writing: in a transaction, which holds the turn.
	writing bool
}

var (
	_ driver.ConnBeginTx        = (*sqliteConn)(nil)
	_ driver.ExecerContext      = (*sqliteConn)(nil)
	_ driver.QueryerContext     = (*sqliteConn)(nil)
	_ driver.ConnPrepareContext = (*sqliteConn)(nil)
)

// take waits for the turn to write; the function gives it back.
func (c *sqliteConn) take(ctx context.Context) (func(), error) {
	if c.writing {
		return func() {}, nil
	}
	turn := c.sqlite.turn
	give := func() { <-turn }
	select {
	case turn <- struct{}{}:
		return give, nil
	default:
	}
	timer := time.NewTimer(c.sqlite.wait)
	defer timer.Stop()
	select {
	case turn <- struct{}{}:
		return give, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, sqlite3.Error{Code: sqlite3.ErrBusy}
	}
}

// BeginTx implements [driver.ConnBeginTx]. A transaction writes unless it says otherwise.
func (c *sqliteConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if options.ReadOnly {
		return c.SQLiteConn.BeginTx(ctx, options)
	}
	give, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := c.SQLiteConn.BeginTx(ctx, options)
	if err != nil {
		give()
		return nil, err
	}
	c.writing = true
	return &sqliteTx{Tx: tx, end: func() {
		c.writing = false
		give()
	}}, nil
}

// ExecContext implements [driver.ExecerContext].
func (c *sqliteConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	give, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	defer give()
	return c.SQLiteConn.ExecContext(ctx, query, args)
}

// QueryContext implements [driver.QueryerContext]. A query that writes, and returns what it wrote, does so until its
// rows are closed.
func (c *sqliteConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if reads(query) {
		return c.SQLiteConn.QueryContext(ctx, query, args)
	}
	give, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.SQLiteConn.QueryContext(ctx, query, args)
	if err != nil {
		give()
		return nil, err
	}
	return &sqliteRows{Rows: rows, end: give}, nil
}

func reads(query string) bool {
	query = strings.TrimLeft(query, " \t\n")
	word := query[:min(len(query), len("select"))]
	return strings.EqualFold(word, "select") || strings.EqualFold(word, "pragma")
}

// sqliteTx gives the turn back at its end.
type sqliteTx struct {
	driver.Tx
	end func()
}

// Commit implements [driver.Tx].
func (t *sqliteTx) Commit() error {
	defer t.end()
	return t.Tx.Commit()
}

// Rollback implements [driver.Tx].
func (t *sqliteTx) Rollback() error {
	defer t.end()
	return t.Tx.Rollback()
}

// sqliteRows gives the turn back when it is closed.
type sqliteRows struct {
	driver.Rows
	end func()
}

// Close implements [driver.Rows].
func (r *sqliteRows) Close() error {
	defer r.end()
	return r.Rows.Close()
}

package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"go.mau.fi/util/dbutil"
)

// ErrFenced means that another process has taken over the database: this one must stop
// before it acknowledges or sends anything more.
var ErrFenced = errors.New("another process has taken over the database")

// Journal is the durable record behind delivery: what came in and has not come out yet.
// Its methods work in the transaction of their context, if there is one.
type Journal struct {
	db       *Database
	bridgeID string
}

// Journal opens the journal of one bridge. It does no I/O.
func (db *Database) Journal(bridgeID string) *Journal {
	return &Journal{db: db, bridgeID: bridgeID}
}

// Instance is the database's own identity and how often it was opened.
type Instance struct {
	ID    string
	Epoch int64
	// Commits counts the seconds in which something was written: enough to tell an old copy from a new one.
	Commits int64
	// CleanStop says whether the last process ended in order.
	CleanStop bool
	// Software is the program that last opened the database.
	Software string
}

const (
	getInstanceQuery  = `SELECT instance_id, epoch, commit_counter, clean_stop, software FROM cw_instance WHERE id = 1`
	newInstanceQuery  = `INSERT INTO cw_instance (id, instance_id, epoch, commit_counter, started_at, clean_stop) VALUES (1, $1, 1, 0, $2, false)`
	nextEpochQuery    = `UPDATE cw_instance SET epoch = epoch + 1, started_at = $1, clean_stop = false WHERE id = 1`
	countCommitQuery  = `UPDATE cw_instance SET commit_counter = commit_counter + 1 WHERE id = 1 AND epoch = $1`
	softwareQuery     = `UPDATE cw_instance SET software = $2 WHERE id = 1 AND epoch = $1`
	cleanStopQuery    = `UPDATE cw_instance SET clean_stop = true WHERE id = 1 AND epoch = $1`
	currentEpochQuery = `SELECT epoch FROM cw_instance WHERE id = 1`
)

// Instance returns the database's identity, zero if no process has opened the journal before.
func (j *Journal) Instance(ctx context.Context) (Instance, error) {
	var i Instance
	err := j.db.QueryRow(ctx, getInstanceQuery).Scan(&i.ID, &i.Epoch, &i.Commits, &i.CleanStop, &i.Software)
	if errors.Is(err, sql.ErrNoRows) {
		return Instance{}, nil
	}
	if err != nil {
		return Instance{}, fmt.Errorf("failed to read the instance: %w", err)
	}
	return i, nil
}

// Begin starts the next epoch, which fences every process of an earlier one. newID names the
// database if it has no identity yet; now is in Unix milliseconds.
func (j *Journal) Begin(ctx context.Context, newID string, now int64) (Instance, error) {
	var begun Instance
	err := j.db.DoTxn(ctx, nil, func(ctx context.Context) error {
		old, err := j.Instance(ctx)
		if err != nil {
			return err
		}
		if old.ID == "" {
			_, err = j.db.Exec(ctx, newInstanceQuery, newID, now)
		} else {
			_, err = j.db.Exec(ctx, nextEpochQuery, now)
		}
		if err != nil {
			return err
		}
		begun, err = j.Instance(ctx)
		return err
	})
	if err != nil {
		return Instance{}, fmt.Errorf("failed to begin an epoch: %w", err)
	}
	return begun, nil
}

// InEpoch runs fn in one transaction that commits only while epoch is the current one; otherwise
// it returns [ErrFenced]. On PostgreSQL concurrent writers share the row, and a new epoch waits for them.
func (j *Journal) InEpoch(ctx context.Context, epoch int64, fn func(ctx context.Context) error) error {
	query := currentEpochQuery
	if j.db.Dialect == dbutil.Postgres {
		query += ` FOR SHARE`
	}
	return j.db.DoTxn(ctx, nil, func(ctx context.Context) error {
		var current int64
		if err := j.db.QueryRow(ctx, query).Scan(&current); err != nil {
			return fmt.Errorf("failed to check the epoch: %w", err)
		}
		if current != epoch {
			return ErrFenced
		}
		return guarded(ctx, fn)
	})
}

// guarded turns a panic into an error, as the transaction around it would never end otherwise.
func guarded(ctx context.Context, fn func(ctx context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic inside a transaction: %v", r)
		}
	}()
	return fn(ctx)
}

// CountCommit raises the commit counter of an epoch and returns the new value.
func (j *Journal) CountCommit(ctx context.Context, epoch int64) (int64, error) {
	if _, err := j.db.Exec(ctx, countCommitQuery, epoch); err != nil {
		return 0, fmt.Errorf("failed to count a commit: %w", err)
	}
	i, err := j.Instance(ctx)
	return i.Commits, err
}

// NoteSoftware notes which program works on the journal.
func (j *Journal) NoteSoftware(ctx context.Context, epoch int64, software string) error {
	if _, err := j.db.Exec(ctx, softwareQuery, epoch, software); err != nil {
		return fmt.Errorf("failed to note the program's version: %w", err)
	}
	return nil
}

// MarkCleanStop notes that the process of an epoch ended in order.
func (j *Journal) MarkCleanStop(ctx context.Context, epoch int64) error {
	if _, err := j.db.Exec(ctx, cleanStopQuery, epoch); err != nil {
		return fmt.Errorf("failed to note the clean stop: %w", err)
	}
	return nil
}

const lastSeqQuery = `
	SELECT MAX(seq) FROM (
		SELECT MAX(seq) AS seq FROM cw_inbox WHERE bridge_id = $1
		UNION ALL SELECT MAX(seq) FROM cw_mx_inbox WHERE bridge_id = $1
		UNION ALL SELECT MAX(seq) FROM cw_mx_todevice WHERE bridge_id = $1
		UNION ALL SELECT MAX(seq) FROM cw_outbox WHERE bridge_id = $1
	) AS all_tables`

// LastSeq is the highest sequence number in use, zero in an empty journal.
func (j *Journal) LastSeq(ctx context.Context) (int64, error) {
	var last sql.NullInt64
	if err := j.db.QueryRow(ctx, lastSeqQuery, j.bridgeID).Scan(&last); err != nil {
		return 0, fmt.Errorf("failed to read the last sequence number: %w", err)
	}
	return last.Int64, nil
}

const (
	forgetInboxQuery  = `UPDATE cw_inbox SET payload = NULL WHERE bridge_id = $1 AND state IN ('done', 'quarantined') AND payload IS NOT NULL AND done_at < $2`
	forgetMatrixQuery = `UPDATE cw_mx_inbox SET raw = NULL WHERE bridge_id = $1 AND state = 'quarantined' AND raw IS NOT NULL AND done_at < $2`
	forgetOutboxQuery = `UPDATE cw_outbox SET payload = NULL WHERE bridge_id = $1 AND state = 'failed' AND payload IS NOT NULL AND done_at < $2`

	expireInboxQuery    = `DELETE FROM cw_inbox WHERE bridge_id = $1 AND state IN ('done', 'quarantined') AND payload IS NULL AND done_at < $2`
	expireMatrixQuery   = `DELETE FROM cw_mx_inbox WHERE bridge_id = $1 AND state IN ('done', 'quarantined') AND raw IS NULL AND done_at < $2`
	expireOutboxQuery   = `DELETE FROM cw_outbox WHERE bridge_id = $1 AND state IN ('sent', 'failed') AND reported AND payload IS NULL AND done_at < $2`
	expireToDeviceQuery = `DELETE FROM cw_mx_todevice WHERE bridge_id = $1 AND state = 'done' AND received_at < $2`
)

// Forget erases the content of rows that ended before a time in Unix milliseconds and were kept for another try.
func (j *Journal) Forget(ctx context.Context, before int64) error {
	_, err := j.execAll(ctx, before, forgetInboxQuery, forgetMatrixQuery, forgetOutboxQuery)
	return err
}

// Expire deletes the keys of rows without content that ended before a time in Unix milliseconds. From then on a
// repeat of what they stood for is not recognised any more.
func (j *Journal) Expire(ctx context.Context, before int64) (deleted int64, err error) {
	return j.execAll(ctx, before, expireInboxQuery, expireMatrixQuery, expireOutboxQuery, expireToDeviceQuery)
}

// execAll runs statements about what is older than a time and counts the rows that they touched.
func (j *Journal) execAll(ctx context.Context, before int64, queries ...string) (touched int64, err error) {
	for _, query := range queries {
		result, err := j.db.Exec(ctx, query, j.bridgeID, before)
		if err != nil {
			return touched, fmt.Errorf("failed to tidy journal rows: %w", err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return touched, fmt.Errorf("failed to count tidied rows: %w", err)
		}
		touched += n
	}
	return touched, nil
}

// collect runs a query and scans each of its rows.
func collect[T any](ctx context.Context, j *Journal, scan func(dbutil.Scannable) (T, error), query string, args ...any) ([]T, error) {
	rows, err := j.db.Query(ctx, query, args...)
	return dbutil.ConvertRowFn[T](scan).NewRowIter(rows, err).AsList()
}

// countBy runs a query for names and counts.
func (j *Journal) countBy(ctx context.Context, query string, args ...any) (map[string]int, error) {
	type count struct {
		name string
		rows int
	}
	counts, err := collect(ctx, j, func(row dbutil.Scannable) (c count, err error) {
		err = row.Scan(&c.name, &c.rows)
		return c, err
	}, query, args...)
	of := map[string]int{}
	for _, c := range counts {
		of[c.name] = c.rows
	}
	return of, err
}

// changed says whether a statement touched a row.
func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

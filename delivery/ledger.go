package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"causeway/database"
)

// What keeps an operator from a row.
var (
	// ErrNoRow means that the journal has no row of the number.
	ErrNoRow = errors.New("the journal has no such row")
	// ErrNothingToRetry means that a row is on its way, or has ended well, or that its content is gone.
	ErrNothingToRetry = errors.New("the row is in no state in which it could be tried again")
	// ErrNothingToDrop means that a row has ended and keeps no content.
	ErrNothingToDrop = errors.New("the row has ended and holds nothing that could be dropped")
	// ErrOnItsWay means that a running process may be about to deliver the row.
	ErrOnItsWay = errors.New("the row is on its way in a running process")
	// ErrNotCurrent means that the schema is not the one of this program.
	ErrNotCurrent = errors.New("the database is not of this version of the program")
)

// Ledger is the journal for an operator, beside a running process or without one. It sends nothing itself: a row that is
// retried is found by the lanes of the process that runs, or of the next one.
type Ledger struct {
	options Options
	journal *database.Journal
}

// OpenLedger opens the journal of a database that has been used before, and changes nothing. Of the options it needs
// BridgeID, DB, SecretFile and LockFile. Without the secret no content can be shown, and that is all.
func OpenLedger(ctx context.Context, options Options) (*Ledger, error) {
	current, err := options.DB.Current(ctx)
	if err != nil {
		return nil, err
	}
	if !current {
		return nil, ErrNotCurrent
	}
	return &Ledger{options: options, journal: options.DB.Journal(options.BridgeID)}, nil
}

// Running says whether a process works on the database.
func (l *Ledger) Running(ctx context.Context) (bool, error) {
	release, err := l.lock(ctx)
	if errors.Is(err, ErrAlreadyRunning) {
		return true, nil
	}
	if err == nil {
		release()
	}
	return false, err
}

func (l *Ledger) lock(ctx context.Context) (func(), error) {
	return takeLock(ctx, l.options.DB, l.options.LockFile, l.options.BridgeID, func(error) {})
}

// List returns rows, the oldest first.
func (l *Ledger) List(ctx context.Context, which database.Entries) ([]database.Entry, error) {
	return l.journal.Entries(ctx, which)
}

// Show returns a row. The error may be [ErrNoRow].
func (l *Ledger) Show(ctx context.Context, seq int64) (database.Entry, error) {
	entry, err := l.journal.Entry(ctx, seq)
	if err != nil {
		return database.Entry{}, err
	}
	if entry == nil {
		return database.Entry{}, ErrNoRow
	}
	return *entry, nil
}

// Content is what a row holds, in the journal's own spelling, indented; empty if it is gone.
func (l *Ledger) Content(ctx context.Context, entry database.Entry) (string, error) {
	if !entry.Kept {
		return "", nil
	}
	secret, err := OpenSecret(l.options.SecretFile, false)
	if err != nil {
		return "", err
	}
	stored, err := l.journal.Content(ctx, entry)
	if err != nil {
		return "", fmt.Errorf("failed to read the content of a row: %w", err)
	}
	var plain []byte
	switch {
	case stored.Inbox != nil:
		plain, err = secret.unlock(stored.Inbox.Payload, inboxSeal(*stored.Inbox)...)
	case stored.Outbox != nil:
		plain, err = secret.unlock(stored.Outbox.Payload, outboxSeal(*stored.Outbox)...)
	default:
		plain, err = secret.unlock(stored.Matrix.Raw, matrixSeal(stored.Matrix.EventID)...)
	}
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if json.Indent(&out, plain, "", "  ") != nil {
		return string(plain), nil
	}
	return out.String(), nil
}

// Retry has a row tried again that failed, was set aside or is held. The error may be [ErrNothingToRetry].
func (l *Ledger) Retry(ctx context.Context, entry database.Entry) error {
	done, err := l.journal.Retry(ctx, entry.Way, entry.Seq, time.Now().UnixMilli())
	if err == nil && !done {
		err = ErrNothingToRetry
	}
	return err
}

// Drop gives a row up for good. One that is on its way can be dropped only while no process runs: the error is [ErrOnItsWay]
// otherwise. code is what the author of a message is told of it, see [Bridge.Code].
func (l *Ledger) Drop(ctx context.Context, entry database.Entry, code string) error {
	now := time.Now().UnixMilli()
	dropped, err := l.journal.DropEnded(ctx, entry.Way, entry.Seq, now)
	if err != nil || dropped {
		return err
	}
	release, err := l.lock(ctx)
	if errors.Is(err, ErrAlreadyRunning) {
		return l.whyNotDropped(ctx, entry.Seq)
	}
	if err != nil {
		return err
	}
	defer release()
	dropped, err = l.journal.DropOpen(ctx, entry.Way, entry.Seq, now, code)
	if err == nil && !dropped {
		err = ErrNothingToDrop
	}
	return err
}

// whyNotDropped tells a row that is on its way from one that has ended, as it stands now.
func (l *Ledger) whyNotDropped(ctx context.Context, seq int64) error {
	entry, err := l.Show(ctx, seq)
	if err == nil && entry.DoneAt == 0 {
		err = ErrOnItsWay
	} else if err == nil {
		err = ErrNothingToDrop
	}
	return err
}

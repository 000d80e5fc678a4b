// Package delivery keeps the promise that what one side has accepted appears on the other exactly
// once and in the order of its chat, whatever dies in between. It stands around bridgev2: a row in the
// journal before every acknowledgement, an identity for every effect that is the same at each try, one
// lane a conversation, and a look into the room where it is in doubt whether a try has worked.
//
// It decides nothing about content: it converts no message, knows no network's wire and shows no
// text to users. What it needs of the bridge is in [Bridge]. Typing and receipts are passed on as well
// as may be, the last value wins; they are no part of the promise.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/util/random"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/id"

	"causeway/database"
)

// Options is what delivery works with.
type Options struct {
	// BridgeID is bridgev2's; several bridges may share one database.
	BridgeID string
	DB       *database.Database
	Bridge   Bridge
	// SecretFile, LockFile and EpochFile lie beside the database, or with PostgreSQL in the state directory.
	SecretFile, LockFile, EpochFile string
	// AcceptRestore starts on a database that is older than the last run, after OnRestore has renewed
	// what must not be used twice.
	AcceptRestore bool
	OnRestore     func(ctx context.Context) error
	// AcceptNewSecret makes a new instance secret where the old one is lost. What the old one has sealed stays unreadable.
	AcceptNewSecret bool
	// Software names the program with its build: another one than the last tries again what that could not show.
	Software string
	// WholeServer says that the homeserver pushes what happens in all its users' rooms: of those that are none of the bridge's
	// business nothing is kept.
	WholeServer bool
	// Fleeting says whose messages must not be kept: their content is sealed with a key in memory, and what is under way when the
	// process dies is asked for again, read from the homeserver again, or told of as lost. nil: nobody's.
	Fleeting func(login networkid.UserLoginID) bool
	// Active is told of each sign of life of a Matrix user; it must not block. nil: nobody wants to know.
	Active func(user id.UserID)
	// Flood bounds what one user may send; the zero value is no bound.
	Flood Flood
	// People bounds what one person on a network may have shown to one login: whoever writes faster waits their turn, and nothing
	// is lost. The zero value is no bound; Waiting has no meaning here.
	People Flood
	// Disk says when a disk is too full to take anything more in; the zero value is never.
	Disk Disk
	// Exit ends the process at once: another one has taken over. Nothing may be acknowledged or sent after it is called.
	Exit   func(error)
	Timing Timing
	Log    zerolog.Logger
}

// Delivery is the journal at work: inbox, outbox and the queue of Matrix events.
type Delivery struct {
	// Inbox takes the events of networks.
	Inbox *Inbox
	// Outbox takes the messages of Matrix users.
	Outbox *Outbox

	options  Options
	bridge   Bridge
	journal  *database.Journal
	timing   Timing
	log      zerolog.Logger
	secret   *Secret
	instance database.Instance
	writer   *writer
	seq      atomic.Int64
	matrix   *matrixInbox
	metrics  counters
	disk     diskWatch
	// scan reads the markers of a room's events since a time; the Matrix side sets it.
	scan func(ctx context.Context, key networkid.PortalKey, since time.Time) (map[string]id.EventID, error)
	// dispatch handles a Matrix event; the Matrix side sets it.
	dispatch dispatcher

	release func()
	upkeep  sync.WaitGroup
	ending  context.CancelFunc
}

// counters are figures for the operator.
type counters struct {
	repeats, scans, reconciled, placeholders, quarantined, randomTransactions, shown, sent, failed atomic.Int64
}

// Figures is a reading of what delivery has done since its start.
type Figures struct {
	// Repeats were known already, Scans read a room in doubt, Reconciled found an effect there.
	Repeats, Scans, Reconciled int64
	// Shown have reached Matrix as they are; Sent have reached a network, Failed never will.
	Shown, Sent, Failed int64
	// Placeholders were shown for what could not be, Quarantined could not be shown at all.
	Placeholders, Quarantined int64
	// RandomTransactions were sent without an identity; for messages of a network that is a fault.
	RandomTransactions int64
	// Commits is how many batches the writer has committed.
	Commits int64
}

// New prepares delivery. It does no I/O.
func New(options Options) *Delivery {
	d := &Delivery{
		options: options, bridge: options.Bridge, timing: options.Timing.withDefaults(), log: options.Log,
		journal: options.DB.Journal(options.BridgeID),
	}
	d.disk.Disk = options.Disk
	d.Inbox, d.Outbox, d.matrix = newInbox(d), newOutbox(d), newMatrixInbox(d)
	return d
}

// Open takes the database for this process alone and begins a new epoch. From then on events are stored, and wait
// for [Delivery.Run]. It fails with [ErrAlreadyRunning] or [ErrRestored] having changed nothing.
func (d *Delivery) Open(ctx context.Context) (err error) {
	exit := once(d.options.Exit)
	d.release, err = takeLock(ctx, d.options.DB, d.options.LockFile, d.options.BridgeID, exit)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			d.release()
		}
	}()
	if err = checkSynced(ctx, d.options.DB); err != nil {
		return err
	}
	if err = d.options.DB.Upgrade(ctx); err != nil {
		return err
	}
	before, err := d.journal.Instance(ctx)
	if err != nil {
		return err
	}
	if d.secret, err = OpenSecret(d.options.SecretFile, before.ID == "" || d.options.AcceptNewSecret); err != nil {
		return err
	}
	if err = d.checkRestore(ctx, before); err != nil {
		return err
	}
	if d.instance, err = d.journal.Begin(ctx, random.String(16), d.now().UnixMilli()); err != nil {
		return err
	}
	if err = writeEpochFile(d.options.EpochFile, d.instance); err != nil {
		return err
	}
	last, err := d.journal.LastSeq(ctx)
	if err != nil {
		return err
	}
	d.seq.Store(last)
	d.writer = newWriter(d.journal, d.instance.Epoch, exit)
	d.checkDisk(ctx)
	return errors.Join(d.matrix.open(ctx), d.welcome(ctx, before.Software))
}

// welcome lets a program that is not the last one try again what that could not show.
func (d *Delivery) welcome(ctx context.Context, last string) error {
	if last == d.options.Software {
		return nil
	}
	return d.writer.do(ctx, func(ctx context.Context) error {
		if last != "" {
			rows, err := d.journal.RetryUnshown(ctx, d.now().UnixMilli())
			if err != nil {
				return err
			}
			d.log.Info().Int64("rows", rows).Msg("Another version of the program tries again what the last one could not show")
		}
		return d.journal.NoteSoftware(ctx, d.instance.Epoch, d.options.Software)
	})
}

// checkRestore looks whether the database is the one that the last run has left.
func (d *Delivery) checkRestore(ctx context.Context, before database.Instance) error {
	found, err := checkEpochFile(d.options.EpochFile, before)
	if !found && err == nil && before.ID != "" {
		d.log.Warn().Str("epoch_file", d.options.EpochFile).Msg("The epoch file is missing; a restored database would not be noticed")
	}
	if !errors.Is(err, ErrRestored) || !d.options.AcceptRestore {
		return err
	}
	d.log.Warn().Err(err).Msg("Starting on a restored database")
	if d.options.OnRestore == nil {
		return nil
	}
	if err = d.options.OnRestore(ctx); err != nil {
		return fmt.Errorf("failed to renew what must not be used twice: %w", err)
	}
	return nil
}

// Run brings on its way what waits and lets all queues run. It is called when the logins are loaded.
func (d *Delivery) Run(ctx context.Context) error {
	if err := d.Inbox.start(ctx); err != nil {
		return err
	}
	if err := d.Outbox.start(ctx); err != nil {
		return err
	}
	if err := d.matrix.start(ctx); err != nil {
		return err
	}
	upkeep, cancel := context.WithCancel(d.log.WithContext(context.Background()))
	d.ending = cancel
	d.upkeep.Go(func() { d.countCommits(upkeep) })
	d.upkeep.Go(func() { d.keepUp(upkeep) })
	d.upkeep.Go(func() { d.lookForRows(upkeep) })
	d.upkeep.Go(func() { d.watchDisk(upkeep) })
	return nil
}

// Stop ends the queues after their current rows, at the latest when ctx is over, and gives the
// database free. Correctness does not depend on it.
func (d *Delivery) Stop(ctx context.Context) {
	if d.writer == nil {
		return
	}
	d.matrix.stop(ctx)
	d.Inbox.stop(ctx)
	d.Outbox.stop(ctx)
	if d.ending != nil {
		d.ending()
		d.upkeep.Wait()
	}
	d.writer.close()
	// under the epoch: whoever took over in the meantime must not find our word in their row
	err := d.journal.InEpoch(ctx, d.instance.Epoch, func(ctx context.Context) error {
		return d.journal.MarkCleanStop(ctx, d.instance.Epoch)
	})
	if err != nil {
		d.log.Err(err).Msg("Failed to note the clean stop")
	}
	d.release()
}

// Figures reads the counters.
func (d *Delivery) Figures() Figures {
	c := &d.metrics
	figures := Figures{
		Repeats: c.repeats.Load(), Scans: c.scans.Load(), Reconciled: c.reconciled.Load(), Placeholders: c.placeholders.Load(),
		Quarantined: c.quarantined.Load(), RandomTransactions: c.randomTransactions.Load(),
		Shown: c.shown.Load(), Sent: c.sent.Load(), Failed: c.failed.Load(),
	}
	if d.writer != nil {
		figures.Commits = d.writer.commits.Load()
	}
	return figures
}

// countCommits notes once a second that something was written, first in the database, then in the epoch file.
func (d *Delivery) countCommits(ctx context.Context) {
	counted := d.writer.commits.Load()
	for sleep(ctx, time.Second) {
		if d.writer.commits.Load() == counted {
			continue
		}
		note := d.instance
		err := d.writer.do(ctx, func(ctx context.Context) (err error) {
			note.Commits, err = d.journal.CountCommit(ctx, d.instance.Epoch)
			return err
		})
		counted = d.writer.commits.Load()
		if err == nil {
			err = writeEpochFile(d.options.EpochFile, note)
		}
		if err != nil && ctx.Err() == nil {
			d.log.Err(err).Msg("Failed to note the state of the database")
		}
	}
}

// keepUp deletes what is old and releases what has waited too long.
func (d *Delivery) keepUp(ctx context.Context) {
	for sleep(ctx, d.timing.Upkeep) {
		forget, before := d.now().Add(-d.timing.Quarantine).UnixMilli(), d.now().Add(-d.timing.Retention).UnixMilli()
		err := d.writer.do(ctx, func(ctx context.Context) error {
			if err := d.journal.Forget(ctx, forget); err != nil {
				return err
			}
			_, err := d.journal.Expire(ctx, before)
			return err
		})
		if err = errors.Join(err, d.Inbox.releaseOverdue(ctx)); err != nil && ctx.Err() == nil {
			d.log.Err(err).Msg("Failed to tidy the journal")
		}
	}
}

func (d *Delivery) now() time.Time { return time.Now() }

// flush waits until everything that was written is on disk.
func (d *Delivery) flush(ctx context.Context) error { return d.writer.flush(ctx) }

// write makes a change that nobody waits for and whose loss costs a repeat at most.
func (d *Delivery) write(run func(ctx context.Context) error) {
	d.writer.later(run, func(err error) {
		if err != nil {
			d.log.Err(err).Msg("Failed to write to the journal")
		}
	})
}

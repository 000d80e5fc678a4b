package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"maunium.net/go/mautrix/bridgev2/networkid"

	"causeway/database"
	"causeway/failpoint"
	"causeway/network"
)

// ErrInboxFull means that too much waits for Matrix: the network should keep the event and send it again later.
var ErrInboxFull = errors.New("the inbox is full")

// Inbox takes the events of networks and brings them to Matrix: each once, in the order of its
// conversation, however often the homeserver or this process fails on the way.
type Inbox struct {
	d     *Delivery
	lanes lanes[database.InboxLane, database.InboxRow]
	// failing says that some lane waits for the homeserver to come back.
	failing atomic.Bool
	soft    softQueue
	people  flood

	// held is how many rows wait for their target.
	held atomic.Int64

	// asked are events of which the content was lost and that were asked for again, until they come.
	asked sync.Map

	lock sync.Mutex
	// open counts the rows of each login that wait, as far as this process took them.
	open map[string]int
}

func newInbox(d *Delivery) *Inbox {
	in := &Inbox{d: d, open: map[string]int{}, people: flood{Flood: d.options.People}}
	in.lanes = lanes[database.InboxLane, database.InboxRow]{
		load:  d.journal.OpenInbox,
		seq:   func(r database.InboxRow) int64 { return r.Seq },
		try:   in.try,
		flush: d.flush,
		log:   d.log.With().Str("component", "inbox").Logger(),
		pause: d.timing.RetryFirst,
	}
	in.soft = softQueue{d: d, waiting: map[softKey]network.Event{}}
	return in
}

// Take stores an event for good and returns; it is the [network.Handler] of all events but those about
// the connection. After nil the network may be told that the event has arrived. Typing is passed on without being stored.
func (in *Inbox) Take(ctx context.Context, login networkid.UserLoginID, event network.Event) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic while taking an event: %v", r)
		}
	}()
	if !journaled {
		return in.pass(ctx, login, event)
	}
	switch e := event.(type) {
	case network.TypingEvent:
		in.soft.add(login, e)
		return nil
	case network.ReceiptEvent:
		return in.soft.takeReceipt(ctx, login, e)
	}
	row, err := in.row(login, event)
	if err != nil {
		return err
	}
	return in.store(ctx, row)
}

// row spells an event as an inbox row.
func (in *Inbox) row(login networkid.UserLoginID, event network.Event) (database.InboxRow, error) {
	now := in.d.now()
	row := database.InboxRow{
		Seq: in.d.seq.Add(1), Login: string(login), ReceivedAt: now.UnixMilli(), OrderTS: now.UnixMilli(),
		State: database.InboxNew, Epoch: in.d.instance.Epoch,
	}
	named, err := nameOf(event, row.Seq)
	if err != nil {
		return row, err
	}
	row.Sender, row.RemoteID, row.Kind, row.Target = named.sender.String(), named.id, named.kind, named.target
	if !named.time.IsZero() {
		row.OrderTS = min(row.OrderTS, named.time.UnixMilli())
	}
	key := in.d.bridge.PortalKey(login, named.conversation)
	row.Chat, row.Receiver = string(key.ID), string(key.Receiver)
	payload, err := encodeEvent(event)
	if err != nil {
		return row, err
	}
	row.Payload = in.d.sealFor(login, payload, inboxSeal(row))
	return row, nil
}

// kindOfEvent is the kind of a message as it reads now.
func kindOfEvent(event network.Event) string {
	message, _ := event.(network.MessageEvent)
	return kindOf(message.Message.Content)
}

// inboxSeal binds a payload to its row.
func inboxSeal(r database.InboxRow) []string {
	return []string{"cw_inbox", r.Login, r.Chat, r.Sender, r.RemoteID, r.Kind}
}

// store commits a row and gives it to its lane. A repeat of a known event is a success.
func (in *Inbox) store(ctx context.Context, row database.InboxRow) error {
	if in.count(row.Login, 0) >= in.d.timing.InboxLimit {
		return ErrInboxFull
	}
	if in.d.disk.low.Load() {
		return ErrDiskLow
	}
	if err := failpoint.Hit(failpoint.InboxBeforeCommit); err != nil {
		return err
	}
	if failpoint.Without(failpoint.Journal) {
		in.lanes.push(database.InboxLane{Chat: row.Chat, Receiver: row.Receiver}, row)
		return nil
	}
	var added atomic.Bool
	add := func(ctx context.Context) error {
		isNew, err := in.d.journal.AddInbox(ctx, row)
		added.Store(isNew)
		return err
	}
	if database.Joint(ctx) {
		// what has opened the event and the event's row are one commit: either alone would lose it
		if err := in.d.writer.within(ctx, add); err != nil {
			return fmt.Errorf("failed to store an event: %w", err)
		}
		database.AfterCommit(ctx, func(err error) error { return in.stored(row, added.Load(), err) })
		return nil
	}
	err := in.d.writer.do(ctx, add)
	return in.stored(row, added.Load(), err)
}

// stored gives a row that is on disk to its lane.
func (in *Inbox) stored(row database.InboxRow, added bool, err error) error {
	lane := database.InboxLane{Chat: row.Chat, Receiver: row.Receiver}
	if err != nil {
		// a commit that failed may have been made all the same
		in.lanes.reload(lane)
		return fmt.Errorf("failed to store an event: %w", err)
	}
	err = failpoint.Hit(failpoint.InboxCommitted)
	if added {
		in.count(row.Login, 1)
		in.lanes.push(lane, row)
	} else {
		in.d.metrics.repeats.Add(1)
	}
	// what is committed will be delivered, whatever the caller is told
	return err
}

// count changes and returns how many rows of a login are open.
func (in *Inbox) count(login string, by int) int {
	in.lock.Lock()
	defer in.lock.Unlock()
	in.open[login] += by
	return in.open[login]
}

// uncount forgets a row that has ended, if it was counted.
func (in *Inbox) uncount(row *database.InboxRow) {
	if row.Epoch != database.GivenBack {
		in.count(row.Login, -1)
	}
}

// start brings what the last process left over on its way, and lets the lanes run.
func (in *Inbox) start(ctx context.Context) error {
	keys, err := in.d.journal.InboxLanes(ctx)
	if err != nil {
		return fmt.Errorf("failed to list the inbox's lanes: %w", err)
	}
	if in.open, err = in.d.journal.CountInbox(ctx); err != nil {
		return fmt.Errorf("failed to count the inbox: %w", err)
	}
	held, err := in.d.journal.CountHeld(ctx)
	if err != nil {
		return fmt.Errorf("failed to count held rows: %w", err)
	}
	in.held.Store(held)
	settled := in.d.now().Add(in.d.timing.Settle)
	in.lanes.lock.Lock()
	for _, key := range keys {
		// the last process may have died between the homeserver's commit and its own
		in.lanes.get(key).doubt = doubt{open: true, after: settled}
	}
	in.lanes.lock.Unlock()
	in.lanes.start(keys)
	return in.soft.start(ctx)
}

func (in *Inbox) stop(ctx context.Context) {
	in.lanes.stop(ctx)
	in.soft.stop(ctx)
}

// homeserverBack has all lanes try again at once that wait for the homeserver.
func (in *Inbox) homeserverBack() {
	if in.failing.CompareAndSwap(true, false) {
		in.lanes.wakeWhere(func(database.InboxLane) bool { return true })
	}
}

// releaseOverdue ends the wait of held rows whose time is over: they are tried once more.
func (in *Inbox) releaseOverdue(ctx context.Context) error {
	var lanes []database.InboxLane
	err := in.d.writer.do(ctx, func(ctx context.Context) (err error) {
		lanes, err = in.d.journal.ReleaseOverdueInbox(ctx, in.d.now().UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("failed to release overdue rows: %w", err)
	}
	for _, lane := range lanes {
		in.lanes.reload(lane)
	}
	return nil
}

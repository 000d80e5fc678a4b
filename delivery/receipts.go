package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"maunium.net/go/mautrix/bridgev2/networkid"

	"causeway/database"
	"causeway/network"
)

const (
	// softTries is how often a receipt is tried before it waits for the next start.
	softTries = 5
	// receiptIDs bounds how many messages one merged receipt names; a newer one covers the older.
	receiptIDs = 200
)

// softKey is what a newer receipt or typing replaces an older one of.
type softKey struct {
	login             networkid.UserLoginID
	conversation, who network.Address
	kind              string
}

// softQueue passes on what need not arrive each time: the last value wins. Receipts are kept in the
// journal until Matrix has shown them; typing is forgotten.
type softQueue struct {
	d *Delivery

	lock    sync.Mutex
	waiting map[softKey]network.Event
	order   []softKey
	// busy: a worker is at it.
	busy   bool
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// takeReceipt merges a receipt with those that wait, and stores what results.
func (q *softQueue) takeReceipt(ctx context.Context, login networkid.UserLoginID, e network.ReceiptEvent) error {
	key, news := softKeyOf(login, e), e.IDs
	q.lock.Lock()
	if old, ok := q.waiting[key].(network.ReceiptEvent); ok {
		e.IDs = append(slices.DeleteFunc(slices.Clone(old.IDs), func(id string) bool { return slices.Contains(e.IDs, id) }), e.IDs...)
		e.IDs = e.IDs[max(0, len(e.IDs)-receiptIDs):]
	}
	q.lock.Unlock()
	payload, err := encodeEvent(e)
	if err != nil {
		return err
	}
	row := q.row(key, q.d.now().UnixMilli())
	row.Payload = q.d.secret.lock(payload, receiptSeal(row)...)
	err = q.d.writer.do(ctx, func(ctx context.Context) error {
		return errors.Join(q.d.journal.PutReceipt(ctx, row), q.d.noteArrival(ctx, login, e, news))
	})
	if err != nil {
		return fmt.Errorf("failed to store a receipt: %w", err)
	}
	q.add(login, e)
	return nil
}

func softKeyOf(login networkid.UserLoginID, event network.Event) softKey {
	switch e := event.(type) {
	case network.ReceiptEvent:
		kind := string(e.Kind)
		if !e.Sender.IsZero() {
			kind += "/" + e.Sender.String() // ids of different senders must not be merged
		}
		return softKey{login: login, conversation: e.Conversation, who: e.Reader, kind: kind}
	case network.TypingEvent:
		return softKey{login: login, conversation: e.Conversation, who: e.Sender, kind: "typing"}
	}
	return softKey{login: login}
}

func (q *softQueue) row(key softKey, now int64) database.ReceiptRow {
	return database.ReceiptRow{
		Login: string(key.login), Chat: key.conversation.String(), Reader: key.who.String(), Kind: key.kind, UpdatedAt: now,
	}
}

func receiptSeal(r database.ReceiptRow) []string {
	return []string{"cw_receipt", r.Login, r.Chat, r.Reader, r.Kind}
}

// add lets an event wait for the worker, in place of the one that waits under its key.
func (q *softQueue) add(login networkid.UserLoginID, event network.Event) {
	key := softKeyOf(login, event)
	q.lock.Lock()
	defer q.lock.Unlock()
	if _, known := q.waiting[key]; !known {
		q.order = append(q.order, key)
	}
	q.waiting[key] = event
	q.work()
}

// work starts the worker if there is work. The lock is held.
func (q *softQueue) work() {
	if q.busy || q.ctx == nil || q.ctx.Err() != nil || len(q.order) == 0 {
		return
	}
	q.busy = true
	q.done.Add(1)
	go q.run()
}

func (q *softQueue) run() {
	defer q.done.Done()
	for {
		q.lock.Lock()
		if len(q.order) == 0 || q.ctx.Err() != nil {
			q.busy = false
			q.lock.Unlock()
			return
		}
		key := q.order[0]
		event := q.waiting[key]
		q.order = q.order[1:]
		delete(q.waiting, key)
		q.lock.Unlock()
		q.pass(key, event)
	}
}

// pass gives one event to the bridge. A receipt that cannot be shown stays in the journal.
func (q *softQueue) pass(key softKey, event network.Event) {
	shown := q.d.now().UnixMilli()
	for attempt := 1; ; attempt++ {
		err := q.d.Inbox.handle(q.ctx, key.login, event)
		if err == nil || errors.Is(err, ErrIgnored) {
			break
		}
		kind, _ := faultOf(err)
		if _, isReceipt := event.(network.ReceiptEvent); !isReceipt || attempt == softTries || kind != faultTransient {
			return
		}
		if !sleep(q.ctx, backoff(q.d.timing.RetryFirst, q.d.timing.RetryLimit, attempt)) {
			return
		}
	}
	if _, isReceipt := event.(network.ReceiptEvent); isReceipt {
		q.d.write(func(ctx context.Context) error { return q.d.journal.DropReceipt(ctx, q.row(key, shown)) })
	}
}

// start brings the receipts on their way that the last process left over.
func (q *softQueue) start(ctx context.Context) error {
	rows, err := q.d.journal.Receipts(ctx)
	if err != nil {
		return fmt.Errorf("failed to list receipts: %w", err)
	}
	q.lock.Lock()
	q.ctx, q.cancel = context.WithCancel(q.d.log.WithContext(context.Background()))
	q.work()
	q.lock.Unlock()
	for _, row := range rows {
		payload, err := q.d.secret.unlock(row.Payload, receiptSeal(row)...)
		var event network.Event
		if err == nil {
			event, err = decodeEvent(payload)
		}
		if err != nil {
			// no part of the promise, so no reason not to start
			q.d.log.Warn().Err(err).Msg("Dropping a receipt that cannot be read")
			q.d.write(func(ctx context.Context) error { return q.d.journal.DropReceipt(ctx, row) })
			continue
		}
		q.add(networkid.UserLoginID(row.Login), event)
	}
	return nil
}

func (q *softQueue) stop(ctx context.Context) {
	q.lock.Lock()
	if q.cancel != nil {
		q.cancel()
	}
	q.lock.Unlock()
	waitFor(ctx, &q.done)
}

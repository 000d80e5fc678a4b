package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/failpoint"
	"causeway/network"
)

// acceptTries is how often storing a message is tried before its author is told that it failed; with
// the waits between them it stays well below the time that a handler may take.
const acceptTries = 5

// Outgoing is a message of a Matrix user for a network.
type Outgoing struct {
	Login networkid.UserLoginID
	// Event is the Matrix event that the message comes from; of it the status needs room, author and types.
	Event *event.Event
	// Part counts the messages that one Matrix event becomes, from zero.
	Part int
	// Ahead are contents that go before the message, in this order, each as a message of its own: the pieces of a text
	// that is too long for one. All of them are accepted or none, and a quote goes with the first.
	Ahead []network.Content
	// Message is what the network gets. Its id's conversation and sender are set, the bare id is not.
	Message network.Message
	// NewID shapes an id of the network from a seed ([network.Client.NewMessageID]).
	NewID func(seed []byte) string
	// Record is written in one commit with the message; nil for nothing.
	Record Record
}

// Outbox sends the messages of Matrix users to their networks: each under one id that is derived from
// the Matrix event, again and again under the same until the network has answered, in the order of the chat.
type Outbox struct {
	d     *Delivery
	lanes lanes[database.OutboxLane, outgoing]
	flood flood
	// dropped holds the numbers of rows that were given up, until their lane has seen it.
	dropped sync.Map
	// failed holds the numbers of parts that failed, by the event, until the last part has been seen.
	failed sync.Map
	// told runs what tells authors.
	told errands
}

// outgoing is an outbox row with what its lane remembers of it.
type outgoing struct {
	database.OutboxRow
	// delayed: the author was told that it takes longer.
	delayed bool
	// file: the message is one, as far as it was opened.
	file bool
	// spent is the time that tries of the row have cost its chat.
	spent time.Duration
}

func newOutbox(d *Delivery) *Outbox {
	out := &Outbox{d: d, flood: flood{Flood: d.options.Flood}}
	out.lanes = lanes[database.OutboxLane, outgoing]{
		load:  out.load,
		seq:   func(r outgoing) int64 { return r.Seq },
		try:   out.try,
		flush: d.flush,
		log:   d.log.With().Str("component", "outbox").Logger(),
		pause: d.timing.ResendFirst,
	}
	return out
}

// Accept stores a message for good and returns the id under which the network will know it. After nil
// the message will be sent, or its author told why not; bridgev2's handler answers Pending. The same
// event is accepted any number of times and sent once.
func (out *Outbox) Accept(ctx context.Context, msg Outgoing) (network.MessageID, error) {
	if !journaled {
		return out.pass(ctx, msg)
	}
	rows, err := out.rows(msg)
	if err != nil {
		return network.MessageID{}, err
	}
	row := rows[len(rows)-1]
	if out.flood.over(row.Author) {
		known, err := out.d.journal.OutboxOfEvent(ctx, row.EventID)
		if err != nil || len(known) == 0 {
			return network.MessageID{}, errors.Join(ErrFlooded, err)
		}
	}
	record := msg.record()
	if err = record.Prepare(ctx); err != nil {
		return network.MessageID{}, fmt.Errorf("failed to accept a message: %w", err)
	}
	accepted := msg.Message.ID
	kept, saved, err := out.store(ctx, rows, func(ctx context.Context, last database.OutboxRow) error {
		// of an event that was accepted before, the row knows the id
		accepted.ID = last.RemoteID
		return record.Write(ctx, accepted)
	})
	if err != nil {
		return network.MessageID{}, fmt.Errorf("failed to accept a message: %w", err)
	}
	if !saved {
		// the message is promised: an answer that does not find it is the smaller evil
		accepted.ID = kept[len(kept)-1].row.RemoteID
		zerolog.Ctx(ctx).Error().Msg("Failed to save the record of a message that will be sent")
	}
	if err = failpoint.Hit(failpoint.OutboxWritten); err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("A message is accepted, and whoever handed it over died")
	}
	for _, part := range kept {
		if !part.added {
			out.d.metrics.repeats.Add(1)
			continue
		}
		out.flood.count(part.row.Author, 1)
		out.lanes.push(database.OutboxLane{Login: part.row.Login, Chat: part.row.Chat}, outgoing{OutboxRow: part.row})
	}
	return accepted, nil
}

func (out *Outbox) row(msg Outgoing) (database.OutboxRow, error) {
	chat := msg.Message.ID.Conversation.String()
	row := database.OutboxRow{
		EventID: string(msg.Event.ID), Part: msg.Part, Seq: out.d.seq.Add(1), Login: string(msg.Login), Chat: chat,
		Room: string(msg.Event.RoomID), Author: string(msg.Event.Sender), EventType: msg.Event.Type.Type,
		State: database.OutboxReady, CreatedAt: out.d.now().UnixMilli(), Epoch: out.d.instance.Epoch,
	}
	if content, ok := msg.Event.Content.Parsed.(*event.MessageEventContent); ok {
		row.MsgType = string(content.MsgType)
	}
	row.RemoteID = msg.NewID(out.d.secret.messageSeed(row.Login, chat, row.EventID, strconv.Itoa(msg.Part)))
	message := msg.Message
	message.ID.ID = row.RemoteID
	payload, err := encodeMessage(message)
	if err != nil {
		return row, err
	}
	row.Payload = out.d.sealFor(msg.Login, payload, outboxSeal(row))
	return row, nil
}

// outboxSeal binds a payload to its row.
func outboxSeal(r database.OutboxRow) []string {
	return []string{"cw_outbox", r.Login, r.Chat, r.EventID, strconv.Itoa(r.Part)}
}

// Wake has a login's waiting messages tried at once; the bridge calls it when the login is connected.
func (out *Outbox) Wake(login networkid.UserLoginID) {
	out.lanes.wakeWhere(func(key database.OutboxLane) bool { return key.Login == string(login) })
}

func (out *Outbox) load(ctx context.Context, key database.OutboxLane, limit int) ([]outgoing, error) {
	rows, err := out.d.journal.OpenOutbox(ctx, key, limit)
	found := make([]outgoing, len(rows))
	for i, row := range rows {
		found[i] = outgoing{OutboxRow: row}
	}
	return found, err
}

// start tells authors what the last process could not, and lets the lanes run.
func (out *Outbox) start(ctx context.Context) error {
	unreported, err := out.d.journal.UnreportedOutbox(ctx)
	if err != nil {
		return fmt.Errorf("failed to list unreported messages: %w", err)
	}
	keys, err := out.d.journal.OutboxLanes(ctx)
	if err != nil {
		return fmt.Errorf("failed to list the outbox's lanes: %w", err)
	}
	if out.flood.waiting, err = out.d.journal.CountOutbox(ctx); err != nil {
		return fmt.Errorf("failed to count the outbox: %w", err)
	}
	out.lanes.start(keys)
	out.told.run(func() {
		for _, row := range unreported {
			var reason error
			if row.State == database.OutboxFailed {
				reason = Recorded(row.ErrorClass)
			}
			out.report(out.lanes.ctx, row, reason)
		}
	})
	return nil
}

func (out *Outbox) stop(ctx context.Context) {
	out.lanes.stop(ctx)
	out.told.end(ctx)
}

// try sends a row once.
func (out *Outbox) try(ctx context.Context, _ *lane[database.OutboxLane, outgoing], row *outgoing) verdict {
	if out.broken(row.OutboxRow) {
		return verdict{ended: true}
	}
	age := out.d.now().Sub(fromMillis(row.CreatedAt))
	if age > out.d.timing.MaxAge {
		return out.end(row.OutboxRow, database.OutboxFailed, network.Sent{}, fmt.Errorf("not sent within %s: %w", out.d.timing.MaxAge, lastError(*row)))
	}
	if _, dropped := out.dropped.LoadAndDelete(row.Seq); dropped {
		return out.end(row.OutboxRow, database.OutboxFailed, network.Sent{}, ErrDropped)
	}
	if wait := out.flood.take(row.Author, out.d.now()); wait > 0 {
		return verdict{wait: wait}
	}
	sent, err := out.attempt(ctx, row, age)
	if err == nil {
		return out.end(row.OutboxRow, database.OutboxSent, sent, nil)
	}
	if ctx.Err() != nil {
		return verdict{}
	}
	kind := outcomeOf(err)
	zerolog.Ctx(ctx).Warn().Err(err).Int64("seq", row.Seq).Int("attempts", row.Attempts).Msg("Failed to send a message")
	if kind == outcomeFinal {
		return out.end(row.OutboxRow, database.OutboxFailed, network.Sent{}, err)
	}
	row.Attempts++
	row.ErrorClass = out.d.bridge.Code(err)
	if kind == outcomeUnknown {
		row.State = database.OutboxUnknown
	}
	kept := row.OutboxRow
	out.d.write(func(ctx context.Context) error { return out.d.journal.RetryOutbox(ctx, kept) })
	return verdict{wait: out.later(ctx, row, age, err)}
}

// later is the wait before the next try. It ends early to tell the author that it takes longer, and tells so when it is time.
func (out *Outbox) later(ctx context.Context, row *outgoing, age time.Duration, err error) time.Duration {
	wait := backoff(out.d.timing.ResendFirst, out.d.timing.ResendLimit, row.Attempts)
	switch {
	case row.delayed:
	case age >= out.d.timing.Delayed:
		row.delayed = true
		out.tellDelayed(ctx, row.OutboxRow, err)
	default:
		wait = min(wait, out.d.timing.Delayed-age)
	}
	return wait
}

// lastError is why the last try did not work.
func lastError(row outgoing) error {
	if row.ErrorClass == "" {
		return network.ErrNotConnected
	}
	return Recorded(row.ErrorClass)
}

// send hands a row to the login's client. A panic below has an unknown outcome.
func (out *Outbox) send(ctx context.Context, row *outgoing) (sent network.Sent, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: panic while sending: %v", network.ErrOutcomeUnknown, r)
		}
	}()
	message, err := out.unseal(row.OutboxRow)
	if errors.Is(err, errForgotten) {
		message, err = out.recall(ctx, row)
	}
	if errors.Is(err, network.ErrNotConnected) || errors.Is(err, ErrForgotten) {
		return sent, err
	}
	if err != nil {
		return sent, fmt.Errorf("%w: %w", network.ErrRejected, err)
	}
	if err = out.editable(ctx, row.OutboxRow, message.Content); err != nil {
		return sent, err
	}
	_, row.file = message.Content.(network.Media)
	client, err := out.d.bridge.Client(ctx, networkid.UserLoginID(row.Login))
	if err != nil {
		return sent, err
	}
	if failpoint.Without(failpoint.SteadyIDs) {
		message.ID.ID = client.NewMessageID([]byte(rand.Text()))
	}
	if err = failpoint.Hit(failpoint.OutboxBeforeSend); err != nil {
		return sent, fmt.Errorf("%w: %w", network.ErrNotConnected, err)
	}
	if sent, err = client.Send(ctx, message); err != nil {
		return sent, err
	}
	if err = failpoint.Hit(failpoint.OutboxAcked); err != nil {
		return sent, fmt.Errorf("%w: %w", network.ErrOutcomeUnknown, err)
	}
	return sent, nil
}

// editable is an error if content is an edit of a message that has failed: nobody would see it.
func (out *Outbox) editable(ctx context.Context, row database.OutboxRow, content network.Content) error {
	edit, isEdit := content.(network.Edit)
	if !isEdit {
		return nil
	}
	err := out.d.flush(ctx) // the message's own end may be on its way to the disk
	failed := false
	if err == nil {
		failed, err = out.d.journal.OutboxFailed(ctx, database.OutboxLane{Login: row.Login, Chat: row.Chat}, edit.Target.ID)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", network.ErrNotConnected, err)
	case failed:
		return ErrNeverSent
	}
	return nil
}

// end closes a row, and tells the author once that is on disk. The lane need not wait: until then
// the message would be sent again under the same id, which is harmless.
func (out *Outbox) end(row database.OutboxRow, state database.OutboxState, sent network.Sent, reason error) verdict {
	// what an earlier process has tried is not known
	unknown := row.State == database.OutboxUnknown || row.Epoch != out.d.instance.Epoch
	if unknown && state == database.OutboxFailed {
		reason = fmt.Errorf("%w: %w", network.ErrOutcomeUnknown, reason)
	}
	row.State, row.ServerTS, row.DoneAt, row.ErrorClass = state, millis(sent.Time), out.d.now().UnixMilli(), ""
	if reason != nil {
		row.ErrorClass = out.d.bridge.Code(reason)
	}
	if state == database.OutboxSent {
		row.Payload = nil // a failed one can be tried again
		out.d.metrics.sent.Add(1)
	} else {
		out.d.metrics.failed.Add(1)
		if row.Part > 0 {
			out.failed.Store(row.EventID, row.Seq)
		}
	}
	if row.Epoch != database.GivenBack {
		out.flood.count(row.Author, -1)
	}
	ctx := out.lanes.ctx
	out.d.writer.later(func(ctx context.Context) error { return out.close(ctx, row) }, func(err error) {
		if err != nil {
			out.failed.Delete(row.EventID)
			out.d.log.Err(err).Int64("seq", row.Seq).Msg("Failed to close an outbox row; it will be sent again")
			out.lanes.reload(database.OutboxLane{Login: row.Login, Chat: row.Chat})
			return
		}
		// not on the writer's goroutine: a report may take a request to the homeserver
		out.told.run(func() { out.report(ctx, row, reason) })
	})
	return verdict{ended: true}
}

// report tells the author of a closed row; if that fails, the next start does.
func (out *Outbox) report(ctx context.Context, row database.OutboxRow, reason error) {
	progress := Sent
	if row.State == database.OutboxFailed {
		progress = Failed
	}
	if failpoint.Hit(failpoint.OutboxBeforeStatus) != nil {
		return
	}
	// of the parts of an event the first is the event itself: what goes beside it is no news when it is sent
	if progress == Failed || row.Part == 0 {
		if !out.tell(ctx, row, progress, reason) {
			return
		}
	}
	out.d.write(func(ctx context.Context) error { return out.d.journal.ReportedOutbox(ctx, row.EventID, row.Part) })
}

func (out *Outbox) tell(ctx context.Context, row database.OutboxRow, progress Progress, reason error) bool {
	err := out.d.bridge.Report(ctx, reportOf(row, progress, reason))
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Int64("seq", row.Seq).Msg("Failed to tell an author how a message fares")
	}
	return err == nil
}

func reportOf(row database.OutboxRow, progress Progress, err error) Report {
	return Report{
		Login: networkid.UserLoginID(row.Login), Room: id.RoomID(row.Room), Event: id.EventID(row.EventID), Author: id.UserID(row.Author),
		EventType: event.NewEventType(row.EventType), MessageType: event.MessageType(row.MsgType),
		Progress: progress, Err: err, MayHaveArrived: errors.Is(err, network.ErrOutcomeUnknown), Time: fromMillis(row.ServerTS),
	}
}

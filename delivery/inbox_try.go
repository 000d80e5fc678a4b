package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/failpoint"
	"causeway/network"
)

// How done rows ended, if not plainly. They are kept as the row's error class.
const (
	endRepeat  = "repeat"
	endIgnored = "ignored"
	// endPlaceholder: something else stands in the room for what could not be shown; the content is kept.
	endPlaceholder = "placeholder"
	// endOvertaken: it was sent again since it did not open, and a later change to the same message was faster.
	endOvertaken = "overtaken"
	// endDropped: an operator has given it up.
	endDropped = "dropped"
)

// doubt is what a lane knows of effects that the homeserver may have and bridgev2 does not know.
type doubt struct {
	// open: the room must be read before anything more is sent to it.
	open bool
	// after is when the homeserver has surely ended what it was asked before.
	after time.Time
	// found maps markers to the events that carry them.
	found map[string]id.EventID
	// given is the last row that an operator gave back: an earlier life of it may have had its effect.
	given int64
}

type inboxLane = lane[database.InboxLane, database.InboxRow]

// try delivers a row once.
func (in *Inbox) try(ctx context.Context, lane *inboxLane, row *database.InboxRow) verdict {
	if row.Kind == kindMessage && row.Attempts == 0 {
		if wait := in.people.take(row.Login+"/"+row.Sender, in.d.now()); wait > 0 {
			return verdict{wait: wait}
		}
	}
	event, err := in.unseal(row)
	if errors.Is(err, errForgotten) {
		var verdict verdict
		if event, verdict, err = in.forgotten(ctx, lane, row); event == nil && err == nil {
			return verdict
		}
	}
	if err != nil {
		zerolog.Ctx(ctx).Err(err).Int64("seq", row.Seq).Msg("Setting an unreadable event aside")
		return in.quarantine(ctx, row, nil, faultUnreadable)
	}
	if verdict, ok := in.recheckAsked(ctx, lane, row, event); !ok {
		return verdict
	}
	if row.Epoch == database.GivenBack && lane.doubt.given != row.Seq {
		lane.doubt.open, lane.doubt.given = true, row.Seq
	}
	if lane.doubt.open {
		if verdict, ok := in.settle(ctx, lane, row); !ok {
			return verdict
		}
	}
	if verdict, ok := in.survive(ctx, row, event); !ok {
		return verdict
	}
	if event, err = in.reread(ctx, row, event); err != nil {
		return in.failed(ctx, lane, row, event, err)
	}
	if changes(row.Kind) {
		if verdict, ok := in.inTurn(ctx, lane, row); !ok {
			return verdict
		}
	}
	overtaken, err := in.overtaken(ctx, row)
	if err != nil {
		return in.failed(ctx, lane, row, event, err)
	}
	if overtaken {
		event = withdrawn(event)
	}
	carried := in.carriage(lane, row, event)
	if row.ErrorClass == endPlaceholder {
		event = placeholder(event)
	}
	err = in.handle(withCarriage(ctx, carried), networkid.UserLoginID(row.Login), event)
	if carried.inDoubt() {
		lane.doubt.open = true
		lane.doubt.after = in.d.now().Add(in.d.timing.Settle)
	}
	if errors.Is(err, errNoReason) && carried.failure() != nil {
		err = carried.failure()
	}
	if err != nil && !errors.Is(err, ErrIgnored) {
		return in.failed(ctx, lane, row, event, err)
	}
	in.homeserverBack()
	if overtaken {
		return in.end(lane, row, endOvertaken)
	}
	if err != nil {
		return in.ignored(ctx, lane, row, event)
	}
	if failpoint.Hit(failpoint.InboxBeforeDone) != nil {
		return verdict{wait: in.d.timing.RetryFirst}
	}
	how := ""
	if row.ErrorClass == endPlaceholder || unread(event) {
		how = endPlaceholder
	}
	return in.end(lane, row, how)
}

// changes says whether events of a kind change what is in the room already.
func changes(kind string) bool {
	switch kind {
	case kindReaction, kindEdit, kindVote, kindRemove:
		return true
	}
	return false
}

// inTurn waits until all that came before a change is closed on disk: tried again after it, an older change would look like
// the newest, and undo it. ok is whether the row may be tried now: where an older change to the same message is held, it
// has to wait with that, and where one has just been let go, the lane reads both again.
func (in *Inbox) inTurn(ctx context.Context, lane *inboxLane, row *database.InboxRow) (v verdict, ok bool) {
	if err := in.d.flush(ctx); err != nil {
		return verdict{wait: in.d.timing.RetryFirst}, false
	}
	before, err := in.d.journal.InboxBefore(ctx, *row)
	switch {
	case err != nil:
		zerolog.Ctx(ctx).Err(err).Msg("Failed to read the journal, trying again")
		return verdict{wait: in.d.timing.RetryFirst}, false
	case before == database.InboxHeld:
		return in.hold(ctx, row), false
	case before != "":
		in.lanes.reload(lane.key)
		return verdict{ended: true}, false
	}
	return verdict{}, true
}

// overtaken says whether a change has come too late: nothing but the last of them counts.
func (in *Inbox) overtaken(ctx context.Context, row *database.InboxRow) (bool, error) {
	switch row.Kind {
	case kindReaction, kindEdit, kindVote:
	default:
		return false, nil
	}
	overtaken, err := in.d.journal.InboxOvertaken(ctx, *row)
	if err != nil {
		return false, fmt.Errorf("%w: %w", bridgev2.ErrDatabaseError, err)
	}
	return overtaken, nil
}

// withdrawn is what is left to do for an overtaken change: its own placeholder goes.
func withdrawn(event network.Event) network.Event {
	message := event.(network.MessageEvent)
	message.Message.Content = network.Remove{Target: message.Message.ID}
	return message
}

// unseal opens a row. A panic over what is in it is an error like others.
func (in *Inbox) unseal(row *database.InboxRow) (event network.Event, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanicked, r)
		}
	}()
	payload, err := in.d.secret.unlock(row.Payload, inboxSeal(*row)...)
	if err != nil {
		return nil, err
	}
	return decodeEvent(payload)
}

// handle calls the bridge; a panic of its is a failed try and nothing more.
func (in *Inbox) handle(ctx context.Context, login networkid.UserLoginID, event network.Event) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanicked, r)
		}
	}()
	return in.d.bridge.HandleRemote(ctx, login, event)
}

func (in *Inbox) carriage(lane *inboxLane, row *database.InboxRow, event network.Event) *carriage {
	kind := row.Kind
	switch {
	case row.ErrorClass == endPlaceholder:
		kind = endPlaceholder
	case kind == kindUnsupported && !unread(event):
		kind = kindOfEvent(event) // what stands in for it is another effect
	}
	return &carriage{
		identity: identity{chat: row.Chat, sender: row.Sender, remoteID: row.RemoteID, kind: kind},
		find: func(marker string) (id.EventID, bool) {
			event, ok := lane.doubt.found[marker]
			return event, ok
		},
		remember: func(marker string, event id.EventID) {
			if lane.doubt.found == nil {
				lane.doubt.found = map[string]id.EventID{}
			}
			lane.doubt.found[marker] = event
		},
	}
}

// settle reads the room for effects of tries that may have worked. ok is whether the row may be tried now.
func (in *Inbox) settle(ctx context.Context, lane *inboxLane, row *database.InboxRow) (v verdict, ok bool) {
	if wait := lane.doubt.after.Sub(in.d.now()); wait > 0 {
		return verdict{wait: wait}, false
	}
	key := networkid.PortalKey{ID: networkid.PortalID(lane.key.Chat), Receiver: networkid.UserLoginID(lane.key.Receiver)}
	since := fromMillis(min(row.OrderTS, row.ReceivedAt)).Add(-scanMargin)
	found, err := in.d.scan(ctx, key, since)
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("Failed to read a room for messages in doubt, trying again")
		in.failing.Store(true)
		row.Attempts++
		return verdict{wait: in.lull(lane)}, false
	}
	in.d.metrics.scans.Add(1)
	for marker, event := range lane.doubt.found {
		found[marker] = event
	}
	lane.doubt.open, lane.doubt.found = false, found
	return verdict{}, true
}

// lull is the wait of a lane that has just failed.
func (in *Inbox) lull(lane *inboxLane) time.Duration {
	if lane.failing.IsZero() {
		lane.failing = in.d.now()
	}
	return lull(in.d.timing.RetryFirst, in.d.timing.RetryLimit, in.d.now().Sub(lane.failing))
}

// failed decides what to do after a try that did not work.
func (in *Inbox) failed(ctx context.Context, lane *inboxLane, row *database.InboxRow, event network.Event, err error) verdict {
	kind, after := faultOf(err)
	row.Attempts++
	zerolog.Ctx(ctx).Warn().Err(err).Int64("seq", row.Seq).Str("fault", string(kind)).Int("attempts", row.Attempts).
		Msg("Failed to deliver an event to Matrix")
	wait := max(after, in.lull(lane))
	switch kind {
	case faultTransient:
		in.failing.Store(true)
	case faultCredentials:
		in.failing.Store(true)
		wait = in.d.timing.RetryLimit
	case faultGone:
		return in.quarantine(ctx, row, event, kind)
	default:
		if row.Attempts >= in.d.timing.Tries {
			if isMessage(event) && row.ErrorClass != endPlaceholder && kind != faultRefused {
				row.Attempts, row.ErrorClass = 0, endPlaceholder
				break
			}
			return in.quarantine(ctx, row, event, kind)
		}
	}
	in.noteRetry(*row, kind)
	return verdict{wait: wait}
}

// noteRetry keeps what the operator and the next process should know of a failed try. A row on its way to a placeholder keeps that word.
func (in *Inbox) noteRetry(row database.InboxRow, kind fault) {
	class := string(kind)
	if row.ErrorClass == endPlaceholder {
		class = endPlaceholder
	}
	row.ErrorClass = class
	in.d.write(func(ctx context.Context) error { return in.d.journal.RetryInbox(ctx, row) })
}

// isMessage says whether a placeholder can stand for an event.
func isMessage(event network.Event) bool {
	message, ok := event.(network.MessageEvent)
	_, isEdit := message.Message.Content.(network.Edit)
	_, changes := targetOf(message.Message.Content)
	return ok && (isEdit || !changes)
}

// placeholder stands for a message that cannot be shown as it is. A new text for a message that never came is a
// message of its own.
func placeholder(event network.Event) network.Event {
	message, ok := event.(network.MessageEvent)
	if !ok {
		return event
	}
	edit, _ := message.Message.Content.(network.Edit)
	switch content := edit.Content.(type) {
	case network.Text:
		message.Message.Content = content
		return message
	case network.Media:
		if content.Caption != "" {
			message.Message.Content = network.Text{Body: content.Caption}
			return message
		}
	}
	message.Message.Content = network.Unsupported{Type: "message that could not be shown"}
	message.Message.ReplyTo = nil
	return message
}

// ignored looks why bridgev2 passed an event over: as a repeat, or because what it changes is not there yet.
func (in *Inbox) ignored(ctx context.Context, lane *inboxLane, row *database.InboxRow, event network.Event) verdict {
	message, ok := event.(network.MessageEvent)
	if !ok {
		return in.end(lane, row, endIgnored)
	}
	sought := message.Message.ID
	target, changes := targetOf(message.Message.Content)
	if changes {
		// what it changes is what bridgev2 must know: it keeps reactions elsewhere, and edits nowhere
		sought = target
	}
	key := networkid.PortalKey{ID: networkid.PortalID(row.Chat), Receiver: networkid.UserLoginID(row.Receiver)}
	bridged, err := in.d.bridge.Bridged(ctx, key, sought)
	switch {
	case err != nil:
		return in.failed(ctx, lane, row, event, fmt.Errorf("%w: %w", bridgev2.ErrDatabaseError, err))
	case row.Target != "" && row.HoldUntil == 0 && !(changes && bridged):
		return in.hold(ctx, row)
	case bridged && (row.ErrorClass == endPlaceholder || unread(event)):
		return in.end(lane, row, endPlaceholder)
	case bridged:
		return in.end(lane, row, endRepeat)
	case changes && isMessage(event):
		row.Attempts, row.ErrorClass = 0, endPlaceholder
		in.noteRetry(*row, "")
		return verdict{wait: in.d.timing.RetryFirst}
	case changes:
		return in.end(lane, row, endIgnored)
	}
	return in.failed(ctx, lane, row, event, ErrIgnored)
}

// hold sets a row aside until its target is done; the lane goes on.
func (in *Inbox) hold(ctx context.Context, row *database.InboxRow) verdict {
	until := in.d.now().Add(in.d.timing.Hold).UnixMilli()
	err := in.d.writer.do(ctx, func(ctx context.Context) error { return in.d.journal.HoldInbox(ctx, row.Seq, until) })
	if err != nil {
		return verdict{wait: in.d.timing.RetryFirst}
	}
	in.held.Add(1)
	return verdict{ended: true}
}

// end closes a row and opens those that waited for it. The lane need not wait for the commit: until
// it is made a repeat is known by bridgev2's own rows and by the marker.
func (in *Inbox) end(lane *inboxLane, row *database.InboxRow, how string) verdict {
	done := *row
	done.State, done.ErrorClass, done.DoneAt = database.InboxDone, how, in.d.now().UnixMilli()
	if how == "" {
		in.d.metrics.shown.Add(1)
	}
	if how == endPlaceholder {
		in.d.metrics.placeholders.Add(1)
	} else {
		done.Payload = nil
	}
	key, released := lane.key, int64(0)
	in.d.writer.later(func(ctx context.Context) (err error) {
		// what waits for this row was held by this lane, before it
		if err = in.d.journal.EndInbox(ctx, done); err == nil && in.held.Load() > 0 {
			released, err = in.d.journal.ReleaseInbox(ctx, key, targetName(done.Sender, done.RemoteID))
		}
		return err
	}, func(err error) {
		if err != nil {
			in.d.log.Err(err).Int64("seq", done.Seq).Msg("Failed to close an inbox row; it will be tried again")
			in.lanes.reload(key)
		} else if released > 0 {
			in.held.Add(-released)
			in.lanes.reload(key)
		}
	})
	in.uncount(row)
	return verdict{ended: true}
}

// quarantine sets a row aside for good, with its payload for an operator, and says so to the user.
func (in *Inbox) quarantine(ctx context.Context, row *database.InboxRow, event network.Event, kind fault) verdict {
	aside := *row
	aside.State, aside.ErrorClass, aside.DoneAt = database.InboxQuarantined, string(kind), in.d.now().UnixMilli()
	if err := in.d.writer.do(ctx, func(ctx context.Context) error { return in.d.journal.EndInbox(ctx, aside) }); err != nil {
		return verdict{wait: in.d.timing.RetryFirst}
	}
	in.d.metrics.quarantined.Add(1)
	in.uncount(row)
	in.d.bridge.Lost(ctx, networkid.UserLoginID(row.Login), event, string(kind))
	return verdict{ended: true}
}

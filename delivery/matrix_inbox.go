package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/failpoint"
)

const (
	// ephemeralAge is when typing and receipts of Matrix users are too old to be passed on.
	ephemeralAge = 30 * time.Second
	// creationPatience is how long an event waits for the creation of its room to end.
	creationPatience = 10 * time.Minute
	// settledPatience is how long an event waits for its room to be known as people see it.
	settledPatience = time.Minute
	// ephemeralWaiting bounds how many of them wait; more are dropped.
	ephemeralWaiting = 256
)

// dispatcher is what handles Matrix events: bridgev2's connector, or a stand-in of a test.
type dispatcher interface {
	// Ready says whether a room's events can be handled: not while the room is being created.
	Ready(ctx context.Context, room id.RoomID) (bool, error)
	// Opens says whether encrypted events can be opened at all; if not, nobody needs to wait for their keys.
	Opens() bool
	// Portal names the conversation of a room; known is false for rooms that are none's.
	Portal(ctx context.Context, room id.RoomID) (key networkid.PortalKey, known bool, err error)
	// Fetch reads an event from the homeserver again.
	Fetch(ctx context.Context, room id.RoomID, event id.EventID) (json.RawMessage, error)
	// Event handles an event and returns when it is handled. The content is parsed.
	Event(ctx context.Context, evt *event.Event)
	// KeyCounts and DeviceLists pass on what the crypto machine wants to know.
	KeyCounts(ctx context.Context, counts *mautrix.OTKCount)
	DeviceLists(ctx context.Context, lists *mautrix.DeviceLists)
}

// matrixInbox keeps the events that the homeserver has pushed until they are handled: one lane a room.
type matrixInbox struct {
	d     *Delivery
	lanes lanes[string, database.MatrixRow]
	// waiting counts the events that are not handled yet.
	waiting   atomic.Int64
	ephemeral chan *event.Event
	// toDevice wakes the worker that handles to-device events before anything that needs their keys.
	toDevice chan struct{}

	lock sync.Mutex
	// opened holds, for each encrypted event that is being handled, what is closed when it has been decrypted.
	opened map[string]chan struct{}
	// excused holds the events that are being handled and may be handled again: whether they have to be.
	excused map[id.EventID]bool
}

func newMatrixInbox(d *Delivery) *matrixInbox {
	m := &matrixInbox{
		d: d, ephemeral: make(chan *event.Event, ephemeralWaiting), toDevice: make(chan struct{}, 1),
		opened: map[string]chan struct{}{}, excused: map[id.EventID]bool{},
	}
	m.lanes = lanes[string, database.MatrixRow]{
		load:  d.journal.OpenMatrix,
		seq:   func(r database.MatrixRow) int64 { return r.Seq },
		try:   m.try,
		flush: d.flush,
		log:   d.log.With().Str("component", "matrix inbox").Logger(),
		pause: d.timing.RetryFirst,
	}
	return m
}

// push is what one transaction of the homeserver holds, ready to be stored.
type push struct {
	rows      []database.MatrixRow
	toDevice  []database.ToDeviceRow
	latest    []database.LatestRow
	ephemeral []*event.Event
}

// take stores a transaction in one commit and gives its new events to their lanes.
func (m *matrixInbox) take(ctx context.Context, p push) error {
	if err := failpoint.Hit(failpoint.FrontBeforeCommit); err != nil {
		return err
	}
	fresh, err := m.commit(ctx, p)
	if err != nil {
		return fmt.Errorf("failed to store a transaction: %w", err)
	}
	m.d.metrics.repeats.Add(int64(len(p.rows) - len(fresh)))
	m.waiting.Add(int64(len(fresh)))
	if len(p.toDevice)+len(p.latest) > 0 {
		m.nudge()
	}
	for _, row := range fresh {
		m.lanes.push(row.Room, row)
	}
	for _, evt := range p.ephemeral {
		select {
		case m.ephemeral <- evt:
		default:
		}
	}
	// a homeserver that pushes is a homeserver that answers
	m.d.Inbox.homeserverBack()
	return failpoint.Hit(failpoint.FrontCommitted)
}

// commit stores a transaction and returns its events that were not known. One without anything to store needs no commit.
func (m *matrixInbox) commit(ctx context.Context, p push) (fresh []database.MatrixRow, err error) {
	if len(p.rows)+len(p.toDevice)+len(p.latest) == 0 {
		return nil, nil
	}
	err = m.d.writer.do(ctx, func(ctx context.Context) error {
		fresh = fresh[:0:0]
		for _, row := range p.rows {
			added, err := m.d.journal.AddMatrix(ctx, row)
			if err != nil {
				return err
			}
			if added {
				fresh = append(fresh, row)
			}
		}
		return m.store(ctx, p)
	})
	return fresh, err
}

func (m *matrixInbox) store(ctx context.Context, p push) error {
	for _, row := range p.toDevice {
		if _, err := m.d.journal.AddToDevice(ctx, row); err != nil {
			return err
		}
	}
	for _, row := range p.latest {
		if err := m.d.journal.PutLatest(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

func (m *matrixInbox) nudge() {
	select {
	case m.toDevice <- struct{}{}:
	default:
	}
}

// full says that more Matrix events wait than should.
func (m *matrixInbox) full() bool { return m.waiting.Load() >= int64(m.d.timing.MatrixLimit) }

func (m *matrixInbox) open(ctx context.Context) error {
	waiting, err := m.d.journal.CountMatrix(ctx)
	m.waiting.Store(int64(waiting))
	return err
}

func (m *matrixInbox) start(ctx context.Context) error {
	rooms, err := m.d.journal.MatrixRooms(ctx)
	if err != nil {
		return fmt.Errorf("failed to list rooms with events: %w", err)
	}
	m.handleSecrets(ctx)
	m.lanes.start(rooms)
	m.lanes.done.Add(2)
	go m.passEphemeral(m.lanes.ctx)
	go m.watchSecrets(m.lanes.ctx)
	return nil
}

func (m *matrixInbox) stop(ctx context.Context) { m.lanes.stop(ctx) }

// matrixSeal binds a Matrix event's text to its row.
func matrixSeal(eventID string) []string { return []string{"cw_mx_inbox", eventID} }

// try handles one Matrix event. bridgev2 takes no failure back to us, as its own end of a failed event is a
// status that the author sees; what would lose an event is the end of the process, and then it is handled again. So it is
// where the database did not answer bridgev2, see [Delivery.HandleAgain].
func (m *matrixInbox) try(ctx context.Context, lane *lane[string, database.MatrixRow], row *database.MatrixRow) verdict {
	if !m.ready(ctx, row) {
		return verdict{wait: m.d.timing.RetryFirst}
	}
	raw, err := m.d.secret.unlock(row.Raw, matrixSeal(row.EventID)...)
	if errors.Is(err, errForgotten) {
		if raw, err = m.d.dispatch.Fetch(ctx, id.RoomID(row.Room), id.EventID(row.EventID)); err != nil && passes(err) {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("Failed to read an event from the homeserver again, trying again")
			return verdict{wait: m.d.timing.RetryFirst}
		}
	}
	if err != nil {
		return m.setAside(ctx, row, faultUnreadable)
	}
	var evt event.Event
	if strings.HasPrefix(row.EventID, noEvent) || json.Unmarshal(raw, &evt) != nil {
		return m.setAside(ctx, row, faultUnreadable)
	}
	if refersBack(&evt) && !m.settled(ctx, lane, row) {
		return verdict{wait: m.d.timing.RetryFirst}
	}
	if row.Epoch != m.d.instance.Epoch {
		// it may be what ended the last process
		if err := m.d.writer.do(ctx, func(ctx context.Context) error { return m.d.journal.TriedMatrix(ctx, row.EventID) }); err != nil {
			return verdict{wait: m.d.timing.RetryFirst}
		}
		if row.Attempts >= m.d.timing.DeadlyTries {
			return m.setAside(ctx, row, faultDeadly)
		}
	}
	again := m.excuse(lane, evt.ID)
	m.handle(ctx, &evt, fromMillis(row.ReceivedAt))
	if ctx.Err() != nil {
		return verdict{}
	}
	if again() {
		return verdict{wait: lull(m.d.timing.RetryFirst, m.d.timing.RetryLimit, m.d.now().Sub(lane.failing))}
	}
	m.waiting.Add(-1)
	m.d.write(func(ctx context.Context) error {
		return m.d.journal.DoneMatrix(ctx, row.EventID, m.d.now().UnixMilli())
	})
	return verdict{ended: true}
}

// excuse lets a failure of the database be no failure of the event, as long as that has not gone on for too long. The
// result says, once the event is handled, whether it has to be handled again.
func (m *matrixInbox) excuse(lane *lane[string, database.MatrixRow], eventID id.EventID) (again func() bool) {
	if lane.failing.IsZero() {
		lane.failing = m.d.now()
	}
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.d.now().Sub(lane.failing) < m.d.timing.Excuse {
		m.excused[eventID] = false
	}
	return func() bool {
		m.lock.Lock()
		defer m.lock.Unlock()
		again := m.excused[eventID]
		delete(m.excused, eventID)
		return again
	}
}

// HandleAgain is told why bridgev2 has not handled a Matrix event. It says whether the event will be handled again, so that
// its author need not hear of it: the database did not answer, and the outbox knows what it has already.
func (d *Delivery) HandleAgain(eventID id.EventID, reason error) bool {
	if !isDatabase(reason) {
		return false
	}
	d.matrix.lock.Lock()
	defer d.matrix.lock.Unlock()
	if _, excused := d.matrix.excused[eventID]; !excused {
		return false
	}
	d.matrix.excused[eventID] = true
	return true
}

// ready says whether an event can be handled. One in a room that is being created waits, as bridgev2
// does not know the room before it is saved: people may write as soon as they are invited, also while we are away.
func (m *matrixInbox) ready(ctx context.Context, row *database.MatrixRow) bool {
	if row.Room == "" || m.d.now().Sub(fromMillis(row.ReceivedAt)) > creationPatience {
		return true
	}
	ready, err := m.d.dispatch.Ready(ctx, id.RoomID(row.Room))
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("Failed to look whether a room is being created, trying again")
	}
	return ready && err == nil
}

// refersBack says whether an event is about another one: an answer, a reaction, an edit or a redaction.
func refersBack(evt *event.Event) bool {
	return evt.Redacts != "" || evt.Content.Raw["redacts"] != nil || evt.Content.Raw["m.relates_to"] != nil
}

// settled says whether bridgev2 knows all that its room shows. People answer what they see, and they may see a message that a
// process has sent just before its end, of which bridgev2 knows only when the inbox has come by it again.
func (m *matrixInbox) settled(ctx context.Context, lane *lane[string, database.MatrixRow], row *database.MatrixRow) bool {
	if lane.failing.IsZero() {
		lane.failing = m.d.now()
	}
	if row.Room == "" || m.d.now().Sub(lane.failing) > settledPatience {
		return true
	}
	key, known, err := m.d.dispatch.Portal(ctx, id.RoomID(row.Room))
	unsettled := false
	if err == nil && known {
		chat := database.InboxLane{Chat: string(key.ID), Receiver: string(key.Receiver)}
		unsettled, err = m.d.journal.InboxUnsettled(ctx, chat, m.d.instance.Epoch)
	}
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("Failed to look whether a room is settled, trying again")
	}
	return err == nil && !unsettled
}

// handle dispatches an event, and waits with an encrypted one until it is open or its time is over.
func (m *matrixInbox) handle(ctx context.Context, evt *event.Event, received time.Time) {
	evt.Mautrix.ReceivedAt = received
	evt.Mautrix.EventSource = event.SourceTimeline
	evt.Type.Class = event.MessageEventType
	if evt.StateKey != nil {
		evt.Mautrix.EventSource = event.SourceTimeline & event.SourceJoin
		evt.Type.Class = event.StateEventType
	}
	if evt.Type != event.EventEncrypted {
		m.dispatch(ctx, evt)
		return
	}
	opened := make(chan struct{})
	m.lock.Lock()
	m.opened[string(evt.ID)] = opened
	m.lock.Unlock()
	m.dispatch(ctx, evt)
	_ = failpoint.Hit(failpoint.FrontWaitingKeys)
	if m.d.dispatch.Opens() {
		m.awaitKeys(ctx, opened)
	}
	m.lock.Lock()
	delete(m.opened, string(evt.ID))
	m.lock.Unlock()
}

// awaitKeys waits until an encrypted event is open or its time is over.
func (m *matrixInbox) awaitKeys(ctx context.Context, opened <-chan struct{}) {
	timer := time.NewTimer(m.d.timing.Keys)
	defer timer.Stop()
	select {
	case <-opened:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// decrypted notes that an encrypted event was opened and handled, or that its author was told why not.
func (m *matrixInbox) decrypted(eventID string) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if opened := m.opened[eventID]; opened != nil {
		close(opened)
		delete(m.opened, eventID)
	}
}

// dispatch parses an event and has it handled. A panic ends the event's handling and nothing more.
func (m *matrixInbox) dispatch(ctx context.Context, evt *event.Event) {
	defer func() {
		if r := recover(); r != nil {
			zerolog.Ctx(ctx).Error().Any("panic", r).Str("event_type", evt.Type.Type).Msg("Panic while handling a Matrix event")
		}
	}()
	// an event of unknown content is dispatched as it is: nobody listens to it
	_ = evt.Content.ParseRaw(evt.Type)
	m.d.dispatch.Event(ctx, evt)
}

func (m *matrixInbox) setAside(ctx context.Context, row *database.MatrixRow, kind fault) verdict {
	zerolog.Ctx(ctx).Error().Str("event_id", row.EventID).Str("fault", string(kind)).Msg("Setting a Matrix event aside")
	err := m.d.writer.do(ctx, func(ctx context.Context) error {
		return m.d.journal.QuarantineMatrix(ctx, row.EventID, m.d.now().UnixMilli(), string(kind))
	})
	if err != nil {
		return verdict{wait: m.d.timing.RetryFirst}
	}
	m.waiting.Add(-1)
	m.d.metrics.quarantined.Add(1)
	failed := Report{Room: id.RoomID(row.Room), Event: id.EventID(row.EventID), EventType: event.EventMessage, Progress: Failed, Err: ErrSetAside}
	if row.Room != "" && m.d.bridge.Report(ctx, failed) != nil {
		zerolog.Ctx(ctx).Warn().Str("event_id", row.EventID).Msg("Failed to tell an author that an event was set aside")
	}
	return verdict{ended: true}
}

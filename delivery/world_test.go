package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/database/databasetest"
	"causeway/network"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// disk is what outlives a process: a database, and the files beside it.
type disk struct {
	dir   string
	place databasetest.Place
}

func onDisks(t *testing.T, test func(t *testing.T, d disk)) {
	databasetest.Each(t, func(t *testing.T, place databasetest.Place) { test(t, disk{dir: t.TempDir(), place: place}) })
}

var quick = Timing{
	RetryFirst: time.Millisecond, RetryLimit: 5 * time.Millisecond, ResendFirst: time.Millisecond, ResendLimit: 5 * time.Millisecond,
	Settle: 5 * time.Millisecond, Delayed: 50 * time.Millisecond, Keys: 50 * time.Millisecond, Excuse: 3 * time.Second, Upkeep: 20 * time.Millisecond,
}

// process is one run of the program on a disk.
type process struct {
	*Delivery
	db *dbutil.Database
	// exits gets what the program would have ended with.
	exits chan error
}

func newProcess(t *testing.T, on disk, bridge *playedBridge, change ...func(*Options)) *process {
	raw := on.place.Open(t)
	p := &process{db: raw, exits: make(chan error, 4)}
	options := Options{
		DB: database.New(raw), Bridge: bridge, Timing: quick, Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.Disabled),
		SecretFile: filepath.Join(on.dir, "secret"), LockFile: filepath.Join(on.dir, "lock"), EpochFile: filepath.Join(on.dir, "epoch"),
		Exit: func(err error) { p.exits <- err },
	}
	for _, c := range change {
		c(&options)
	}
	p.Delivery = New(options)
	p.scan = bridge.scan
	p.dispatch = bridge
	return p
}

// boot starts a process as far as storing goes.
func boot(t *testing.T, on disk, bridge *playedBridge, change ...func(*Options)) *process {
	p := newProcess(t, on, bridge, change...)
	require.NoError(t, p.Open(t.Context()))
	return p
}

// launch starts a process all the way.
func launch(t *testing.T, on disk, bridge *playedBridge, change ...func(*Options)) *process {
	p := boot(t, on, bridge, change...)
	require.NoError(t, p.Run(t.Context()))
	t.Cleanup(p.die)
	return p
}

// die ends a process as SIGKILL would: nothing more is written, nobody is told.
func (p *process) die() {
	_ = p.db.Close()
	halt(&p.Inbox.lanes)
	halt(&p.Outbox.lanes)
	halt(&p.matrix.lanes)
	for _, cancel := range []context.CancelFunc{p.Inbox.soft.cancel, p.ending} {
		if cancel != nil {
			cancel()
		}
	}
	p.Inbox.lanes.done.Wait()
	p.Outbox.lanes.done.Wait()
	p.matrix.lanes.done.Wait()
	p.release()
}

// halt lets no worker of lanes start any more.
func halt[K comparable, R any](l *lanes[K, R]) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.cancel != nil {
		l.cancel()
	}
}

// shown is an event in a room of the played homeserver.
type shown struct {
	id     id.EventID
	marker string
	sender string
	text   string
}

// playedBridge plays bridgev2 and a homeserver behind it, as far as delivery can tell.
type playedBridge struct {
	lock sync.Mutex
	// rooms are the homeserver's, rows are bridgev2's: message to event.
	rooms map[networkid.PortalID][]shown
	rows  map[string]id.EventID
	// receipts and typing that were passed on.
	soft []network.Event
	lost []string
	// before and after may fail a message: before the homeserver has it, or after it has and before bridgev2 knows.
	before, after func(network.MessageEvent) error
	// ignores says which events bridgev2 passes over.
	ignores func(network.Event) bool
	scans   int
	scanErr error
	// reread is what a version of the program reads in content that another could not read.
	reread func(payload []byte) network.Content

	matrixSide
}

func newBridge() *playedBridge {
	return &playedBridge{rooms: map[networkid.PortalID][]shown{}, rows: map[string]id.EventID{}, matrixSide: matrixSide{client: newClient()}}
}

func (b *playedBridge) PortalKey(login networkid.UserLoginID, conversation network.Address) networkid.PortalKey {
	return networkid.PortalKey{ID: networkid.PortalID(conversation.String()), Receiver: login}
}

func (b *playedBridge) HandleRemote(ctx context.Context, login networkid.UserLoginID, e network.Event) error {
	// bridgev2 handles events in contexts of its own
	ctx = Carry(ctx)(context.Background())
	switch e := e.(type) {
	case network.MessageEvent:
		return b.handleMessage(carriageOf(ctx), login, e)
	default:
		b.lock.Lock()
		defer b.lock.Unlock()
		b.soft = append(b.soft, e)
		return nil
	}
}

func (b *playedBridge) handleMessage(carried *carriage, login networkid.UserLoginID, e network.MessageEvent) error {
	b.lock.Lock()
	before, after, ignores := b.before, b.after, b.ignores
	_, known := b.rows[e.Message.ID.String()]
	b.lock.Unlock()
	if ignores != nil && ignores(e) || known {
		return ResultError(bridgev2.EventHandlingResultIgnored)
	}
	if before != nil {
		if err := before(e); err != nil {
			return ResultError(bridgev2.EventHandlingResultFailed.WithError(err))
		}
	}
	room := b.PortalKey(login, e.Message.ID.Conversation).ID
	parts := carried.effect(id.RoomID(room), id.UserID(e.Message.ID.Sender.String()), "m.room.message")
	marker := strings.Join(parts, "|")
	event, found := carried.find(marker)
	if !found {
		event = b.show(room, marker, e)
		carried.ask()
		if after != nil {
			if err := after(e); err != nil {
				return ResultError(bridgev2.EventHandlingResultFailed.WithError(err))
			}
		}
		carried.answered()
		carried.remember(marker, event)
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	b.rows[e.Message.ID.String()] = event
	return ResultError(bridgev2.EventHandlingResultSuccess)
}

func (b *playedBridge) show(room networkid.PortalID, marker string, e network.MessageEvent) id.EventID {
	b.lock.Lock()
	defer b.lock.Unlock()
	event := id.EventID("$" + rand.Text())
	text := fmt.Sprintf("%T", e.Message.Content)
	if content, ok := e.Message.Content.(network.Text); ok {
		text = content.Body
	}
	b.rooms[room] = append(b.rooms[room], shown{id: event, marker: marker, sender: e.Message.ID.Sender.String(), text: text})
	return event
}

func (b *playedBridge) Reread(_ context.Context, _ networkid.UserLoginID, msg network.Message) (network.Message, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.reread != nil {
		msg.Content = b.reread(msg.Content.(network.Unsupported).Payload)
	}
	return msg, nil
}

func (b *playedBridge) Bridged(_ context.Context, _ networkid.PortalKey, message network.MessageID) (bool, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	_, known := b.rows[message.String()]
	return known, nil
}

func (b *playedBridge) Lost(_ context.Context, _ networkid.UserLoginID, _ network.Event, why string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.lost = append(b.lost, why)
}

func (b *playedBridge) scan(_ context.Context, key networkid.PortalKey, _ time.Time) (map[string]id.EventID, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.scans++
	if b.scanErr != nil {
		return nil, b.scanErr
	}
	found := map[string]id.EventID{}
	for _, s := range b.rooms[key.ID] {
		found[s.marker] = s.id
	}
	return found, nil
}

// set changes the bridge under its lock.
func (b *playedBridge) set(change func()) {
	b.lock.Lock()
	defer b.lock.Unlock()
	change()
}

func (b *playedBridge) texts(conversation network.Address) []string {
	b.lock.Lock()
	defer b.lock.Unlock()
	var texts []string
	for _, s := range b.rooms[networkid.PortalID(conversation.String())] {
		texts = append(texts, s.text)
	}
	return texts
}

// shows waits until a room shows exactly these texts.
func (b *playedBridge) shows(t *testing.T, conversation network.Address, texts ...string) {
	t.Helper()
	until(t, func() bool { return slices.Equal(texts, b.texts(conversation)) }, func() any { return b.texts(conversation) })
}

func until(t *testing.T, condition func() bool, state ...func() any) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			for _, s := range state {
				t.Log(s())
			}
			t.Fatal("it did not happen in time")
		}
		pause()
	}
}

// pause lets others work between two looks at a condition.
func pause() { sleep(context.Background(), time.Millisecond) }

const login = networkid.UserLoginID("whatsapp-interop-12-105")

var (
	anna = network.LID("90000000000001")
	bob  = network.LID("90000000000002")

	errDown = fmt.Errorf("no answer: %w", context.DeadlineExceeded)
)

func text(from network.Address, messageID, body string) network.MessageEvent {
	return network.MessageEvent{Message: network.Message{
		ID: network.MessageID{Conversation: from, Sender: from, ID: messageID}, Content: network.Text{Body: body},
	}}
}

func numbers(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(prefix, i)
	}
	return all
}

// inboxStates counts the inbox rows by state, with all that was submitted on disk.
func (p *process) inboxStates(t *testing.T) map[database.InboxState]int {
	require.NoError(t, p.flush(t.Context()))
	counts := map[database.InboxState]int{}
	for _, state := range []database.InboxState{
		database.InboxNew, database.InboxRetry, database.InboxHeld, database.InboxDone, database.InboxQuarantined,
	} {
		rows, err := p.journal.InboxByState(t.Context(), state, 100_000)
		require.NoError(t, err)
		if len(rows) > 0 {
			counts[state] = len(rows)
		}
	}
	return counts
}

var errConvert = errors.New("the content makes no sense")

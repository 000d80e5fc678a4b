package linked

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"causeway/database"
	"causeway/database/databasetest"
	"causeway/network"
	"causeway/simulator/meta"
	"causeway/wire"
)

// patience is how long anything may take on a busy machine.
const patience = 45 * time.Second

// simulated is the one network of the process, whose root of trust is the process's.
var simulated *meta.Network

func TestMain(m *testing.M) {
	net, err := meta.New(meta.Profile(meta.Timing), meta.Logf(func(string, ...any) {}))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	net.ExpectFinding("unserved-peer-message") // phones of the simulated network do not send again what a device asks for
	simulated = net
	code := m.Run()
	for _, finding := range net.Findings() {
		if !finding.Expected {
			fmt.Fprintf(os.Stderr, "finding (seed %d): %s: %s\n", net.SeedInUse(), finding.Kind, finding.Detail)
			code = max(code, 1)
		}
	}
	if code != 0 && os.Getenv("SHOW_WIRE") != "" {
		fmt.Fprintln(os.Stderr, net.Transcript())
	}
	net.Close()
	os.Exit(code)
}

var people atomic.Int64

// person is somebody new on the network.
func person(name string) *meta.Person {
	return simulated.WhatsApp(fmt.Sprintf("+49151%08d", people.Add(1)), name)
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// quietLog writes to standard error if SHOW_LOG is set: the library still works for a moment after a test has ended,
// when the test's own log must not be used.
func quietLog(t *testing.T) zerolog.Logger {
	t.Helper()
	if os.Getenv("SHOW_LOG") == "" {
		return zerolog.Nop()
	}
	return zerolog.New(os.Stderr).With().Str("test", t.Name()).Logger()
}

func endpoint() wire.Endpoint {
	root := simulated.Root()
	return wire.Endpoint{Host: simulated.ChatAddr(), TrustRoot: root[:]}
}

// openDatabase is an empty SQLite database with the newest schema.
func openDatabase(t *testing.T) *database.Database {
	return upgraded(t, databasetest.SQLite(t.TempDir()))
}

// openPostgres is the same on PostgreSQL.
func openPostgres(t *testing.T) *database.Database {
	t.Helper()
	place, ok := databasetest.Postgres(t)
	if !ok {
		t.Skipf("needs a PostgreSQL server at %s", databasetest.PostgresEnv)
	}
	return upgraded(t, place)
}

func upgraded(t *testing.T, place databasetest.Place) *database.Database {
	t.Helper()
	db := database.New(place.Open(t))
	require.NoError(t, db.Upgrade(t.Context()))
	return db
}

func openStoreOn(t *testing.T, db *database.Database) *Store {
	t.Helper()
	store, err := Open(t.Context(), db, Options{Endpoint: endpoint(), DeviceName: "Causeway", Log: quietLog(t)})
	require.NoError(t, err)
	return store
}

// linkedBy links a device to somebody's phone and returns its address.
func linkedBy(t *testing.T, store *Store, owner *meta.Person) network.Address {
	t.Helper()
	attempt, err := NewLinker(store, nil, quietLog(t)).LinkByQR(t.Context())
	require.NoError(t, err)
	defer attempt.Cancel()
	step, err := attempt.Next(within(t))
	require.NoError(t, err)
	require.Equal(t, network.LinkQR, step.Kind)
	_, err = owner.ScanQR(within(t), step.Code)
	require.NoError(t, err)
	for {
		step, err = attempt.Next(within(t))
		require.NoError(t, err)
		if step.Kind == network.LinkDone {
			return step.Account.Address
		}
	}
}

// told records what a login is told.
type told struct {
	t       *testing.T
	lock    sync.Mutex
	events  []network.Event
	taken   map[int]bool
	changed chan struct{}
	// before, if set, decides about an event before it is taken.
	before func(network.Event) error
}

func (r *told) handle(_ context.Context, event network.Event) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.before != nil {
		if err := r.before(event); err != nil {
			return err
		}
	}
	r.events = append(r.events, event)
	close(r.changed)
	r.changed = make(chan struct{})
	return nil
}

// await takes the first event of a type that fits; each is taken once.
func await[E network.Event](r *told, what string, fits func(E) bool) E {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		r.lock.Lock()
		for i, event := range r.events {
			if e, ok := event.(E); ok && !r.taken[i] && fits(e) {
				r.taken[i] = true
				r.lock.Unlock()
				return e
			}
		}
		changed := r.changed
		r.lock.Unlock()
		select {
		case <-changed:
		case <-deadline:
			r.lock.Lock()
			defer r.lock.Unlock()
			require.FailNow(r.t, "timed out", "waiting for %s; got %+v", what, r.events)
		}
	}
}

// device is a login under test, linked to the phone of its owner.
type device struct {
	*Client
	*told
	owner *meta.Person
	db    *database.Database
}

func newTold(t *testing.T) *told {
	return &told{t: t, taken: map[int]bool{}, changed: make(chan struct{})}
}

// newDevice is a linked login that is connected.
func newDevice(t *testing.T, name string, with ...func(*Config)) *device {
	t.Helper()
	return newDeviceOn(t, openDatabase(t), name, with...)
}

func newDeviceOn(t *testing.T, db *database.Database, name string, with ...func(*Config)) *device {
	t.Helper()
	d := &device{told: newTold(t), owner: person(name), db: db}
	store := openStoreOn(t, d.db)
	d.open(store, linkedBy(t, store, d.owner), with...)
	d.connect()
	return d
}

// open makes the login's client.
func (d *device) open(store *Store, self network.Address, with ...func(*Config)) {
	cfg := Config{Self: self, Store: store, ReadReceipts: true, Online: true, Handler: d.handle, Log: quietLog(d.t)}
	for _, change := range with {
		change(&cfg)
	}
	d.Client = New(cfg)
}

func (d *device) connect() {
	d.t.Helper()
	require.NoError(d.t, d.Client.Connect(d.t.Context()))
	d.t.Cleanup(d.Client.Disconnect)
	await(d.told, "the connection", func(e network.ConnectionEvent) bool { return e.State == network.Connected })
}

// hears waits for a message.
func (d *device) hears(id string) network.MessageEvent {
	d.t.Helper()
	return await(d.told, "message "+id, func(e network.MessageEvent) bool { return e.Message.ID.ID == id })
}

// addressOf is a person's address.
func addressOf(t *testing.T, p *meta.Person) network.Address {
	t.Helper()
	address, err := wire.ParseTextJID(network.WhatsApp, p.LID())
	require.NoError(t, err)
	return address
}

// say sends content to a conversation under a new id.
func (d *device) say(conversation network.Address, content network.Content, change ...func(*network.Message)) string {
	d.t.Helper()
	msg := d.message(conversation, content)
	for _, change := range change {
		change(&msg)
	}
	_, err := d.Client.Send(within(d.t), msg)
	require.NoError(d.t, err)
	return msg.ID.ID
}

var sent atomic.Int64

func (d *device) message(conversation network.Address, content network.Content) network.Message {
	id := d.Client.NewMessageID(fmt.Appendf(nil, "%s %d", d.t.Name(), sent.Add(1)))
	return network.Message{ID: network.MessageID{Conversation: conversation, Sender: d.Client.Self(), ID: id}, Content: content}
}

// heard waits until a person's phone shows a message.
func heard(t *testing.T, p *meta.Person, id string) meta.Heard {
	t.Helper()
	ctx := within(t)
	for {
		for _, h := range p.Heard() {
			if h.ID == id {
				return h
			}
		}
		_, err := p.Hears(ctx)
		require.NoError(t, err, "waiting for %s", id)
	}
}

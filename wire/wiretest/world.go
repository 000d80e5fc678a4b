// Package wiretest brings what tests of a network's accounts need: one simulated
// network, one provider on it, logins and people in the words of networktest. The
// networks differ in a [Product] only.
//
// It is for tests alone, and knows no content of messages.
package wiretest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/mattn/go-sqlite3" // the driver of the stores
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"

	"causeway/database"
	"causeway/network"
	"causeway/network/networktest"
	"causeway/simulator/meta"
	"causeway/wire"
)

// Product is what differs between the networks.
type Product struct {
	Network network.Network
	// Open makes the client under test.
	Open func(wire.Login) network.Client
	// Person puts the number-th person into the network; Identifier is what users find them by.
	Person     func(net *meta.Network, number int64) *meta.Person
	Identifier func(*meta.Person) string
	// Carried is what the network carries of some content, and whether at all.
	Carried func(network.Content) (network.Content, bool)
	// Unknown is a well-formed identifier of nobody, Malformed one that nobody can have.
	Unknown, Malformed string
}

// WhatsApp is the product of that name, whose people have phone numbers.
func WhatsApp(open func(wire.Login) network.Client) Product {
	return Product{
		Network: network.WhatsApp, Open: open, Unknown: "+4915299999999", Malformed: "0151 2345678",
		Person: func(net *meta.Network, number int64) *meta.Person {
			return net.WhatsApp(fmt.Sprintf("+49151%08d", number), fmt.Sprintf("Person %d", number))
		},
		Identifier: (*meta.Person).Phone,
		Carried:    carriedByWhatsApp,
	}
}

// Messenger is the product of that name, whose people have account numbers.
func Messenger(open func(wire.Login) network.Client) Product {
	return Product{
		Network: network.Messenger, Open: open, Unknown: "100009999999999", Malformed: "+4915112345678",
		Person: func(net *meta.Network, number int64) *meta.Person {
			return net.Messenger(strconv.FormatInt(100000000000000+number, 10), fmt.Sprintf("Person %d", number))
		},
		Identifier: (*meta.Person).FBID,
		Carried:    carriedByMessenger,
	}
}

// carriedByWhatsApp leaves out what the strict subset has no place for (docs/protocol.md#subset).
func carriedByWhatsApp(content network.Content) (network.Content, bool) {
	switch said := content.(type) {
	case network.Media:
		return said, said.Kind != network.Sticker
	case network.Edit, network.Remove:
		return nil, false
	}
	return content, true
}

// carriedByMessenger leaves out what Messenger's messages have no place for (docs/protocol.md#messenger).
func carriedByMessenger(content network.Content) (network.Content, bool) {
	switch said := content.(type) {
	case network.Media:
		if said.Kind == network.Document {
			said.Caption, said.Thumbnail = "", nil
		}
		return said, said.Kind != network.VideoNote
	case network.Text:
		if said.Preview != nil {
			preview := *said.Preview
			preview.Thumbnail, said.Preview = nil, &preview
		}
		return said, true
	}
	return content, true
}

// World is the simulated network of a test process, as one product shows it. There is one
// network only: its trust root is the process's.
type World struct {
	Net      *meta.Network
	product  Product
	provider *provider
	numbers  *numbers
	stored   *stored
}

// stored are the messages that handlers have taken: only of these the network may hear that they were delivered.
type stored struct{ messages sync.Map }

func (s *stored) has(client, messageID string) bool {
	_, found := s.messages.Load(client + "/" + messageID)
	return found
}

// noting is a handler that notes what it has taken.
func (s *stored) noting(client network.Address, handler network.Handler) network.Handler {
	return func(ctx context.Context, event network.Event) error {
		err := handler(ctx, event)
		message, ok := event.(network.MessageEvent)
		if name, unnamed := wire.TextJID(client); err == nil && ok && unnamed == nil {
			s.messages.Store(name+"/"+message.Message.ID.ID, true)
		}
		return err
	}
}

// numbers keep apart who is made for a test.
type numbers struct{ people, accounts atomic.Int64 }

// On is the same network as another product shows it.
func (w *World) On(product Product) *World {
	return &World{w.Net, product, w.provider, w.numbers, w.stored}
}

var _ networktest.Harness = (*World)(nil)

// Run makes the world, hands it over, and runs the tests: the whole of a TestMain. It
// returns the exit code, which also counts what the network found wrong.
func Run(m *testing.M, product Product, use func(*World), options ...meta.Option) int {
	net, err := meta.New(append([]meta.Option{meta.Profile(meta.Timing), meta.Logf(func(string, ...any) {})}, options...)...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer net.Close()
	p, err := newProvider()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer p.server.Close()
	err = net.AddIntegrator(meta.Integrator{
		ID: Integrator, Name: "Causeway", IdentifierType: "email", Issuer: p.server.URL,
		MediaBase: p.server.URL + strings.TrimSuffix(mediaPath, "/"),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Before anything else uses the Signal library, which both ends do: its logger is the process's.
	root := net.Root()
	if err = (wire.Endpoint{Host: net.ChatAddr(), TrustRoot: root[:]}).Pin(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	net.ExpectFinding("token-invalid") // parts of the suite send such tokens
	stored := &stored{}
	net.Stored(stored.has)
	use(&World{net, product, p, &numbers{}, stored})
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
	return code
}

// Login implements [networktest.Harness].
func (w *World) Login(t *testing.T, handler network.Handler) networktest.Login {
	return w.Enlisted(t, handler)
}

// Enlisted is a new account over a store of its own.
func (w *World) Enlisted(t *testing.T, handler network.Handler) *Login {
	t.Helper()
	store := openStore(t)
	keys, err := wire.CreateKeys(t.Context(), store)
	require.NoError(t, err)
	number := w.numbers.accounts.Add(1)
	user := &account{
		provider: w.provider, product: w.product.Network, keys: keys,
		subject: fmt.Sprintf("u_%d", number), email: fmt.Sprintf("alice%d@localhost", number),
	}
	require.NoError(t, user.enlist(w.Net.EnlistmentURL()))
	return w.open(t, user, store, handler)
}

// Again is an account's login as a new process makes it, from its rows alone.
func (w *World) Again(t *testing.T, old *Login, handler network.Handler) *Login {
	t.Helper()
	keys, err := wire.LoadKeys(t.Context(), old.Config.Store)
	require.NoError(t, err)
	user := &account{
		provider: old.account.provider, product: old.account.product, keys: keys, subject: old.account.subject,
		email: old.account.email, number: old.account.number, record: old.account.record, chatURL: old.account.chatURL,
	}
	return w.open(t, user, old.Config.Store, handler)
}

func (w *World) open(t *testing.T, user *account, store wire.Store, handler network.Handler) *Login {
	root := w.Net.Root()
	config := wire.Login{
		Self:         network.Interop(w.product.Network, Integrator, user.number),
		Keys:         user.keys,
		Store:        store,
		Endpoint:     wire.Endpoint{Host: w.Net.ChatAddr(), TrustRoot: root[:]},
		ChatURL:      user.chatURL,
		Token:        func(context.Context) (string, error) { return user.token("connect") },
		Publish:      func(_ context.Context, keys wire.PublicKeys) error { return user.publish(w.Net.EnlistmentURL(), keys) },
		ReadReceipts: true,
		Upload:       w.provider.media.upload,
		Handler:      w.stored.noting(network.Interop(w.product.Network, Integrator, user.number), handler),
		Log:          zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.DebugLevel),
	}
	return &Login{Config: config, world: w, account: user, client: w.product.Open(config)}
}

// openStore is a Signal store in a database of its own.
func openStore(t *testing.T) wire.Store {
	t.Helper()
	path := (&url.URL{Path: filepath.Join(t.TempDir(), "test.db")}).EscapedPath()
	raw, err := sql.Open("sqlite3", "file:"+path+"?_foreign_keys=on&_journal_mode=WAL&_synchronous=NORMAL&_txlock=immediate&_busy_timeout=5000")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, raw.Close()) })
	bridge, err := dbutil.NewWithDB(raw, "sqlite3")
	require.NoError(t, err)
	db := database.New(bridge)
	require.NoError(t, db.Upgrade(t.Context()))
	return db.SignalStore("login")
}

// Person implements [networktest.Harness].
func (w *World) Person(t *testing.T) networktest.Person {
	p := w.Somebody()
	require.NoError(t, p.OptIn(Integrator))
	return p
}

// Stranger implements [networktest.Harness].
func (w *World) Stranger(*testing.T) networktest.Person { return w.Somebody() }

// Somebody is a new person who has not turned on third-party chats.
func (w *World) Somebody() Person {
	return Person{Person: w.product.Person(w.Net, w.numbers.people.Add(1)), product: w.product}
}

// Unknown implements [networktest.Harness].
func (w *World) Unknown() string { return w.product.Unknown }

// Malformed implements [networktest.Harness].
func (w *World) Malformed() string { return w.product.Malformed }

// Login is an account of the provider.
type Login struct {
	// Config is what the client was made with; for another client with something changed.
	Config  wire.Login
	world   *World
	account *account
	client  network.Client
}

// Client implements [networktest.Login].
func (l *Login) Client() network.Client { return l.client }

// Drop implements [networktest.Login].
func (l *Login) Drop() { l.world.Net.DropConnections(l.account.number, "reset") }

// Token implements [networktest.Login].
func (l *Login) Token(state networktest.TokenState) {
	l.account.mu.Lock()
	defer l.account.mu.Unlock()
	l.account.expired = state == networktest.ExpiredToken
	l.account.foreign = state == networktest.ForeignToken
}

// Claims changes what the account's tokens say; nil leaves them as they should be.
func (l *Login) Claims(change func(map[string]any)) {
	l.account.mu.Lock()
	defer l.account.mu.Unlock()
	l.account.change = change
}

// KeySet makes the provider's key set "unreachable" or "garbage", empty good again, and has the network forget what it knew of it.
func (w *World) KeySet(trouble string) {
	w.provider.trouble.Store(trouble)
	w.Net.ForgetKeySets()
}

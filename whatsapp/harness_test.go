package whatsapp

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.mau.fi/util/dbutil"

	"causeway/database"
	"causeway/network"
	"causeway/network/networktest"
	"causeway/simulator/meta"
	"causeway/wire"
)

// world is the one simulated network of this test process: its trust root is the
// process's, so that there cannot be two.
type world struct {
	net      *meta.Network
	provider *provider
	people   atomic.Int64
	accounts atomic.Int64
}

var simulated *world

func TestMain(m *testing.M) {
	os.Exit(runIn(m))
}

func runIn(m *testing.M) int {
	net, err := meta.New(meta.Profile(meta.Timing), meta.Logf(func(string, ...any) {}))
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
		ID: testIntegrator, Name: "Causeway", IdentifierType: "email", Issuer: p.server.URL,
		MediaBase: p.server.URL + strings.TrimSuffix(mediaPath, "/"),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	net.ExpectFinding("token-invalid") // parts of the suite send such tokens
	simulated = &world{net: net, provider: p}
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

func TestSuite(t *testing.T) {
	networktest.Suite(t, func(t *testing.T) networktest.Harness { return simulated })
}

func (w *world) Login(t *testing.T, handler network.Handler) networktest.Login {
	return w.login(t, handler, openStore(t))
}

// login enlists a new account over a store.
func (w *world) login(t *testing.T, handler network.Handler, store wire.Store) *login {
	t.Helper()
	keys, err := wire.CreateKeys(t.Context(), store)
	require.NoError(t, err)
	number := w.accounts.Add(1)
	user := &account{
		provider: w.provider, keys: keys, subject: fmt.Sprintf("u_%d", number), email: fmt.Sprintf("alice%d@localhost", number),
	}
	require.NoError(t, user.enlist(w.net.EnlistmentURL()))
	return &login{world: w, account: user, store: store, client: NewInterop(w.config(t, user, store, handler))}
}

// config is how an account connects to the simulated network.
func (w *world) config(t *testing.T, user *account, store wire.Store, handler network.Handler) InteropConfig {
	root := w.net.Root()
	return InteropConfig{
		Self:         network.Interop(network.WhatsApp, testIntegrator, user.number),
		Keys:         user.keys,
		Store:        store,
		Endpoint:     wire.Endpoint{Host: w.net.ChatAddr(), TrustRoot: root[:]},
		ChatURL:      user.chatURL,
		Token:        func(context.Context) (string, error) { return user.token("connect") },
		ReadReceipts: true,
		Upload:       w.provider.media.upload,
		Handler:      handler,
		Log:          zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.DebugLevel),
	}
}

// again is an account's login as a new process makes it, from its rows alone.
func (w *world) again(t *testing.T, old *login, handler network.Handler) *login {
	t.Helper()
	keys, err := wire.LoadKeys(t.Context(), old.store)
	require.NoError(t, err)
	user := &account{
		provider: old.account.provider, keys: keys, subject: old.account.subject, email: old.account.email,
		number: old.account.number, chatURL: old.account.chatURL,
	}
	return &login{world: w, account: user, store: old.store, client: NewInterop(w.config(t, user, old.store, handler))}
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
	return db.SignalStore("whatsapp-interop-12-1")
}

func (w *world) Person(t *testing.T) networktest.Person {
	p := w.newPerson()
	require.NoError(t, p.OptIn(testIntegrator))
	return p
}

func (w *world) Stranger(*testing.T) networktest.Person { return w.newPerson() }

func (w *world) newPerson() person {
	number := w.people.Add(1)
	return person{w.net.WhatsApp(fmt.Sprintf("+49151%08d", number), fmt.Sprintf("Person %d", number))}
}

func (*world) Unknown() string   { return "+4915299999999" }
func (*world) Malformed() string { return "0151 2345678" }

type login struct {
	world   *world
	account *account
	store   wire.Store
	client  *Interop
}

func (l *login) Client() network.Client { return l.client }
func (l *login) Drop()                  { l.world.net.DropConnections(l.account.number, "reset") }

func (l *login) Token(state networktest.TokenState) {
	l.account.mu.Lock()
	defer l.account.mu.Unlock()
	l.account.expired = state == networktest.ExpiredToken
	l.account.foreign = state == networktest.ForeignToken
}

// person is a played phone in the words of the suite.
type person struct{ *meta.Person }

func (p person) Address() network.Address {
	address, err := wire.ParseTextJID(network.WhatsApp, p.LID())
	if err != nil {
		panic(err)
	}
	return address
}

func (p person) Identifier() string { return p.Phone() }
func (p person) OptOut() error      { return p.Person.OptOut() }

func (p person) Say(to network.Address, body string) (string, error) {
	name, err := wire.TextJID(to)
	if err != nil {
		return "", err
	}
	return p.Person.Say(name, body)
}

func (p person) Reply(to networktest.Heard, body string) (string, error) {
	from, err := wire.TextJID(to.From)
	if err != nil {
		return "", err
	}
	return p.Person.Reply(meta.Heard{From: from, ID: to.ID, Text: to.Text}, body)
}

func (p person) Hears(ctx context.Context) (networktest.Heard, error) {
	heard, err := p.Person.Hears(ctx)
	if err != nil {
		return networktest.Heard{}, err
	}
	from, err := wire.ParseTextJID(network.WhatsApp, heard.From)
	return more(networktest.Heard{From: from, ID: heard.ID, Text: heard.Text, ReplyTo: heard.ReplyTo}, heard), err
}

func (p person) Typing(to network.Address, typing bool) error {
	name, err := wire.TextJID(to)
	if err != nil {
		return err
	}
	return p.Person.Typing(name, typing)
}

func (p person) WaitReceipt(ctx context.Context, id string, kind network.ReceiptKind) error {
	if kind == network.Delivered {
		return p.Person.WaitReceipt(ctx, id, "delivery")
	}
	return p.Person.WaitReceipt(ctx, id, "read")
}

func (p person) WaitTyping(ctx context.Context, from network.Address, typing bool) error {
	name, err := wire.TextJID(from)
	if err != nil {
		return err
	}
	return p.Person.WaitTyping(ctx, name, typing)
}

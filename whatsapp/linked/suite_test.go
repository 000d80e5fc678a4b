package linked

import (
	"context"
	"strings"
	"testing"

	"causeway/network"
	"causeway/network/networktest"
	"causeway/simulator/meta"
	"causeway/wire/wiretest"
)

// TestSuite holds a linked device to what every client promises.
func TestSuite(t *testing.T) {
	networktest.Suite(t, func(*testing.T) networktest.Harness { return ownAccounts{} })
}

// ownAccounts is the simulated network as a harness of linked devices.
type ownAccounts struct{}

var (
	_ networktest.Harness  = ownAccounts{}
	_ networktest.Ordinary = ownAccounts{}
)

func (ownAccounts) Ordinary() {}

// Login links a device to somebody's phone.
func (ownAccounts) Login(t *testing.T, handler network.Handler) networktest.Login {
	t.Helper()
	owner := person("Anna")
	owner.AutoReceipts(false) // what is confirmed is confirmed by the device under test
	db := openDatabase(t)
	store := openStoreOn(t, db)
	self := linkedBy(t, store, owner)
	first := &device{told: newTold(t), owner: owner, db: db} // what the phone tells a new device comes before the suite begins
	first.open(store, self)
	first.connect()
	first.settle()
	first.Disconnect()
	// the suite counts what is said to a login, and not what its own phone tells it first
	quiet := func(event network.Event) bool { _, piece := event.(network.HistoryEvent); return piece }
	client := New(Config{Self: self, Store: store, ReadReceipts: true, Online: true, Log: quietLog(t), Handler: except(handler, quiet)})
	return ownLogin{client, owner}
}

// except is a handler that some events do not reach.
func except(handler network.Handler, left func(network.Event) bool) network.Handler {
	return func(ctx context.Context, event network.Event) error {
		if left(event) {
			return nil
		}
		return handler(ctx, event)
	}
}

func (ownAccounts) Person(t *testing.T) networktest.Person {
	t.Helper()
	return played(person("Bob"))
}

// Stranger is nobody: on the network itself there are none.
func (ownAccounts) Stranger(t *testing.T) networktest.Person {
	t.Helper()
	t.Fatal("there are no strangers to accounts of the network's own")
	return nil
}

func (ownAccounts) Unknown() string   { return "+4915299999999" }
func (ownAccounts) Malformed() string { return "0151 2345678" }

// played is a person to whom everything is carried.
func played(p *meta.Person) wiretest.Person {
	product := wiretest.WhatsApp(nil)
	product.Carried = func(content network.Content) (network.Content, bool) {
		if text, ok := content.(network.Text); ok && text.Preview != nil {
			preview := *text.Preview
			preview.URL, text.Preview = preview.Matched, &preview // chats within WhatsApp name the link once
			return text, true
		}
		return content, true
	}
	return product.Played(p)
}

// ownLogin is a linked device in the words of the suite.
type ownLogin struct {
	client *Client
	owner  *meta.Person
}

func (l ownLogin) Client() network.Client { return l.client }

// Token changes nothing: there are none.
func (ownLogin) Token(networktest.TokenState) {}

func (l ownLogin) Drop() {
	for _, device := range l.owner.LinkedDevices() {
		simulated.DropConnections(strings.TrimSpace(device.JID), "close")
	}
}

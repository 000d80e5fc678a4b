package meta

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// linkedPatience is generous, for the machine may be busy.
const linkedPatience = 30 * time.Second

// linkedWorld is a network with people who link the library's client to their phones.
type linkedWorld struct {
	*Network
	t *testing.T
	// pastLeft: clients do not read the past by themselves. The library reads it in goroutines that nobody waits for, and
	// exchanges its stores at a logout without looking for them.
	pastLeft bool
}

func newLinkedWorld(t *testing.T, opts ...Option) *linkedWorld {
	t.Helper()
	n := Start(t, append([]Option{Seed(7), CloseDelay(200 * time.Millisecond)}, opts...)...)
	whatsmeow.WACertPubKey = n.Root()
	return &linkedWorld{Network: n, t: t}
}

// client is the library's client, unmodified, and what it told.
type client struct {
	*whatsmeow.Client
	t       *testing.T
	w       *linkedWorld
	mu      sync.Mutex
	got     []any
	changed chan struct{}
}

// transport leads everything that the library dials to the network.
func (w *linkedWorld) transport() *http.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, w.ChatAddr())
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DialTLSContext: dial}}
}

// newClient makes a client that is linked to nobody.
func (w *linkedWorld) newClient() *client {
	w.t.Helper()
	uri := fmt.Sprintf("file:%s?_foreign_keys=on&_journal_mode=WAL&_synchronous=OFF&_txlock=immediate&_busy_timeout=30000",
		filepath.Join(w.t.TempDir(), "device.db"))
	container, err := sqlstore.New(w.t.Context(), "sqlite3", uri, waLog.Noop)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = container.Close() })
	c := &client{Client: whatsmeow.NewClient(container.NewDevice(), waLog.Noop), t: w.t, w: w, changed: make(chan struct{})}
	c.ManualHistorySyncDownload = w.pastLeft
	c.SetWebsocketHTTPClient(w.transport())
	c.SetPreLoginHTTPClient(w.transport())
	c.SetMediaHTTPClient(w.transport())
	c.AddEventHandler(c.note)
	w.t.Cleanup(c.Disconnect)
	return c
}

func (c *client) note(event any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, event)
	close(c.changed)
	c.changed = make(chan struct{})
}

// awaitEvent takes the first event of a type that fits.
func awaitEvent[T any](c *client, fits func(T) bool) T {
	c.t.Helper()
	deadline := time.After(linkedPatience)
	for {
		c.mu.Lock()
		for i, event := range c.got {
			if typed, ok := event.(T); ok && fits(typed) {
				c.got = slices.Delete(c.got, i, i+1)
				c.mu.Unlock()
				return typed
			}
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			var want T
			require.FailNow(c.t, "nothing came", "waiting for %T", want)
		}
	}
}

func any1[T any](T) bool { return true }

// linked makes a client that is linked to somebody's phone and connected.
func (w *linkedWorld) linked(p *Person) *client {
	w.t.Helper()
	c := w.newClient()
	require.NoError(w.t, c.Connect())
	qr := awaitEvent(c, any1[*events.QR])
	device, err := p.ScanQR(within(w.t), qr.Codes[0])
	require.NoError(w.t, err)
	paired := awaitEvent(c, any1[*events.PairSuccess])
	require.Equal(w.t, device.JID, paired.ID.String())
	require.Equal(w.t, device.LID, paired.LID.String())
	awaitEvent(c, any1[*events.Connected])
	return c
}

// hears waits for a message with a text.
func (c *client) hears(text string) *events.Message {
	c.t.Helper()
	return awaitEvent(c, func(m *events.Message) bool {
		return m.Message.GetConversation() == text || m.Message.GetExtendedTextMessage().GetText() == text
	})
}

func (c *client) receipt(id string, kind types.ReceiptType) *events.Receipt {
	c.t.Helper()
	return awaitEvent(c, func(r *events.Receipt) bool { return slices.Contains(r.MessageIDs, id) && r.Type == kind })
}

// quiet waits until the linked devices have finished with all that was sent to them.
func (w *linkedWorld) quiet(p *Person) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		return !slices.ContainsFunc(p.LinkedDevices(), func(d LinkedDevice) bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return d.Waiting > 0 || !p.greeted[d.Device]
		})
	}, linkedPatience, 5*time.Millisecond)
}

package wire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/whatsmeow/types"

	"causeway/network"
)

const (
	// firstPause is the shortest wait before connecting again.
	firstPause = 500 * time.Millisecond
	// keptStamps is how many stanza times are remembered for read receipts.
	keptStamps = 1024
)

// Config is what a login needs to be connected.
type Config struct {
	// Self is the login's own address on the wire, integrator included.
	Self types.JID
	// PeerServer is the server part of the people that this login talks to; stanzas of others are refused.
	PeerServer string
	// Product tells the network which of its products the login is for.
	Product Product
	Keys    Keys
	Store   Store
	// Endpoint is where the network is; URL the websocket, empty for the network's usual one.
	Endpoint Endpoint
	URL      string
	// Token makes a fresh connect token for each connection.
	Token func(ctx context.Context) (string, error)
	// Publish makes the network know a new signed prekey before a connection; nil keeps the first one for good.
	Publish func(ctx context.Context, keys PublicKeys) error
	// Now is the clock, nil the system's.
	Now          func() time.Time
	ReadReceipts bool
	// Behalf is nil unless connections stand in for a client elsewhere.
	Behalf func() (Behalf, error)
	// Withhold says whether a sender is not to see that their messages arrived; nil withholds nothing.
	Withhold func(ctx context.Context, from types.JID) bool
	// Franking makes the tag that goes beside a message, from its plaintext; nil is no tag. Messages with
	// a tag go in envelopes of version 3, whose plaintext brings its own padding (docs/protocol.md#messenger).
	Franking func(plaintext []byte) []byte
	Receiver Receiver
	Log      zerolog.Logger
}

// Client keeps one login connected, and connects again after interruptions.
type Client struct {
	cfg    Config
	http   *http.Client
	signal *signalState

	// stamps holds the stanza time of recent messages, which read receipts echo.
	stamps *lru[string, string]
	// retries counts how often messages were asked for again, answered how often ours were sent again.
	retries, answered *lru[string, int]
	media             mediaHosts

	run Run

	mu   sync.Mutex
	link *link // nil unless logged in
	// woken has a token when the network says that something waits for the login.
	woken   chan struct{}
	sending map[string]bool
}

// New makes a client; nothing happens before [Client.Connect].
func New(cfg Config) *Client {
	signal := newSignalState(cfg.Store)
	signal.padded = cfg.Franking == nil
	return &Client{
		cfg:      cfg,
		signal:   signal,
		stamps:   newLRU[string, string](keptStamps),
		retries:  newLRU[string, int](keptRetries),
		answered: newLRU[string, int](keptRetries),
		sending:  make(map[string]bool),
		woken:    make(chan struct{}, 1),
	}
}

// Wake ends the wait for the next connection; an open one has to show at once that it still lives. The network
// calls for it by other ways than the connection when something waits for a login (docs/protocol.md#media).
func (c *Client) Wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// Connect starts the connection and returns. It outlives ctx, whose values it
// keeps; [Client.Disconnect] ends it. Connecting twice is harmless. An error means
// that nothing was started.
func (c *Client) Connect(ctx context.Context) error {
	return c.run.Start(ctx, c.prepare, c.keepConnected)
}

// prepare makes sure that connecting is possible.
func (c *Client) prepare() error {
	if err := c.check(); err != nil {
		return err
	}
	client, err := c.cfg.Endpoint.HTTPClient()
	if err != nil {
		return err
	}
	if err = c.cfg.Endpoint.Pin(); err != nil {
		return err
	}
	c.mu.Lock()
	c.http = client
	c.mu.Unlock()
	return nil
}

func (c *Client) check() error {
	switch {
	case c.cfg.Keys.IsZero():
		return ErrNoKeys
	case c.cfg.Self.Server != types.InteropServer || c.cfg.Self.Integrator == 0 || c.cfg.Self.User == "":
		return errors.New("failed to connect: the login has no address of its own")
	case c.cfg.Store == nil || c.cfg.Token == nil || c.cfg.Receiver == nil:
		return errors.New("failed to connect: store, token or receiver is missing")
	}
	return nil
}

// Disconnect ends the connection and waits until the receiver is not called any
// more. It must not be called by the receiver itself.
func (c *Client) Disconnect() {
	c.run.Stop()
	c.mu.Lock()
	client := c.http
	c.mu.Unlock()
	if client != nil {
		client.CloseIdleConnections()
	}
}

// keepConnected is the one goroutine that calls the receiver: it connects, serves the
// connection until it ends, and starts again until refused or stopped.
func (c *Client) keepConnected(ctx context.Context, end func()) {
	ctx = c.cfg.Log.WithContext(ctx)
	pauses := Pauses{First: firstPause}
	var renewed bool // the token, since the last login
	for ctx.Err() == nil {
		c.tell(ctx, network.Connecting, nil)
		began := time.Now()
		loggedIn, err := c.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		retry := afterEnd(err)
		pauses.Held(time.Since(began))
		if loggedIn {
			renewed = false
			if retry == retryOnce {
				retry = retryLater // the next connection brings a fresh token anyway
			}
		} else if (retry == retryFresh || retry == retryOnce) && !renewed {
			renewed = true // the token may have grown too old on the way; a fresh one decides
			c.cfg.Log.Debug().Err(err).Msg("Connecting again with a fresh token")
			continue
		}
		if retry == retryOnce || retry == retryNever {
			c.cfg.Log.Warn().Err(err).Msg("The network refused the login")
			end()
			c.tell(ctx, network.Refused, err)
			return
		}
		c.cfg.Log.Debug().Err(err).Msg("The connection was interrupted")
		c.tell(ctx, network.Interrupted, err)
		select {
		case <-time.After(pauses.Next()):
		case <-c.woken:
		case <-ctx.Done():
		}
	}
}

// tell reports how the connection stands.
func (c *Client) tell(ctx context.Context, state network.ConnectionState, err error) {
	failure := guarded(func() error {
		return c.cfg.Receiver.ReceiveConnection(ctx, network.ConnectionEvent{State: state, Err: err})
	})
	if failure != nil {
		c.cfg.Log.Warn().Err(failure).Msg("The connection's state was not taken")
	}
}

// Ready says nothing while messages can be sent, and [network.ErrNotConnected] otherwise.
func (c *Client) Ready() error {
	_, err := c.current()
	return err
}

// current is the connection in use.
func (c *Client) current() (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == nil {
		return nil, network.ErrNotConnected
	}
	return c.link, nil
}

func (c *Client) setLink(l *link) {
	c.mu.Lock()
	c.link = l
	c.mu.Unlock()
}

// guarded runs fn and turns a panic into an error.
func guarded(fn func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return fn()
}

package wire

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/socket"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"go.mau.fi/whatsmeow/util/keys"

	"causeway/network"
)

const (
	// pingEvery is the shortest time between two signs of life; up to half as much is added by chance.
	pingEvery = 20 * time.Second
	// missedPings unanswered in a row end a connection.
	missedPings = 2
	// lastWords is how long a closed connection is still searched for the reason of its end.
	lastWords = 100 * time.Millisecond
)

// errClosed is the end of a connection without a word.
var errClosed = errors.New("the connection was closed")

// link is one websocket of a login, from dialling to its end. Each has a library
// client of its own, so that nothing of a dead connection reaches into the next.
type link struct {
	owner  *Client
	lib    *whatsmeow.Client
	inside *whatsmeow.DangerousInternalClient
	socket *socket.FrameSocket
	queue  chan *waBinary.Node
	keys   Keys
	cancel context.CancelFunc
	// identities are people whose identity key changed; ready is the result of logging in.
	identities chan types.JID
	ready      chan error
	failed     chan error
	tasks      sync.WaitGroup
}

// retry says what to do after a connection ended.
type retry int

const (
	retryLater retry = iota
	retryFresh       // at once with a fresh token, then later
	retryOnce        // at once with a fresh token, then never
	retryNever
)

// afterEnd decides whether trying again can help (docs/protocol.md#outcome).
func afterEnd(err error) retry {
	switch {
	case errors.Is(err, network.ErrTokenExpired):
		return retryFresh
	case errors.Is(err, network.ErrTokenRefused):
		return retryOnce
	}
	for _, final := range []error{
		network.ErrWithdrawn, network.ErrSuspended, network.ErrNotEnlisted, network.ErrReplaced,
		network.ErrOutdated, network.ErrRegion, network.ErrRejected,
	} {
		if errors.Is(err, final) {
			return retryNever
		}
	}
	return retryLater
}

// serve connects once and handles what comes until the connection ends; the error says why.
func (c *Client) serve(ctx context.Context) (loggedIn bool, err error) {
	l, err := c.dial(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		l.close(ctx) // waits for the task that sets the link
		c.setLink(nil)
	}()
	l.spawn(func() { l.keepAlive(l.socket.Context()) })
	for {
		select {
		case node := <-l.queue:
			if err = l.handle(ctx, node); err != nil {
				return loggedIn, err
			}
		case err = <-l.ready:
			if err != nil {
				return loggedIn, err
			}
			loggedIn = true
			c.tell(ctx, network.Connected, nil)
		case person := <-l.identities:
			if err = l.changed(ctx, person); err != nil {
				return loggedIn, err
			}
		case err = <-l.failed:
			return loggedIn, err
		case <-l.socket.Context().Done():
			return loggedIn, l.reason()
		case <-ctx.Done():
			return loggedIn, ctx.Err()
		}
	}
}

// renewKeys are the login's keys for one connection, with a new signed prekey where that is due and the network takes it. Where it does
// not, the connection is made with the one before.
func (c *Client) renewKeys(ctx context.Context) (Keys, error) {
	if c.cfg.Publish == nil {
		return c.cfg.Keys, nil
	}
	now := time.Now
	if c.cfg.Now != nil {
		now = c.cfg.Now
	}
	if err := rotateSignedPrekey(ctx, c.cfg.Store, now(), c.cfg.Publish); err != nil {
		c.cfg.Log.Warn().Err(err).Msg("The signed prekey was not renewed")
	}
	return LoadKeys(ctx, c.cfg.Store)
}

// dial opens the websocket and shakes hands; it ends early with ctx.
func (c *Client) dial(ctx context.Context) (*link, error) {
	behalf, err := c.behalf()
	if err != nil {
		return nil, err
	}
	keys, err := c.renewKeys(ctx)
	if err != nil {
		return nil, err
	}
	token, err := c.cfg.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to get a connect token: %w", err)
	}
	account, err := strconv.ParseUint(c.cfg.Self.User, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: own account number: %w", network.ErrRejected, err)
	}
	l := &link{
		owner: c, identities: make(chan types.JID), ready: make(chan error, 1), failed: make(chan error, 1),
		lib: c.library(keys), keys: keys,
	}
	//lint:ignore SA1019 stanzas of third-party accounts are shaped here, and the library has no other door for that
	l.inside = l.lib.DangerousInternals()
	l.lib.AddEventHandler(l.libraryEvent)
	payload := loginPayload(account, c.cfg.Product, token, c.cfg.ReadReceipts)
	l.lib.GetClientPayload = func() *waWa6.ClientPayload { return payload }

	l.socket = socket.NewFrameSocket(libraryLog{c.cfg.Log}, c.http)
	if c.cfg.URL != "" {
		l.socket.URL = c.cfg.URL
	}
	maps.Copy(l.socket.HTTPHeaders, upgradeHeaders(behalf))
	return l, l.connect(ctx)
}

// behalf is whom the next connection stands in for, nil if nobody.
func (c *Client) behalf() (*Behalf, error) {
	if c.cfg.Behalf == nil {
		return nil, nil
	}
	behalf, err := c.cfg.Behalf()
	if err != nil {
		return nil, fmt.Errorf("failed to stand in for a client: %w", err)
	}
	return &behalf, nil
}

// connect opens the socket. The connection outlives ctx by a moment, to be closed
// politely; only dialling ends with it.
func (l *link) connect(ctx context.Context) error {
	connCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	if err := l.socket.Connect(connCtx); err != nil {
		stop()
		cancel()
		var status socket.ErrWithStatusCode
		if errors.As(err, &status) {
			if failure := upgradeFailure(status.StatusCode); failure != nil {
				return failure
			}
		}
		return fmt.Errorf("%w: %w", network.ErrTemporary, err)
	}
	if err := l.shakeHands(ctx, connCtx); err != nil || !stop() {
		l.socket.Close(0)
		cancel()
		return errors.Join(err, ctx.Err())
	}
	l.cancel = cancel
	return nil
}

// shakeHands runs the Noise handshake. The library waits for the server without
// looking at the context, so an empty frame ends the wait.
func (l *link) shakeHands(ctx, connCtx context.Context) error {
	done := make(chan struct{})
	defer close(done)
	stop := context.AfterFunc(ctx, func() {
		select {
		case l.socket.Frames <- nil:
		case <-done:
		}
	})
	defer stop()
	queue, err := l.inside.DoHandshake(connCtx, l.socket, *keys.NewKeyPair())
	if err != nil {
		return fmt.Errorf("failed to shake hands: %w", err)
	}
	l.queue = queue
	return nil
}

// library is a client of the connection library over this login's rows.
func (c *Client) library(own Keys) *whatsmeow.Client {
	self := c.cfg.Self
	lib := whatsmeow.NewClient(&store.Device{
		ID: &self, LID: self,
		NoiseKey: own.noise, IdentityKey: own.identity, SignedPreKey: own.signedPrekey, RegistrationID: own.registrationID,
		Identities: c.signal, Sessions: c.signal, PreKeys: c.signal, EventBuffer: nothing,
		SenderKeys: nothing, AppStateKeys: nothing, AppState: nothing, Contacts: nothing, ChatSettings: nothing,
		MsgSecrets: nothing, PrivacyTokens: nothing, NCTSalt: nothing, LIDs: nothing,
		Container: keeper{},
	}, libraryLog{c.cfg.Log})
	lib.EnableAutoReconnect = false // Client.run does it
	lib.AutoTrustIdentity = true
	lib.RefreshCAT = func(context.Context) error { return nil } // called without a nil check; run takes a fresh token anyway
	lib.SetWebsocketHTTPClient(c.http)
	lib.SetPreLoginHTTPClient(c.http)
	lib.SetMediaHTTPClient(c.http)
	return lib
}

// nothing stands for the stores that a third-party account has no use for.
var nothing = &store.NoopStore{}

// keeper lets the library neither write nor delete a login: only the bridge decides that.
type keeper struct{}

var errKept = errors.New("the login's rows are the bridge's")

func (keeper) PutDevice(context.Context, *store.Device) error    { return errKept }
func (keeper) DeleteDevice(context.Context, *store.Device) error { return errKept }

// libraryEvent takes the one event that the library alone knows of.
func (l *link) libraryEvent(event any) {
	if change, ok := event.(*events.IdentityChange); ok {
		select {
		case l.identities <- change.JID:
		case <-l.socket.Context().Done():
		}
	}
}

// keepAlive pings the server and ends a connection that does not answer. One that the network does not know of any
// more is woken by it, and then one missed answer is enough.
func (l *link) keepAlive(ctx context.Context) {
	for missed := 0; missed < missedPings; {
		select {
		case <-time.After(pingEvery + rand.N(pingEvery/2)):
		case <-l.owner.woken:
			missed = missedPings - 1
		case <-ctx.Done():
			return
		}
		if answered, alive := l.inside.SendKeepAlive(ctx); !alive {
			return
		} else if answered {
			missed = 0
		} else {
			missed++
		}
	}
	l.fail(fmt.Errorf("%w: the server does not answer", network.ErrTemporary))
}

// fail ends the connection with a reason; the first one counts.
func (l *link) fail(err error) {
	select {
	case l.failed <- err:
	default:
	}
}

// reason looks through what a closed connection still had to say for why it was closed.
func (l *link) reason() error {
	for {
		select {
		case node := <-l.queue:
			switch node.Tag {
			case "failure":
				return loginFailure(node)
			case "stream:error":
				return streamFailure(node)
			}
		case <-time.After(lastWords):
			return fmt.Errorf("%w: %w", network.ErrTemporary, errClosed)
		}
	}
}

// spawn runs a task that ends with the connection at the latest.
func (l *link) spawn(task func()) {
	l.tasks.Go(task)
}

// close ends the connection, politely where it was ours to end, and waits for its tasks.
func (l *link) close(ctx context.Context) {
	if ctx.Err() == nil {
		l.socket.Close(0)
	}
	l.lib.Disconnect()
	l.cancel()
	l.tasks.Wait()
}

package linked

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"causeway/network"
	"causeway/wire"
)

// missedPings unanswered in a row end a connection.
const missedPings = 2

// link is one connection of a login, from dialling to its end. Each has a library client of its own, so that nothing
// of a dead connection reaches into the next.
type link struct {
	owner  *Client
	own    *login
	device *store.Device
	lib    *whatsmeow.Client
	// ctx is what handlers run in.
	ctx    context.Context
	cancel context.CancelFunc
	// halted: nothing more is taken from this connection.
	halted atomic.Bool
	ready  chan struct{}
	failed chan error
	// mended is when which part of the chats' states was last mended, and how; the handler's lock guards it.
	mended map[mending]time.Time
	// tasks run beside the handler, and end with the connection.
	tasks sync.WaitGroup
}

// Connect starts the connection and returns, see [network.Client].
func (c *Client) Connect(ctx context.Context) error {
	return c.run.Start(ctx, func() error {
		if c.cfg.Handler == nil || c.cfg.Self.Kind != network.KindLID || c.cfg.Self.Validate() != nil {
			return errors.New("failed to connect: the login has no handler or no LID")
		}
		if _, _, err := c.store.device(ctx, c.cfg.Self); err != nil && !errors.Is(err, network.ErrUnlinked) {
			return fmt.Errorf("failed to connect: %w", err)
		}
		return nil
	}, c.keepConnected)
}

// Disconnect ends the connection and waits until no handler runs. It must not be called by the handler itself.
func (c *Client) Disconnect() { c.run.Stop() }

// keepConnected connects, keeps the connection until it ends, and starts again until refused or stopped.
func (c *Client) keepConnected(ctx context.Context, end func()) {
	ctx = c.cfg.Log.WithContext(ctx)
	pauses := wire.Pauses{First: firstPause}
	renewed := false
	for ctx.Err() == nil {
		c.tell(ctx, network.ConnectionEvent{State: network.Connecting})
		began := time.Now()
		err := c.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if pauses.Held(time.Since(began)) {
			renewed = false
		}
		if errors.Is(err, network.ErrOutdated) && !renewed {
			renewed = true // once: if the newest version is refused, too, that does not help
			if failed := c.store.renewVersion(ctx); failed == nil {
				continue
			} else if ctx.Err() == nil {
				err = fmt.Errorf("%w; no newer version was found: %w", err, failed)
			}
		}
		if final(err) {
			c.cfg.Log.Warn().Err(err).Msg("The network refused the login")
			end()
			c.tell(ctx, network.ConnectionEvent{State: network.Refused, Err: err})
			return
		}
		c.cfg.Log.Debug().Err(err).Msg("The connection was interrupted")
		c.tell(ctx, network.ConnectionEvent{State: network.Interrupted, Err: err})
		select {
		case <-time.After(pauses.Next()):
		case <-ctx.Done():
		}
	}
}

// final says whether trying again is in vain before the cause is mended.
func final(err error) bool {
	for _, cause := range []error{
		network.ErrUnlinked, network.ErrBanned, network.ErrReplaced, network.ErrOutdated, network.ErrForeignEndpoint, network.ErrRejected,
	} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// tell reports how the connection stands.
func (c *Client) tell(ctx context.Context, event network.ConnectionEvent) {
	c.taking.Lock()
	defer c.taking.Unlock()
	if err := guarded(func() error { return c.cfg.Handler(ctx, event) }); err != nil {
		c.cfg.Log.Warn().Err(err).Msg("The connection's state was not taken")
	}
}

// serve connects once and waits until the connection ends; the error says why.
func (c *Client) serve(ctx context.Context) error {
	device, own, err := c.store.device(ctx, c.cfg.Self)
	if err != nil {
		return err
	}
	// The connection outlives ctx by a moment, so that what was taken is acknowledged.
	connCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &link{owner: c, own: own, device: device, ctx: connCtx, cancel: cancel, ready: make(chan struct{}), failed: make(chan error, 1),
		mended: map[mending]time.Time{}}
	l.lib = c.store.library(device, c.cfg.Log)
	l.lib.AddEventHandlerWithSuccessStatus(l.take)
	l.lib.SetForceActiveDeliveryReceipts(c.cfg.Online)
	defer func() { l.close(ctx.Err() != nil) }()
	stop := context.AfterFunc(ctx, cancel)
	err = l.lib.ConnectContext(connCtx)
	if err != nil {
		stop()
		return fmt.Errorf("%w: failed to connect: %w", network.ErrTemporary, err)
	}
	if !stop() {
		return ctx.Err()
	}
	return l.wait(ctx)
}

// wait follows a connection until it ends.
func (l *link) wait(ctx context.Context) error {
	c := l.owner
	watch := time.NewTicker(phoneCheckEvery)
	defer watch.Stop()
	ready := l.ready
	for {
		select {
		case <-ready:
			ready = nil
			c.setLink(l)
			c.tell(ctx, network.ConnectionEvent{State: network.Connected})
			if err := l.checkPhone(ctx); err != nil {
				return err
			}
		case <-watch.C:
			if err := l.checkPhone(ctx); err != nil {
				return err
			}
		case err := <-l.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// close ends the connection and waits for the handler. Only one that is ours to end is ended in the library's polite way: that
// must not meet the server's.
func (l *link) close(ours bool) {
	l.owner.setLink(nil)
	l.owner.taking.Lock() // the handler has returned, and none will run for this connection
	l.halted.Store(true)
	l.owner.taking.Unlock()
	if ours {
		l.lib.Disconnect()
	}
	l.cancel()
	l.tasks.Wait()
}

// fail ends the connection with a reason; the first one counts.
func (l *link) fail(err error) {
	select {
	case l.failed <- err:
	default:
	}
}

// library is a client of the connection library for one connection of one device.
func (s *Store) library(device *store.Device, log zerolog.Logger) *whatsmeow.Client {
	lib := whatsmeow.NewClient(device, wire.LibraryLog(log))
	lib.EnableAutoReconnect = false // Client.run does it
	lib.DisableLoginAutoReconnect = true
	lib.AutoTrustIdentity = true // with a notice, see [network.IdentityEvent]
	lib.SynchronousAck = true
	lib.EnableDecryptedEventBuffer = true
	lib.UseRetryMessageStore = true
	lib.ManualHistorySyncDownload = true
	lib.DisableManualHistorySyncReceipt = true
	lib.AutomaticMessageRerequestFromPhone = true
	lib.EmitAppStateEventsOnFullSync = true
	lib.QRClientType = whatsmeow.PairClientOtherWebClient
	lib.GetClientPayload = func() *waWa6.ClientPayload { return s.payload(device) }
	lib.SetWebsocketHTTPClient(s.http)
	lib.SetPreLoginHTTPClient(s.http)
	lib.SetMediaHTTPClient(s.media)
	return lib
}

// Ping measures a round trip to the server.
func (c *Client) Ping(ctx context.Context) (time.Duration, error) {
	l, err := c.current()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err = l.lib.IsOnWhatsApp(ctx, []string{"+" + l.device.GetJID().User}); err != nil {
		return 0, failure(err)
	}
	return time.Since(began), nil
}

// Unlink takes the device off the account and forgets its keys, see [network.Unlinker].
func (c *Client) Unlink(ctx context.Context) error {
	l, err := c.current()
	if err == nil {
		err = failure(l.leave(ctx))
	}
	c.Disconnect()
	return errors.Join(err, c.store.Forget(ctx, c.cfg.Self))
}

// leave asks the server to take the device off the account. The library's own way would also exchange the device's
// stores, which others of its goroutines may still be reading.
func (l *link) leave(ctx context.Context) error {
	l.owner.taking.Lock()
	l.halted.Store(true) // that the device is gone is no news
	l.owner.taking.Unlock()
	self := l.device.GetJID()
	//lint:ignore SA1019 the library has no other way to ask this without its own clearing up
	_, err := l.lib.DangerousInternals().SendIQ(ctx, whatsmeow.DangerousInfoQuery{
		Namespace: "md", Type: "set", To: types.ServerJID,
		Content: []waBinary.Node{{Tag: "remove-companion-device", Attrs: waBinary.Attrs{"jid": self, "reason": "user_initiated"}}},
	})
	if err != nil {
		return fmt.Errorf("failed to take the device off the account: %w", err)
	}
	return nil
}

// isPhone says whether a JID is the user's phone itself.
func (l *link) isPhone(jid types.JID) bool {
	return jid.Device == 0 && (jid.User == l.device.GetJID().User || jid.User == l.device.GetLID().User)
}

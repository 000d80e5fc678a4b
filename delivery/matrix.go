package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/matrix"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
)

// stopTime is how long queues may take to end in order.
const stopTime = 15 * time.Second

// Matrix is bridgev2's Matrix connector with the promise kept: what goes out has an identity, and
// what comes in is stored before the homeserver is told that it has arrived.
type Matrix struct {
	*matrix.Connector
	d     *Delivery
	front *front
	rooms *creations
}

// What bridgev2 looks for in a connector; the wrapper must not hide any of it.
var (
	_ bridgev2.MatrixConnector                           = (*Matrix)(nil)
	_ bridgev2.MatrixConnectorWithServer                 = (*Matrix)(nil)
	_ bridgev2.MatrixConnectorWithArbitraryRoomState     = (*Matrix)(nil)
	_ bridgev2.MatrixConnectorWithPostRoomBridgeHandling = (*Matrix)(nil)
	_ bridgev2.MatrixConnectorWithPublicMedia            = (*Matrix)(nil)
	_ bridgev2.MatrixConnectorWithNameDisambiguation     = (*Matrix)(nil)
	_ bridgev2.MatrixConnectorWithURLPreviews            = (*Matrix)(nil)
	_ bridgev2.MatrixConnectorWithAnalytics              = (*Matrix)(nil)
	_ bridgev2.MatrixConnectorWithProvisioning           = (*Matrix)(nil)
	_ bridgev2.MatrixConnectorWithBridgeIdentifier       = (*Matrix)(nil)
	_ bridgev2.MatrixConnectorWithBeeperStreams          = (*Matrix)(nil)
)

// Install puts delivery between a bridge and its Matrix connector. It is called once, after
// bridgev2.NewBridge and before the bridge starts (mxmain's PostInit). An unsafe setting is an error.
//
// It sets bridgev2's two globals: with no buffer a portal handles an event while its caller waits, and
// with no end of patience what it reports is what has happened.
func Install(d *Delivery, inner *matrix.Connector) (*Matrix, error) {
	if err := checkSettings(inner); err != nil {
		return nil, err
	}
	if journaled {
		bridgev2.PortalEventBuffer = 0
		bridgev2.EventHandlingTimeoutTicks = 1 << 30
	}
	inner.Config.AppService.NoServer = true
	inner.EventProcessor.ExecSyncWarnTime, inner.EventProcessor.ExecSyncTimeout = 0, 0
	m := &Matrix{Connector: inner, d: d}
	m.front = newFront(d, inner.Config.AppService.HSToken, inner.AS.Router, m.isOurs)
	if d.options.WholeServer {
		m.front.concern = &concern{look: m.inRoom}
	}
	m.rooms = newCreations(d, m)
	d.scan = m.scan
	d.dispatch = m
	for _, opened := range []event.Type{
		event.EventMessage, event.EventSticker, event.EventReaction, event.EventUnstablePollStart, event.EventUnstablePollResponse,
	} {
		// handlers run in order of registration: when this one runs the event has been handled
		inner.EventProcessor.On(opened, func(_ context.Context, evt *event.Event) { d.matrix.decrypted(string(evt.ID)) })
	}
	inner.Bridge.Matrix = m
	// NewBridge has kept the intent without identity
	inner.Bridge.Bot = m.BotIntent()
	return m, nil
}

// checkSettings refuses what would break the promise behind our back, all of it at once.
func checkSettings(inner *matrix.Connector) error {
	var problems []error
	refuse := func(bad bool, key, why string) {
		if bad {
			problems = append(problems, fmt.Errorf("%s: %s", key, why))
		}
	}
	config := inner.Config
	refuse(config.Homeserver.Websocket || config.Homeserver.WSProxy != "", "homeserver.websocket", "must be off, as events would come in past the journal")
	refuse(config.AppService.AsyncTransactions, "appservice.async_transactions", "must be off, as events would be handled out of order")
	refuse(config.Bridge.AsyncEvents, "bridge.async_events", "must be off, as events would be handled out of order")
	refuse(!inner.AS.Host.IsConfigured(), "appservice.hostname", "must name where the homeserver reaches us")
	return errors.Join(problems...)
}

// Start takes the database, opens the listener, and starts the connector behind it. Events are
// stored from its end on; they are handled after [Delivery.Run].
func (m *Matrix) Start(ctx context.Context) error {
	if err := m.d.Open(ctx); err != nil {
		return fmt.Errorf("failed to open the journal: %w", err)
	}
	// the listener comes first: the connector asks the homeserver to ping us
	if err := m.front.listen(m.AS.Host); err != nil {
		return err
	}
	if err := m.Connector.Start(ctx); err != nil {
		return err
	}
	if err := m.rooms.tidy(ctx); err != nil {
		return err
	}
	m.front.ready.Store(true)
	return nil
}

// isOurs says whether a user is the bot or a ghost.
func (m *Matrix) isOurs(user id.UserID) bool {
	return user == m.Connector.Bot.UserID || m.Bridge.IsGhostMXID(user)
}

// PreStop takes nothing more from the homeserver.
func (m *Matrix) PreStop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime/3)
	defer cancel()
	m.front.stop(ctx)
	m.Connector.PreStop()
}

// Stop ends the queues; the database is closed after it.
func (m *Matrix) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	m.d.Stop(ctx)
	m.Connector.Stop()
}

// GhostIntent is a ghost's means to act on Matrix.
func (m *Matrix) GhostIntent(user networkid.UserID) bridgev2.MatrixAPI {
	return m.wrap(m.Connector.GhostIntent(user))
}

// BotIntent is the bot's means to act on Matrix.
func (m *Matrix) BotIntent() bridgev2.MatrixAPI { return m.wrap(m.Connector.BotIntent()) }

// NewUserIntent is a user's own means to act on Matrix, nil if they have given us none.
func (m *Matrix) NewUserIntent(ctx context.Context, user id.UserID, token string) (bridgev2.MatrixAPI, string, error) {
	intent, newToken, err := m.Connector.NewUserIntent(ctx, user, token)
	if intent == nil || err != nil {
		return nil, newToken, err
	}
	return m.wrap(intent), newToken, nil
}

func (m *Matrix) wrap(intent bridgev2.MatrixAPI) bridgev2.MatrixAPI {
	inner, ok := intent.(*matrix.ASIntent)
	if !ok {
		return intent
	}
	return &Intent{ASIntent: inner, m: m}
}

// Event handles a Matrix event as the connector does, without its queue.
func (m *Matrix) Event(ctx context.Context, evt *event.Event) {
	if evt.Type.IsState() {
		mautrix.UpdateStateStore(ctx, m.AS.StateStore, evt)
	}
	m.EventProcessor.Dispatch(ctx, evt)
}

// KeyCounts passes key counts on to the crypto machine.
func (m *Matrix) KeyCounts(ctx context.Context, counts *mautrix.OTKCount) {
	m.EventProcessor.DispatchOTK(ctx, counts)
}

// DeviceLists passes changes of devices on to the crypto machine.
func (m *Matrix) DeviceLists(ctx context.Context, lists *mautrix.DeviceLists) {
	m.EventProcessor.DispatchDeviceList(ctx, lists)
}

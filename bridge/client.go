package bridge

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/status"
	"maunium.net/go/mautrix/event"

	"causeway/delivery"
	"causeway/interop"
	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
	"causeway/wire"
)

const (
	// connectJitter spreads logins that start together.
	connectJitter = 200 * time.Millisecond
	// startPause is the first wait before a login is started again that could not be.
	startPause = time.Second
	// connectPatience is how long one login may keep its place among those that are connecting.
	connectPatience = 20 * time.Second
	// withdrawTimeout bounds what leaving tells the network; it is repeated in the background after that.
	withdrawTimeout = 20 * time.Second
)

// Client is one login: a [network.Client] below, [bridgev2.NetworkAPI] above.
type Client struct {
	connector *Connector
	login     *bridgev2.UserLogin
	self      network.Address
	product   product

	// mutex guards what follows.
	mutex    sync.Mutex
	client   network.Client
	state    network.ConnectionEvent
	answered chan struct{}
	// cancel ends the connection; nil while disconnected.
	cancel context.CancelFunc
	// traffic is when something last came from the network, or was acknowledged by it; zero if never in this run.
	traffic time.Time
	// welcome are people with whom the user has agreed to chat, as far as it was asked for.
	welcome map[network.Address]bool
	// troubled says that the user was told of a refusal, and has to be told of its end.
	troubled bool
	// attendance is for logins that are connected only while their users are there.
	attendance attendance
	// store keeps the login's Signal state.
	store wire.Store
	// pictures are the people whose picture is to be asked for, pictured when that was done last (linked accounts).
	pictures chan network.Address
	pictured map[network.Address]time.Time
	// pieces are those of the past that have come (linked accounts).
	pieces chan network.HistoryEvent
	// making is held while the room of a group is made, at the user's wish or the network's word.
	making sync.Mutex
	// staging is held for writing while what was set aside is released, for reading while something is set aside (linked accounts).
	staging sync.RWMutex
	// naming is held for writing while two addresses become one person, for reading while something is handled whose person is known by
	// number alone (linked accounts).
	naming sync.RWMutex
	// listed is what `list` has told last, for `open`.
	listed []listed
	// ringing are the calls that ring, by their chats.
	ringing map[network.Address]network.CallEvent
	// waiting is who wanted to come into a group when `requests` was last asked there.
	waiting map[network.Address][]network.Address
	// open are the chats that are known to be open for writing in this run; of others that is looked up.
	open map[network.Address]bool
	// work is what the login has running; Disconnect waits for it.
	work sync.WaitGroup
}

var (
	_ bridgev2.NetworkAPI                             = (*Client)(nil)
	_ bridgev2.NetworkAPIWithUserID                   = (*Client)(nil)
	_ bridgev2.ReadReceiptHandlingNetworkAPI          = (*Client)(nil)
	_ bridgev2.TypingHandlingNetworkAPI               = (*Client)(nil)
	_ bridgev2.IdentifierResolvingNetworkAPI          = (*Client)(nil)
	_ bridgev2.GhostDMCreatingNetworkAPI              = (*Client)(nil)
	_ bridgev2.PersonalFilteringCustomizingNetworkAPI = (*Client)(nil)
	_ bridgev2.ReactionHandlingNetworkAPI             = (*Client)(nil)
	_ bridgev2.EditHandlingNetworkAPI                 = (*Client)(nil)
	_ bridgev2.RedactionHandlingNetworkAPI            = (*Client)(nil)
	_ bridgev2.PollHandlingNetworkAPI                 = (*Client)(nil)
	_ bridgev2.MessageRequestAcceptingNetworkAPI      = (*Client)(nil)
)

func newClient(connector *Connector, login *bridgev2.UserLogin, self network.Address, product product) *Client {
	return &Client{connector: connector, login: login, self: self, product: product}
}

// Connect starts connecting and returns; how it goes comes as bridge states. In mode proxy it does so only while the user is there.
func (c *Client) Connect(ctx context.Context) {
	c.mutex.Lock()
	if c.follows() && !c.attendance.here {
		c.mutex.Unlock()
		c.stateChanged(network.ConnectionEvent{State: network.Resting})
		if c.connector.signs.since(c.login.UserMXID) < c.connector.config.Interop.IdleAfter() {
			c.attend()
		}
		return
	}
	defer c.mutex.Unlock()
	if c.cancel != nil {
		return
	}
	// The start of the program ends, the connection does not.
	ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.answered = make(chan struct{})
	c.state = network.ConnectionEvent{State: network.Connecting}
	c.login.BridgeState.Send(status.BridgeState{StateEvent: status.StateConnecting})
	answered := c.answered
	c.work.Go(func() { c.connect(ctx, answered) })
	if c.linked() {
		c.accompany(ctx)
	}
}

// connect starts the login, again and again while it is the moment that is in the way. From then on the client below keeps it connected.
func (c *Client) connect(ctx context.Context, answered <-chan struct{}) {
	pauses := wire.Pauses{First: startPause}
	for {
		err := c.startInTurn(ctx, answered)
		if err == nil || ctx.Err() != nil {
			return
		}
		zerolog.Ctx(ctx).Err(err).Msg("Failed to start a login")
		if !delivery.IsTransient(err) {
			c.stateChanged(network.ConnectionEvent{State: network.Refused, Err: err})
			return
		}
		c.stateChanged(network.ConnectionEvent{State: network.Interrupted, Err: err})
		if !sleep(ctx, pauses.Next()) {
			return
		}
	}
}

// startInTurn starts the login when it has a place among those that are connecting, and gives that up at the network's first answer.
func (c *Client) startInTurn(ctx context.Context, answered <-chan struct{}) error {
	select {
	case c.connector.connecting <- struct{}{}:
		defer func() { <-c.connector.connecting }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !sleep(ctx, rand.N(connectJitter)) {
		return ctx.Err()
	}
	// Now rather than with the first chat: bridgev2 would make it in the background and write to the login
	// while states of the connection read it.
	if _, err := c.login.GetSpaceRoom(ctx); err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to make the space of a login")
	}
	if err := c.start(ctx); err != nil {
		return err
	}
	patience := time.NewTimer(connectPatience)
	defer patience.Stop()
	select {
	case <-answered:
	case <-patience.C:
	case <-ctx.Done():
	}
	return nil
}

func (c *Client) start(ctx context.Context) error {
	if c.connector.config.Interop.KillSwitch && !c.linked() {
		return interop.ErrStopped
	}
	client, err := c.product.open(ctx, c)
	if err != nil {
		return err
	}
	c.mutex.Lock()
	if ctx.Err() != nil {
		c.mutex.Unlock()
		return nil
	}
	c.client = client
	c.mutex.Unlock()
	return client.Connect(ctx)
}

// Disconnect ends the connection and waits until nothing of the login runs any more. Connect may be called again.
func (c *Client) Disconnect() {
	c.mutex.Lock()
	cancel := c.cancel
	c.cancel = nil
	c.mutex.Unlock()
	if cancel == nil {
		return
	}
	cancel()
	c.work.Wait()
	c.mutex.Lock()
	client := c.client
	c.client = nil
	c.mutex.Unlock()
	if client != nil {
		client.Disconnect()
	}
}

// live is the client below; the error says why there is none.
func (c *Client) live() (network.Client, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	switch {
	case c.state.State == network.Refused && c.state.Err != nil, c.state.State == network.Resting && c.state.Err != nil:
		return nil, c.state.Err
	case c.client == nil:
		return nil, network.ErrNotConnected
	}
	return c.client, nil
}

// settle waits for the network's first answer to a login that is connecting, so
// that what a user asks for right after logging in is not turned away.
func (c *Client) settle(ctx context.Context) {
	c.mutex.Lock()
	answered := c.answered
	c.mutex.Unlock()
	if answered == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	select {
	case <-answered:
	case <-ctx.Done():
	}
}

// IsLoggedIn is false once the account has ended; a connection that broke or was refused for now is still a login.
func (c *Client) IsLoggedIn() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return !errors.Is(c.state.Err, network.ErrWithdrawn) && !errors.Is(c.state.Err, network.ErrNotEnlisted)
}

// LogoutRemote ends the account: rooms close, the network forgets the user, keys are erased.
func (c *Client) LogoutRemote(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	log := zerolog.Ctx(ctx)
	c.Disconnect()
	if err := c.connector.provider.Withdraw(ctx, c.self, interop.ReasonUser); err != nil {
		log.Err(err).Msg("The network has not confirmed a withdrawal yet")
	}
	c.closeAllRooms(context.WithoutCancel(ctx))
	c.eraseKeys(context.WithoutCancel(ctx))
}

// IsThisUser compares the whole address, integrator included.
func (c *Client) IsThisUser(_ context.Context, id networkid.UserID) bool {
	return id == puppet.ID(c.self)
}

// GetUserID implements [bridgev2.NetworkAPIWithUserID].
func (c *Client) GetUserID() networkid.UserID { return puppet.ID(c.self) }

// GetCapabilities implements [bridgev2.NetworkAPI].
func (c *Client) GetCapabilities(_ context.Context, room *bridgev2.Portal) *event.RoomFeatures {
	return portal.Features(c.can(), c.reacts(room))
}

// can is what the login's chats carry.
func (c *Client) can() portal.Abilities {
	if c.linked() {
		return portal.LinkedAbilities()
	}
	return portal.AbilitiesOf(c.self.Network)
}

// CustomizePersonalFilteringSpace names the space after the network.
func (c *Client) CustomizePersonalFilteringSpace(req *mautrix.ReqCreateRoom) {
	req.Name = textSpaceName(c.self.Network)
	req.Topic = textSpaceTopic(c.self.Network)
	icon := c.connector.icons.uri(c.self.Network)
	for _, state := range req.InitialState {
		switch content := state.Content.Parsed.(type) {
		case *event.RoomAvatarEventContent:
			content.URL = icon
		case *event.BridgeEventContent:
			content.Protocol.DisplayName, content.Protocol.AvatarURL = c.self.Network.DisplayName(), icon
		}
	}
}

// sleep waits and says whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

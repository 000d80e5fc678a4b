// Package bridge joins the two sides: it implements the interfaces of bridgev2
// for all networks and account kinds at once (each is a login flow of one
// connector), dispatches what happens on a network to rooms and what happens in
// rooms to networks, and speaks with users, every word of it in texts.go.
//
// It is not a converter (portal and puppet are), not a client of any network
// (whatsapp is) and keeps no rows of its own.
package bridge

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"go.mau.fi/util/configupgrade"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"

	"causeway/admin"
	"causeway/convert"
	"causeway/database"
	"causeway/delivery"
	"causeway/interop"
	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
	"causeway/whatsapp/linked"
)

const (
	// maxFounding and maxPast bound what a linked account's chats ask of the homeserver at once: new rooms, and messages older than oldAge.
	maxFounding = 2
	maxPast     = 8
	oldAge      = 10 * time.Minute
)

// maxConnecting is how many logins connect at the same time after a start.
const maxConnecting = 32

// Connector is the networks as bridgev2 sees them. Make it with [New].
type Connector struct {
	// Software is how we introduce ourselves to a network, such as "causeway/1.0".
	Software string
	// StateDir is where signing keys go unless the configuration names another place.
	StateDir string
	// Build names this very build of the program; another one tries again what the last could not show.
	Build string
	// AcceptRestore starts although the database is an older copy of itself, AcceptNewSecret although the instance secret is lost.
	AcceptRestore, AcceptNewSecret bool

	bridge   *bridgev2.Bridge
	config   Config
	unknown  []string
	namer    *puppet.Namer
	db       *database.Database
	delivery *delivery.Delivery
	// matrix is the Matrix side without anything between; for what the outbox has to say.
	matrix *delivery.Matrix
	// promised are events that bridgev2 must not call sent, see [explainer].
	promised sync.Map
	// accept takes what users send, see [delivery.Outbox.Accept].
	accept func(ctx context.Context, msg delivery.Outgoing) (network.MessageID, error)
	// restored says that the database turned out to be an older copy of itself.
	restored bool
	provider *interop.Provider
	// window is the operator's listener, nil if there is none.
	window   *admin.Server
	products []product
	// links has the keys of linked accounts, nil unless they are offered.
	links *linked.Store
	// converter makes what a network takes of files; without ffmpeg it does less.
	converter *convert.Converter
	// fetched counts what people's files come to.
	fetched fetched
	// connecting has a place for each login that is connecting.
	connecting chan struct{}
	// founding has a place for each room that is being made for a linked account's chats, past for each message of theirs that
	// is old: a homeserver that is given hundreds at once answers none of them.
	founding, past chan struct{}
	// signs are when users were last there, in mode proxy.
	signs signs
	// people guards what is known of ghosts, which logins share.
	people sync.Mutex
	// known are addresses that belong to one person, each under the other.
	known map[network.Address]network.Address
	icons icons
	// errands is what the network's calls have set going; Stop waits for it.
	errands sync.WaitGroup
}

var (
	_ bridgev2.NetworkConnector               = (*Connector)(nil)
	_ bridgev2.StoppableNetwork               = (*Connector)(nil)
	_ bridgev2.IdentifierValidatingNetwork    = (*Connector)(nil)
	_ bridgev2.PortalBridgeInfoFillingNetwork = (*Connector)(nil)
	_ bridgev2.ConfigValidatingNetwork        = (*Connector)(nil)
)

// New makes a connector; nothing is read or opened before it is started.
func New() *Connector {
	return &Connector{
		products: products(), connecting: make(chan struct{}, maxConnecting),
		founding: make(chan struct{}, maxFounding), past: make(chan struct{}, maxPast),
	}
}

// Init implements [bridgev2.NetworkConnector].
func (c *Connector) Init(bridge *bridgev2.Bridge) {
	c.bridge = bridge
	c.db = database.New(bridge.DB.Database)
	registerStates()
	c.registerCommands()
}

// Start brings the tables up to date and starts being a provider.
func (c *Connector) Start(ctx context.Context) error {
	err := c.db.Upgrade(ctx)
	if err != nil {
		return bridgev2.DBUpgradeError{Section: "causeway", Err: err}
	}
	if err = c.checkTemporary(os.TempDir()); err != nil {
		return err
	}
	c.converter, err = convert.Find(c.config.Media.FFmpeg)
	if err != nil {
		c.bridge.Log.Warn().Err(err).Msg("Files that would have to be converted are sent as documents: install ffmpeg, or set network.media.ffmpeg")
	}
	provider, err := interop.New(c.config.Interop.Config, interop.Environment{
		Domain:   c.bridge.Matrix.ServerName(),
		StateDir: c.StateDir,
		Listen:   c.config.Listen.Provider,
		Software: c.Software,
		Calls:    c.calls(),

		RegionWords: regionWords(c.standsIn()),
	}, c.db, c.bridge.Log.With().Str("component", "interop").Logger())
	if err != nil {
		return fmt.Errorf("failed to set up the provider: %w", err)
	}
	if err = provider.Start(ctx); err != nil {
		return fmt.Errorf("failed to start the provider: %w", err)
	}
	c.provider = provider
	if err = c.openWindow(); err != nil {
		return err
	}
	if err = c.openLinks(ctx); err != nil {
		return err
	}
	c.icons.upload(ctx, c.bridge, c.matrix.Bot.Client)
	return nil
}

// Stop ends being a provider; the logins are disconnected by then.
func (c *Connector) Stop() {
	if c.provider != nil {
		c.provider.Stop()
	}
	c.closeWindow()
	c.errands.Wait()
}

// GetName implements [bridgev2.NetworkConnector]; rooms name their own network, see FillPortalBridgeInfo.
func (c *Connector) GetName() bridgev2.BridgeName {
	return bridgev2.BridgeName{
		DisplayName:          "Causeway",
		NetworkID:            "causeway",
		BeeperBridgeType:     "causeway",
		DefaultPort:          29340,
		DefaultCommandPrefix: "!cw",
	}
}

// GetDBMetaTypes implements [bridgev2.NetworkConnector].
func (c *Connector) GetDBMetaTypes() bridgedb.MetaTypes {
	return bridgedb.MetaTypes{
		Portal:    func() any { return &portal.Metadata{} },
		Ghost:     func() any { return &GhostMetadata{} },
		Message:   func() any { return &portal.MessageMetadata{} },
		UserLogin: func() any { return &LoginMetadata{} },
	}
}

// GetCapabilities implements [bridgev2.NetworkConnector].
func (c *Connector) GetCapabilities() *bridgev2.NetworkGeneralCapabilities {
	linked := c.config.Linked.Enabled
	capabilities := &bridgev2.NetworkGeneralCapabilities{
		DisappearingMessages: linked,
		Provisioning: bridgev2.ProvisioningCapabilities{
			ResolveIdentifier: bridgev2.ResolveIdentifierCapabilities{
				CreateDM: true, LookupPhone: true, LookupUsername: c.config.Interop.Offers(network.Messenger),
				ContactList: linked, Search: linked,
			},
		},
	}
	if linked {
		capabilities.Provisioning.GroupCreation = groupCreation()
	}
	return capabilities
}

// GetConfig implements [bridgev2.NetworkConnector].
func (c *Connector) GetConfig() (string, any, configupgrade.Upgrader) {
	return networkExample, &c.config, configupgrade.SimpleUpgrader(c.upgradeConfig)
}

// GetBridgeInfoVersion implements [bridgev2.NetworkConnector]: raised when rooms must be told anew.
func (c *Connector) GetBridgeInfoVersion() (info, capabilities int) { return 1, 4 }

// ValidateUserID accepts the people of a network and nobody else: not our own
// users' accounts, and no id that we would not have made ourselves.
func (c *Connector) ValidateUserID(id networkid.UserID) bool {
	address, err := puppet.Address(id)
	return err == nil && puppet.IsPerson(address)
}

// FillPortalBridgeInfo names the right network for each room.
func (c *Connector) FillPortalBridgeInfo(room *bridgev2.Portal, content *event.BridgeEventContent) {
	if conversation, err := portal.Conversation(room.PortalKey); err == nil {
		login, err := puppet.LoginAddress(room.Receiver)
		linked := err == nil && login.Kind != network.KindInterop
		portal.FillBridgeInfo(content, conversation, linked, c.icons.uri(conversation.Network))
	}
}

// LoadUserLogin implements [bridgev2.NetworkConnector]; nothing is opened before Connect.
func (c *Connector) LoadUserLogin(_ context.Context, login *bridgev2.UserLogin) error {
	self, err := puppet.LoginAddress(login.ID)
	if err != nil {
		return fmt.Errorf("failed to load a login: %w", err)
	}
	for _, p := range c.products {
		if p.network != self.Network || p.kind != self.Kind {
			continue
		}
		client := newClient(c, login, self, p)
		login.Client = client
		if p.linked() {
			login.Client = &linkedClient{client}
		}
		return nil
	}
	return fmt.Errorf("failed to load a login: no account kind for %s", self)
}

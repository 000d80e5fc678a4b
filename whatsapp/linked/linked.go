// Package linked is a companion device of a user's own WhatsApp account: it links
// the device, keeps it connected, and spells all that the account can do as package
// network has it.
//
// It is not the third-party account of package whatsapp, whose messages keep to a
// closed schema, and it knows no Matrix. The connection library does Noise, Signal
// and app state here; its tables lie in the bridge's database, and this package keeps
// its sessions whole, acknowledges nothing that was not taken, and lets no login see
// what another one knows.
package linked

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/whatsmeow/types"

	"causeway/network"
	"causeway/wire"
)

const (
	// firstPause is the shortest wait before connecting again.
	firstPause = time.Second
	// usualPhoneAway is how long a phone may be silent before its user is warned; the network ends links after about 14 days.
	usualPhoneAway = 10 * 24 * time.Hour
	// usualHistoryLimit is how many bytes a piece of history may inflate to.
	usualHistoryLimit = 256 << 20
)

// Config is what a linked login needs to be connected.
type Config struct {
	// Self is the account's LID, as [network.LinkDone] told it.
	Self network.Address
	// Store has the login's keys.
	Store *Store
	// ReadReceipts tells people that their messages were read. The user's other devices learn it in any case.
	ReadReceipts bool
	// Online shows the account as online while it is connected. The network tells only those who are online that
	// others type; but while one device is online, the phone may keep its notifications to itself.
	Online bool
	// PhoneAwayAfter is how long the phone may be silent before a [network.PhoneEvent]; zero is 10 days.
	PhoneAwayAfter time.Duration
	// HistoryLimit is how many bytes a piece of history may inflate to; zero is 256 MiB.
	HistoryLimit int64
	// Handler takes everything that happens, one at a time.
	Handler network.Handler
	Log     zerolog.Logger
}

// Client is a linked login.
type Client struct {
	cfg   Config
	store *Store

	run wire.Run

	mu   sync.Mutex
	link *link // nil unless logged in

	// taking is held while the handler runs.
	taking sync.Mutex
	// calls remembers how far calls have come; taking guards it.
	calls map[string]network.CallState
	modes modes
	phone phoneWatch
}

var (
	_ network.Client      = (*Client)(nil)
	_ network.Finder      = (*Client)(nil)
	_ network.MediaSource = (*Client)(nil)
	_ network.Groups      = (*Client)(nil)
	_ network.Directory   = (*Client)(nil)
	_ network.ChatStates  = (*Client)(nil)
	_ network.Calls       = (*Client)(nil)
	_ network.History     = (*Client)(nil)
	_ network.Rereader    = (*Client)(nil)
	_ network.Unlinker    = (*Client)(nil)
	_ network.Pinger      = (*Client)(nil)
	_ network.Linker      = (*Linker)(nil)
)

// New makes the client of a linked login; it connects when told to.
func New(cfg Config) *Client {
	if cfg.PhoneAwayAfter == 0 {
		cfg.PhoneAwayAfter = usualPhoneAway
	}
	if cfg.HistoryLimit == 0 {
		cfg.HistoryLimit = usualHistoryLimit
	}
	return &Client{
		cfg: cfg, store: cfg.Store, calls: map[string]network.CallState{},
		modes: modes{of: map[types.JID]types.AddressingMode{}},
	}
}

// Self is the account's LID.
func (c *Client) Self() network.Address { return c.cfg.Self }

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

// Ready says nothing while messages can be sent, and [network.ErrNotConnected] otherwise.
func (c *Client) Ready() error {
	_, err := c.current()
	return err
}

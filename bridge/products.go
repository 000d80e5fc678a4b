package bridge

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"causeway/interop"
	"causeway/messenger"
	"causeway/network"
	"causeway/whatsapp"
	"causeway/whatsapp/linked"
	"causeway/wire"
)

// opener makes the client of a login; it may read the login's keys.
type opener func(ctx context.Context, c *Client) (network.Client, error)

// products are the account kinds that this program knows, in the order in which users see them.
func products() []product {
	return []product{
		interopProduct("whatsapp-interop", network.WhatsApp, newWhatsApp, whatsapp.NewMessageID),
		interopProduct("messenger-interop", network.Messenger, newMessenger, messenger.NewMessageID),
		linkedProduct("whatsapp-qr", textFlowQR, false),
		linkedProduct("whatsapp-code", textFlowCode, true),
	}
}

// interopProduct is the third-party account on a network.
func interopProduct(flow string, n network.Network, account func(wire.Login) network.Client, newID func([]byte) string) product {
	return product{
		flow: flow, network: n, kind: network.KindInterop, open: openInterop(account), newID: newID,
		offered: func(config *Config) bool { return config.Interop.Offers(n) },
		about:   textFlow(n), begin: beginInterop,
	}
}

// linkedProduct is a user's own WhatsApp account, linked by scanning a code or by typing one.
func linkedProduct(flow, about string, byCode bool) product {
	return product{
		flow: flow, network: network.WhatsApp, kind: network.KindLID, open: openLinked, newID: whatsapp.NewMessageID,
		offered: func(config *Config) bool { return config.Linked.Enabled },
		about:   about, begin: beginLinked(byCode),
		linker: func(c *Connector, admit linked.Admission) (network.Linker, error) {
			if c.links == nil {
				return nil, interop.ErrNotStarted
			}
			return linked.NewLinker(c.links, admit, c.bridge.Log.With().Str("component", "link").Logger()), nil
		},
		forget: func(ctx context.Context, c *Connector, self network.Address) error { return c.links.Forget(ctx, self) },
	}
}

// openLinked opens a user's own account.
func openLinked(ctx context.Context, c *Client) (network.Client, error) {
	config := c.connector.config
	if c.connector.links == nil || !config.Linked.Enabled {
		return nil, errLinkedOff
	}
	return linked.New(linked.Config{
		Self: c.self, Store: c.connector.links, ReadReceipts: config.Receipts.Read, Online: config.Linked.Online,
		PhoneAwayAfter: time.Duration(config.Linked.PhoneOfflineWarning), Handler: c.take,
		Log: zerolog.Ctx(ctx).With().Str("component", string(c.self.Network)).Logger(),
	}), nil
}

// openLinks opens the keys of all linked accounts.
func (c *Connector) openLinks(ctx context.Context) (err error) {
	if !c.config.Linked.Enabled {
		return nil
	}
	endpoint, err := c.config.Endpoint.wire()
	if err != nil {
		return err
	}
	c.links, err = linked.Open(ctx, c.db, linked.Options{
		Endpoint: endpoint, DeviceName: c.config.Linked.DeviceName, Log: c.bridge.Log.With().Str("component", "linked").Logger(),
	})
	if err != nil {
		return fmt.Errorf("failed to open the keys of linked accounts: %w", err)
	}
	return nil
}

// publishTimeout bounds the publishing of a key before a connection, which is made without it otherwise.
const publishTimeout = 20 * time.Second

// openInterop opens third-party accounts, of which the networks need the same things.
func openInterop(account func(wire.Login) network.Client) opener {
	return func(ctx context.Context, c *Client) (network.Client, error) {
		store := c.signalStore()
		keys, err := wire.LoadKeys(ctx, store)
		if err != nil {
			return nil, fmt.Errorf("failed to load the keys of a login: %w", err)
		}
		endpoint, err := c.connector.config.Endpoint.wire()
		if err != nil {
			return nil, err
		}
		noise := keys.Public().Noise
		var behalf func() (wire.Behalf, error)
		if c.follows() {
			behalf = c.behalf
		}
		return account(wire.Login{
			Behalf: behalf,
			Self:   c.self, Keys: keys, Store: store, Endpoint: endpoint, ChatURL: c.chatURL(),
			Token: func(ctx context.Context) (string, error) {
				return c.connector.provider.ConnectToken(ctx, c.self, noise)
			},
			Publish: func(ctx context.Context, keys wire.PublicKeys) error {
				ctx, cancel := context.WithTimeout(ctx, publishTimeout)
				defer cancel()
				return c.connector.provider.PublishPrekey(ctx, c.self, interop.PublicKeys(keys))
			},
			Upload: func(ctx context.Context, ciphertext io.Reader, size int64, encSHA256 [32]byte) (string, error) {
				return c.connector.provider.Host(ctx, c.self, ciphertext, size, encSHA256)
			},
			ReadReceipts: c.connector.config.Receipts.Read,
			Withhold:     c.withholds,
			Handler:      c.take,
			Log:          zerolog.Ctx(ctx).With().Str("component", string(c.self.Network)).Logger(),
		}), nil
	}
}

// signalStore is where the login's Signal state is. One that follows its user keeps what it has sent in memory, from one
// connection to the next.
func (c *Client) signalStore() wire.Store {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.store == nil {
		c.store = c.connector.db.SignalStore(c.self.String())
		if c.follows() {
			c.store = wire.Fleeting(c.store)
		}
	}
	return c.store
}

func newWhatsApp(login wire.Login) network.Client {
	return whatsapp.NewInterop(login)
}

func newMessenger(login wire.Login) network.Client { return messenger.NewInterop(login) }

// chatURL is where to connect: what the enlistment said, or else the agreement.
func (c *Client) chatURL() string {
	if metadata, ok := c.login.Metadata.(*LoginMetadata); ok && metadata.ChatURL != "" {
		return metadata.ChatURL
	}
	return c.connector.config.Interop.ChatURL
}

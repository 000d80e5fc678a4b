package bridge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"
	"go.mau.fi/util/dbutil"

	"maunium.net/go/mautrix/bridgev2/matrix/mxmain"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/id"

	"causeway/delivery"
	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// exitFenced is the exit status of a process whose database another one has taken over.
const exitFenced = 40

var _ delivery.Bridge = (*Connector)(nil)

// installDelivery puts the journal between bridgev2 and both sides.
func (c *Connector) installDelivery(main *mxmain.BridgeMain) (*delivery.Matrix, error) {
	files := c.journalFiles(main.Config.Database)
	log := main.Bridge.Log.With().Str("component", "delivery").Logger()
	c.delivery = delivery.New(delivery.Options{
		BridgeID: string(main.Bridge.ID), DB: c.db, Bridge: c,
		SecretFile: files.secret, LockFile: files.lock, EpochFile: files.epoch,
		WholeServer:   c.config.DoublePuppets,
		AcceptRestore: c.AcceptRestore, OnRestore: c.renew, AcceptNewSecret: c.AcceptNewSecret, Software: c.Build,
		Fleeting: c.fleeting(), Active: c.watched(),
		Flood: c.config.Delivery.Flood.limits(), People: c.config.Delivery.People.limits(), Disk: c.config.Delivery.disk(files), Timing: c.config.Delivery.timing(),
		Exit: func(err error) {
			log.WithLevel(zerolog.FatalLevel).Err(err).Msg("This process must stop at once")
			os.Exit(exitFenced)
		},
		Log: log,
	})
	c.accept = c.delivery.Outbox.Accept
	m, err := delivery.Install(c.delivery, main.Matrix)
	if err != nil {
		return nil, err
	}
	main.PostStart = func() {
		if err := c.delivery.Run(log.WithContext(context.Background())); err != nil {
			log.Fatal().Err(err).Msg("Failed to read the journal")
		}
		c.tellRestored()
	}
	return m, nil
}

// fleeting says whose messages must not be kept, nil if nobody's.
func (c *Connector) fleeting() func(networkid.UserLoginID) bool {
	if !c.standsIn() {
		return nil
	}
	return func(login networkid.UserLoginID) bool {
		self, err := puppet.LoginAddress(login)
		return err != nil || self.Kind == network.KindInterop
	}
}

// watched is who wants to know of each sign of life of a user, nil if nobody does: then no event is read for one.
func (c *Connector) watched() func(id.UserID) {
	if !c.standsIn() {
		return nil
	}
	return c.active
}

// journalFiles are the files that belong to the database and lie beside it.
type journalFiles struct{ secret, lock, epoch string }

// journalFiles says where they are: named after SQLite's file, or in the state directory.
func (c *Connector) journalFiles(db dbutil.Config) journalFiles {
	base := filepath.Join(c.StateDir, "causeway")
	if path := sqlitePath(db); path != "" {
		base = path
	}
	files := journalFiles{secret: base + ".secret", lock: base + ".lock", epoch: base + ".epoch"}
	if c.config.SecretFile != "" {
		files.secret = c.config.SecretFile
	}
	if c.config.Delivery.EpochFile != "" {
		files.epoch = c.config.Delivery.EpochFile
	}
	return files
}

// sqlitePath is SQLite's file, empty for any other database.
func sqlitePath(db dbutil.Config) string {
	if !strings.HasPrefix(db.Type, "sqlite3") {
		return ""
	}
	path, _, _ := strings.Cut(db.URI, "?")
	return strings.TrimPrefix(strings.TrimPrefix(path, "file:"), "//")
}

// renew ends all Signal sessions, as those of a restored database would use keys a second time, and forgets the one-time
// keys with which others begin one: what began a session before could begin it again.
func (c *Connector) renew(ctx context.Context) error {
	c.restored = true
	return c.db.ForgetSignalSessions(ctx)
}

// tellRestored says to every user that the database is an older copy of itself.
func (c *Connector) tellRestored() {
	if !c.restored {
		return
	}
	for _, login := range c.bridge.GetAllCachedUserLogins() {
		if client, ok := clientOf(login.Client); ok {
			client.tellUser(textRestored)
		}
	}
}

// client is a login's client; the error is one of those that [delivery.Bridge] asks for.
func (c *Connector) client(ctx context.Context, id networkid.UserLoginID) (*Client, error) {
	login, err := c.bridge.GetExistingUserLoginByID(ctx, id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", delivery.ErrNotReady, err)
	case login == nil:
		return nil, delivery.ErrGone
	}
	client, ok := clientOf(login.Client)
	if !ok || client == nil {
		return nil, delivery.ErrNotReady
	}
	return client, nil
}

// PortalKey implements [delivery.Bridge].
func (c *Connector) PortalKey(login networkid.UserLoginID, conversation network.Address) networkid.PortalKey {
	key := portal.Key(conversation, network.Address{})
	key.Receiver = login
	return key
}

// HandleRemote implements [delivery.Bridge].
func (c *Connector) HandleRemote(ctx context.Context, id networkid.UserLoginID, e network.Event) error {
	client, err := c.client(ctx, id)
	if err != nil {
		return err
	}
	return client.handle(ctx, e)
}

// Bridged implements [delivery.Bridge].
func (c *Connector) Bridged(ctx context.Context, key networkid.PortalKey, message network.MessageID) (bool, error) {
	for _, id := range append(c.namesOf(ctx, message), portal.MessageID(message)) {
		parts, err := c.bridge.DB.Message.GetAllPartsByID(ctx, key.Receiver, id)
		if err != nil || len(parts) > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// Client implements [delivery.Bridge]. Whatever keeps a login from its network, nothing has left us.
func (c *Connector) Client(ctx context.Context, id networkid.UserLoginID) (network.Client, error) {
	client, err := c.client(ctx, id)
	if err != nil {
		return nil, err
	}
	below, err := client.live()
	switch {
	case err == nil:
		return sender{below, client}, nil
	case errors.Is(err, network.ErrNotConnected):
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", err, network.ErrNotConnected)
}

// Lost implements [delivery.Bridge].
func (c *Connector) Lost(ctx context.Context, id networkid.UserLoginID, e network.Event, why string) {
	client, err := c.client(ctx, id)
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Str("login_id", string(id)).Msg("Nobody is left to be told of a lost event")
		return
	}
	name := ""
	if message, ok := e.(network.MessageEvent); ok {
		name = c.nameOf(ctx, message.Message.ID.Sender)
	}
	client.tellUser(textLost(name, client.self.Network, Explain(why).sentence(client.self.Network)))
}

// Reread implements [delivery.Bridge].
func (c *Connector) Reread(ctx context.Context, id networkid.UserLoginID, msg network.Message) (network.Message, error) {
	client, err := c.client(ctx, id)
	if err != nil {
		return msg, err
	}
	below, err := client.live()
	if errors.Is(err, network.ErrNotConnected) {
		return msg, delivery.ErrNotReady // its client is not made yet
	}
	if reader, ok := below.(network.Rereader); ok {
		msg = reader.Reread(ctx, msg)
	}
	return msg, nil
}

// Disk implements [delivery.Bridge].
func (c *Connector) Disk(ctx context.Context, low bool, free uint64) {
	text := textDiskBack
	if low {
		text = textDiskAlarm(free, uint64(c.config.Delivery.MinFreeDisk))
	}
	c.tellAdministrators(ctx, text, nil)
}

package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/util/dbutil"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/bridgeconfig"
	"maunium.net/go/mautrix/bridgev2/commands"
	"maunium.net/go/mautrix/bridgev2/matrix/mxmain"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/database"
)

const (
	// homeserverConnections is how many connections to the homeserver are kept for reuse; more than logins ever use at once.
	homeserverConnections = 256
	homeserverIdle        = 90 * time.Second
	// syncedSQLite is the one kind of SQLite that an operator may configure.
	syncedSQLite = "sqlite3-fk-wal-fullsync"
)

// Compose puts the program together after bridgev2 has made its parts and before
// any of them starts. It refuses settings under which events could get lost or
// change their order.
func Compose(main *mxmain.BridgeMain) error {
	for _, warning := range overlaps(main.Config.AppService) {
		main.Log.Warn().Str("setting", warning.key).Str("value", warning.value).
			Msg("This is a name that mautrix-whatsapp uses: beside it, choose another one, or both bridges answer for the same accounts")
	}
	if err := refuseUnsafe(main); err != nil {
		return err
	}
	connector, ok := main.Connector.(*Connector)
	if !ok {
		return errors.New("the program is not composed of this bridge's parts")
	}
	if err := quieten(main); err != nil {
		return err
	}
	if err := connector.puppetUsers(main.Config, main.RegistrationPath); err != nil {
		return err
	}
	main.Config.Bridge.DeduplicateMatrixMessages = false // see config.example.yaml
	journaled, err := connector.installDelivery(main)
	if err != nil {
		return err
	}
	connector.matrix = journaled
	main.Bridge.Matrix = &explainer{Matrix: journaled, promised: &connector.promised, again: connector.delivery.HandleAgain}
	if processor, ok := main.Bridge.Commands.(*commands.Processor); ok {
		composeCommands(processor, journaled)
		main.Bridge.Commands = ownLogger{processor}
	}
	// bridgev2 reads a sticker's type for a checkpoint while it writes it for the room. Nobody collects checkpoints here.
	main.Matrix.EventProcessor.PrependHandler(event.EventSticker, func(_ context.Context, sticker *event.Event) {
		sticker.Mautrix.CheckpointSent = true
	})
	translatePolls(main)
	main.Matrix.AS.HTTPClient.Jar = nil
	main.Matrix.AS.HTTPClient.Transport = homeserverTransport(main.Matrix.AS.HTTPClient.Transport)
	return nil
}

// ChooseDriver puts our own driver in the place of bridgev2's for SQLite with synced commits. It is called once, after the
// configuration is read and before the database is opened.
func ChooseDriver(config *dbutil.Config) {
	if config.Type == syncedSQLite {
		database.RegisterSQLite()
		config.Type = database.SQLiteDriver
	}
}

// overlap is a setting by which this bridge would answer for accounts of another one.
type overlap struct{ key, value string }

// overlaps finds names that the usual configuration of mautrix-whatsapp has as well.
func overlaps(config bridgeconfig.AppserviceConfig) (found []overlap) {
	if config.Bot.Username == "whatsappbot" {
		found = append(found, overlap{"appservice.bot.username", config.Bot.Username})
	}
	if config.UsernameTemplate == "whatsapp_{{.}}" || config.UsernameTemplate == "{{.}}" {
		found = append(found, overlap{"appservice.username_template", config.UsernameTemplate})
	}
	if config.ID == "whatsapp" {
		found = append(found, overlap{"appservice.id", config.ID})
	}
	return found
}

func refuseUnsafe(main *mxmain.BridgeMain) error {
	var errs []error
	for _, setting := range []struct {
		unsafe bool
		key    string
		fix    string
	}{
		{main.Config.Bridge.AsyncEvents, "bridge.async_events", "set it to false: it lets messages overtake each other"},
		{main.Config.AppService.AsyncTransactions, "appservice.async_transactions", "set it to false: it lets messages overtake each other"},
		{main.Config.Homeserver.Websocket, "homeserver.websocket", "set it to false: events would not be acknowledged one by one"},
		{main.Config.Bridge.SplitPortals, "bridge.split_portals", "set it to false: every user has rooms of their own already"},
		{main.Config.Encryption.Appservice && wholeServer(main), "network.double_puppets", "set it or encryption.appservice to false: " +
			"with both the homeserver would hand the bridge the keys of all its users"},
		{main.Config.Bridge.Relay.Enabled, "bridge.relay.enabled", "set it to false: each user of third-party chats must enlist for themselves"},
	} {
		if setting.unsafe {
			errs = append(errs, fmt.Errorf("%s: %s", setting.key, setting.fix))
		}
	}
	return errors.Join(errs...)
}

// homeserverTransport keeps connections to the homeserver open: Go's default
// keeps two, and a busy bridge would make a new one for nearly every message.
func homeserverTransport(current http.RoundTripper) http.RoundTripper {
	transport, ok := current.(*http.Transport)
	if !ok {
		transport, ok = http.DefaultTransport.(*http.Transport)
		if !ok {
			return current
		}
	}
	transport = transport.Clone()
	transport.MaxIdleConns = homeserverConnections
	transport.MaxIdleConnsPerHost = homeserverConnections
	transport.IdleConnTimeout = homeserverIdle
	return transport
}

// ownLogger gives each command a logger of its own: bridgev2 writes the command's
// name into the logger that it finds, which the whole program shares.
type ownLogger struct {
	commands *commands.Processor
}

// Handle implements [bridgev2.CommandProcessor].
func (o ownLogger) Handle(ctx context.Context, room id.RoomID, event id.EventID, user *bridgev2.User, text string, replyTo id.EventID) {
	log := zerolog.Ctx(ctx).With().Logger()
	o.commands.Handle(log.WithContext(ctx), room, event, user, text, replyTo)
}

package stage

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"

	"go.mau.fi/util/random"
	"maunium.net/go/mautrix/appservice"

	"causeway/e2e/child"
	"causeway/e2e/client"
	"causeway/e2e/homeserver"
	"causeway/e2e/standin"
)

// Network says where a simulated network is reached.
type Network struct {
	// ChatHost is "127.0.0.1:<port>", spoken to in plain TCP.
	ChatHost string
	// Root is the public key at the root of the network's certificates.
	Root [32]byte
	// ChatURL, EnlistmentURL and MetaIssuer are what the agreement would say.
	ChatURL, EnlistmentURL, MetaIssuer string
	// Integrator is our number.
	Integrator int
}

// Options say what to set up.
type Options struct {
	// Binary is the bridge's program, see [Build].
	Binary string
	// Dir is an empty folder for the bridge's files.
	Dir string
	// Network is the simulated network; the zero value leaves the agreement section empty.
	Network Network
	// Environment are variables ("NAME=value") that the bridge gets in addition.
	Environment []string
	// Edit changes the bridge's configuration further; may be nil.
	Edit func(Config)
	// HomeserverPort is the homeserver's port, 0 for a free one.
	HomeserverPort int
	// ProviderURL is where the bridge publishes its keys, from the function of that name.
	ProviderURL string
	// Issuer is the address that tokens name, ProviderURL unless something stands before it.
	Issuer string
	// Log takes the stand-in's line.
	Log func(line string)
}

// Stage is a running homeserver with the bridge and the stand-in.
type Stage struct {
	Homeserver *homeserver.Server
	Bridge     *Bridge
	// BotID is the Matrix account of the bridge's bot.
	BotID string

	standIn      *standin.StandIn // nil where the homeserver needs none
	registration *appservice.Registration
	puppetToken  string
	puppetPath   string
}

// ProviderURL is a free loopback address, at which a bridge can be told to publish its keys.
func ProviderURL() (string, error) {
	port, err := child.FreePort()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("http://127.0.0.1:%d", port), nil
}

// Open sets everything up and returns when the bridge is ready. On failure nothing is left running.
func Open(ctx context.Context, options Options) (stage *Stage, err error) {
	if options.HomeserverPort == 0 {
		if options.HomeserverPort, err = child.FreePort(); err != nil {
			return nil, err
		}
	}
	if stage, err = Furnish(ctx, options, fmt.Sprintf("http://127.0.0.1:%d", options.HomeserverPort)); err != nil {
		return nil, err
	}
	if err = stage.start(ctx, options); err != nil {
		return nil, errors.Join(err, stage.Close())
	}
	return stage, nil
}

// Furnish configures a bridge for a homeserver at an address, writes both registrations and starts nothing. It is for
// callers with a homeserver and a supervisor of their own; the stage has a Bridge and a BotID then, and no more.
func Furnish(ctx context.Context, options Options, homeserverURL string) (*Stage, error) {
	bridgePort, err := child.FreePort()
	if err != nil {
		return nil, err
	}
	puppets := puppetRegistration()
	stage := &Stage{
		Bridge:      &Bridge{URL: fmt.Sprintf("http://127.0.0.1:%d", bridgePort), Dir: options.Dir, binary: options.Binary, environment: options.Environment},
		puppetToken: puppets.AppToken, puppetPath: filepath.Join(options.Dir, "doublepuppet.yaml"),
	}
	stage.registration, err = stage.Bridge.configure(ctx, func(config Config) {
		basics(config, homeserverURL, bridgePort, puppets.AppToken)
		agreement(config, options.Network, options.ProviderURL, cmp.Or(options.Issuer, options.ProviderURL))
		if options.Edit != nil {
			options.Edit(config)
		}
		stage.BotID = fmt.Sprintf("@%v:%s", config.Get("appservice.bot.username"), homeserver.ServerName)
	})
	if err != nil {
		return nil, err
	}
	if err = puppets.Save(stage.puppetPath); err != nil {
		return nil, fmt.Errorf("failed to write the double-puppet registration: %w", err)
	}
	return stage, nil
}

// Registrations are the files that the homeserver has to know: the bridge's and the one for double puppets.
func (s *Stage) Registrations() []string { return []string{s.Bridge.registrationPath(), s.puppetPath} }

func (s *Stage) start(ctx context.Context, options Options) (err error) {
	s.Homeserver, err = homeserver.Start(ctx, homeserver.Options{Port: options.HomeserverPort, Registrations: s.Registrations()})
	if err != nil {
		return err
	}
	if err = s.Bridge.Start(ctx); err != nil {
		return err
	}
	if homeserver.Complete() {
		return nil
	}
	s.standIn = standin.Start(standin.Options{
		Homeserver: s.Homeserver.URL, PuppetToken: s.puppetToken,
		Bridge: s.Bridge.URL, BridgeToken: s.registration.ServerToken, Log: options.Log,
	})
	return nil
}

// Join registers a Matrix user, opens a client for them and has the stand-in, where there is one, watch them.
func (s *Stage) Join(ctx context.Context, localpart, password string) (*client.Client, error) {
	matrix, err := s.Homeserver.Register(ctx, localpart, password)
	if err != nil {
		return nil, err
	}
	if s.standIn != nil {
		if err := s.standIn.Watch(ctx, matrix.UserID.String()); err != nil {
			return nil, err
		}
	}
	return client.Open(ctx, matrix)
}

// Secrets are the tokens that must appear in no log.
func (s *Stage) Secrets() []string {
	return []string{s.registration.AppToken, s.registration.ServerToken, s.puppetToken}
}

// Close stops everything, the bridge before its homeserver.
func (s *Stage) Close() error {
	var problems []error
	if s.standIn != nil {
		s.standIn.Stop()
	}
	if s.Bridge != nil {
		problems = append(problems, s.Bridge.Stop())
	}
	if s.Homeserver != nil {
		problems = append(problems, s.Homeserver.Stop())
	}
	return errors.Join(problems...)
}

func puppetRegistration() *appservice.Registration {
	registration := appservice.CreateRegistration()
	registration.ID = "doublepuppet"
	registration.SenderLocalpart = "doublepuppet-" + random.String(8)
	registration.Namespaces.UserIDs.Register(regexp.MustCompile("@.*:"+homeserver.ServerName), false)
	return registration
}

// basics is what every operator sets.
func basics(config Config, homeserverURL string, port int, puppetToken string) {
	config.Set("homeserver.address", homeserverURL)
	config.Set("homeserver.domain", homeserver.ServerName)
	config.Set("appservice.address", fmt.Sprintf("http://127.0.0.1:%d", port))
	config.Set("appservice.hostname", "127.0.0.1")
	config.Set("appservice.port", port)
	config.Set("appservice.bot.avatar", "remove") // the usual picture is on another server
	config.Set("bridge.permissions", map[string]any{homeserver.ServerName: "user", "@admin:" + homeserver.ServerName: "admin"})
	config.Set("database.type", "sqlite3-fk-wal-fullsync")
	config.Set("database.uri", "file:causeway.db?_txlock=immediate")
	config.Set("double_puppet.servers", map[string]any{})
	config.Set("double_puppet.secrets", map[string]any{homeserver.ServerName: "as_token:" + puppetToken})
	config.Set("logging.writers", []any{map[string]any{"type": "stdout", "format": "json"}})
}

// agreement is what Meta and a provider would have agreed on, for a simulated network.
func agreement(config Config, network Network, providerURL, issuer string) {
	if network.Integrator == 0 {
		return
	}
	config.Set("network.endpoint.host", network.ChatHost)
	config.Set("network.endpoint.trust_root", hex.EncodeToString(network.Root[:]))
	config.Set("network.listen.provider.address", providerURL[len("http://"):])
	config.Set("network.interop.enabled", true)
	config.Set("network.interop.integrator.id", network.Integrator)
	config.Set("network.interop.integrator.name", "Causeway")
	config.Set("network.interop.integrator.identifier", "email")
	config.Set("network.interop.chat_url", network.ChatURL)
	config.Set("network.interop.enlistment_url", network.EnlistmentURL)
	config.Set("network.interop.meta_issuer", network.MetaIssuer)
	config.Set("network.interop.token.issuer", issuer)
	config.Set("network.interop.media.base_url", providerURL+"/media")
}

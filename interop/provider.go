package interop

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"causeway/database"
	"causeway/network"
)

// Environment is what a provider has to know of the house that it stands in.
type Environment struct {
	// Domain is the bridge's own homeserver, as it stands after the colon of a user id.
	Domain string
	// StateDir is where signing keys go unless the configuration names another place.
	StateDir string
	// Listen is the public listener; without an address nothing is listened on.
	Listen Listen
	// Software is how we introduce ourselves when enlisting, such as "causeway/1.0".
	Software string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Calls takes what the network announces by push.
	Calls Calls
	// RegionWords are the texts of the region page.
	RegionWords RegionWords
}

// Provider is this server as a third-party provider. Its methods may be called from many goroutines.
type Provider struct {
	cfg      Config
	env      Environment
	db       *database.Database
	log      zerolog.Logger
	now      func() time.Time
	enlister Enlister
	tokens   TokenIssuer
	keys     *keyring
	web      *web
	push     *pushReceiver
	// media is nil if the configuration names no address for it.
	media *mediaHost
	// region is nil unless users confirm on a page where they are.
	region  *regionPage
	clients *clients
	terms   string
	// users has one lock for each user and network, so that enlisting happens once at a time.
	users sync.Map

	started atomic.Bool
	stop    context.CancelFunc
	done    sync.WaitGroup
	server  *http.Server
	address atomic.Pointer[string]
	// kick wakes the caretaker for a withdrawal that is not confirmed yet.
	kick chan struct{}
	// compare wakes the caretaker to compare our records with the network's.
	compare chan struct{}
}

// New makes a provider of a valid configuration; nothing is read or opened before [Provider.Start].
func New(cfg Config, env Environment, db *database.Database, log zerolog.Logger) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := env.Listen.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	p := &Provider{cfg: cfg, env: env, db: db, log: log, now: env.Now, kick: make(chan struct{}, 1), compare: make(chan struct{}, 1)}
	if p.now == nil {
		p.now = time.Now
	}
	p.keys = newKeyring(cfg.keyDir(env), time.Duration(cfg.Token.RotateEvery), time.Duration(cfg.Token.Overlap), p.now, log)
	p.tokens = newTokenIssuer(cfg, p.keys, p.now)
	if cfg.EnlistmentURL != "" {
		enlister, err := newEnlister(cfg, p.tokens, env.Software, log)
		if err != nil {
			return nil, err
		}
		p.enlister = enlister
	}
	p.push = newPushReceiver(cfg, env, db, p.now, log)
	if cfg.Media.BaseURL != "" {
		media, err := newMediaHost(cfg, env, db, p.now, log)
		if err != nil {
			return nil, err
		}
		p.media = media
	}
	if cfg.byPage() {
		p.region = newRegionPage(cfg, env, p.now, log)
		p.region.decided = p.regionDecided
	}
	p.clients = newClients(cfg.addressLife(), p.now)
	p.web = newWeb(p.tokens, p.push, p.media, p.region, env.Listen.TrustedProxy, p.now, log)
	return p, nil
}

// Start reads the terms, the signing keys and secrets (making them at the first start),
// opens the listener and begins to look after enlistments, hosted files and the network's calls. Without a complete
// configuration it only reads the terms: no user can be enlisted then.
func (p *Provider) Start(ctx context.Context) error {
	if p.started.Load() {
		return fmt.Errorf("failed to start the provider: it is running already")
	}
	if err := p.readTerms(); err != nil {
		return err
	}
	if !p.cfg.Enabled || p.cfg.Missing() != nil {
		p.started.Store(true)
		return nil
	}
	if err := p.open(); err != nil {
		return err
	}
	if err := p.listen(ctx); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = cancel
	p.started.Store(true)
	p.done.Go(func() { p.takeCare(run) })
	p.done.Go(func() { p.handleCalls(run) })
	if p.media != nil {
		p.done.Go(func() { p.keepMediaTidy(run) })
	}
	return nil
}

// open reads what the provider keeps in files.
func (p *Provider) open() error {
	if err := p.keys.open(); err != nil {
		return err
	}
	if err := p.push.open(); err != nil {
		return err
	}
	if p.media == nil {
		p.log.Warn().Msg("No files can be sent: the network must be able to fetch them (network.interop.media.base_url)")
		return nil
	}
	return p.media.open()
}

// Stop closes the listener and waits until nothing of the provider runs any more.
func (p *Provider) Stop() {
	if p.stop != nil {
		p.stop()
	}
	p.closeListener()
	p.done.Wait()
	p.stop = nil
	p.started.Store(false)
}

// Handler serves the key set and the document that points at it, hosted files and
// the network's calls, for whoever listens by other means than [Environment.Listen].
func (p *Provider) Handler() http.Handler { return p.web }

// Addr is where the provider listens, empty if it does not.
func (p *Provider) Addr() string {
	if address := p.address.Load(); address != nil {
		return *address
	}
	return ""
}

// RotateSigningKey makes the next signing key the current one at once. The old key
// stays published for the overlap, so that tokens in use stay good.
func (p *Provider) RotateSigningKey(_ context.Context) error {
	return p.keys.rotate()
}

// Offers says whether users can be enlisted with the network.
func (p *Provider) Offers(n network.Network) bool { return p.cfg.Offers(n) }

// admit refuses what no consent could allow: a configuration that is not complete,
// the kill switch, a network that is not offered, a user of another homeserver.
func (p *Provider) admit(user string, n network.Network) error {
	switch {
	case !p.cfg.Offers(n):
		return fmt.Errorf("%s: %w", n.DisplayName(), ErrIncomplete)
	case p.cfg.KillSwitch:
		return ErrStopped
	case !p.serves(user):
		return ErrUserNotAllowed
	}
	return nil
}

// serves says whether the user is of a homeserver that the provider is there for (docs/protocol.md#contract).
func (p *Provider) serves(user string) bool {
	_, domain, ok := splitUser(user)
	if !ok {
		return false
	}
	if len(p.cfg.Users.Homeservers) > 0 {
		return slices.Contains(p.cfg.Users.Homeservers, domain)
	}
	return domain == p.env.Domain
}

// splitUser cuts "@alice:example.eu" in two.
func splitUser(user string) (localpart, domain string, ok bool) {
	rest, found := strings.CutPrefix(user, "@")
	if !found {
		return "", "", false
	}
	localpart, domain, found = strings.Cut(rest, ":")
	return localpart, domain, found && localpart != "" && domain != ""
}

// lock holds a user's lock on a network until the returned function is called; it gives up when ctx ends.
func (p *Provider) lock(ctx context.Context, user string, n network.Network) (func(), error) {
	value, _ := p.users.LoadOrStore(string(n)+" "+user, make(chan struct{}, 1))
	taken := value.(chan struct{})
	select {
	case taken <- struct{}{}:
		return func() { <-taken }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *Provider) readTerms() error {
	p.terms = builtinTerms
	if p.cfg.Mode == ModeProxy {
		p.terms += proxyTerms
	}
	if p.cfg.Consent.TermsFile == "" {
		return nil
	}
	text, err := os.ReadFile(p.cfg.Consent.TermsFile)
	if err != nil {
		return fmt.Errorf("failed to read the terms: %w", err)
	}
	p.terms = strings.TrimSpace(string(text))
	if p.terms == "" {
		return fmt.Errorf("failed to read the terms: %s is empty", p.cfg.Consent.TermsFile)
	}
	return nil
}

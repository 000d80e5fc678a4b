// Package e2e holds the stories: each a conversation between Matrix users and people on WhatsApp
// or Messenger, with a real homeserver, the real bridge as a child process and the simulated network
// in this process. A story waits on conditions and never sleeps. On failure it prints what
// went over both wires, on success nothing.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/e2e/homeserver"
	"causeway/e2e/stage"
	"causeway/simulator/meta"
)

const (
	// integrator is our number in every story, other another provider's.
	integrator = 12
	other      = 13

	// storyLimit bounds one story; the parts on two cores with the race detector need time.
	storyLimit = 5 * time.Minute
	// waitLimit bounds one wait within it.
	waitLimit = time.Minute
	password  = "correct horse"
	// mediaPath is where the network finds our files.
	mediaPath = "/media"
	// pushPath is where the network calls us, and pushSecret what it signs its calls with.
	pushPath   = "/interop/push"
	pushSecret = "a secret of both sides, for calls"
	logTail    = 60_000

	// logLevelEnv names the environment variable that makes the bridge's log say more, such as debug, when looking
	// into a failure. Beyond the default level the libraries below us log message texts.
	logLevelEnv = "CAUSEWAY_E2E_LOG"
)

// bridgeBinary is built once for all stories; see TestMain.
var bridgeBinary struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if bridgeBinary.dir != "" {
		os.RemoveAll(bridgeBinary.dir)
	}
	os.Exit(code)
}

// binary is the bridge, built with the race detector at its first use.
func binary(t *testing.T) string {
	t.Helper()
	bridgeBinary.once.Do(func() {
		if bridgeBinary.dir, bridgeBinary.err = os.MkdirTemp("", "causeway-e2e-"); bridgeBinary.err != nil {
			return
		}
		bridgeBinary.path = filepath.Join(bridgeBinary.dir, "causeway")
		// Not the test's context: the next story needs the program as well.
		bridgeBinary.err = stage.Build(context.Background(), bridgeBinary.path, true)
	})
	require.NoError(t, bridgeBinary.err)
	return bridgeBinary.path
}

// world is everything that a story plays in. Stories that do not disturb each other share one: each
// has a view of it, with people and users of its own.
type world struct {
	*house
	t   *testing.T
	ctx context.Context
	net *meta.Network
	// side is the network on which the story plays, unless it says otherwise.
	side side
	// suffix tells the users of views apart.
	suffix string
	shared *shared
}

// shared is what all views of a world have in common.
type shared struct {
	mu sync.Mutex
	// private is what no log may show: message texts and phone numbers.
	private []string
	// people and views count, so that none are alike.
	people, views int
	admin         *matrixUser
}

// house is one provider in the world: its homeserver, its bridge, its users.
type house struct {
	world      *world
	integrator int
	// provider is where the bridge publishes its keys.
	provider string
	stage    *stage.Stage
	users    *users
	// encrypted says that clients have keys.
	encrypted bool
}

// users are the Matrix users of a house.
type users struct {
	mu  sync.Mutex
	all []*matrixUser
}

// settings change a world before it starts.
type settings struct {
	limit time.Duration
	// plain builds the bridge without the race detector, for measuring.
	plain bool
	// encrypted rooms: the bridge makes them, and the clients of its users are devices with keys.
	encrypted bool

	side    side
	network []meta.Option
	edit    func(stage.Config)
	// environment are variables that the bridge gets.
	environment []string
	// issuer is where the network fetches our keys, when that is not the bridge itself.
	issuer func(bridge string) string
}

func newWorld(t *testing.T, options ...func(*settings)) *world {
	t.Helper()
	t.Parallel()
	homeserver.Require(t)
	set := settings{limit: storyLimit, side: onWhatsApp()}
	for _, option := range options {
		option(&set)
	}
	var path string
	if !set.plain {
		path = binary(t)
	} else {
		path = filepath.Join(t.TempDir(), "causeway")
		require.NoError(t, stage.Build(t.Context(), path, false))
	}
	ctx, cancel := context.WithTimeout(t.Context(), set.limit)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, net: meta.Start(t, set.network...), side: set.side, shared: &shared{}}
	w.house = w.newHouse(path, integrator, set)
	return w
}

// view is the world for one story of several, on one of the networks.
func (w *world) view(t *testing.T, on side) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), storyLimit)
	t.Cleanup(cancel)
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	w.shared.views++
	view := &world{t: t, ctx: ctx, net: w.net, side: on, suffix: fmt.Sprintf("-%d", w.shared.views), shared: w.shared}
	own := *w.house
	own.world, view.house = view, &own
	return view
}

func on(s side) func(*settings) { return func(set *settings) { set.side = s } }

// lasting lets a world last that many stories share.
func lasting(limit time.Duration) func(*settings) { return func(set *settings) { set.limit = limit } }

func withNetwork(options ...meta.Option) func(*settings) {
	return func(s *settings) { s.network = append(s.network, options...) }
}

func withConfig(edit func(stage.Config)) func(*settings) {
	return func(s *settings) {
		earlier := s.edit
		s.edit = func(config stage.Config) {
			if earlier != nil {
				earlier(config)
			}
			edit(config)
		}
	}
}

func withEnvironment(variables ...string) func(*settings) {
	return func(s *settings) { s.environment = append(s.environment, variables...) }
}

// newHouse starts a homeserver with a bridge and makes it a provider of the network.
func (w *world) newHouse(path string, number int, set settings) *house {
	w.t.Helper()
	provider, err := stage.ProviderURL()
	require.NoError(w.t, err)
	issuer := provider
	if set.issuer != nil {
		issuer = set.issuer(provider)
	}
	require.NoError(w.t, w.net.AddIntegrator(meta.Integrator{
		ID: number, Name: fmt.Sprintf("Provider %d", number), IdentifierType: "email", Issuer: issuer,
		MediaBase: provider + mediaPath, PushURL: provider + pushPath, PushSecret: pushSecret,
	}))
	h := &house{world: w, integrator: number, provider: provider, users: &users{}, encrypted: set.encrypted}
	edit := func(config stage.Config) {
		if level := os.Getenv(logLevelEnv); level != "" {
			config.Set("logging.min_level", level)
		}
		config.Set("network.interop.media.base_url", provider+mediaPath)
		config.Set("network.interop.push.secret", pushSecret)
		config.Set("network.interop.products", []string{"whatsapp", "messenger"})
		if set.edit != nil {
			set.edit(config)
		}
	}
	// what the race detector writes is judged when the story is over, not by the exit status
	environment := append([]string{"GORACE=exitcode=0 " + os.Getenv("GORACE")}, set.environment...)
	h.stage, err = stage.Open(w.ctx, stage.Options{
		Binary: path, Dir: w.t.TempDir(), ProviderURL: provider, Issuer: issuer, Edit: edit, Environment: environment, Log: func(line string) { w.t.Log(line) },
		Network: stage.Network{
			ChatHost: w.net.ChatAddr(), Root: w.net.Root(), ChatURL: w.net.ChatURL(),
			EnlistmentURL: w.net.EnlistmentURL(), MetaIssuer: w.net.MetaIssuer(), Integrator: number,
		},
	})
	require.NoError(w.t, err)
	w.t.Cleanup(h.close)
	return h
}

func (h *house) close() {
	t := h.world.t
	for _, user := range h.users.all {
		user.client.Close()
	}
	if t.Failed() {
		t.Logf("what the bridge of provider %d was doing:\n%s", h.integrator, h.stage.Bridge.Doing())
	}
	if err := h.stage.Close(); err != nil {
		t.Errorf("provider %d did not end well: %v", h.integrator, err)
	}
	log := h.stage.Bridge.Log()
	if t.Failed() {
		log, _, _ = strings.Cut(log, "SIGQUIT: quit")
	}
	for _, sign := range []string{"panic: ", "goroutine 1 ["} {
		if strings.Contains(log, sign) {
			t.Errorf("the bridge of provider %d wrote %q", h.integrator, sign)
		}
	}
	ours, theirs := races(log)
	for _, report := range ours {
		t.Errorf("the bridge of provider %d has a data race:%s", h.integrator, report)
	}
	for _, report := range theirs {
		t.Logf("a library of provider %d's bridge has a data race:%s", h.integrator, report)
	}
	for _, private := range append(h.world.shared.private, h.stage.Secrets()...) {
		if os.Getenv(logLevelEnv) == "" && strings.Contains(log, private) {
			t.Errorf("the log of provider %d has %q in it", h.integrator, private)
		}
	}
	if !t.Failed() {
		return
	}
	for _, user := range h.users.all {
		t.Logf("what %s saw:\n%s", user.client.UserID(), strings.Join(user.client.Seen(), "\n"))
	}
	t.Logf("the bridge of provider %d:\n%s", h.integrator, log[max(0, len(log)-logTail):])
}

// soon is the story's context with the limit of one wait.
func (w *world) soon() context.Context {
	ctx, cancel := context.WithTimeout(w.ctx, waitLimit)
	w.t.Cleanup(cancel)
	return ctx
}

// keepPrivate notes a text that no log may show; very short ones say nothing.
func (w *world) keepPrivate(text string) {
	if len(text) >= 10 {
		w.shared.mu.Lock()
		defer w.shared.mu.Unlock()
		w.shared.private = append(w.shared.private, text)
	}
}

// keepSecret notes a text that neither a log may show nor the network get other than encrypted.
func (w *world) keepSecret(text string) {
	w.keepPrivate(text)
	if len(text) >= 10 {
		w.net.KeepPrivate(text)
	}
}

// eventually waits for something that announces itself nowhere: it asks again and again until the story's end.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	ctx := w.soon()
	for pause := 20 * time.Millisecond; !holds(); pause = min(2*pause, time.Second) {
		select {
		case <-ctx.Done():
			w.t.Fatalf("waited in vain for %s", what)
		case <-time.After(pause):
		}
	}
}

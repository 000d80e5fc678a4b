package meta

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Network is one simulated Meta: its servers, its records and its people.
type Network struct {
	cfg     options
	profile atomic.Value // ProfileName
	offset  atomic.Int64 // nanoseconds that the network's clock is ahead of cfg.now

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	findings   findings
	transcript transcript
	faults     faults
	identity   serverIdentity

	rngMu sync.Mutex
	rng   *rand.Rand

	// mu guards the model below. It is never held over network I/O.
	mu          sync.Mutex
	integrators map[int]*Integrator
	enlistments map[string]*enlistment // by enlistment id
	devices     map[string]*device     // by [enlistment.deviceName]
	refusals    []Refusal

	usersByPhone, usersByLID map[string]*user
	usersByFBID              map[string]*user // Messenger's
	connections              map[int]*connection
	lastConnection           int

	groups       map[string]*group     // by the part before the @
	calls        map[string]*phoneCall // by id
	carried      map[string]stamp      // messages within WhatsApp that were taken, by sending device, recipient and id
	usedRefs     map[string]bool       // codes for linking that were scanned
	revokedCodes map[string]bool       // invite codes of groups that were replaced
	pictures     map[string][]byte     // by id, those that were replaced included
	lastNotice   int

	tallyMu sync.Mutex
	tally   map[string]int

	fileOwners map[string]string // text addresses of providers' users, by the names of their files

	tokens *verifier // has locks of its own
	watch  watch
	blobs  blobs // has a lock of its own
	proxy  *mediaProxy
	pushes pushCaller // has a lock of its own

	authority *authority

	chatAddr, tlsAddr, proxyAddr, enlistmentAddr, adminAddr string
}

// New starts a network on loopback. [Network.Close] ends it.
func New(opts ...Option) (*Network, error) {
	silenceSignal()
	cfg := defaults()
	if err := cfg.fromEnvironment(); err != nil {
		return nil, err
	}
	for _, opt := range opts {
		opt(&cfg)
	}
	n := &Network{
		cfg:         cfg,
		rng:         rand.New(rand.NewSource(cfg.seed)),
		transcript:  transcript{limit: cfg.transcriptLines},
		integrators: map[int]*Integrator{},
		enlistments: map[string]*enlistment{},
		devices:     map[string]*device{},
		connections: map[int]*connection{},
		tally:       map[string]int{},
		fileOwners:  map[string]string{},

		groups: map[string]*group{}, calls: map[string]*phoneCall{}, carried: map[string]stamp{}, usedRefs: map[string]bool{}, pictures: map[string][]byte{}, revokedCodes: map[string]bool{},

		usersByPhone: map[string]*user{}, usersByLID: map[string]*user{}, usersByFBID: map[string]*user{},
	}
	n.tokens = newVerifier(n)
	n.pushes.series = map[*device]*pushSeries{}
	n.SetProfile(cfg.profile)
	var err error
	if n.identity, err = newServerIdentity(); err != nil {
		return nil, err
	}
	if n.proxy, err = newMediaProxy(); err != nil {
		return nil, err
	}
	if n.authority, err = newAuthority(); err != nil {
		return nil, err
	}
	if err = n.writeCA(); err != nil {
		return nil, err
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if err := n.listen(); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

func (n *Network) listen() (err error) {
	if n.chatAddr, err = n.serve("chat", n.cfg.chat, n.watched(n.chatHandler())); err != nil {
		return err
	}
	if n.tlsAddr, err = n.serveTLS(n.cfg.tls, n.watched(n.chatHandler())); err != nil {
		return err
	}
	if n.proxyAddr, err = n.serve("proxy", n.cfg.proxy, n.proxyHandler()); err != nil {
		return err
	}
	if n.enlistmentAddr, err = n.serve("enlistment", n.cfg.enlistment, n.watched(n.enlistmentHandler())); err != nil {
		return err
	}
	n.adminAddr, err = n.serve("admin", n.cfg.admin, n.adminHandler())
	return err
}

// serve runs an HTTP server on a loopback address until the network closes, and says where it listens.
func (n *Network) serve(name, address string, handler http.Handler) (string, error) {
	return n.serveOn(name, address, handler, func(l net.Listener) net.Listener { return l })
}

// serveOn is serve over what wrap makes of the listener.
func (n *Network) serveOn(name, address string, handler http.Handler, wrap func(net.Listener) net.Listener) (string, error) {
	if err := checkLoopback(address); err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("failed to listen for %s: %w", name, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return n.ctx }}
	n.work.Go(func() {
		if err := server.Serve(wrap(listener)); !errors.Is(err, http.ErrServerClosed) {
			n.cfg.logf("simulator: %s server ended: %v", name, err)
		}
	})
	context.AfterFunc(n.ctx, func() { _ = server.Close() })
	return listener.Addr().String(), nil
}

// Close ends all connections and servers and waits until they have ended.
func (n *Network) Close() {
	n.mu.Lock()
	n.cancel()
	n.mu.Unlock()
	n.work.Wait()
}

// now is the network's time.
func (n *Network) now() time.Time { return n.cfg.now().Add(time.Duration(n.offset.Load())) }

// SetClockOffset shifts the network's clock against the wall clock: tokens, times of messages, expiry.
func (n *Network) SetClockOffset(d time.Duration) { n.offset.Store(int64(d)) }

// SeedInUse is the seed that this network runs on.
func (n *Network) SeedInUse() int64 { return n.cfg.seed }

// random calls f with the seeded generator. What must not depend on the order of goroutines uses roll instead.
func (n *Network) random(f func(*rand.Rand)) {
	n.rngMu.Lock()
	defer n.rngMu.Unlock()
	f(n.rng)
}

// ChatAddr is host:port of the chat server, plain TCP with the websocket at /ws/chat.
func (n *Network) ChatAddr() string { return n.chatAddr }

// ChatURL is the websocket's address.
func (n *Network) ChatURL() string { return "ws://" + n.chatAddr + "/ws/chat" }

// EnlistmentURL is the base of the enlistment service.
func (n *Network) EnlistmentURL() string { return "http://" + n.enlistmentAddr }

// MetaIssuer is the issuer that Meta's own tokens name.
func (n *Network) MetaIssuer() string { return "http://" + n.enlistmentAddr }

// AdminURL is the base of the control plane.
func (n *Network) AdminURL() string { return "http://" + n.adminAddr }

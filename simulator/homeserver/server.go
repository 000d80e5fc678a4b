package homeserver

import (
	"context"
	crand "crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Server is one homeserver. Make it with [Start] or [New].
type Server struct {
	opts   options
	mux    *http.ServeMux
	addr   string
	faults faults
	count  counters

	// life is the time from one start to the next stop. Only Up and Down change it, one at a time.
	lifeMu sync.Mutex
	life   *life

	// mu guards the world. It is never held over network I/O.
	mu sync.Mutex
	world
}

// world is everything that the server knows.
type world struct {
	down     bool
	rng      *rand.ChaCha8
	position int64 // grows with every event, notice and account data; the token of /sync
	waiters  map[*waiter]struct{}

	people
	rooms     map[string]*room
	roomOrder []*room
	aliases   map[string]string
	events    []*entry // of all rooms, in the order of their making
	txns      map[txnKey]answer
	media     map[string]*blob
	services
}

// life is one uptime: a listener, the connections on it and the pushers.
type life struct {
	ctx    context.Context
	cancel context.CancelFunc
	server *http.Server
	work   sync.WaitGroup
}

// Start runs a server for the length of a test.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	hs, err := New(opts...)
	if err != nil {
		t.Fatalf("failed to start the homeserver: %v", err)
	}
	t.Cleanup(hs.Close)
	return hs
}

// New starts a server on loopback. [Server.Close] ends it.
func New(opts ...Option) (*Server, error) {
	cfg := defaults()
	for _, opt := range opts {
		opt(&cfg)
	}
	if err := requireLoopback(cfg.listen); err != nil {
		return nil, err
	}
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("failed to seed the server: %w", err)
	}
	hs := &Server{opts: cfg, addr: cfg.listen, world: world{
		rng:      rand.NewChaCha8(seed),
		waiters:  map[*waiter]struct{}{},
		people:   people{accounts: map[string]*account{}, sessions: map[string]*session{}, nonces: map[string]struct{}{}},
		rooms:    map[string]*room{},
		aliases:  map[string]string{},
		txns:     map[txnKey]answer{},
		media:    map[string]*blob{},
		services: services{byToken: map[string]*appservice{}, interests: map[string][]*appservice{}},
		down:     true,
	}}
	hs.route()
	for _, reg := range cfg.appservices {
		if err := hs.AddAppservice(reg); err != nil {
			return nil, err
		}
	}
	if err := hs.Up(); err != nil {
		return nil, err
	}
	return hs, nil
}

func requireLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("failed to read the listen address: %w", err)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return fmt.Errorf("failed to listen on %s: not a loopback address", address)
	}
	return nil
}

// URL is the address of the client-server API. It stays the same over restarts.
func (hs *Server) URL() string { return "http://" + hs.addr }

// Name is the server name, the part after the colon of its user ids.
func (hs *Server) Name() string { return hs.opts.serverName }

// UserID spells a local user.
func (hs *Server) UserID(localpart string) string { return "@" + localpart + ":" + hs.opts.serverName }

// Close ends the server for good.
func (hs *Server) Close() { hs.Down() }

// Restart ends every connection and starts again at the same address. Accounts, rooms and transactions not yet accepted
// by application services survive, as they do in a database; the memory of client transaction ids only when told to.
func (hs *Server) Restart(keepTxns bool) error {
	hs.Down()
	if !keepTxns {
		hs.mu.Lock()
		clear(hs.txns)
		hs.mu.Unlock()
	}
	return hs.Up()
}

// Down is the server away: connections are cut, new ones refused, nothing is committed or pushed until [Server.Up].
func (hs *Server) Down() {
	hs.lifeMu.Lock()
	defer hs.lifeMu.Unlock()
	if hs.life == nil {
		return
	}
	hs.mu.Lock()
	hs.down = true
	hs.mu.Unlock()
	hs.life.cancel()
	_ = hs.life.server.Close()
	hs.life.work.Wait()
	hs.life = nil
}

// Up starts the server again after [Server.Down], at the same address.
func (hs *Server) Up() error {
	hs.lifeMu.Lock()
	defer hs.lifeMu.Unlock()
	if hs.life != nil {
		return nil
	}
	listener, err := listenAgain(hs.addr)
	if err != nil {
		return err
	}
	hs.addr = listener.Addr().String()
	l := &life{}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.server = &http.Server{
		Handler:           http.HandlerFunc(hs.serve),
		ReadHeaderTimeout: 30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return l.ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				hs.count.connections.Add(1)
			}
		},
	}
	hs.life = l
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.down = false
	l.work.Go(func() { _ = l.server.Serve(listener) })
	for _, as := range hs.appservices {
		hs.startPusher(l, as)
	}
	return nil
}

// listenAgain waits a little for an address that the last life has only just given back.
func listenAgain(address string) (net.Listener, error) {
	deadline := time.Now().Add(5 * time.Second)
	for {
		listener, err := net.Listen("tcp", address)
		if err == nil {
			return listener, nil
		}
		var opErr *net.OpError
		if !errors.As(err, &opErr) || time.Now().After(deadline) {
			return nil, fmt.Errorf("failed to listen on %s: %w", address, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// token makes an unguessable text of 43 characters. The caller holds the lock.
func (w *world) token() string {
	var raw [32]byte
	_, _ = w.rng.Read(raw[:])
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// next moves the stream on by one. The caller holds the lock.
func (w *world) next() int64 {
	w.position++
	return w.position
}

// counters of what came in.
type counters struct {
	connections  atomic.Int64
	routes       map[string]*atomic.Int64
	unrecognized sync.Map // "METHOD path" → struct{}
}

// Package admin is the operator's window: figures for Prometheus and the state of health over HTTP, on the
// loopback. It declares the view that it reads, and the bridge implements it.
//
// It shows numbers and states only: no user, chat, phone number or text ever comes through it. It
// changes nothing; that is what the journal command is for.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

const (
	// readPatience bounds one reading of the view, so that a scrape fails rather than hangs.
	readPatience = 5 * time.Second
	headerTime   = 5 * time.Second
	writeTime    = 15 * time.Second
	maxHeader    = 16 << 10
)

// View is what the window shows. It is read at each request.
type View interface {
	Figures(ctx context.Context) (Figures, error)
}

// Figures is one reading.
type Figures struct {
	// Waiting is what is under way.
	Waiting []Waiting
	// Kept counts, by way, what has failed and can be brought back.
	Kept map[string]int
	// Logins counts logins by network and state of their connection.
	Logins map[Login]int
	// Ended counts since the start, by way and result, what has ended: "in"/"shown", "out"/"sent".
	Ended map[Result]int64
	// Counters are other counts since the start, by name.
	Counters map[string]int64
	// DiskLow says that nothing is taken in for want of space.
	DiskLow bool
}

// Waiting is what waits on a way in a state.
type Waiting struct {
	Way, State string
	Rows       int
	// Oldest is when the oldest of them came.
	Oldest time.Time
}

// Login is a kind of logins that are counted together.
type Login struct{ Network, State string }

// Result is how something ended.
type Result struct{ Way, Result string }

// Server is the window, open.
type Server struct {
	http *http.Server
	log  zerolog.Logger
	// Address is where it listens.
	Address net.Addr
}

// Open listens at an address of the loopback and serves until [Server.Close].
func Open(address string, view View, log zerolog.Logger) (*Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("network.listen.metrics.address: failed to listen: %w", err)
	}
	s := &Server{log: log, Address: listener.Addr(), http: &http.Server{
		Handler: handler(view, log), ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, WriteTimeout: writeTime, MaxHeaderBytes: maxHeader,
	}}
	go func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Err(err).Msg("The listener for metrics has ended")
		}
	}()
	return s, nil
}

// Close ends the listener and waits for requests under way, at the latest until ctx is over.
func (s *Server) Close(ctx context.Context) {
	if err := s.http.Shutdown(ctx); err != nil {
		s.log.Warn().Err(err).Msg("Requests for metrics did not end in time")
	}
}

func handler(view View, log zerolog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{view, log}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("GET /healthz", health{view, log})
	return loopbackOnly(mux)
}

// loopbackOnly refuses requests by another name than the loopback's: a web page that points its own name
// here, to read through a browser on this machine, gets nothing.
func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "not here", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

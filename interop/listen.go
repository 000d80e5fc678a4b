package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/net/netutil"
)

const listenPath = "network.listen.provider."

// What a stranger may cost us at most.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeader      = 16 << 10
	maxBody        = 256 << 10
	maxConnections = 64
	// closeTimeout is ample for answers that are small and made in memory.
	closeTimeout = time.Second
)

// Listen is the `listen.provider` part of the configuration: the public listener.
type Listen struct {
	// Address is host:port; empty means that nothing is listened on.
	Address string `yaml:"address"`
	// TLSCert and TLSKey are PEM files.
	TLSCert string `yaml:"tls_cert"`
	TLSKey  string `yaml:"tls_key"`
	// TrustedProxy is the IP address of the proxy in front, whose X-Forwarded-For is believed.
	TrustedProxy string `yaml:"trusted_proxy"`
}

// Validate says everything that is wrong, each with the key's path and what to write instead.
func (l *Listen) Validate() error {
	var errs []error
	wrong := func(key, fix string) { errs = append(errs, fmt.Errorf("%s%s: %s", listenPath, key, fix)) }
	if (l.TLSCert == "") != (l.TLSKey == "") {
		wrong("tls_cert", "tls_cert and tls_key belong together; set both or none")
	}
	if l.TrustedProxy != "" {
		if _, err := netip.ParseAddr(l.TrustedProxy); err != nil {
			wrong("trusted_proxy", "write the proxy's IP address, like 192.0.2.1")
		}
	}
	if l.Address != "" {
		host, _, err := net.SplitHostPort(l.Address)
		if err != nil {
			wrong("address", "write host and port, like 127.0.0.1:29381")
		} else if !isLoopback(host) && l.TLSCert == "" && l.TrustedProxy == "" {
			wrong("address", "other machines can reach this; set tls_cert and tls_key, or trusted_proxy if a proxy in front does TLS")
		}
	}
	return errors.Join(errs...)
}

// listen opens the listener and serves it until closeListener.
func (p *Provider) listen(ctx context.Context) error {
	l := p.env.Listen
	if l.Address == "" {
		p.log.Warn().Msg("The provider does not listen: the key set must be served from elsewhere (network.listen.provider.address)")
		return nil
	}
	var config *tls.Config
	if l.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(l.TLSCert, l.TLSKey)
		if err != nil {
			return fmt.Errorf("failed to read the provider's certificate: %w", err)
		}
		config = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.Address)
	if err != nil {
		return fmt.Errorf("failed to listen for the network's requests: %w", err)
	}
	listener = netutil.LimitListener(listener, maxConnections)
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	p.server = &http.Server{
		Handler:           http.MaxBytesHandler(p.web, maxBody),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	}
	server, address := p.server, listener.Addr().String()
	p.address.Store(&address)
	p.done.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.log.Err(err).Msg("The provider's listener ended")
		}
	})
	p.log.Info().Str("address", address).Msg("Listening for the network's requests")
	return nil
}

// closeListener lets running requests end for a moment, then closes all.
func (p *Provider) closeListener() {
	if p.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := p.server.Shutdown(ctx); err != nil {
		_ = p.server.Close()
	}
	p.server = nil
	p.address.Store(nil)
}

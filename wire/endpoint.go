package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
)

const dialTimeout = 30 * time.Second

// Endpoint says where the network is. The zero value is production, reached directly.
type Endpoint struct {
	// Host redirects every connection to one loopback address, "127.0.0.1:1234": a simulated network. It is spoken to in plain
	// TCP, or with a CA over TLS.
	Host string
	// Proxy is the URL of an http, https or socks5 proxy; environment variables are never read.
	Proxy string
	// TrustRoot is the 32-byte root key of the network's certificates; empty is the network's own.
	TrustRoot []byte
	// CA holds certificates in PEM: the authorities of a simulated network's TLS, in place of the system's.
	CA []byte
}

// Validate says what is wrong with an endpoint.
func (e Endpoint) Validate() error {
	if e.Host != "" {
		address, err := netip.ParseAddrPort(e.Host)
		if err != nil {
			return fmt.Errorf("endpoint host %q: want address:port: %w", e.Host, err)
		} else if !address.Addr().IsLoopback() {
			return fmt.Errorf("endpoint host %q: must be a loopback address, as simulated networks are", e.Host)
		} else if e.Proxy != "" {
			return fmt.Errorf("endpoint host %q: cannot be reached through a proxy", e.Host)
		}
	}
	if n := len(e.TrustRoot); n != 0 && n != 32 {
		return fmt.Errorf("endpoint trust root: want 32 bytes, got %d", n)
	}
	if len(e.CA) > 0 {
		if len(e.TrustRoot) == 0 {
			return errors.New("endpoint ca: is for simulated networks, which have a trust root of their own")
		} else if !x509.NewCertPool().AppendCertsFromPEM(e.CA) {
			return errors.New("endpoint ca: no certificate in PEM")
		}
	}
	_, err := e.proxyURL()
	return err
}

func (e Endpoint) proxyURL() (*url.URL, error) {
	if e.Proxy == "" {
		return nil, nil
	}
	proxy, err := url.Parse(e.Proxy)
	if err != nil {
		return nil, fmt.Errorf("endpoint proxy: not a URL") // the URL may hold a password
	}
	switch proxy.Scheme {
	case "http", "https", "socks5":
		return proxy, nil
	default:
		return nil, fmt.Errorf("endpoint proxy: unsupported scheme %q", proxy.Scheme)
	}
}

// HTTPClient is the one HTTP client through which everything of this endpoint goes.
func (e Endpoint) HTTPClient() (*http.Client, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSHandshakeTimeout: dialTimeout, IdleConnTimeout: time.Minute}
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(true) // a websocket starts as HTTP/1.1
	if len(e.CA) > 0 {
		authorities := x509.NewCertPool()
		authorities.AppendCertsFromPEM(e.CA)
		transport.TLSClientConfig = &tls.Config{RootCAs: authorities}
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	if e.Host != "" {
		redirect := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", e.Host)
		}
		transport.DialContext = redirect
		if len(e.CA) == 0 {
			// net/http takes what DialTLSContext returns as TLS already, so that wss and https need no certificate here.
			transport.DialTLSContext = redirect
		}
	} else {
		transport.DialContext = dialer.DialContext
		if proxy, err := e.proxyURL(); err != nil {
			return nil, err
		} else if proxy != nil {
			transport.Proxy = http.ProxyURL(proxy)
		}
	}
	return &http.Client{Transport: transport}, nil
}

// productionRoot is the network's own trust root, read before [Endpoint.Pin] can replace it.
var productionRoot = whatsmeow.WACertPubKey

// Root is the trust root of the endpoint: what tells one network, real or simulated, from another.
func (e Endpoint) Root() [32]byte {
	if len(e.TrustRoot) == len(productionRoot) {
		return [32]byte(e.TrustRoot)
	}
	return productionRoot
}

// pinned guards the library's process-wide trust root and logger, which are set here and nowhere else.
var pinned struct {
	sync.Mutex
	root *[32]byte
}

// Pin makes the endpoint's trust root the process's. A second, different one is
// refused: a process talks to the real network or to one simulated network, never to both.
func (e Endpoint) Pin() error {
	wanted := e.Root()
	pinned.Lock()
	defer pinned.Unlock()
	if pinned.root != nil {
		if *pinned.root != wanted {
			return fmt.Errorf("endpoint trust root: the process already uses another one")
		}
		return nil
	}
	quietSignalLibrary()
	pinned.root = &wanted
	whatsmeow.WACertPubKey = wanted
	return nil
}

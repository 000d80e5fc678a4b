package interop

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

const (
	dialTimeout  = 10 * time.Second
	callTimeout  = 30 * time.Second
	maxRedirects = 2
)

var (
	errRedirect  = errors.New("redirect refused")
	errNotPublic = errors.New("connection refused by us: not a public address")
)

// newHTTPClient makes the client for one service: TLS is verified, proxies from the
// environment are not used, redirects stay on the host and its scheme, and nobody can lead a
// connection into a private network. Only a service on this very machine may be reached in clear.
func newHTTPClient(base *url.URL) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: dialControl(isLoopback(base.Hostname()))}
	return &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{
			DialContext:           dialer.DialContext,
			TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:   dialTimeout,
			ResponseHeaderTimeout: callTimeout,
			ForceAttemptHTTP2:     true,
			// On a kept connection that turns out to be dead the library repeats a request by itself, with the very
			// same token, which is good once.
			DisableKeepAlives: true,
		},
		CheckRedirect: func(next *http.Request, passed []*http.Request) error {
			if len(passed) > maxRedirects {
				return fmt.Errorf("%w: too many", errRedirect)
			}
			if next.URL.Host != base.Host || next.URL.Scheme != base.Scheme {
				return fmt.Errorf("%w: it leads to another host", errRedirect)
			}
			return nil
		},
	}
}

// dialControl checks the address that a name led to, at the moment of connecting.
func dialControl(loopback bool) func(networkName, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("bad address: %w", err)
		}
		addr := target.Addr().Unmap()
		if loopback != addr.IsLoopback() || (!loopback && !isPublic(addr)) {
			return fmt.Errorf("%w: %s", errNotPublic, addr)
		}
		return nil
	}
}

func isPublic(addr netip.Addr) bool {
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return false
	}
	for _, reserved := range []netip.Prefix{
		netip.MustParsePrefix("100.64.0.0/10"), // shared by carriers
		netip.MustParsePrefix("64:ff9b::/96"),  // IPv4 translated
		netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("2002::/16"), // IPv4 inside 6to4
	} {
		if reserved.Contains(addr) {
			return false
		}
	}
	return true
}

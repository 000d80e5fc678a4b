package meta

import (
	"net"
	"net/http"
	"syscall"
	"time"
)

// loopbackClient makes an HTTP client that dials loopback only, which is checked
// after name resolution, and that follows no redirect.
func loopbackClient(timeout time.Duration) *http.Client {
	dialer := &net.Dialer{
		Timeout: timeout,
		Control: func(_, address string, _ syscall.RawConn) error { return checkLoopback(address) },
	}
	return &http.Client{
		Timeout:       timeout,
		Transport:     &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

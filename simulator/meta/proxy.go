package meta

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
)

// proxyHandler answers CONNECT: every host that the network stands for is its TLS listener, and nothing
// else can be reached, so that no request leaves the machine.
func (n *Network) proxyHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if r.Method != http.MethodConnect || err != nil {
			http.Error(w, "only CONNECT host:port", http.StatusMethodNotAllowed)
			return
		}
		ip := net.ParseIP(host)
		if !slices.Contains(servedNames(), host) && (ip == nil || !ip.IsLoopback()) {
			n.finding("foreign-host", fmt.Sprintf("the proxy was asked for %s", r.Host))
			http.Error(w, "this proxy leads to the simulated network only", http.StatusForbidden)
			return
		}
		n.tunnel(w)
	})
}

// tunnel joins a client to the TLS listener until either side ends.
func (n *Network) tunnel(w http.ResponseWriter) {
	upstream, err := net.Dial("tcp", n.tlsAddr)
	if err != nil {
		http.Error(w, "", http.StatusBadGateway)
		return
	}
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = upstream.Close()
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	stop := func() {
		_ = client.Close()
		_ = upstream.Close()
	}
	defer stop()
	if _, err = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	copyTo := func(to io.Writer, from io.Reader) {
		_, _ = io.Copy(to, from) // either side may end at any time
		done <- struct{}{}
	}
	go copyTo(upstream, buffered)
	go copyTo(client, upstream)
	select {
	case <-done:
	case <-n.ctx.Done():
	}
}

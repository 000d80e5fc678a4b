package crash

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"causeway/failpoint"
	"causeway/simulator/homeserver"
)

// Control is a way to take one of the bridge's means away, from outside or by a switch in builds with failpoints. A run with one must end in losses or doubles; if it
// does not, the run proves nothing.
type Control string

// The negative controls.
const (
	// EarlyAnswer: the homeserver is told that the bridge has its events before the bridge has seen them.
	EarlyAnswer Control = "early-answer"
	// RandomTransactions: what the bridge sends gets another transaction id each time, and loses its marker.
	RandomTransactions Control = "random-transactions"
	// MemoryQueue: what the network brings is acknowledged and waits in memory, as in bridgev2's own queues.
	MemoryQueue Control = "memory-queue"
	// RandomIDs: each try to send has an id of its own, as in bridges that make them as they send.
	RandomIDs Control = "random-ids"
	// NoGuard: whoever encrypts and whoever decrypts use one Signal session at the same time.
	NoGuard Control = "no-guard"
)

// Controls are all of them.
func Controls() []Control {
	return []Control{EarlyAnswer, RandomTransactions, MemoryQueue, RandomIDs, NoGuard}
}

// means is what the bridge itself is told to do without.
func (c Control) means() string {
	switch c {
	case MemoryQueue:
		return failpoint.Journal
	case RandomIDs:
		return failpoint.SteadyIDs
	case NoGuard:
		return failpoint.Guard
	}
	return ""
}

const (
	// queued is how many transactions may be under way after an early answer, forwardLimit how long one may take.
	queued       = 10_000
	forwardLimit = 5 * time.Second
	// markerSuffix is how the name of a marker ends in an event's content.
	markerSuffix = ".rid"
)

// between puts a server between two others for the length of the run.
func (w *world) between(handler http.Handler) (address string) {
	server := httptest.NewServer(handler)
	w.proxies = append(w.proxies, server.Close)
	return server.URL
}

// homeserverURL is where the bridge finds the homeserver.
func (w *world) homeserverURL() (string, error) {
	if w.options.Control != RandomTransactions {
		return w.hs.URL(), nil
	}
	target, err := url.Parse(w.hs.URL())
	if err != nil {
		return "", fmt.Errorf("failed to read the homeserver's address: %w", err)
	}
	proxy := quietProxy(target)
	return w.between(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/send/") {
			forgetIdentity(r)
		}
		proxy.ServeHTTP(rw, r)
	})), nil
}

// quietProxy passes requests on, and does not complain when the bridge is dead.
func quietProxy(target *url.URL) *httputil.ReverseProxy {
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	return proxy
}

// forgetIdentity gives a request to send an event another transaction id and takes the marker out of it.
func forgetIdentity(r *http.Request) {
	path := r.URL.EscapedPath()
	r.URL.RawPath = path[:strings.LastIndex(path, "/")+1] + rand.Text()
	r.URL.Path, _ = url.PathUnescape(r.URL.RawPath)
	data, _ := io.ReadAll(r.Body) // the homeserver refuses half an event
	var content map[string]any
	if json.Unmarshal(data, &content) == nil {
		for key := range content {
			if strings.HasSuffix(key, markerSuffix) {
				delete(content, key)
			}
		}
		data, _ = json.Marshal(content) // it came from JSON
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
}

// register tells the homeserver of an application service.
func (w *world) register(ctx context.Context, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("failed to read the registration: %w", err)
	}
	var registration homeserver.Registration
	if err = yaml.Unmarshal(data, &registration); err != nil {
		return fmt.Errorf("failed to read the registration: %w", err)
	}
	if w.options.Control == EarlyAnswer && registration.URL != "" {
		if registration.URL, err = w.answerEarly(ctx, registration.URL); err != nil {
			return err
		}
	}
	return w.hs.AddAppservice(registration)
}

// answerEarly stands before an application service, takes every transaction at once and passes it on once.
func (w *world) answerEarly(ctx context.Context, address string) (string, error) {
	target, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("failed to read the registration's address: %w", err)
	}
	proxy := quietProxy(target)
	waiting := make(chan func(), queued)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case forward := <-waiting:
				forward()
			}
		}
	}()
	return w.between(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/transactions/") {
			proxy.ServeHTTP(rw, r)
			return
		}
		body, _ := io.ReadAll(r.Body) // what was cut short is passed on like that
		again := r.Clone(context.WithoutCancel(r.Context()))
		again.Body = io.NopCloser(bytes.NewReader(body))
		waiting <- func() {
			limited, cancel := context.WithTimeout(again.Context(), forwardLimit)
			defer cancel()
			proxy.ServeHTTP(httptest.NewRecorder(), again.WithContext(limited))
		}
		rw.Header().Set("Content-Type", "application/json")
		_, _ = rw.Write([]byte("{}")) // a homeserver that is gone asks again
	})), nil
}

package interop

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// refused is the one answer to everything that is not served; the reason is in our log only.
const refused = `{"error":"refused"}`

// Rates that whoever reads the key set stays far below.
const (
	requestsPerMinutePerAddress = 60
	requestsPerSecond           = 200
)

// web answers the public requests: for the key set and the document that points at
// it, for hosted files, and the network's calls; and those of users for the region page.
type web struct {
	tokens TokenIssuer
	push   *pushReceiver
	// media is nil where no files are hosted.
	media *mediaHost
	// region is nil unless users confirm on a page where they are.
	region       *regionPage
	trustedProxy string
	log          zerolog.Logger
	limiter      *limiter
}

func newWeb(tokens TokenIssuer, push *pushReceiver, media *mediaHost, region *regionPage, trustedProxy string, now func() time.Time, log zerolog.Logger) *web {
	return &web{tokens: tokens, push: push, media: media, region: region, trustedProxy: trustedProxy, log: log, limiter: newLimiter(now)}
}

func (w *web) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	requestID := newID("")
	header := out.Header()
	header.Set("X-Request-Id", requestID)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Strict-Transport-Security", "max-age=31536000")
	status := w.serve(out, r)
	if status >= http.StatusBadRequest {
		header.Set("Content-Type", "application/json")
		header.Set("Cache-Control", "no-store")
		out.WriteHeader(status)
		_, _ = out.Write([]byte(refused))
		w.log.Debug().Int("status", status).Str("request_id", requestID).Msg("Refused a public request")
	}
}

// serve answers the request, or returns the status of the refusal. Files and calls have
// limits of their own, so that one kind of request does not keep the others out.
func (w *web) serve(out http.ResponseWriter, r *http.Request) int {
	address := clientAddress(r, w.trustedProxy)
	if w.media != nil {
		if blob := mediaPath(w.media.base, r.URL.Path); blob != "" {
			return w.media.serve(out, r, blob, address)
		}
	}
	if r.URL.Path == w.push.path {
		return w.push.serve(out, r, address)
	}
	if !w.limiter.allow(address) {
		out.Header().Set("Retry-After", "60")
		return http.StatusTooManyRequests
	}
	if w.region != nil && strings.HasPrefix(r.URL.Path, regionPath) {
		w.region.serve(out, r)
		return http.StatusOK
	}
	var content func() ([]byte, error)
	var contentType string
	switch r.URL.Path {
	case keySetPath:
		content, contentType = w.tokens.KeySet, "application/jwk-set+json"
	case discoveryPath:
		content, contentType = w.tokens.Discovery, "application/json"
	default:
		return http.StatusNotFound
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		out.Header().Set("Allow", "GET, HEAD")
		return http.StatusMethodNotAllowed
	}
	body, err := content()
	if err != nil {
		w.log.Err(err).Msg("Failed to answer a public request")
		return http.StatusServiceUnavailable
	}
	w.write(out, r, contentType, body)
	return http.StatusOK
}

// write sends a document with what caches need to know of it (docs/protocol.md#keyset).
func (w *web) write(out http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	header := out.Header()
	header.Set("ETag", tag)
	header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(keySetMaxAge.Seconds())))
	if matches(r.Header.Values("If-None-Match"), tag) {
		out.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = out.Write(body)
	}
}

// matches compares entity tags weakly, as RFC 9110 section 13.1.2 wants it.
func matches(values []string, tag string) bool {
	tags := strings.Split(strings.Join(values, ","), ",")
	return slices.ContainsFunc(tags, func(one string) bool {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		return one == tag || one == "*"
	})
}

// clientAddress is who asks: the peer, or whom the trusted proxy in front names last.
func clientAddress(r *http.Request, trustedProxy string) string {
	if forwarded := forwardedFor(r); forwarded != "" && fromProxy(r, trustedProxy) {
		return forwarded
	}
	return peerOf(r)
}

// forwardedFor is whom the proxy in front names last, empty if nobody.
func forwardedFor(r *http.Request) string {
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	return strings.TrimSpace(chain[len(chain)-1])
}

// fromProxy says whether the trusted proxy itself passes the request on.
func fromProxy(r *http.Request, trustedProxy string) bool {
	return trustedProxy != "" && peerOf(r) == trustedProxy
}

func peerOf(r *http.Request) string {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return peer
}

package meta

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/binary"
)

// FaultMediaHost answers a request for a file with the HTTP status of Params["status"],
// 503 without one; "truncated" breaks the answer off in the middle, "garbage" spoils a byte of it, "slow" lets the second
// half wait for two seconds.
const FaultMediaHost FaultKind = "media_host"

// mediaLife is how long the network keeps a file. assumed: U15
const mediaLife = 30 * 24 * time.Hour

// mediaHostsLife is how long clients may use the media hosts that they were told, in seconds.
const mediaHostsLife = 300

// blobs are the encrypted files that phones have put on the network's media hosts.
type blobs struct {
	mu    sync.Mutex
	files map[string][]byte
}

// PutMedia stores an encrypted file on the network's own media hosts, as phones do, and
// returns its direct path, which has a question mark because clients append parameters to it.
func (n *Network) PutMedia(file []byte) (directPath string) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	name := base64.RawURLEncoding.EncodeToString(random[:])
	n.blobs.mu.Lock()
	defer n.blobs.mu.Unlock()
	if n.blobs.files == nil {
		n.blobs.files = map[string][]byte{}
	}
	n.blobs.files[name] = file
	return "/mms/" + name + "?oe=" + strconv.FormatInt(n.now().Add(mediaLife).Unix(), 16)
}

// ForgetMedia deletes all files of the network's own media hosts, as if their time were over.
func (n *Network) ForgetMedia() {
	n.blobs.mu.Lock()
	defer n.blobs.mu.Unlock()
	n.blobs.files = nil
}

// serveBlob answers GET and HEAD of a direct path, single ranges included (docs/protocol.md#media).
func (n *Network) serveBlob(w http.ResponseWriter, r *http.Request) {
	n.transcript.note(n.now(), "media host: "+r.Method+" "+r.URL.Path)
	if n.misfortune("media-host", r.URL.Path, 0.03) && (r.Host == n.chatAddr || r.Host == n.tlsAddr) { // the other host serves it
		http.Error(w, "", http.StatusServiceUnavailable)
		return
	}
	n.blobs.mu.Lock()
	file, known := n.blobs.files[strings.TrimPrefix(r.URL.Path, "/mms/")]
	n.blobs.mu.Unlock()
	expiry, err := strconv.ParseInt(r.URL.Query().Get("oe"), 16, 64)
	switch {
	case !known || err != nil:
		http.Error(w, "", http.StatusNotFound)
		return
	case n.now().After(time.Unix(expiry, 0)):
		http.Error(w, "", http.StatusGone)
		return
	}
	if f := n.strikes(FaultMediaHost, subject{}); f != nil {
		n.serveBadly(w, file, f.Params["status"])
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
}

// serveBadly is a media host in trouble.
func (n *Network) serveBadly(w http.ResponseWriter, file []byte, how string) {
	switch how {
	case "truncated":
		w.Header().Set("Content-Length", strconv.Itoa(len(file)))
		_, _ = w.Write(file[:len(file)/2]) // the server closes the connection when it sees the lack
	case "garbage":
		spoilt := bytes.Clone(file)
		spoilt[len(spoilt)/2] ^= 0xff
		_, _ = w.Write(spoilt) // a client that has gone away is its own affair
	case "slow":
		w.Header().Set("Content-Length", strconv.Itoa(len(file)))
		_, _ = w.Write(file[:len(file)/2])
		_ = http.NewResponseController(w).Flush()
		waitFor(n.ctx, slowAnswer)
		_, _ = w.Write(file[len(file)/2:])
	default:
		http.Error(w, "", atoi(how, http.StatusServiceUnavailable))
	}
}

// hostNames are the names of the hosts that have files: the server at an address, under two names. assumed: U15
func hostNames(address string) [2]string {
	_, port, _ := strings.Cut(address, ":")
	return [2]string{address, "localhost:" + port}
}

// mediaHosts answers which hosts have files.
func (n *Network) mediaHosts() []binary.Node { return n.mediaHostsAt(n.chatAddr) }

func (n *Network) mediaHostsAt(address string) []binary.Node {
	names := hostNames(address)
	host := func(name string) binary.Node {
		return binary.Node{Tag: "host", Attrs: binary.Attrs{"hostname": name}}
	}
	return []binary.Node{{Tag: "media_conn", Attrs: binary.Attrs{
		"auth": n.mediaAuth(), "ttl": mediaHostsLife, "auth_ttl": mediaHostsLife, "max_buckets": 12,
	}, Content: []binary.Node{host(names[0]), host(names[1])}}}
}

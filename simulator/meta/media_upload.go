package meta

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// This file is the media hosts' other half: what linked devices put there and take away.

// uploadTypes are the kinds of files in the path of an upload.
func uploadTypes() []string {
	return []string{"image", "video", "audio", "ptt", "document", "sticker", "md-msg-hist", "md-app-state", "thumbnail-link", "sticker-pack", "gif", "ptv"}
}

// mediaAuth is what clients show to the media hosts.
func (n *Network) mediaAuth() string { return fmt.Sprintf("auth-%d", n.cfg.seed) }

// serveUpload stores a file whose hash is the token in the path.
func (n *Network) serveUpload(w http.ResponseWriter, r *http.Request) {
	kind, token := r.PathValue("kind"), r.PathValue("token")
	n.transcript.note(n.now(), "media host: POST "+kind)
	if n.misfortune("upload", token, 0.03) && !n.failedBefore("upload/"+token) {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	if f := n.strikes(FaultUpload, subject{}); f != nil {
		http.Error(w, "", atoi(f.Params["status"], http.StatusServiceUnavailable))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		http.Error(w, "", http.StatusRequestEntityTooLarge)
		return
	}
	sum := sha256.Sum256(body)
	switch {
	case r.URL.Query().Get("auth") != n.mediaAuth() || r.URL.Query().Get("token") != token:
		n.finding("bad-upload", "upload of a "+kind+" without the auth of media_conn, or with two tokens")
		http.Error(w, "", http.StatusUnauthorized)
		return
	case !slices.Contains(uploadTypes(), kind):
		n.finding("bad-upload", "upload of a file of type "+kind)
		http.Error(w, "", http.StatusBadRequest)
		return
	case token != base64.URLEncoding.EncodeToString(sum[:]) && token != base64.RawURLEncoding.EncodeToString(sum[:]):
		n.finding("bad-upload", "the token is not the hash of the "+kind)
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	path := n.PutMedia(body)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"url": "https://" + r.Host + path, "direct_path": path, "handle": "h" + token[:16],
		"object_id": "o" + token[:16]}) // a client that has gone away is its own affair
}

// FaultUpload answers an upload with the HTTP status of Params["status"], 503 without one.
const FaultUpload FaultKind = "media_upload"

// maxUpload is the largest file that the media hosts take.
const maxUpload = 2 << 30

// serveDelete removes a file by its hash.
func (n *Network) serveDelete(w http.ResponseWriter, r *http.Request) {
	n.transcript.note(n.now(), "media host: DELETE "+r.PathValue("kind"))
	if r.URL.Query().Get("auth") != n.mediaAuth() {
		http.Error(w, "", http.StatusUnauthorized)
		return
	}
	data, err := base64.URLEncoding.DecodeString(r.PathValue("token"))
	if err != nil || len(data) != sha256.Size {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	n.blobs.mu.Lock()
	defer n.blobs.mu.Unlock()
	for name, file := range n.blobs.files {
		if sum := sha256.Sum256(file); slices.Equal(sum[:], data) {
			delete(n.blobs.files, name)
		}
	}
	w.WriteHeader(http.StatusOK)
}

// failedBefore remembers that a thing went wrong once, so that the next try succeeds.
func (n *Network) failedBefore(what string) bool {
	n.tallyMu.Lock()
	defer n.tallyMu.Unlock()
	n.tally["failed/"+what]++
	return n.tally["failed/"+what] > 1
}

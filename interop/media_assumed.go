package interop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"causeway/database"
)

// mediaPaths is how hosted files are named to the network and asked for again (docs/protocol.md#media).
type mediaPaths interface {
	// DirectPath is what a message says of a file.
	DirectPath(m database.Media) (string, error)
	// Signed says whether the query of a request is the one that DirectPath gave out for the file.
	Signed(m database.Media, query url.Values) bool
}

// Limits of hosted files.
const (
	maxMediaObject = 100 << 20 // bytes, assumed: U15
	maxMediaUser   = 1 << 30   // bytes in all that one login may have hosted, a limit of ours
	maxMediaAll    = 20 << 30  // bytes in all that are hosted, a limit of ours
)

const (
	blobLength    = 43 // characters: 32 bytes in base64url, assumed: U15
	mediaVersion  = 1  // of what the signature covers, assumed: U15
	mediaType     = "application/octet-stream"
	mediaCaching  = "private, max-age=0" // assumed: U15
	queryExpiry   = "oe"                 // assumed: U15
	queryHash     = "oh"                 // assumed: U15
	proxySubject  = "media-proxy"        // assumed: U15
	proxyLifetime = 5 * time.Minute      // at most, assumed: U15
)

// proxyClaims is the payload of a token of the network's media proxy.
type proxyClaims struct {
	Issuer    string `json:"iss"`  // assumed: U15
	Subject   string `json:"sub"`  // assumed: U15
	Audience  string `json:"aud"`  // assumed: U15
	IssuedAt  int64  `json:"iat"`  // assumed: U15
	NotBefore int64  `json:"nbf"`  // assumed: U15
	Expires   int64  `json:"exp"`  // assumed: U15
	ID        string `json:"jti"`  // assumed: U15
	Path      string `json:"path"` // assumed: U15
}

// signedPaths signs each path with a key that only this host has.
type signedPaths struct {
	integrator int
	key        []byte
	// audience is the origin that the paths are good for.
	audience string
}

var _ mediaPaths = (*signedPaths)(nil)

// DirectPath ends with the signature, so that clients append to its query. assumed: U15
func (p *signedPaths) DirectPath(m database.Media) (string, error) {
	oe := expiryText(m.ExpiresAt)
	sum, err := p.sign(m, oe)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("/i/%d/%s?%s=%s&%s=%s", p.integrator, m.ID, queryExpiry, oe, queryHash, base64.RawURLEncoding.EncodeToString(sum)), nil
}

// Signed compares the texts in the one form that DirectPath writes; any other spelling of the same values is refused.
func (p *signedPaths) Signed(m database.Media, query url.Values) bool {
	oe, oh := query[queryExpiry], query[queryHash]
	if len(oe) != 1 || len(oh) != 1 || oe[0] != expiryText(m.ExpiresAt) {
		return false
	}
	given, err := base64.RawURLEncoding.Strict().DecodeString(oh[0])
	if err != nil || len(given) != sha256.Size || strings.ContainsAny(oh[0], "\r\n") {
		return false
	}
	want, err := p.sign(m, oe[0])
	return err == nil && hmac.Equal(given, want)
}

// sign is an HMAC over every part behind its length. assumed: U15
func (p *signedPaths) sign(m database.Media, oe string) ([]byte, error) {
	sum, err := hex.DecodeString(m.SHA256)
	if err != nil || len(sum) != sha256.Size {
		return nil, fmt.Errorf("failed to sign a path: the file has no hash")
	}
	size := binary.BigEndian.AppendUint64(nil, uint64(m.Size))
	mac := hmac.New(sha256.New, p.key)
	for _, part := range [][]byte{{mediaVersion}, []byte(m.ID), []byte(oe), size, sum, []byte(p.audience)} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write(part)
	}
	return mac.Sum(nil), nil
}

// expiryText is a time as paths have it: Unix seconds in lower-case hex. assumed: U15
func expiryText(at time.Time) string { return strconv.FormatInt(at.Unix(), 16) }

// entityTag is the file's hash. assumed: U15
func entityTag(m database.Media) string {
	sum, _ := hex.DecodeString(m.SHA256)
	return `"` + base64.RawURLEncoding.EncodeToString(sum) + `"`
}

// mediaPath is the name of the file that a request below the base address asks for, empty if it asks for none.
func mediaPath(base, requestPath string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	name, below := strings.CutPrefix(requestPath, u.Path+"/")
	if !below || !isBlobName(name) {
		return ""
	}
	return name
}

// isBlobName says whether a text has the form of a file's name. assumed: U15
func isBlobName(name string) bool {
	if len(name) != blobLength {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(name)
	return err == nil && !strings.ContainsAny(name, "\r\n")
}

// proxyPath is how a token of the proxy names a file. assumed: U15
func proxyPath(blob string) string { return "/" + blob }

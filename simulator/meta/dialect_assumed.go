package meta

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
)

// The headers of an interop connection's upgrade (docs/protocol.md#upgrade-headers). assumed: U5
const (
	headerMode     = "X-Interop-Mode"
	headerClientIP = "X-Interop-Client-IP"
	headerSince    = "X-Interop-Client-Since"

	modeClient = "client"
	modeProxy  = "proxy"
)

// clientRevision is the version of the web client that the start page names; it is ahead of every real one.
const clientRevision = 1_999_999_999

// outsideEEA stands for the rest of the world; every other public address counts as inside. assumed: U5
const outsideEEA = "198.51.100.0/24"

// checkUpgrade judges the headers of an upgrade: the status to refuse with, 0 if they are in order. assumed: U5
func checkUpgrade(header http.Header, now time.Time) int {
	switch header.Get(headerMode) {
	case "", modeClient:
		return 0
	case modeProxy:
	default:
		return http.StatusBadRequest
	}
	address, err := netip.ParseAddr(header.Get(headerClientIP))
	if err != nil || address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() || address.IsUnspecified() {
		return http.StatusBadRequest
	}
	if _, err := strconv.ParseInt(header.Get(headerSince), 10, 64); err != nil || clientSince(header).After(now.Add(clockSkew)) {
		return http.StatusBadRequest
	}
	if netip.MustParsePrefix(outsideEEA).Contains(address) {
		return http.StatusUnavailableForLegalReasons
	}
	return 0
}

// clientSince is since when the client of a connection of mode proxy is there. assumed: U5
func clientSince(header http.Header) time.Time {
	seconds, _ := strconv.ParseInt(header.Get(headerSince), 10, 64)
	return time.Unix(seconds, 0)
}

// interopLogin is what an interop client's payload says. assumed: U4
type interopLogin struct {
	product, account, token string
	readReceipts            bool
}

// readLogin reads an interop payload, and says what is wrong with it. assumed: U4
func readLogin(payload *waWa6.ClientPayload) (login interopLogin, problem string) {
	data := payload.GetInteropData()
	login = interopLogin{product: productWhatsApp, account: strconv.FormatUint(data.GetAccountID(), 10),
		token: string(data.GetToken()), readReceipts: data.GetEnableReadReceipts()}
	if payload.GetProduct() == waWa6.ClientPayload_INTEROP_MSGR {
		login.product = productMessenger
	}
	switch {
	case data == nil:
		return login, "no-interop-data"
	case payload.GetDevice() != 0:
		return login, "device-not-zero"
	case payload.Username != nil || payload.PushName != nil || payload.DevicePairingData != nil || payload.FbCat != nil:
		return login, "foreign-login-field"
	case payload.GetPassive() || !payload.GetPull():
		return login, "passive-or-no-pull"
	case payload.UserAgent == nil:
		return login, "no-user-agent"
	case !isAccount(login.account):
		return login, "bad-account-id"
	}
	return login, ""
}

// The reasons of a failed login (docs/protocol.md#outcome). assumed: U9
const (
	failMalformed    = 400
	failWithdrawn    = 401
	failSuspended    = 402
	failTokenExpired = 413
	failTokenInvalid = 414
	failNotEnlisted  = 415
	failServer       = 500

	// suspendedForRegion is the code that goes with failSuspended when a user has left the region.
	suspendedForRegion = 451
)

// failureFor is the reason that a token problem is refused with. assumed: U9
func failureFor(problem *tokenError) int {
	switch problem.Code {
	case "token_expired":
		return failTokenExpired
	case "integrator_inactive":
		return failSuspended
	default:
		return failTokenInvalid
	}
}

// The errors of an acknowledgement and of requests (docs/protocol.md#ack). assumed: U8
const (
	codeMalformed   = 400
	codeNotEnlisted = 401
	codeForbidden   = 403
	codeNotFound    = 404
	codeTooLarge    = 413
	codeTooMany     = 429
	codeRegion      = 451
	codeBadShape    = 479
	codeUnserved    = 501
)

// maxStanza is the size of a message that is still taken. assumed: U8
const maxStanza = 1 << 20

// errorText is the text that goes with a code.
func errorText(code int) string {
	switch code {
	case codeMalformed:
		return "bad-request"
	case codeNotAuthorized:
		return "not-authorized"
	case codeForbidden:
		return "forbidden"
	case codeNotFound:
		return "item-not-found"
	case codeNotAcceptable:
		return "not-acceptable"
	case codeConflict:
		return "conflict"
	case codeGone:
		return "gone"
	case codeTooMany:
		return "rate-overlimit"
	case codeUnserved:
		return "feature-not-implemented"
	default:
		return "internal-server-error"
	}
}

// messageKinds are the types of a message's stanza. assumed: U6, U18
func messageKinds(product string) []string {
	if product == productMessenger {
		return []string{"text", "media"}
	}
	return []string{"text", "media", "reaction"}
}

// encVersion is the version of a ciphertext. assumed: U18
func encVersion(product string) string {
	if product == productMessenger {
		return msgrEncVersion
	}
	return "2"
}

// toPhone is a message as a person's phone gets it. assumed: U6
func toPhone(d *device, id, kind string, at stamp, content []binary.Node) binary.Node {
	return binary.Node{Tag: "message", Attrs: binary.Attrs{
		"from": d.jid, "id": id, "type": kind, "t": at.seconds(), "sts": at.micros(), "display_name": d.enlistment.DisplayName,
	}, Content: content}
}

// toClient is a message as an interop client gets it. assumed: U6
func toClient(p *user, id, kind string, at stamp, content []binary.Node) binary.Node {
	attrs := binary.Attrs{"from": p.lid, "id": id, "type": kind, "t": at.seconds(), "sts": at.micros()}
	if !p.hidesNumber && !p.pn.IsEmpty() {
		attrs["sender_pn"] = p.pn
	}
	if p.sharesName {
		attrs["notify"] = p.name
	}
	return binary.Node{Tag: "message", Attrs: attrs, Content: content}
}

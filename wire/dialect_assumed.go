package wire

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"go.mau.fi/util/random"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"causeway/network"
)

// This file holds every shape that the network has not published: login payload,
// stanzas of a third-party account, lookup of people, and what its codes mean.

// Product is the number by which a login names the network's product.
type Product int32

// The products that third-party accounts have (docs/protocol.md#login).
const (
	ProductWhatsApp  = Product(waWa6.ClientPayload_INTEROP)      // assumed: U4
	ProductMessenger = Product(waWa6.ClientPayload_INTEROP_MSGR) // assumed: U18
)

// refusedContent is the code that refuses a message outside the schema.
const refusedContent = 491 // assumed: U8

// loginPayload is what the end of the handshake carries (docs/protocol.md#login).
func loginPayload(account uint64, product Product, token string, readReceipts bool) *waWa6.ClientPayload {
	return &waWa6.ClientPayload{
		Passive:     proto.Bool(false), // assumed: U4
		Pull:        proto.Bool(true),  // assumed: U4
		Device:      proto.Uint32(0),   // assumed: U4
		UserAgent:   proto.CloneOf(store.BaseClientPayload.UserAgent),
		ConnectType: store.BaseClientPayload.ConnectType,
		Product:     waWa6.ClientPayload_Product(product).Enum(),
		InteropData: &waWa6.ClientPayload_InteropData{
			AccountID:          proto.Uint64(account),
			Token:              []byte(token),            // assumed: U2
			EnableReadReceipts: proto.Bool(readReceipts), // assumed: U6
		},
	}
}

// Behalf is the client that a connection stands in for: its address, and since when it is there.
type Behalf struct {
	Address netip.Addr
	Since   time.Time
}

// upgradeHeaders are the headers of the websocket's request (docs/protocol.md#upgrade-headers); behalf is nil if the connection
// stands in for nobody.
func upgradeHeaders(behalf *Behalf) http.Header {
	headers := make(http.Header)
	if behalf == nil {
		headers.Set("X-Interop-Mode", "client") // assumed: U5
		return headers
	}
	headers.Set("X-Interop-Mode", "proxy")                                            // assumed: U5
	headers.Set("X-Interop-Client-IP", behalf.Address.String())                       // assumed: U5
	headers.Set("X-Interop-Client-Since", strconv.FormatInt(behalf.Since.Unix(), 10)) // assumed: U5
	return headers
}

// messageStanza is a message of ours: one flat envelope, and beside it the franking
// tag where there is one (docs/protocol.md#messages, docs/protocol.md#messenger).
func messageStanza(out Outgoing, envelope waBinary.Node, tag []byte) waBinary.Node {
	content := []waBinary.Node{envelope}
	if tag != nil { // assumed: U18
		content = append(content, waBinary.Node{Tag: "franking", Content: []waBinary.Node{
			{Tag: "franking_tag", Content: tag},
		}}, waBinary.Node{Tag: "trace", Content: []waBinary.Node{
			{Tag: "request_id", Content: random.Bytes(traceSize)},
		}})
	}
	return waBinary.Node{
		Tag:     "message",
		Attrs:   waBinary.Attrs{"id": out.ID, "to": out.To, "type": out.Type}, // assumed: U6
		Content: content,
	}
}

// traceSize is the length of the random id that a message is traced by.
const traceSize = 16 // assumed: U18

// frankingTag is the tag beside a message, nil if there is none.
func frankingTag(node *waBinary.Node) []byte {
	child, _ := node.GetOptionalChildByTag("franking", "franking_tag") // assumed: U18
	tag, _ := child.Content.([]byte)
	return tag
}

// The versions of envelopes: in 2 padding follows the plaintext, in 3 it is part of it.
const (
	versionPadded = 2
	versionFilled = 3 // assumed: U18
)

// receiptUnseen is the type of a receipt that ends a message for the server and that phones do not show.
const receiptUnseen = "inactive" // assumed: U6

// receiptStanza confirms messages: delivered, or read at a time. A stamp is echoed
// where it is known (docs/protocol.md#receipts).
func receiptStanza(to types.JID, ids []string, readAt time.Time, stamp string) waBinary.Node {
	attrs := waBinary.Attrs{"id": ids[0], "to": to}
	if !readAt.IsZero() {
		attrs["type"] = "read"     // assumed: U6
		attrs["t"] = readAt.Unix() // assumed: U6
	}
	if stamp != "" {
		attrs["sts"] = stamp // assumed: U6
	}
	node := waBinary.Node{Tag: "receipt", Attrs: attrs}
	if len(ids) > 1 {
		items := make([]waBinary.Node, len(ids)-1)
		for i, id := range ids[1:] {
			items[i] = waBinary.Node{Tag: "item", Attrs: waBinary.Attrs{"id": id}}
		}
		node.Content = []waBinary.Node{{Tag: "list", Content: items}}
	}
	return node
}

// stampOf is the stanza time that receipts echo.
func stampOf(node *waBinary.Node) string {
	return node.AttrGetter().OptionalString("sts") // assumed: U6
}

// typingStanza tells that typing began or ended.
func typingStanza(to types.JID, typing bool) waBinary.Node {
	state := "paused"
	if typing {
		state = "composing"
	}
	return waBinary.Node{ // assumed: U6
		Tag: "chatstate", Attrs: waBinary.Attrs{"to": to}, Content: []waBinary.Node{{Tag: state}},
	}
}

// bundleRequest asks for one person's prekeys.
func bundleRequest(user types.JID) waBinary.Node {
	return waBinary.Node{Tag: "key", Content: []waBinary.Node{{Tag: "user", Attrs: waBinary.Attrs{"jid": user}}}}
}

const lookupNamespace = "w:interop" // assumed: U7

// LookupKey is what somebody is looked up by.
type LookupKey string

// What a network knows people by (docs/protocol.md#lookup).
const (
	// ByPhone is WhatsApp's: E.164 with its plus sign.
	ByPhone LookupKey = "phone" // assumed: U7
	// ByAccount and ByUsername are Messenger's: digits, and a name in lower case.
	ByAccount  LookupKey = "fbid"     // assumed: U18
	ByUsername LookupKey = "username" // assumed: U18
)

// lookupRequest asks who one person is.
func lookupRequest(key LookupKey, value string) waBinary.Node {
	return waBinary.Node{ // assumed: U7
		Tag: "wa_users", Content: []waBinary.Node{{Tag: "user", Attrs: waBinary.Attrs{string(key): value}}},
	}
}

// lookupAnswer reads the answer for the one person who was asked for.
func lookupAnswer(node *waBinary.Node, key LookupKey, value string) (Found, error) {
	list := node.GetChildByTag("wa_users") // assumed: U7
	for _, user := range list.GetChildrenByTag("user") {
		attrs := user.AttrGetter()
		if attrs.OptionalString(string(key)) != value {
			continue
		}
		if failure, ok := user.GetOptionalChildByTag("error"); ok {
			return Found{}, codeError(failure.AttrGetter().OptionalInt("code"), lookupCodes())
		}
		found := Found{JID: attrs.JID("jid"), Name: attrs.OptionalString("name")}
		if err := attrs.Error(); err != nil {
			return Found{}, fmt.Errorf("%w: malformed answer to a lookup: %w", network.ErrTemporary, err)
		}
		return found, nil
	}
	return Found{}, fmt.Errorf("%w: the answer lacks the person who was asked for", network.ErrTemporary)
}

const mediaNamespace = "w:m" // assumed: U15

// mediaHostsRequest asks for the hosts that have files.
func mediaHostsRequest() waBinary.Node { return waBinary.Node{Tag: "media_conn"} } // assumed: U15

// mediaHostsAnswer reads the names of the hosts, in the order to ask them, and how long they hold (docs/protocol.md#media).
func mediaHostsAnswer(node *waBinary.Node) (names []string, life time.Duration, err error) {
	list := node.GetChildByTag("media_conn") // assumed: U15
	for _, host := range list.GetChildrenByTag("host") {
		if name := host.AttrGetter().OptionalString("hostname"); name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, 0, fmt.Errorf("%w: the network names no media host", network.ErrTemporary)
	}
	return names, time.Duration(list.AttrGetter().OptionalInt("ttl")) * time.Second, nil
}

// Limit is the size in bytes of the largest encrypted file of a class.
func (t MediaType) Limit() int64 { // assumed: U15
	if t == MediaImage {
		return 16 << 20
	}
	return 100 << 20
}

// codes tells what the network's numbers mean in one place where they occur.
type codes map[int]error

// ackCodes are the error codes of a message's acknowledgement (docs/protocol.md#ack).
func ackCodes() codes { // assumed: U8
	return codes{
		400: network.ErrRejected, 401: network.ErrSuspended, 403: network.ErrNotOptedIn, 404: network.ErrUnknownPerson,
		413: network.ErrTooLarge, 429: network.ErrRateLimited, 451: network.ErrRegion, 479: network.ErrRejected,
		500: network.ErrTemporary, 503: network.ErrTemporary,
	}
}

// lookupCodes are the error codes of a lookup (docs/protocol.md#lookup).
func lookupCodes() codes { // assumed: U7
	return codes{
		400: network.ErrBadIdentifier, 403: network.ErrNotOptedIn, 404: network.ErrUnknownPerson,
		429: network.ErrRateLimited, 451: network.ErrRegion, 500: network.ErrTemporary, 503: network.ErrTemporary,
	}
}

// bundleCodes are the error codes of a request for prekeys.
func bundleCodes() codes { // assumed: U8
	return codes{
		403: network.ErrNotOptedIn, 404: network.ErrUnknownPerson, 406: network.ErrNoEncryption,
		429: network.ErrRateLimited, 500: network.ErrTemporary, 503: network.ErrTemporary,
	}
}

// codeError is the sentinel for a code; an unknown one counts as a refusal.
func codeError(code int, known codes) error {
	sentinel, ok := known[code]
	if !ok {
		sentinel = network.ErrRejected
	}
	return fmt.Errorf("%w (code %d)", sentinel, code)
}

// loginFailure says what a failed login means (docs/protocol.md#outcome).
func loginFailure(node *waBinary.Node) error {
	attrs := node.AttrGetter()
	reason, code := attrs.OptionalInt("reason"), attrs.OptionalInt("code")
	sentinel, ok := codes{ // assumed: U9
		401: network.ErrWithdrawn, 402: network.ErrSuspended, 403: network.ErrSuspended, 405: network.ErrOutdated,
		406: network.ErrSuspended, 413: network.ErrTokenExpired, 414: network.ErrTokenRefused, 415: network.ErrNotEnlisted,
		500: network.ErrTemporary, 503: network.ErrTemporary,
	}[reason]
	if !ok {
		sentinel = network.ErrRejected
	}
	if reason == 402 && code == 451 { // assumed: U9
		sentinel = network.ErrRegion
	}
	return fmt.Errorf("%w (login failure %d)", sentinel, reason)
}

// streamFailure says what the end of a stream means (docs/protocol.md#outcome).
func streamFailure(node *waBinary.Node) error {
	conflict := node.GetChildByTag("conflict")
	kind := conflict.AttrGetter().OptionalString("type")
	code, _ := strconv.Atoi(node.AttrGetter().OptionalString("code"))
	sentinel := network.ErrTemporary
	switch {
	case kind == "replaced":
		sentinel = network.ErrReplaced
	case kind == "device_removed", code == 401:
		sentinel = network.ErrWithdrawn
	case code == 413: // assumed: U9
		sentinel = network.ErrTokenExpired
	case code == 414: // assumed: U9
		sentinel = network.ErrTokenRefused
	}
	return fmt.Errorf("%w (stream ended with code %d)", sentinel, code)
}

// upgradeFailure says what an HTTP answer to the websocket's request means; nil if it says nothing.
func upgradeFailure(status int) error {
	switch status { // assumed: U5
	case 400:
		return fmt.Errorf("%w (HTTP status %d)", network.ErrRejected, status)
	case 451:
		return fmt.Errorf("%w (HTTP status %d)", network.ErrRegion, status)
	}
	return nil
}

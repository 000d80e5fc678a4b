package wire

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"

	"causeway/network"
)

func TestLoginFailures(t *testing.T) {
	for _, test := range []struct {
		attrs waBinary.Attrs
		want  error
		retry retry
	}{
		{waBinary.Attrs{"reason": 401}, network.ErrWithdrawn, retryNever},
		{waBinary.Attrs{"reason": 402, "code": 101}, network.ErrSuspended, retryNever},
		{waBinary.Attrs{"reason": 402, "code": 451}, network.ErrRegion, retryNever},
		{waBinary.Attrs{"reason": 403}, network.ErrSuspended, retryNever},
		{waBinary.Attrs{"reason": 405}, network.ErrOutdated, retryNever},
		{waBinary.Attrs{"reason": 406}, network.ErrSuspended, retryNever},
		{waBinary.Attrs{"reason": 413}, network.ErrTokenExpired, retryFresh},
		{waBinary.Attrs{"reason": 414}, network.ErrTokenRefused, retryOnce},
		{waBinary.Attrs{"reason": 415}, network.ErrNotEnlisted, retryNever},
		{waBinary.Attrs{"reason": 500}, network.ErrTemporary, retryLater},
		{waBinary.Attrs{"reason": 503}, network.ErrTemporary, retryLater},
		{waBinary.Attrs{"reason": 400}, network.ErrRejected, retryNever},
		{waBinary.Attrs{}, network.ErrRejected, retryNever},
	} {
		err := loginFailure(&waBinary.Node{Tag: "failure", Attrs: textual(test.attrs)})
		require.ErrorIs(t, err, test.want, "%v", test.attrs)
		require.Equal(t, test.retry, afterEnd(err), "%v", test.attrs)
	}
}

// textual spells numbers as they come from the wire.
func textual(attrs waBinary.Attrs) waBinary.Attrs {
	out := make(waBinary.Attrs)
	for key, value := range attrs {
		out[key] = fmt.Sprint(value)
	}
	return out
}

func TestStreamFailures(t *testing.T) {
	conflict := func(kind string) []waBinary.Node {
		return []waBinary.Node{{Tag: "conflict", Attrs: waBinary.Attrs{"type": kind}}}
	}
	for _, test := range []struct {
		code    string
		content []waBinary.Node
		want    error
		retry   retry
	}{
		{"515", nil, network.ErrTemporary, retryLater},
		{"503", nil, network.ErrTemporary, retryLater},
		{"", conflict("replaced"), network.ErrReplaced, retryNever},
		{"401", conflict("device_removed"), network.ErrWithdrawn, retryNever},
		{"413", nil, network.ErrTokenExpired, retryFresh},
		{"414", nil, network.ErrTokenRefused, retryOnce},
		{"", nil, network.ErrTemporary, retryLater},
	} {
		node := &waBinary.Node{Tag: "stream:error", Attrs: waBinary.Attrs{}, Content: test.content}
		if test.code != "" {
			node.Attrs["code"] = test.code
		}
		err := streamFailure(node)
		require.ErrorIs(t, err, test.want, "%s", node)
		require.Equal(t, test.retry, afterEnd(err), "%s", node)
	}
	require.Equal(t, retryLater, afterEnd(errors.New("anything else")))
}

func TestAckCodes(t *testing.T) {
	for code, want := range map[int]error{
		400: network.ErrRejected, 401: network.ErrSuspended, 403: network.ErrNotOptedIn, 404: network.ErrUnknownPerson,
		413: network.ErrTooLarge, 429: network.ErrRateLimited, 451: network.ErrRegion, 479: network.ErrRejected,
		500: network.ErrTemporary, 503: network.ErrTemporary, 999: network.ErrRejected,
	} {
		require.ErrorIs(t, codeError(code, ackCodes()), want, "%d", code)
	}
}

func TestLookupAnswer(t *testing.T) {
	lid := types.NewJID("90000000000001", types.HiddenUserServer)
	user := func(attrs waBinary.Attrs, content ...waBinary.Node) *waBinary.Node {
		node := waBinary.Node{Tag: "user", Attrs: attrs, Content: content}
		return &waBinary.Node{Tag: "iq", Content: []waBinary.Node{{Tag: "wa_users", Content: []waBinary.Node{node}}}}
	}
	found, err := lookupAnswer(user(waBinary.Attrs{"phone": "+49151", "jid": lid}), ByPhone, "+49151")
	require.NoError(t, err)
	require.Equal(t, Found{JID: lid}, found)
	for code, want := range map[string]error{
		"400": network.ErrBadIdentifier, "403": network.ErrNotOptedIn, "404": network.ErrUnknownPerson, "500": network.ErrTemporary,
	} {
		failure := waBinary.Node{Tag: "error", Attrs: waBinary.Attrs{"code": code}}
		_, err = lookupAnswer(user(waBinary.Attrs{"phone": "+49151"}, failure), ByPhone, "+49151")
		require.ErrorIs(t, err, want, code)
	}
	_, err = lookupAnswer(user(waBinary.Attrs{"phone": "+49152", "jid": lid}), ByPhone, "+49151")
	require.ErrorIs(t, err, network.ErrTemporary, "the answer is for another number")
	_, err = lookupAnswer(user(waBinary.Attrs{"phone": "+49151"}), ByPhone, "+49151")
	require.ErrorIs(t, err, network.ErrTemporary, "no address")
	_, err = lookupAnswer(&waBinary.Node{Tag: "iq"}, ByPhone, "+49151")
	require.ErrorIs(t, err, network.ErrTemporary)
}

func TestReceiptStanza(t *testing.T) {
	to := types.NewJID("9", types.HiddenUserServer)
	delivered := receiptStanza(to, []string{"A"}, time.Time{}, "17")
	require.Equal(t, waBinary.Node{Tag: "receipt", Attrs: waBinary.Attrs{"id": "A", "to": to, "sts": "17"}}, delivered)
	read := receiptStanza(to, []string{"A", "B"}, time.Unix(5, 0), "")
	require.Equal(t, waBinary.Attrs{"id": "A", "to": to, "type": "read", "t": int64(5)}, read.Attrs)
	list := read.GetChildByTag("list")
	require.Equal(t, []waBinary.Node{{Tag: "item", Attrs: waBinary.Attrs{"id": "B"}}}, list.GetChildren())
}

func TestUpgradeHeaders(t *testing.T) {
	require.Equal(t, http.Header{"X-Interop-Mode": {"client"}}, upgradeHeaders(nil))
	behalf := Behalf{Address: netip.MustParseAddr("203.0.113.7"), Since: time.Unix(1_790_000_000, 5)}
	require.Equal(t, http.Header{
		"X-Interop-Mode": {"proxy"}, "X-Interop-Client-Ip": {"203.0.113.7"}, "X-Interop-Client-Since": {"1790000000"},
	}, upgradeHeaders(&behalf))
}

func TestUpgradeFailures(t *testing.T) {
	require.ErrorIs(t, upgradeFailure(400), network.ErrRejected)
	require.ErrorIs(t, upgradeFailure(451), network.ErrRegion)
	require.NoError(t, upgradeFailure(503))
}

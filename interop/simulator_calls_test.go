package interop_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/interop"
	"causeway/network"
	"causeway/simulator/meta"
	"causeway/wire"
)

const patience = 10 * time.Second

// enlist makes a user known to the network.
func enlist(t *testing.T, provider *interop.Provider, user string) interop.Enlistment {
	t.Helper()
	consent, err := provider.Consent(t.Context(), user, network.WhatsApp, "DE")
	require.NoError(t, err)
	keys, err := wire.GenerateKeys()
	require.NoError(t, err)
	enlistment, err := provider.Enlist(t.Context(), interop.Applicant{User: user, Network: network.WhatsApp, DisplayName: "Anna",
		Keys: interop.PublicKeys(keys.Public()), ConsentID: consent.ID,
		Sign: func(message []byte) ([64]byte, error) { return keys.Sign(message), nil }})
	require.NoError(t, err)
	return enlistment
}

// asPhone asks the network's media host for a file, as a phone does.
func asPhone(t *testing.T, net *meta.Network, method, directPath string, header http.Header) (*http.Response, []byte) {
	t.Helper()
	address := "http://" + net.ChatAddr() + directPath + "&hash=x&mms-type=image&__wa-mms="
	request, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	require.NoError(t, err)
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	require.NoError(t, err)
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response, content
}

// A file that we host reaches a phone through the network's own proxy, and nobody by any other way.
func TestPhonesFetchHostedFiles(t *testing.T) {
	net := meta.Start(t, meta.Profile(meta.Timing))
	provider, _ := startProvider(t, net)
	anna := enlist(t, provider, "@anna:example.eu")
	want := make([]byte, 300_000)
	_, err := rand.Read(want)
	require.NoError(t, err)
	directPath, err := provider.Host(t.Context(), anna.Address, bytes.NewReader(want), int64(len(want)), sha256.Sum256(want))
	require.NoError(t, err)

	response, got := asPhone(t, net, http.MethodGet, directPath, nil)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.True(t, bytes.Equal(want, got))
	response, got = asPhone(t, net, http.MethodGet, directPath, http.Header{"Range": {"bytes=1000-1999"}})
	require.Equal(t, http.StatusPartialContent, response.StatusCode)
	require.Equal(t, want[1000:2000], got)
	require.Equal(t, "bytes 1000-1999/300000", response.Header.Get("Content-Range"))
	response, got = asPhone(t, net, http.MethodHead, directPath, nil)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.EqualValues(t, len(want), response.ContentLength)
	require.Empty(t, got)
	response, _ = asPhone(t, net, http.MethodGet, directPath, http.Header{"Range": {"bytes=0-1,3-4"}})
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, response.StatusCode)
	response, _ = asPhone(t, net, http.MethodGet, directPath[:len(directPath)-1]+"~", nil)
	require.Equal(t, http.StatusNotFound, response.StatusCode)

	for how, status := range map[string]int{"missing": 401, "expired": 401, "audience": 401, "foreign": 401, "other_path": 403} {
		net.Fault(meta.Fault{Kind: meta.FaultMediaProxy, Params: map[string]string{"token": how}})
		response, _ = asPhone(t, net, http.MethodGet, directPath, nil)
		require.Equal(t, status, response.StatusCode, how)
	}
	require.NoError(t, provider.Withdraw(t.Context(), anna.Address, interop.ReasonUser))
	response, _ = asPhone(t, net, http.MethodGet, directPath, nil)
	require.Equal(t, http.StatusNotFound, response.StatusCode, "gone with the consent")

	fetches := net.MediaFetches()
	require.Len(t, fetches, 11)
	require.EqualValues(t, len(want), fetches[0].Bytes)
	require.Equal(t, "bytes=1000-1999", fetches[1].Range)
}

// A call of the network wakes the login that a message waits for; calls that anybody could have made do not.
func TestWaitingMessagesWake(t *testing.T) {
	net := meta.Start(t, meta.Profile(meta.Timing), meta.PushDelays(20*time.Millisecond), meta.PushRetry(10*time.Millisecond))
	woken := make(chan network.Address, 100)
	provider, db := startProvider(t, net, func(_ *interop.Config, env *interop.Environment) {
		env.Calls.OnWake = func(login network.Address, _ int) { woken <- login }
	})
	anna := enlist(t, provider, "@anna:example.eu")
	for _, how := range []string{"signature", "timestamp", "replay", "unknown_account"} {
		fault := net.Fault(meta.Fault{Kind: meta.FaultPush, Params: map[string]string{"how": how}})
		before := len(net.Pushes())
		require.NoError(t, net.Push(anna.Address.User, "message_waiting", map[string]any{"count": 3}))
		select {
		case login := <-woken:
			require.Equal(t, anna.Address, login, how)
		case <-time.After(patience):
			t.Fatal("nobody was woken", how)
		}
		want := map[string][]int{"signature": {401, 200}, "timestamp": {401, 200}, "replay": {200, 200}, "unknown_account": {200}}[how]
		require.Eventually(t, func() bool { return len(net.Pushes()) == before+len(want) }, patience, time.Millisecond, how)
		var got []int
		for _, attempt := range net.Pushes()[before:] {
			got = append(got, attempt.Status)
			require.Equal(t, attempt.Fault == "unknown_account", len(attempt.Rejected) == 1, "%+v", attempt)
		}
		require.Equal(t, want, got, how)
		require.Equal(t, 1, fault.Struck())
	}
	require.Eventually(t, func() bool {
		events, err := db.PushEvents(t.Context(), 1)
		return err == nil && len(events) == 0
	}, patience, time.Millisecond)
	require.Empty(t, woken, "a call that came twice woke once")
}

// What the network does to an enlistment it says by a call.
func TestNetworkSuspendsAndEnds(t *testing.T) {
	net := meta.Start(t, meta.Profile(meta.Calm), meta.PushRetry(10*time.Millisecond))
	told := make(chan string, 100)
	provider, _ := startProvider(t, net, func(_ *interop.Config, env *interop.Environment) {
		env.Calls.OnSuspended = func(login network.Address, reason string, until time.Time) {
			told <- fmt.Sprint("suspended ", login, " ", reason, " ", until.Unix())
		}
		env.Calls.OnWithdrawn = func(login network.Address, reason string) { told <- fmt.Sprint("withdrawn ", login, " ", reason) }
	})
	anna := enlist(t, provider, "@anna:example.eu")
	hears := func() string {
		select {
		case text := <-told:
			return text
		case <-time.After(patience):
			return "nothing"
		}
	}
	require.NoError(t, net.SetEnlistment(anna.Address.User, "suspended"))
	require.NoError(t, net.Push(anna.Address.User, "enlistment_suspended", map[string]any{"reason": "abuse", "until": 1900000000}))
	require.Equal(t, "suspended "+anna.Address.String()+" abuse 1900000000", hears())
	_, err := provider.ConnectToken(t.Context(), anna.Address, [32]byte{})
	require.ErrorIs(t, err, network.ErrSuspended)

	require.NoError(t, net.SetEnlistment(anna.Address.User, "withdrawn"))
	require.NoError(t, net.Push(anna.Address.User, "enlistment_withdrawn", map[string]any{"reason": "region"}))
	require.Equal(t, "withdrawn "+anna.Address.String()+" region", hears())
	_, err = provider.ConnectToken(t.Context(), anna.Address, [32]byte{})
	require.ErrorIs(t, err, network.ErrWithdrawn)
}

package interop

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

const (
	proxyIP    = "192.0.2.1"
	clientIP   = "203.0.113.7"
	testHeader = "X-Country"
)

// withPage has users confirm where they are.
func withPage(c *Config) { c.Region = RegionConfig{Check: RegionHeader, Header: testHeader} }

// regionWorld is a provider whose users are heard by the region page; heard is what the bridge is told.
type regionWorld struct {
	*world
	heard chan string
}

func newRegionWorld(t *testing.T, changes ...func(*Config)) *regionWorld {
	t.Helper()
	c := newClock()
	w := &regionWorld{world: &world{clock: c, registry: newRegistry(t, c.now), db: openDatabase(t), dir: t.TempDir(), trustedProxy: proxyIP}, heard: make(chan string, 10)}
	w.calls = Calls{
		OnRegionDue: func(login network.Address, until time.Time) {
			w.heard <- "due within " + until.Sub(c.now()).String()
		},
		OnRegionLost:      func(_ network.Address, err error) { w.heard <- "lost: " + err.Error() },
		OnRegionConfirmed: func(network.Address) { w.heard <- "confirmed" },
	}
	w.words = RegionWords{
		Title: "title", Ask: "ask {user} {network}", Kept: "kept", Button: "button", Inside: "inside {network}", Outside: "outside",
		Unknown: "unknown", NoAddress: "no address", Gone: "gone", Untrusted: "untrusted",
	}
	w.startSettled(t, append([]func(*Config){withPage}, changes...)...)
	return w
}

// visit asks for the page of a link, from a peer and with the headers of its proxy.
func (w *regionWorld) visit(method, link, peer, country string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, link, nil)
	request.RemoteAddr = peer + ":4711"
	request.Header.Set("X-Forwarded-For", clientIP)
	if country != "" {
		request.Header.Set(testHeader, country)
	}
	recorder := httptest.NewRecorder()
	w.Handler().ServeHTTP(recorder, request)
	return recorder
}

func (w *regionWorld) hears(t *testing.T) string {
	t.Helper()
	select {
	case what := <-w.heard:
		return what
	default:
		return ""
	}
}

func TestRegionPageDecidesOnce(t *testing.T) {
	w := newRegionWorld(t)
	consent := w.agree(t, annaID)
	_, err := w.Enlist(t.Context(), Applicant{User: annaID, Network: wa, Keys: testKeys(1), Sign: sign, ConsentID: consent.ID})
	require.ErrorIs(t, err, ErrUnconfirmed, "a statement alone is not enough")

	link, inside := w.RegionLink(consent)
	require.True(t, strings.HasPrefix(link, "https://bridge.example.eu/interop/region/"))
	require.GreaterOrEqual(t, len(link[strings.LastIndex(link, "/")+1:])*6, 128, "nobody guesses it")

	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodGet} { // previews of the link
		answer := w.visit(method, link, proxyIP, "DE")
		require.Equal(t, 200, answer.Code)
		require.Equal(t, method == http.MethodGet, strings.Contains(answer.Body.String(), "ask "+annaID+" WhatsApp"))
	}
	require.Empty(t, inside, "to look decides nothing")

	answer := w.visit(http.MethodPost, link, proxyIP, "DE")
	require.Equal(t, 200, answer.Code)
	require.Contains(t, answer.Body.String(), "inside WhatsApp")
	require.True(t, <-inside)
	row, err := w.db.Consent(t.Context(), consent.ID)
	require.NoError(t, err)
	require.True(t, row.RegionInside)
	require.Equal(t, w.clock.now(), row.RegionAt)

	for _, method := range []string{http.MethodGet, http.MethodPost} {
		answer = w.visit(method, link, proxyIP, "US")
		require.Equal(t, 404, answer.Code, "a link is good once")
		require.Contains(t, answer.Body.String(), "gone")
	}
	_, err = w.Enlist(t.Context(), Applicant{User: annaID, Network: wa, Keys: testKeys(1), Sign: sign, ConsentID: consent.ID})
	require.NoError(t, err)
}

func TestRegionPageRefuses(t *testing.T) {
	w := newRegionWorld(t)
	consent := w.agree(t, annaID)
	link, inside := w.RegionLink(consent)
	for name, c := range map[string]struct {
		peer, country string
		status        int
		text          string
	}{
		"not the proxy":    {"192.0.2.2", "DE", 403, "untrusted"},
		"the machine":      {"127.0.0.1", "DE", 403, "untrusted"},
		"no country":       {proxyIP, "", 422, "unknown"},
		"Tor":              {proxyIP, "T1", 422, "unknown"},
		"unknown":          {proxyIP, "XX", 422, "unknown"},
		"a name":           {proxyIP, "Germany", 422, "unknown"},
		"two in one value": {proxyIP, "DE, US", 422, "unknown"},
	} {
		answer := w.visit(http.MethodPost, link, c.peer, c.country)
		require.Equal(t, c.status, answer.Code, name)
		require.Contains(t, answer.Body.String(), c.text, name)
		require.Empty(t, inside, name)
	}
	require.Equal(t, 403, w.visit(http.MethodGet, link, "192.0.2.2", "DE").Code)
	require.Equal(t, 405, w.visit(http.MethodPut, link, proxyIP, "DE").Code)
	require.Equal(t, 404, w.visit(http.MethodPost, link+"x", proxyIP, "DE").Code)
	require.Equal(t, 404, w.visit(http.MethodPost, "https://bridge.example.eu/interop/region/", proxyIP, "DE").Code)

	w.clock.advance(time.Second)
	second, inside2 := w.RegionLink(consent)
	require.Equal(t, 200, w.visit(http.MethodGet, link, proxyIP, "DE").Code, "a user may have two on the way")
	w.clock.advance(time.Second)
	w.RegionLink(consent)
	w.RegionLink(consent)
	require.Equal(t, 404, w.visit(http.MethodPost, link, proxyIP, "DE").Code, "but not any number")
	w.clock.advance(RegionLinkLife)
	require.Equal(t, 404, w.visit(http.MethodPost, second, proxyIP, "DE").Code, "its time is over")
	require.Empty(t, inside)
	require.Empty(t, inside2)

	// none of this was a reason not to be asked properly
	other, _ := w.RegionLink(consent)
	link, inside = w.RegionLink(consent)
	require.Equal(t, 200, w.visit(http.MethodPost, link, proxyIP, "US").Code)
	require.False(t, <-inside)
	require.Equal(t, 404, w.visit(http.MethodPost, other, proxyIP, "DE").Code, "one decision ends all links")
	_, err := w.Enlist(t.Context(), Applicant{User: annaID, Network: wa, Keys: testKeys(1), Sign: sign, ConsentID: consent.ID})
	require.ErrorIs(t, err, network.ErrRegion)
}

func TestRegionPageIsNoWayIn(t *testing.T) {
	w := newRegionWorld(t)
	consent, err := w.Consent(t.Context(), `@<b>"anna&:example.eu`, wa, "DE")
	require.NoError(t, err)
	link, _ := w.RegionLink(consent)
	answer := w.visit(http.MethodGet, link, proxyIP, "DE")
	require.NotContains(t, answer.Body.String(), "<b>")
	header := answer.Header()
	require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
	require.NotContains(t, header.Get("Content-Security-Policy"), "unsafe")
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	require.Equal(t, "no-referrer", header.Get("Referrer-Policy"), "the link is a secret")
	require.Empty(t, header.Values("Set-Cookie"))
	_, style, _ := strings.Cut(answer.Body.String(), "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	require.Contains(t, header.Get("Content-Security-Policy"), "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	require.NotContains(t, answer.Body.String(), "<script")

	plain := newWorld(t)
	recorder := httptest.NewRecorder()
	plain.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, link, nil))
	require.Equal(t, 404, recorder.Code, "without the check there is no page")
	for range requestsPerMinutePerAddress {
		w.visit(http.MethodPost, link+"x", "192.0.2.2", "DE")
	}
	require.Equal(t, 429, w.visit(http.MethodGet, link, "192.0.2.2", "DE").Code, "guessing is slow")
}

// enlistedByPage is a user who has confirmed and is enlisted.
func (w *regionWorld) enlistedByPage(t *testing.T) Enlistment {
	t.Helper()
	consent := w.agree(t, annaID)
	link, _ := w.RegionLink(consent)
	require.Equal(t, 200, w.visit(http.MethodPost, link, proxyIP, "DE").Code)
	enlistment, err := w.Enlist(t.Context(), Applicant{User: annaID, Network: wa, Keys: testKeys(1), Sign: sign, ConsentID: consent.ID})
	require.NoError(t, err)
	return enlistment
}

func TestRegionIsCheckedAgain(t *testing.T) {
	w := newRegionWorld(t)
	anna := w.enlistedByPage(t)
	mayConnect := func() error {
		_, err := w.ConnectToken(t.Context(), anna.Address, [32]byte{1})
		return err
	}
	require.NoError(t, mayConnect())
	require.Empty(t, w.hears(t))

	w.clock.advance(defaultRecheck)
	require.NoError(t, mayConnect(), "whoever is asked has time to answer")
	require.Equal(t, "due within 72h0m0s", w.hears(t))
	require.NoError(t, mayConnect())
	require.Empty(t, w.hears(t), "asked once")
	require.NoError(t, w.checkRegions(t.Context(), wa))
	require.Empty(t, w.hears(t))

	w.clock.advance(defaultGrace)
	require.ErrorIs(t, mayConnect(), ErrUnconfirmed)
	require.NoError(t, w.checkRegions(t.Context(), wa))
	require.Contains(t, w.hears(t), "lost", "a connection that stands is ended too")

	link, err := w.RegionLinkOf(t.Context(), anna.Address)
	require.NoError(t, err)
	require.Equal(t, 200, w.visit(http.MethodPost, link, proxyIP, "NO").Code)
	require.Equal(t, "confirmed", w.hears(t))
	require.NoError(t, mayConnect())

	w.clock.advance(time.Hour)
	link, err = w.RegionLinkOf(t.Context(), anna.Address)
	require.NoError(t, err)
	require.Equal(t, 200, w.visit(http.MethodPost, link, proxyIP, "GB").Code)
	require.Contains(t, w.hears(t), "lost")
	require.ErrorIs(t, mayConnect(), ErrOutside, "no grace for whoever says to be elsewhere")

	link, err = w.RegionLinkOf(t.Context(), anna.Address)
	require.NoError(t, err)
	require.NoError(t, w.Withdraw(t.Context(), anna.Address, ReasonUser))
	require.Equal(t, 503, w.visit(http.MethodPost, link, proxyIP, "DE").Code, "of whoever has left nothing is recorded")
	_, err = w.RegionLinkOf(t.Context(), anna.Address)
	require.ErrorIs(t, err, network.ErrNotEnlisted)
}

// An account from before the check was switched on is asked like one whose confirmation is old.
func TestRegionOfOldAccounts(t *testing.T) {
	w := newRegionWorld(t, func(c *Config) { c.Region.Check = RegionAttest })
	anna := w.enlisted(t, annaID)
	w.Stop()
	w.startSettled(t, withPage)
	_, err := w.ConnectToken(t.Context(), anna.Address, [32]byte{1})
	require.NoError(t, err)
	require.Contains(t, w.hears(t), "due")
}

func TestClientAddresses(t *testing.T) {
	proxyMode := func(c *Config) { c.Mode = ModeProxy }
	w := newRegionWorld(t, proxyMode)
	anna := w.enlistedByPage(t)
	address, known := w.clients.address(annaID)
	require.True(t, known)
	require.Equal(t, netip.MustParseAddr(clientIP), address)
	w.clock.advance(defaultAddressLife)
	_, known = w.clients.address(annaID)
	require.False(t, known, "an old address is nobody's")

	for name, forwarded := range map[string]string{"private": "192.168.1.9", "none": "", "garbage": "anna", "shared": "100.64.0.1"} {
		link, err := w.RegionLinkOf(t.Context(), anna.Address)
		require.NoError(t, err)
		request := httptest.NewRequest(http.MethodPost, link, nil)
		request.RemoteAddr = proxyIP + ":1"
		request.Header.Set(testHeader, "DE")
		request.Header.Set("X-Forwarded-For", forwarded)
		recorder := httptest.NewRecorder()
		w.Handler().ServeHTTP(recorder, request)
		require.Equal(t, http.StatusUnprocessableEntity, recorder.Code, name)
	}

	plain := newRegionWorld(t)
	plain.enlistedByPage(t)
	_, known = plain.clients.address(annaID)
	require.False(t, known, "mode client keeps none")
}

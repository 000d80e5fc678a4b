package e2e

import (
	"database/sql"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/e2e/stage"
)

const (
	countryHeader = "X-Country"
	// homeIP is where users' browsers are; what documentation is given counts as public in the simulated network.
	homeIP = "203.0.113.9"
	// frontIP is the proxy in front of the bridge, elsewhereIP somebody who is not.
	frontIP     = "127.0.0.1"
	elsewhereIP = "127.0.0.2"
)

// regionPage has users confirm where they are.
func regionPage(config stage.Config) {
	config.Set("network.interop.region.check", "attest_and_header")
	config.Set("network.interop.region.header", countryHeader)
	config.Set("network.listen.provider.trusted_proxy", frontIP)
}

var regionLink = regexp.MustCompile(`http://\S+/interop/region/[A-Za-z0-9_-]+`)

// browser is a visit to a link of the bridge: through a proxy at peer that names country and address.
type browser struct{ peer, country, address string }

func atHome() browser { return browser{frontIP, "DE", homeIP} }

// visit asks for a page and returns what it says.
func (w *world) visit(b browser, method, link string) (status int, page string) {
	w.t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(b.peer)}}
	client := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(w.soon(), method, link, nil)
	require.NoError(w.t, err)
	request.Header.Set(countryHeader, b.country)
	request.Header.Set("X-Forwarded-For", b.address)
	response, err := client.Do(request)
	require.NoError(w.t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	return response.StatusCode, string(content)
}

// press opens a link and presses the button.
func (w *world) press(b browser, link string) (page string) {
	w.t.Helper()
	status, page := w.visit(b, http.MethodGet, link)
	require.Equal(w.t, http.StatusOK, status, page)
	require.Contains(w.t, page, "I am here")
	status, page = w.visit(b, http.MethodPost, link)
	require.Equal(w.t, http.StatusOK, status, page)
	return page
}

// askedToConfirm goes through the login flow up to the link.
func (u *matrixUser) askedToConfirm() (link string) {
	for _, step := range []struct{ say, answer string }{
		{"login " + u.side.flow, "do you agree"}, {"yes", "where do you live"}, {"DE", "press the button"},
	} {
		u.Command(step.say)
		link = u.WaitForNotice(step.answer)
	}
	return regionLink.FindString(link)
}

// link has the bot give a link to the page.
func (u *matrixUser) link() string {
	u.Command("confirm-region")
	return regionLink.FindString(u.WaitForNotice("press the button"))
}

// EnlistedFrom is Enlisted with the region confirmed by a browser.
func (u *matrixUser) EnlistedFrom(b browser) *matrixUser {
	w := u.house.world
	w.press(b, u.askedToConfirm())
	u.WaitForNotice("you are known to")
	w.eventually(u.name+" to be enlisted", func() bool {
		for _, enlistment := range w.net.Enlistments() {
			if enlistment.Identifier == u.Identifier() {
				u.jid = enlistment.JID
			}
		}
		return u.jid != ""
	})
	return u
}

// change runs a statement on the bridge's database while the bridge is away.
func (h *house) change(statement string, args ...any) {
	t := h.world.t
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(h.stage.Bridge.Dir, "causeway.db"))
	require.NoError(t, err)
	result, err := db.Exec(statement, args...)
	require.NoError(t, err)
	changed, err := result.RowsAffected()
	require.NoError(t, err)
	require.Positive(t, changed, statement)
	require.NoError(t, db.Close())
}

// away does something while the bridge is stopped.
func (h *house) away(do func()) {
	require.NoError(h.world.t, h.stage.Bridge.Stop())
	do()
	require.NoError(h.world.t, h.stage.Bridge.Start(h.world.ctx))
}

func ago(d time.Duration) int64 { return time.Now().Add(-d).UnixMilli() }

// Nobody is enlisted before they have confirmed on the page that they are in the region, and whoever looks at the link or
// comes by another way than the proxy decides nothing.
func TestRegionConfirmedByThePage(t *testing.T) {
	w := newWorld(t, withConfig(regionPage))
	alice := w.MatrixUser("alice")
	link := alice.askedToConfirm()
	require.NotEmpty(t, link)

	for range 2 { // previews
		status, page := w.visit(atHome(), http.MethodGet, link)
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, page, alice.client.UserID().String())
	}
	stranger := atHome()
	stranger.peer = elsewhereIP
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		status, page := w.visit(stranger, method, link)
		require.Equal(t, http.StatusForbidden, status)
		require.Contains(t, page, "public address")
	}
	status, page := w.visit(browser{frontIP, "T1", homeIP}, http.MethodPost, link)
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, page, "VPN")
	require.Empty(t, w.net.Enlistments())

	require.Contains(t, w.press(atHome(), link), "in the European Economic Area, and your chats")
	alice.WaitForNotice("you are known to WhatsApp")
	status, page = w.visit(atHome(), http.MethodPost, link)
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, page, "used")
	w.eventually("alice to be connected", func() bool { return len(w.liveConnections()) == 1 })

	for _, private := range []string{homeIP, `"DE"`} {
		require.NotContains(t, w.stage.Bridge.Log(), private)
	}
	require.Zero(t, w.rows("cw_consent WHERE instr(quote(region_inside) || quote(region_at), ?) > 0", homeIP))
	require.Equal(t, 1, w.rows("cw_consent WHERE region_inside AND region_at IS NOT NULL"))
	alice.Command("consent export")
	exported := alice.waitForWord("third-party-chats.json")
	require.NotEmpty(t, exported.Content.URL)
}

// Whoever opens the page from elsewhere is not let in.
func TestRegionOutsideAtLogin(t *testing.T) {
	w := newWorld(t, withConfig(regionPage))
	alice := w.MatrixUser("alice")
	require.Contains(t, w.press(browser{frontIP, "US", homeIP}, alice.askedToConfirm()), "outside")
	alice.WaitForNotice("outside of the European Economic Area", "CW-1511")
	require.Empty(t, w.net.Enlistments())
	alice.EnlistedFrom(atHome())
}

// A confirmation grows old: the user is asked, then suspended, and goes on where they were once they have confirmed. One who
// says to be elsewhere is suspended at once, and so is one of whom the network says so.
func TestRegionChecked(t *testing.T) {
	w := newWorld(t, withConfig(regionPage))
	alice := w.MatrixUser("alice").EnlistedFrom(atHome())
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("hello")
	anna.HearsText(alice, "hello")

	w.away(func() { w.change("UPDATE cw_consent SET region_at = ?", ago(31*24*time.Hour)) })
	alice.waitForWord("please confirm until", "confirm-region")
	anna.Says(alice, "still there?")
	room.WaitForMessage(anna, "still there?")

	w.away(func() { w.change("UPDATE cw_consent SET region_asked_at = ?", ago(4*24*time.Hour)) })
	alice.waitForWord("suspended", "not confirmed", "CW-1512")
	w.eventually("the connection to be gone", func() bool { return !alice.connected() })
	room.Says("anybody there?")
	room.WaitForNotice("not confirmed", "CW-1512")
	anna.Says(alice, "where are you?")

	w.press(atHome(), alice.link())
	room.WaitForMessage(anna, "where are you?")
	alice.waitForWord("connected to WhatsApp again")
	room.Says("here")
	anna.HearsText(alice, "here")

	require.Contains(t, w.press(browser{frontIP, "CH", homeIP}, alice.link()), "suspended")
	alice.waitForWord("region page found you outside", "CW-1511")
	w.eventually("the connection to be gone", func() bool { return !alice.connected() })
	w.away(func() {})
	require.False(t, alice.connected(), "a restart changes nothing")
	w.press(atHome(), alice.link())
	w.eventually("the connection to be back", alice.connected)

	require.NoError(t, w.net.MoveEnlistment(alice.jid, "US"))
	w.net.DropConnections(alice.jid, "close")
	alice.waitForWord("European Economic Area only", "CW-1205")
	require.NoError(t, w.net.MoveEnlistment(alice.jid, "DE"))
	w.press(atHome(), alice.link())
	w.eventually("the connection to be back", alice.connected)
	require.Equal(t, []string{"still there?", "where are you?"}, room.Texts(anna))
	require.False(t, strings.Contains(w.stage.Bridge.Log(), "/interop/region/"), "links are secrets")
}

package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"

	"causeway/e2e/stage"
	"causeway/simulator/meta"
)

// memory is a folder that is on no disk.
const memory = "/dev/shm"

// newProxyWorld is a world whose bridge stands in for its users' clients, see standingIn.
func newProxyWorld(t *testing.T, idle string, options ...func(*settings)) *world {
	t.Helper()
	if info, err := os.Stat(memory); err != nil || !info.IsDir() {
		t.Skipf("there is no %s, and the bridge refuses mode proxy with temporary files on a disk", memory)
	}
	return newWorld(t, append(options, withConfig(standingIn(idle)), withEnvironment("TMPDIR="+memory))...)
}

// standingIn has the bridge stand in for its users' clients, with a time after which they count as away.
func standingIn(idle string) func(stage.Config) {
	return func(config stage.Config) {
		regionPage(config)
		config.Set("network.interop.mode", "proxy")
		config.Set("network.interop.proxy.idle_after", idle)
	}
}

// connection is the user's, as the network has it.
func (u *matrixUser) standIn() (found meta.ConnInfo) {
	for _, c := range u.house.world.net.Connections() {
		if c.JID == u.jid && c.Active {
			found = c
		}
	}
	return found
}

func (w *world) findings(kind string) (count int) {
	for _, f := range w.net.Findings() {
		if f.Kind == kind {
			count++
		}
	}
	return count
}

// A connection comes with its user and goes with them, says where they are, and what waits for them calls them.
func TestProxyFollowsItsUser(t *testing.T) {
	w := newProxyWorld(t, "4s", withNetwork(meta.ProxyLimit(30*time.Second)))
	before := time.Now().Add(-time.Second)
	alice := w.MatrixUser("alice").EnlistedFrom(atHome())
	w.eventually("alice to be connected", alice.connected)
	c := alice.standIn()
	require.Equal(t, "proxy", c.Mode)
	require.Equal(t, homeIP, c.ClientIP)
	require.WithinRange(t, *c.ClientSince, before, time.Now().Add(time.Second))
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.WaitForNotice("connected only while you are active")
	room.Says("hello")
	anna.HearsText(alice, "hello")
	anna.Says(alice, "hello alice")
	room.WaitForMessage(anna, "hello alice")

	w.net.DropConnections(alice.jid, "client_closed")
	w.eventually("the connection to go", func() bool { return !alice.connected() })
	alice.Command("version") // a sign of life
	w.eventually("the connection to come back", alice.connected)
	w.eventually("the connection to go", func() bool { return !alice.connected() })

	anna.Says(alice, "where are you?")
	anna.Says(alice, "hello?")
	waits := alice.waitForWord("for you on WhatsApp", "now that you are here")
	require.False(t, alice.connected(), "nobody has shown to be there")
	require.NoError(t, alice.bot.Read(w.ctx, waits.ID))
	room.WaitForMessage(anna, "hello?")
	w.eventually("the connection to go", func() bool { return !alice.connected() })

	require.NoError(t, room.SetTyping(w.ctx, true))
	w.eventually("the connection to come with typing", alice.connected)
	require.NoError(t, room.SetTyping(w.ctx, false))
	require.Equal(t, []string{"hello alice", "where are you?", "hello?"}, room.Texts(anna))
	require.Zero(t, w.findings("proxy-connection-held"))
	require.NotContains(t, w.stage.Bridge.Log(), homeIP)
	require.Zero(t, w.rows("cw_signal_sent"), "what was sent is kept in memory")
}

// Without a known address nothing connects, and an address outside of the region is refused by the network.
func TestProxyWantsTheAddress(t *testing.T) {
	w := newProxyWorld(t, "20s")
	alice := w.MatrixUser("alice").EnlistedFrom(atHome())
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("hello")
	anna.HearsText(alice, "hello")

	w.away(func() {}) // addresses are in memory only
	room.Says("is anybody there?")
	asked := alice.waitForWord("it wants the address of your client", "within five minutes")
	alice.Command("status")
	alice.WaitForNotice("not known where your client is", "CW-1412")
	require.False(t, alice.connected())
	w.net.ExpectFinding("upgrade-refused")
	w.press(browser{frontIP, "DE", "198.51.100.7"}, regionLink.FindString(asked.Body))
	alice.waitForWord("European Economic Area only", "CW-1205")
	require.False(t, alice.connected())
	require.Equal(t, 1, w.findings("upgrade-refused"))

	status, page := w.visit(browser{frontIP, "DE", "192.168.1.7"}, http.MethodPost, alice.link())
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, page, "public address")
	w.press(atHome(), alice.link())
	w.eventually("the connection to be there", alice.connected)
	room.Says("now")
	for heard := ""; heard != "now"; { // what was sent when the network refused may have failed in words
		next, err := anna.Hears(w.soon())
		require.NoError(t, err)
		heard = next.Text
	}
	require.Equal(t, homeIP, alice.standIn().ClientIP)
}

var journalRow = regexp.MustCompile(`(?m)^\s*(\d+)\s`)

// contents is what the journal shows of all that waits, decrypted with the instance's secret.
func (h *house) contents() string {
	t := h.world.t
	t.Helper()
	rows := journalRow.FindAllStringSubmatch(h.journal("list"), -1)
	require.NotEmpty(t, rows, "something waits")
	var shown strings.Builder
	for _, row := range rows {
		cmd := exec.CommandContext(h.world.ctx, binary(t), "journal", "show", "--content", row[1])
		cmd.Dir = h.stage.Bridge.Dir
		output, _ := cmd.CombinedOutput() // what does not open is an error
		shown.Write(output)
	}
	return shown.String()
}

// killed ends the bridge as a crash would, and starts it again when what is on its disk was looked at.
func (h *house) killed(look func(contents string)) {
	t := h.world.t
	require.NoError(t, h.stage.Bridge.Kill())
	look(h.contents())
	require.NoError(t, h.stage.Homeserver.Thaw())
	require.NoError(t, h.stage.Bridge.Start(h.world.ctx))
}

// The bridge is killed with messages in it, of either way, and nobody can read them from its disk. What came is asked for
// again, and what was to be sent is read from the homeserver again: both arrive once. In mode client, to compare, the
// journal has them.
func TestProxyKeepsNothing(t *testing.T) {
	for name, proxy := range map[string]bool{"proxy": true, "client": false} {
		t.Run(name, func(t *testing.T) {
			var w *world
			if proxy {
				w = newProxyWorld(t, "60s")
			} else {
				w = newWorld(t, withConfig(regionPage))
			}
			alice := w.MatrixUser("alice").EnlistedFrom(atHome())
			anna := w.Somebody("Anna").OptedIn()
			room := alice.StartChat(anna)
			hello := room.Says("hello")
			heard := anna.HearsText(alice, "hello")
			anna.Says(alice, "hello alice")
			room.WaitForMessage(anna, "hello alice")
			// comeBack has alice show that she is there, after a restart
			comeBack := func() {
				if proxy {
					w.press(atHome(), alice.link())
				}
				w.eventually("alice to be connected", alice.connected)
			}

			require.NoError(t, w.stage.Homeserver.Freeze())
			t.Cleanup(func() { _ = w.stage.Homeserver.Thaw() })
			said := anna.Says(alice, "a secret from the network")
			require.NoError(t, anna.WaitReceipt(w.soon(), said, "delivery"))
			reacted, err := anna.React(heard, "👍")
			require.NoError(t, err)
			require.NoError(t, anna.WaitReceipt(w.soon(), reacted, "delivery"))
			w.killed(func(contents string) {
				require.Equal(t, !proxy, strings.Contains(contents, "a secret from the network"), contents)
			})
			comeBack()
			room.WaitForMessage(anna, "a secret from the network")
			room.waitFor("the reaction", func() bool { return room.stands(anna, hello, "👍") })

			away := w.net.Fault(meta.Fault{
				Kind: meta.FaultLogin, Match: meta.Match{Account: alice.jid}, Count: -1, Params: map[string]string{"reason": "503"},
			})
			w.net.DropConnections(alice.jid, "close")
			w.eventually("the connection to be gone", func() bool { return !alice.connected() })
			room.Says("a secret from Matrix")
			paper := []byte("%PDF-1.7\nwords")
			room.SendsFile(paper, "application/pdf", event.MessageEventContent{MsgType: event.MsgFile, Body: "a secret name.pdf"})
			w.eventually("both to be accepted", func() bool { return w.rows("cw_outbox WHERE state IN ('ready', 'unknown')") == 2 })
			w.killed(func(contents string) {
				require.Equal(t, !proxy, strings.Contains(contents, "a secret from Matrix"), contents)
				require.Equal(t, !proxy, strings.Contains(contents, "a secret name.pdf"), contents)
			})
			away.Remove()
			comeBack()
			anna.HearsText(alice, "a secret from Matrix")
			anna.hearsFile(meta.Document, paper)

			room.Says("the end")
			anna.HearsText(alice, "the end")
			anna.Says(alice, "the end, too")
			room.WaitForMessage(anna, "the end, too")
			require.Equal(t, []string{"hello alice", "a secret from the network", "the end, too"}, room.Texts(anna))
			require.Equal(t, []string{"hello", "a secret from Matrix", "", "the end"}, anna.texts())
			require.False(t, room.told("could not be opened"), "nothing stood in for it")
			require.Zero(t, w.rows("cw_inbox WHERE state = 'held'"), "and nothing will")
			require.Len(t, room.of(anna), 1)
		})
	}
}

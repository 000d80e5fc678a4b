package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/e2e/stage"
)

// Whoever nobody is: the bot says so, and no room appears.
func unknownPerson(w *world) {
	alice := w.MatrixUser("alice").Enlisted()

	alice.Command("start-chat " + w.side.unknown)
	alice.WaitForNotice("no", w.side.name())
	alice.Command("start-chat " + w.side.malformed)
	alice.WaitForNotice("number")
	for _, r := range alice.client.Rooms() {
		require.True(w.t, r.ID == alice.bot.ID || r.Type() == "m.space", "no conversation, no room, but there is %s", r.ID)
	}
}

// An agreement section that is not complete: the login is not offered, and the bot says so; to an admin also what is missing.
func TestIncompleteAgreement(t *testing.T) {
	w := newWorld(t, withConfig(func(c stage.Config) { c.Set("network.interop.enlistment_url", "") }))
	alice, admin := w.MatrixUser("alice"), w.MatrixUser("admin")

	alice.Command("login whatsapp-interop")
	told := alice.WaitForNotice("no agreement with Meta")
	require.NotContains(t, told, "network.interop", "users cannot edit the configuration")
	admin.Command("login whatsapp-interop")
	admin.WaitForNotice("no agreement with Meta", "network.interop.enlistment_url")
	require.Empty(t, w.net.Enlistments())
}

// A token that is too old for the network, as with a clock that runs behind: the user is told, once, and the bridge
// connects by itself when the clock is right.
func expiredToken(w *world) {
	alice := w.MatrixUser("alice").Enlisted()

	w.net.SetClockOffset(time.Hour)
	w.net.DropConnections(alice.jid, "close")
	alice.WaitForNotice("expired", "server's clock")
	require.False(w.t, alice.connected())

	w.net.SetClockOffset(0)
	alice.WaitForNotice("connected to", "again")
	require.True(w.t, alice.connected())
}

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/e2e/stage"
)

// The operator's terms change: who has agreed to the old ones is told once, goes on meanwhile, and agrees anew without losing anything.
func TestTermsChange(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("under the old terms")
	anna.HearsText(alice, "under the old terms")
	alice.Command("login whatsapp-interop")
	alice.WaitForNotice("already have a third-party account")

	require.NoError(t, w.stage.Bridge.Stop())
	require.NoError(t, w.stage.Bridge.Edit(func(config stage.Config) { config.Set("network.interop.consent.version", "2") }))
	for range 2 {
		require.NoError(t, w.stage.Bridge.Start(w.ctx))
		alice.waitForWord("have changed", "version is 2", "login whatsapp-interop")
		room.Says("in between")
		anna.HearsText(alice, "in between")
		require.NoError(t, w.stage.Bridge.Stop())
	}
	require.NoError(t, w.stage.Bridge.Start(w.ctx))
	count := 0
	for _, line := range alice.bot.Lines() {
		if strings.Contains(line.Body, "have changed") {
			count++
		}
	}
	require.Equal(t, 1, count, "told once")

	alice.Command("login whatsapp-interop")
	alice.WaitForNotice("do you agree")
	alice.Command("yes")
	alice.WaitForNotice("where do you live")
	alice.Command("DE")
	alice.WaitForNotice("you are known to WhatsApp")
	alice.Command("consent")
	alice.WaitForNotice("you agreed to version 2")
	require.Equal(t, "active", alice.status())
	require.Equal(t, 2, w.rows("cw_consent WHERE given_at IS NOT NULL AND withdrawn_at IS NULL"), "the ledger has both")
	room.Says("under the new terms")
	anna.HearsText(alice, "under the new terms")
	require.Equal(t, room.ID, alice.WaitForRoom(anna).ID)
	alice.Command("login whatsapp-interop")
	alice.WaitForNotice("already have a third-party account")
}

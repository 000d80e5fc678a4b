package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A user gets what is kept about their own account, and has it erased: the device is taken off the account, and no table
// knows of either any more.
func TestLinkedExportAndErase(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000043", "Anna")
	room := alice.StartsChat(anna)
	room.Says("hello from alice")
	anna.HearsLinked(alice)
	anna.WritesTo(alice, "hello to alice")
	room.WaitForMessage(anna, "hello to alice")

	alice.Command("consent export")
	var record struct {
		Linked []struct {
			Account, Phone, Device string
			Rows                   map[string]int
		} `json:"linked_accounts"`
		Chats []struct{ Room string }
	}
	data := room.download(alice.waitForWord("third-party-chats.json").Content.URL)
	require.NoError(t, json.Unmarshal(data, &record))
	require.Len(t, record.Linked, 1)
	account := record.Linked[0]
	require.Equal(t, "whatsapp-lid-"+alice.phone.lidDigits(), account.Account)
	require.Equal(t, strings.TrimPrefix(alice.phone.Phone(), "+"), account.Phone)
	require.NotEmpty(t, account.Device)
	require.Positive(t, account.Rows["cw_inbox"])
	require.Len(t, record.Chats, 1)
	require.Equal(t, room.ID.String(), record.Chats[0].Room)

	alice.Command("consent erase")
	alice.WaitForNotice("linked ones too", "within two minutes")
	alice.Command("erase")
	alice.WaitForNotice("is erased")
	w.eventually("the phone to have no linked device", func() bool { return len(alice.phone.LinkedDevices()) == 0 })
	var traces []string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("traces: %q", traces)
		}
	})
	w.eventually("no trace of the account", func() bool {
		// A ghost, and its account on the homeserver, stand for the person as others here may know them.
		traces = slices.DeleteFunc(append(alice.traces(alice.phone.lidDigits()), alice.traces(account.Phone)...),
			func(place string) bool {
				return strings.HasPrefix(place, "ghost.") || strings.HasPrefix(place, "mx_registrations.")
			})
		return len(traces) == 0
	})
}

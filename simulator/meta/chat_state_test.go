package meta

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/proto/waSyncAction"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	state "causeway/simulator/meta/appstate"
)

// synced waits until a new device has all of the account's state.
func (c *client) synced() {
	c.t.Helper()
	for range appstate.AllPatchNames {
		awaitEvent(c, any1[*events.AppStateSyncComplete])
	}
}

// TestSharedState changes mute, pin, archive, unread and contacts on the phone and on a linked device; both follow each other,
// and a second device starts from the whole.
func TestSharedState(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)
	c.synced()
	require.Equal(t, "Anna", c.Store.PushName, "the phone says what the account is called")

	require.NoError(t, anna.Mute(bob.LID(), true, time.Time{}))
	awaitEvent(c, func(e *events.Mute) bool {
		return e.JID == bob.user.lid && e.Action.GetMuted() && e.Action.GetMuteEndTimestamp() == -1
	})
	require.NoError(t, anna.Pin(bob.LID(), true))
	awaitEvent(c, func(e *events.Pin) bool { return e.JID == bob.user.lid && e.Action.GetPinned() })
	require.NoError(t, anna.Archive(bob.LID(), true))
	awaitEvent(c, func(e *events.Archive) bool { return e.JID == bob.user.lid && e.Action.GetArchived() })
	require.NoError(t, anna.MarkUnread(bob.LID(), true))
	awaitEvent(c, func(e *events.MarkChatAsRead) bool { return e.JID == bob.user.lid && !e.Action.GetRead() })
	require.NoError(t, anna.SetContact(bob.Phone(), "Bobby"))
	awaitEvent(c, func(e *events.Contact) bool { return e.JID == bob.user.pn && e.Action.GetFullName() == "Bobby" })

	require.NoError(t, c.SendAppState(within(t), appstate.BuildMute(bob.user.lid, false, 0)))
	require.NoError(t, anna.WaitState(within(t), "regular_high", []string{"mute", bob.LID()},
		func(v *waSyncAction.SyncActionValue) bool { return v != nil && !v.GetMuteAction().GetMuted() }))
	require.NoError(t, c.SendAppState(within(t), appstate.BuildArchive(bob.user.lid, false, time.Time{}, nil)))
	require.NoError(t, anna.WaitState(within(t), "regular_low", []string{"archive", bob.LID()},
		func(v *waSyncAction.SyncActionValue) bool { return v != nil && !v.GetArchiveChatAction().GetArchived() }))

	second := w.linked(anna)
	second.EmitAppStateEventsOnFullSync = true
	awaitEvent(second, func(e *events.AppStateSyncComplete) bool {
		return e.Name == appstate.WAPatchRegularLow && e.Version > 0
	})
	contact, err := second.Store.Contacts.GetContact(within(t), bob.user.pn)
	require.NoError(t, err)
	require.Equal(t, "Bobby", contact.FullName)
	require.NoError(t, c.SendAppState(within(t), appstate.BuildPin(bob.user.lid, false)))
	awaitEvent(second, func(e *events.Pin) bool { return e.JID == bob.user.lid && !e.Action.GetPinned() })
}

// TestStaleStateIsAConflict has two devices change the same collection from the same version.
func TestStaleStateIsAConflict(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)
	c.synced()
	w.quiet(anna)
	// The device's notice of the phone's change is held back, so that it works on an old version.
	w.mu.Lock()
	key, err := anna.stateKey()
	require.NoError(t, err)
	_, err = anna.user.state.collections["regular_low"].Write(key, state.Change{Index: []string{"archive", bob.LID()}, Version: 3,
		Value: &waSyncAction.SyncActionValue{ArchiveChatAction: &waSyncAction.ArchiveChatAction{Archived: proto.Bool(true)}}})
	w.mu.Unlock()
	require.NoError(t, err)
	require.NoError(t, c.SendAppState(within(t), appstate.BuildPin(bob.user.lid, true)))
	values, err := anna.State("regular_low")
	require.NoError(t, err)
	require.Len(t, values, 3)
}

// TestStateRecovery spoils a patch; the device notices, asks the phone for the collection in the clear, and goes on.
func TestStateRecovery(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)
	c.synced()
	w.Fault(Fault{Kind: FaultAppState, Params: map[string]string{"name": "regular_low"}})
	require.NoError(t, anna.Pin(bob.LID(), true))
	failed := awaitEvent(c, any1[*events.AppStateSyncError])
	require.True(t, errors.Is(failed.Error, appstate.ErrMismatchingLTHash), "%v", failed.Error)
	_, err := c.SendPeerMessage(within(t), whatsmeow.BuildAppStateRecoveryRequest(appstate.WAPatchRegularLow))
	require.NoError(t, err)
	awaitEvent(c, func(e *events.AppStateSyncComplete) bool { return e.Recovery && e.Name == appstate.WAPatchRegularLow })
	require.NoError(t, anna.Pin(bob.LID(), false))
	awaitEvent(c, func(e *events.Pin) bool { return !e.Action.GetPinned() })
}

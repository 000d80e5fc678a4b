package meta

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"
)

// TestLoginsThatAreRefused sets each reason that a linked device can be turned away for, and expects the library to see it.
func TestLoginsThatAreRefused(t *testing.T) {
	for name, each := range map[string]struct {
		fault Fault
		sees  func(*client)
	}{
		"temporary ban": {Fault{Kind: FaultLogin, Params: map[string]string{"reason": "402", "code": "101", "expire": "3600"}}, func(c *client) {
			ban := awaitEvent(c, any1[*events.TemporaryBan])
			require.Equal(t, time.Hour, ban.Expire)
			require.Equal(t, events.TempBanSentToTooManyPeople, ban.Code)
		}},
		"locked": {Fault{Kind: FaultLogin, Params: map[string]string{"reason": "403"}}, func(c *client) {
			require.Equal(t, events.ConnectFailureMainDeviceGone, awaitEvent(c, any1[*events.LoggedOut]).Reason)
		}},
		"trouble of the server": {Fault{Kind: FaultLogin, Params: map[string]string{"reason": "503"}}, func(c *client) {
			awaitEvent(c, any1[*events.Connected])
		}},
		"outdated": {Fault{Kind: FaultOutdated, Count: -1}, func(c *client) {
			awaitEvent(c, any1[*events.ClientOutdated])
			latest, err := whatsmeow.GetLatestVersion(within(t), c.w.transport())
			require.NoError(t, err)
			payload := c.Store.GetClientPayload()
			c.GetClientPayload = func() *waWa6.ClientPayload {
				fresh, _ := proto.Clone(payload).(*waWa6.ClientPayload)
				fresh.UserAgent.AppVersion = latest.ProtoAppVersion()
				return fresh
			}
			c.Disconnect()
			require.NoError(t, c.Connect())
			awaitEvent(c, any1[*events.Connected])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newLinkedWorld(t)
			w.pastLeft = true
			anna := w.WhatsApp("+4915110000001", "Anna")
			c := w.linked(anna)
			c.synced()
			w.quiet(anna)
			c.Disconnect()
			each.fault.Match.Account = anna.Phone()
			w.Fault(each.fault)
			require.NoError(t, c.Connect())
			each.sees(c)
		})
	}
}

func TestPasskeyDemanded(t *testing.T) {
	w := newLinkedWorld(t)
	anna := w.WhatsApp("+4915110000001", "Anna")
	w.Fault(Fault{Kind: FaultPasskey})
	c := w.newClient()
	require.NoError(t, c.Connect())
	qr := awaitEvent(c, any1[*events.QR])
	_, err := anna.ScanQR(within(t), qr.Codes[0])
	require.ErrorContains(t, err, "passkey")
	demand := awaitEvent(c, any1[*events.PairPasskeyRequest])
	require.Equal(t, "whatsapp.com", demand.PublicKey.RelyingPartID)
	require.Empty(t, anna.LinkedDevices())
}

// TestReplacedAndDropped ends connections in the ways that networks do.
func TestReplacedAndDropped(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)
	for _, how := range []string{"503", "515", "reset"} {
		w.quiet(anna)
		require.Equal(t, 1, w.DropConnections(anna.Phone(), how), how)
		awaitEvent(c, any1[*events.Connected])
		_, err := bob.Say(anna.LID(), "after "+how)
		require.NoError(t, err)
		c.hears("after " + how)
	}
	require.Equal(t, 1, w.DropConnections(anna.LID(), "replaced"))
	awaitEvent(c, any1[*events.StreamReplaced])
}

// TestStaleDeviceList lets a device come that the sender's list does not have. The acknowledgement says that the list is
// stale, and the next message goes to the new device too.
func TestStaleDeviceList(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)
	_, err := c.SendMessage(within(t), bob.user.lid, plainText("one"))
	require.NoError(t, err)
	d := w.linked(bob)
	_, err = c.SendMessage(within(t), bob.user.lid, plainText("two"))
	require.NoError(t, err)
	_, err = c.SendMessage(within(t), bob.user.lid, plainText("three"))
	require.NoError(t, err)
	d.hears("three")
}

// TestIdentityChange gives somebody new keys: the notice comes, and messages go on.
func TestIdentityChange(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)
	_, err := c.SendMessage(within(t), bob.user.lid, plainText("before"))
	require.NoError(t, err)
	bob.NewIdentity()
	awaitEvent(c, func(e *events.IdentityChange) bool { return e.JID == bob.user.pn && !e.Implicit })
	_, err = bob.Say(anna.LID(), "with new keys")
	require.NoError(t, err)
	c.hears("with new keys")
	sent, err := c.SendMessage(within(t), bob.user.lid, plainText("after"))
	require.NoError(t, err)
	for {
		h, err := bob.Hears(within(t))
		require.NoError(t, err)
		if h.ID == sent.ID {
			break
		}
	}
	own := w.linked(bob)
	own.synced()
	w.quiet(bob)
	bob.NewIdentity()
	awaitEvent(own, any1[*events.LoggedOut])
	require.Empty(t, bob.LinkedDevices())
}

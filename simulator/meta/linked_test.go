package meta

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

func plainText(s string) *waE2E.Message { return &waE2E.Message{Conversation: &s} }

func jidOf(t *testing.T, text string) types.JID {
	t.Helper()
	jid, err := types.ParseJID(text)
	require.NoError(t, err)
	return jid
}

// TestLinkedDevice proves that the unmodified library is served as a linked device: pairing, the login
// that follows, and direct messages between the device, its phone and somebody else.
func TestLinkedDevice(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)

	id, err := bob.Say(anna.LID(), "hello")
	require.NoError(t, err)
	m := c.hears("hello")
	require.Equal(t, id, m.Info.ID)
	require.Equal(t, bob.LID(), m.Info.Sender.String())
	require.Equal(t, bob.user.pn, m.Info.SenderAlt)
	require.Equal(t, "Bob", m.Info.PushName)
	h, err := anna.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "hello", h.Text)
	require.NoError(t, bob.WaitReceipt(within(t), id, "inactive"))
	require.NoError(t, bob.WaitReceipt(within(t), id, "delivery"))

	sent, err := c.SendMessage(within(t), jidOf(t, bob.LID()), plainText("hi Bob"))
	require.NoError(t, err)
	h, err = bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "hi Bob", h.Text)
	require.Equal(t, anna.LID(), h.From)
	require.EqualValues(t, 1, h.Device)
	h, err = anna.Hears(within(t))
	require.NoError(t, err)
	require.True(t, h.FromMe)
	require.Equal(t, bob.LID(), h.Chat)
	c.receipt(sent.ID, types.ReceiptTypeDelivered)
	require.NoError(t, bob.Read(sent.ID))
	c.receipt(sent.ID, types.ReceiptTypeRead)

	sent, err = c.SendMessage(within(t), bob.user.pn, plainText("by number"))
	require.NoError(t, err)
	h, err = bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "by number", h.Text)

	id, err = anna.Say(bob.LID(), "from the phone")
	require.NoError(t, err)
	m = c.hears("from the phone")
	require.True(t, m.Info.IsFromMe)
	require.Equal(t, bob.LID(), m.Info.Chat.String())
	require.Equal(t, id, m.Info.ID)
	require.Empty(t, w.Findings())
}

func TestLinkedTypingAndReading(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)
	id, err := bob.Say("+4915110000001", "hello")
	require.NoError(t, err)
	m := c.hears("hello")
	require.NoError(t, c.MarkRead(within(t), []string{id}, m.Info.Timestamp, m.Info.Chat, m.Info.Sender))
	require.NoError(t, bob.WaitReceipt(within(t), id, "read"))
	require.NoError(t, anna.WaitReceipt(within(t), id, "read"), "the phone knows what its companion read")

	require.NoError(t, c.SendChatPresence(within(t), m.Info.Chat, types.ChatPresenceComposing, ""))
	require.NoError(t, bob.WaitTyping(within(t), anna.LID(), true))
	require.NoError(t, bob.Typing(anna.LID(), true))
	awaitEvent(c, func(p *events.ChatPresence) bool {
		return p.State == types.ChatPresenceComposing && p.Sender.User == bob.user.lid.User
	})

	id, err = bob.Say(anna.LID(), "again")
	require.NoError(t, err)
	c.hears("again")
	h, err := anna.Hears(within(t))
	require.NoError(t, err)
	for h.ID != id {
		h, err = anna.Hears(within(t))
		require.NoError(t, err)
	}
	require.NoError(t, anna.Read(id))
	r := c.receipt(id, types.ReceiptTypeRead)
	require.True(t, r.IsFromMe)
	require.Equal(t, bob.LID(), r.Chat.String())
}

// TestLinkedRetries spoils a message each way and expects it to be repeated.
func TestLinkedRetries(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)
	w.Fault(Fault{Kind: FaultMangle, Match: Match{Account: c.Store.ID.String()}})
	_, err := bob.Say(anna.LID(), "spoilt on the way")
	require.NoError(t, err)
	c.hears("spoilt on the way")

	// The phone loses its sessions, as after a new installation of the app from a backup.
	bob.mu.Lock()
	bob.signal.sessions = map[string][]byte{}
	bob.mu.Unlock()
	_, err = c.SendMessage(within(t), jidOf(t, bob.LID()), plainText("one"))
	require.NoError(t, err)
	h, err := bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, "one", h.Text)
}

func TestSecondCompanion(t *testing.T) {
	w := newLinkedWorld(t)
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	first := w.linked(anna)
	_, err := first.SendMessage(within(t), jidOf(t, bob.LID()), plainText("before"))
	require.NoError(t, err)
	second := w.linked(anna)
	require.EqualValues(t, 2, second.Store.ID.Device)
	_, err = bob.Say(anna.LID(), "to both")
	require.NoError(t, err)
	first.hears("to both")
	second.hears("to both")
	_, err = first.SendMessage(within(t), jidOf(t, bob.LID()), plainText("from the first"))
	require.NoError(t, err)
	m := second.hears("from the first")
	require.True(t, m.Info.IsFromMe)
	require.Equal(t, bob.LID(), m.Info.Chat.String())
	require.Len(t, anna.LinkedDevices(), 2)
}

func TestLinkedLogout(t *testing.T) {
	w := newLinkedWorld(t)
	w.pastLeft = true
	anna, bob := w.WhatsApp("+4915110000001", "Anna"), w.WhatsApp("+4915110000002", "Bob")
	c := w.linked(anna)
	c.synced()
	w.quiet(anna)
	require.NoError(t, anna.Unlink(c.Store.ID.Device))
	awaitEvent(c, func(e *events.LoggedOut) bool { return !e.OnConnect })
	require.Empty(t, anna.LinkedDevices())

	c = w.linked(anna)
	c.synced()
	w.quiet(anna)
	c.Disconnect()
	require.NoError(t, anna.Unlink(c.Store.ID.Device))
	require.NoError(t, c.Connect())
	awaitEvent(c, func(e *events.LoggedOut) bool { return e.OnConnect && e.Reason == events.ConnectFailureLoggedOut })

	c = w.linked(anna)
	c.synced()
	w.quiet(anna)
	require.NoError(t, c.Logout(within(t)))
	require.Empty(t, anna.LinkedDevices())
	_, err := bob.Say(anna.LID(), "only the phone hears this")
	require.NoError(t, err)
}

func TestLinkingByCode(t *testing.T) {
	w := newLinkedWorld(t)
	anna := w.WhatsApp("+4915110000001", "Anna")
	c := w.newClient()
	require.NoError(t, c.Connect())
	awaitEvent(c, any1[*events.QR])
	code, err := c.PairPhone(within(t), anna.Phone(), true, "1", "Chrome (Linux)")
	require.NoError(t, err)
	require.NoError(t, anna.WaitLinkRequest(within(t)))
	device, err := anna.EnterLinkCode(t.Context(), code)
	require.NoError(t, err)
	awaitEvent(c, any1[*events.PairSuccess])
	awaitEvent(c, any1[*events.Connected])
	require.Equal(t, device.JID, c.Store.ID.String())
}

func TestWrongLinkCode(t *testing.T) {
	w := newLinkedWorld(t)
	anna := w.WhatsApp("+4915110000001", "Anna")
	c := w.newClient()
	require.NoError(t, c.Connect())
	awaitEvent(c, any1[*events.QR])
	_, err := c.PairPhone(within(t), anna.Phone(), true, "1", "Mozilla")
	require.Error(t, err, "a display name of another form")
	_, err = c.PairPhone(within(t), anna.Phone(), true, "1", "Chrome (Linux)")
	require.NoError(t, err)
	_, err = anna.EnterLinkCode(t.Context(), "AAAAAAAA")
	require.ErrorIs(t, err, errWrongCode)
	require.Empty(t, anna.LinkedDevices())
}

// TestSpoiltPairing proves that the client sees what the phone signs.
func TestSpoiltPairing(t *testing.T) {
	for _, kind := range []FaultKind{FaultPairingHMAC, FaultPairingSignature} {
		t.Run(string(kind), func(t *testing.T) {
			w := newLinkedWorld(t)
			anna := w.WhatsApp("+4915110000001", "Anna")
			w.Fault(Fault{Kind: kind})
			c := w.newClient()
			require.NoError(t, c.Connect())
			qr := awaitEvent(c, any1[*events.QR])
			_, err := anna.ScanQR(within(t), qr.Codes[0])
			require.Error(t, err)
			awaitEvent(c, any1[*events.PairError])
			require.Empty(t, anna.LinkedDevices())
		})
	}
}

func TestCodesThatCannotBeScanned(t *testing.T) {
	w := newLinkedWorld(t)
	anna := w.WhatsApp("+4915110000001", "Anna")
	c := w.newClient()
	require.NoError(t, c.Connect())
	qr := awaitEvent(c, any1[*events.QR])
	_, err := anna.ScanQR(within(t), "something else")
	require.ErrorIs(t, err, errQRForm)
	_, err = anna.ScanQR(within(t), qr.Codes[0][:40]+"x"+qr.Codes[0][41:])
	require.ErrorIs(t, err, errQRUnknown)
	w.SetClockOffset(90e9)
	_, err = anna.ScanQR(within(t), qr.Codes[0])
	require.ErrorIs(t, err, errQRExpired)
	w.SetClockOffset(0)
	_, err = anna.ScanQR(within(t), qr.Codes[1])
	require.NoError(t, err)
	_, err = anna.ScanQR(within(t), qr.Codes[1])
	require.ErrorIs(t, err, errQRUsed)
	awaitEvent(c, any1[*events.Connected])
}

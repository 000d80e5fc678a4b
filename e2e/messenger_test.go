package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"

	"causeway/e2e/client"
	"causeway/e2e/stage"
	"causeway/network"
	"causeway/simulator/meta"
)

// MessengerPerson puts somebody into Messenger who has not turned on third-party chats.
func (w *world) MessengerPerson(fbid, name string) *person {
	return &person{Person: w.net.Messenger(fbid, name), world: w, name: name}
}

// onBothNetworks makes the house a provider of both.
func onBothNetworks() func(*settings) {
	return withConfig(func(config stage.Config) { config.Set("network.interop.products", []string{"whatsapp", "messenger"}) })
}

// alsoOnMessenger takes a user who is on WhatsApp through the other login flow.
func (u *matrixUser) alsoOnMessenger() *matrixUser {
	w := u.house.world
	w.t.Helper()
	require.NoError(w.t, stage.EnlistWith(w.soon(), u.bot, "messenger-interop", network.Messenger.DisplayName()))
	w.eventually(u.name+" to be connected to both", func() bool {
		active := 0
		for _, connection := range w.net.Connections() {
			if connection.Active {
				active++
			}
		}
		return active == 2
	})
	return u
}

// One Matrix user talks to people on both networks at once, under account numbers that are equal.
func TestOneUserOnBothNetworks(t *testing.T) {
	w := newWorld(t, onBothNetworks(), withNetwork(meta.ShortAccountIDs()))
	alice := w.MatrixUser("alice").Enlisted().alsoOnMessenger()
	for _, enlistment := range w.net.Enlistments() {
		require.Equal(t, alice.jid, enlistment.JID, "the account numbers are equal on purpose")
	}
	anna := w.Person("+4915120000001", "Anna").OptedIn()
	ben := w.MessengerPerson("100000000000001", "Ben").OptedIn()
	ben.SetUsername("ben.example")

	annas := alice.StartChat(anna)
	alice.Command("start-chat ben.example")
	alice.WaitForNotice("chat is ready")
	bens := alice.WaitForRoom(ben)
	require.NotEqual(t, annas.ID, bens.ID)
	bens.WaitForNotice("third-party chat", "Messenger", "decrypts messages")

	annas.Says("for Anna on WhatsApp")
	bens.Says("for Ben on Messenger")
	anna.HearsText(alice, "for Anna on WhatsApp")
	heard := ben.HearsText(alice, "for Ben on Messenger")
	anna.Says(alice, "from Anna on WhatsApp")
	ben.Says(alice, "from Ben on Messenger")
	annas.WaitForMessage(anna, "from Anna on WhatsApp")
	bens.WaitForMessage(ben, "from Ben on Messenger")
	reply, err := ben.Reply(heard, "a reply from Messenger")
	require.NoError(t, err)
	bens.WaitForMessage(ben, "a reply from Messenger")
	require.NoError(t, ben.WaitReceipt(w.soon(), reply, "delivery"))
	require.Equal(t, []string{"from Anna on WhatsApp"}, annas.Texts(anna))
	require.Equal(t, []string{"from Ben on Messenger", "a reply from Messenger"}, bens.Texts(ben))

	for name, r := range map[string]*room{"WhatsApp": annas, "Messenger": bens} {
		r.waitFor("a name that says which network it is", func() bool { return client.ContainsAll(r.Name(), "("+name+")") })
		for _, key := range r.StateKeys("m.bridge") {
			var info event.BridgeEventContent
			require.True(t, r.State("m.bridge", key, &info))
			require.Equal(t, name, info.Protocol.DisplayName)
		}
		alice.hasSpaceWith(r)
	}
}

// Leaving one network leaves the other as it is.
func TestLeavingOneOfTwoNetworks(t *testing.T) {
	w := newWorld(t, onBothNetworks(), withNetwork(meta.ShortAccountIDs()))
	alice := w.MatrixUser("alice").Enlisted().alsoOnMessenger()
	anna := w.Person("+4915120000002", "Anna").OptedIn()
	ben := w.MessengerPerson("100000000000002", "Ben").OptedIn()
	anna.Says(alice, "hello from WhatsApp")
	ben.Says(alice, "hello from Messenger")
	annas, bens := alice.WaitForRoom(anna), alice.WaitForRoom(ben)
	bens.WaitForMessage(ben, "hello from Messenger")

	alice.Command("consent withdraw messenger")
	alice.WaitForNotice("write", "withdraw")
	alice.Command("withdraw")
	alice.WaitForNotice("Messenger", "has ended")
	bens.WaitForNotice("stays readable")
	_, err := ben.Say(alice.jid, "is anybody there?")
	require.Error(t, err)
	annas.Says("still here")
	anna.HearsText(alice, "still here")
}

// What WhatsApp's chats carry besides text, Messenger's carry too; the text of a document goes as one of its own.
func TestFilesAndReactionsOnMessenger(t *testing.T) {
	w := newWorld(t, onBothNetworks())
	alice := w.MatrixUser("alice").Enlisted().alsoOnMessenger()
	for _, enlistment := range w.net.Enlistments() {
		if enlistment.Product == string(network.Messenger) {
			alice.jid = enlistment.JID
		}
	}
	ben := w.MessengerPerson("100000000000003", "Ben").OptedIn()
	alice.Command("start-chat " + ben.FBID())
	alice.WaitForNotice("chat is ready")
	room := alice.WaitForRoom(ben)

	photo := jpegBytes(t, 3)
	ben.sendsFile(alice, meta.Media{Kind: meta.Image, Bytes: photo, Caption: "the sea", Width: 48, Height: 32})
	_, data := room.WaitForFile(ben, "the sea")
	require.Equal(t, photo, data)
	ben.sendsFile(alice, meta.Media{Kind: meta.Voice, Bytes: spoken(), Duration: 2 * time.Second, Waveform: []byte{0, 50, 100}})
	line, data := room.WaitForFile(ben, "voice message.ogg")
	require.Equal(t, spoken(), data)
	require.NotNil(t, line.Content.MSC3245Voice)

	drawing := pngBytes(t, 5)
	room.SendsFile(drawing, "image/png", event.MessageEventContent{MsgType: event.MsgImage, Body: "drawn for you", FileName: "drawing.png"})
	require.Equal(t, "drawn for you", ben.hearsFile(meta.Image, drawing).Caption)
	paper := []byte("%PDF-1.7\nwords")
	room.SendsFile(paper, "application/pdf", event.MessageEventContent{MsgType: event.MsgFile, Body: "our offer", FileName: "offer.pdf"})
	parts := []meta.Heard{ben.hearsNext(), ben.hearsNext()}
	require.True(t, (parts[0].Media != nil) != (parts[1].Media != nil), "a document and its text")
	for _, part := range parts {
		if part.Media == nil {
			require.Equal(t, "our offer", part.Text)
		} else {
			require.Equal(t, "offer.pdf", part.Media.FileName)
		}
	}

	said := room.Says("shall we meet?")
	heard := ben.HearsText(alice, "shall we meet?")
	_, err := ben.React(heard, "👍")
	require.NoError(t, err)
	room.waitFor("the reaction", func() bool { return room.stands(ben, said, "👍") })
	ben.Says(alice, "at noon")
	room.reacts(room.WaitForMessage(ben, "at noon").ID, "🎉")
	require.Equal(t, "🎉", ben.hearsReaction().Emoji)
}

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Two users of one server: nobody sees the other's rooms, and each has their own.
func TestLinkedUsersAreApart(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	bob := w.MatrixUser("bob").LinksTo(w.Phone("+4915130000044", "Bob"))
	anna := w.Phone("+4915130000045", "Anna")
	anna.WritesTo(alice, "for alice only")
	anna.WritesTo(bob, "for bob only")
	alices, bobs := alice.WaitForRoom(anna), bob.WaitForRoom(anna)
	alices.WaitForMessage(anna, "for alice only")
	bobs.WaitForMessage(anna, "for bob only")
	require.NotEqual(t, alices.ID, bobs.ID)

	// an account that is in use here stays with its user, who is told
	alice.Command("help")
	bob.Command("login whatsapp-qr")
	_, err := alice.phone.ScanQR(w.soon(), bob.shownCode())
	require.Error(t, err)
	bob.WaitForNotice("linked by another user", "nothing was linked")
	alice.WaitForNotice("tried to link your WhatsApp account")
	require.Len(t, alice.phone.LinkedDevices(), 1)
	anna.WritesTo(alice, "still for alice")
	alices.WaitForMessage(anna, "still for alice")
	alices.Says("still from alice")
	require.Equal(t, "still from alice", anna.HearsLinked(alice).Text)
}

// An account whose link has ended can be linked by another user: the one before is told, and nothing of theirs goes over.
func TestLinkedAccountChangesHands(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice, bob := newLinked(w), w.MatrixUser("bob")
	anna := w.Phone("+4915130000047", "Anna")
	anna.WritesTo(alice, "for alice only")
	before := alice.WaitForRoom(anna)
	before.WaitForMessage(anna, "for alice only")
	require.NoError(t, alice.phone.Unlink(alice.phone.LinkedDevices()[0].Device))
	alice.WaitForNotice("taken this server off")
	before.Says("never sent by anybody else")
	before.WaitForNotice("taken this server off")

	bobs := bob.LinksTo(alice.phone)
	alice.WaitForNotice("linked by another user of this server now")
	before.WaitForNotice("bridged here no longer")
	anna.WritesTo(bobs, "for bob only")
	after := bob.WaitForRoom(anna)
	after.WaitForMessage(anna, "for bob only")
	require.NotEqual(t, before.ID, after.ID)
	require.Equal(t, []string{"for bob only"}, after.Texts(anna))
	require.Equal(t, []string{"for alice only"}, before.Texts(anna))
	require.Empty(t, before.Member(bob.client.UserID()))
	require.Empty(t, after.Member(alice.client.UserID()))
	after.Says("from bob")
	require.Equal(t, "from bob", anna.HearsLinked(bobs).Text, "what alice wrote last is not sent")
	alice.Command("ping")
	alice.WaitForNotice("not logged in")

	// and back: it is in use now, until bob leaves it
	alice.Command("login whatsapp-qr")
	_, err := alice.phone.ScanQR(w.soon(), alice.shownCode())
	require.Error(t, err)
	alice.WaitForNotice("linked by another user")
	bob.Command("logout whatsapp-lid-" + alice.phone.lidDigits())
	w.eventually("the phone to have no linked device", func() bool { return len(alice.phone.LinkedDevices()) == 0 })
	alice.LinksTo(alice.phone)
	after.WaitForNotice("bridged here no longer")
	anna.WritesTo(alice, "for alice again")
	w.eventually("a room of alice's own", func() bool {
		for _, candidate := range alice.client.Rooms() {
			if bridgedTo(candidate) == anna.conversation() && len((&room{Room: candidate, user: alice.matrixUser}).Texts(anna)) == 1 &&
				candidate.ID != before.ID && candidate.ID != after.ID {
				return true
			}
		}
		return false
	})
}

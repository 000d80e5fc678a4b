package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/e2e/client"
	"causeway/simulator/meta"
)

// Two Matrix users talk to the same person and never see each other's messages.
func twoMatrixUsersOnePerson(w *world) {
	alice, bob := w.MatrixUser("alice").Enlisted(), w.MatrixUser("bob").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	hers, his := alice.StartChat(anna), bob.StartChat(anna)
	require.NotEqual(w.t, hers.ID, his.ID)

	hers.Says("from alice")
	anna.HearsText(alice, "from alice")
	his.Says("from bob")
	anna.HearsText(bob, "from bob")
	anna.Says(alice, "for alice")
	anna.Says(bob, "for bob")
	hers.WaitForMessage(anna, "for alice")
	his.WaitForMessage(anna, "for bob")

	require.Equal(w.t, []string{"for alice"}, hers.Texts(anna))
	require.Equal(w.t, []string{"for bob"}, his.Texts(anna))
	require.False(w.t, alice.everSaw("bob"), "alice's client was told of bob")
	require.False(w.t, bob.everSaw("alice"), "bob's client was told of alice")
}

// everSaw says whether any message in any room of the user has the text in it.
func (u *matrixUser) everSaw(text string) bool {
	for _, r := range u.client.Rooms() {
		for _, line := range r.Lines() {
			if line.Sender != u.client.UserID() && client.ContainsAll(line.Body, text) {
				return true
			}
		}
	}
	return false
}

// Two providers' users with the same account number, on both networks, and people whose numbers equal it, never mix.
func TestEqualNumbersNeverMix(t *testing.T) {
	w := newWorld(t, withNetwork(meta.ShortAccountIDs()))
	second := w.newHouse(binary(t), other, settings{})
	alice, zoe := w.MatrixUser("alice"), second.MatrixUser("zoe")
	users := []*matrixUser{alice.On(onWhatsApp()), alice.On(onMessenger()), zoe.On(onWhatsApp()), zoe.On(onMessenger())}
	number := account(users[0])
	people := map[string][]*person{
		"WhatsApp":  {w.PersonOn(onWhatsApp(), "Anna"), {Person: w.net.WhatsApp("+"+number, "Carl"), world: w, side: onWhatsApp(), name: "Carl"}},
		"Messenger": {w.PersonOn(onMessenger(), "Ben"), {Person: w.net.Messenger(number, "Cleo"), world: w, side: onMessenger(), name: "Cleo"}},
	}
	w.shared.private = nil // the number is in the names of accounts here, which logs may show
	for _, p := range append(people["WhatsApp"], people["Messenger"]...) {
		require.NoError(t, p.OptedIn().OptIn(other))
	}

	rooms := map[*matrixUser]map[*person]*room{}
	for _, user := range users {
		require.Equal(t, number, account(user), "the network gives all the same number")
		rooms[user] = map[*person]*room{}
		for _, p := range people[user.side.name()] {
			p.Says(user, p.name+" to "+user.name)
			rooms[user][p] = user.WaitForRoom(p)
			rooms[user][p].Says(user.name + " to " + p.name)
			p.HearsText(user, user.name+" to "+p.name)
		}
	}
	for user, theirs := range rooms {
		for p, r := range theirs {
			r.WaitForMessage(p, p.name+" to "+user.name)
			require.Equal(t, []string{p.name + " to " + user.name}, othersTexts(r))
		}
	}
}

// account is the number of an enlisted user, without the provider's.
func account(u *matrixUser) string {
	_, rest, _ := strings.Cut(u.jid, "-")
	number, _, _ := strings.Cut(rest, "@")
	return number
}

// othersTexts is everything that somebody else than the room's user wrote in it, programs aside.
func othersTexts(r *room) []string {
	var texts []string
	for _, line := range r.Lines() {
		if !line.Notice && line.Sender != r.user.client.UserID() {
			texts = append(texts, line.Body)
		}
	}
	return texts
}

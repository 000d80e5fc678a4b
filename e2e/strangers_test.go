package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/e2e/client"
	"causeway/simulator/meta"
)

// Two Matrix users talk to the same WhatsApp user and never see each other's messages.
func TestTwoMatrixUsersOnePerson(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.MatrixUser("alice").Enlisted(), w.MatrixUser("bob").Enlisted()
	anna := w.Person("+4915110000016", "Anna").OptedIn()
	hers, his := alice.StartChat(anna), bob.StartChat(anna)
	require.NotEqual(t, hers.ID, his.ID)

	hers.Says("from alice")
	anna.HearsText(alice, "from alice")
	his.Says("from bob")
	anna.HearsText(bob, "from bob")
	anna.Says(alice, "for alice")
	anna.Says(bob, "for bob")
	hers.WaitForMessage(anna, "for alice")
	his.WaitForMessage(anna, "for bob")

	require.Equal(t, []string{"for alice"}, hers.Texts(anna))
	require.Equal(t, []string{"for bob"}, his.Texts(anna))
	require.False(t, alice.everSaw("bob"), "alice's client was told of bob")
	require.False(t, bob.everSaw("alice"), "bob's client was told of alice")
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

// Two providers' users with the same account number, and a phone number that equals it, never mix.
func TestEqualNumbersNeverMix(t *testing.T) {
	w := newWorld(t, withNetwork(meta.ShortAccountIDs()))
	second := w.newHouse(binary(t), other, settings{})
	alice, zoe := w.MatrixUser("alice").Enlisted(), second.MatrixUser("zoe").Enlisted()
	require.Equal(t, account(alice), account(zoe), "the network gives both the same number")
	anna := w.Person("+4915110000017", "Anna").OptedIn()
	require.NoError(t, anna.OptIn(other))
	carl := w.Person("+"+account(alice), "Carl").OptedIn()
	w.private = nil // the number is in the names of accounts here, which logs may show
	require.NoError(t, carl.OptIn(other))

	people := []*person{anna, carl}
	users := []*matrixUser{alice, zoe}
	rooms := map[*matrixUser]map[*person]*room{}
	for _, user := range users {
		rooms[user] = map[*person]*room{}
		for _, p := range people {
			rooms[user][p] = user.StartChat(p)
			rooms[user][p].Says(user.name + " to " + p.name)
			p.HearsText(user, user.name+" to "+p.name)
			p.Says(user, p.name+" to "+user.name)
		}
	}
	for _, user := range users {
		for _, p := range people {
			r := rooms[user][p]
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

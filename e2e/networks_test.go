package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/e2e/client"
	"causeway/simulator/meta"
)

// One Matrix user talks to people on both networks at once: one bot, one bridge, and account numbers that are equal on purpose.
func TestOneUserOnBothNetworks(t *testing.T) {
	w := newWorld(t, withNetwork(meta.ShortAccountIDs()))
	user := w.MatrixUser("alice")
	there := map[string]*matrixUser{}
	rooms, people := map[string]*room{}, map[string]*person{}
	for _, side := range sides() {
		there[side.name()] = user.On(side)
		people[side.name()] = w.PersonOn(side, "Kim").OptedIn()
	}
	require.Equal(t, there["WhatsApp"].jid, there["Messenger"].jid)
	people["Messenger"].SetUsername("kim.example")
	for name, found := range map[string]string{"WhatsApp": people["WhatsApp"].Phone(), "Messenger": "kim.example"} {
		user.Command("start-chat " + found)
		user.WaitForNotice("chat is ready")
		rooms[name] = there[name].WaitForRoom(people[name])
		rooms[name].WaitForNotice("third-party chat", name, "decrypts messages")
	}
	require.NotEqual(t, rooms["WhatsApp"].ID, rooms["Messenger"].ID)

	for name, r := range rooms {
		r.Says("for Kim on " + name)
	}
	for name, p := range people {
		heard := p.HearsText(there[name], "for Kim on "+name)
		p.Says(there[name], "from Kim on "+name)
		rooms[name].WaitForMessage(p, "from Kim on "+name)
		reply, err := p.Reply(heard, "a reply on "+name)
		require.NoError(t, err)
		rooms[name].WaitForMessage(p, "a reply on "+name)
		require.NoError(t, p.WaitReceipt(w.soon(), reply, "delivery"))
	}
	ghosts := map[string]bool{}
	for _, side := range sides() {
		r, p := rooms[side.name()], people[side.name()]
		require.Equal(t, []string{"from Kim on " + side.name(), "a reply on " + side.name()}, othersTexts(r))
		r.waitFor("a name that says which network it is", func() bool { return client.ContainsAll(r.Name(), "("+side.name()+")") })
		r.saysItsNetwork(side)
		ghost := r.WaitForMessage(p, "from Kim on "+side.name()).Sender
		require.Contains(t, ghost.Localpart(), string(side.network)+"-")
		ghosts[ghost.String()] = true
	}
	require.Len(t, ghosts, 2, "two people, although the names and our numbers are equal")
	require.NotEqual(t, user.spaceOf(rooms["WhatsApp"]).ID, user.spaceOf(rooms["Messenger"]).ID, "each network has its space")
	require.NotEqual(t, rooms["WhatsApp"].avatar(), rooms["Messenger"].avatar())
}

// Leaving one network leaves the other as it is.
func TestLeavingOneOfTwoNetworks(t *testing.T) {
	w := newWorld(t, withNetwork(meta.ShortAccountIDs()))
	user := w.MatrixUser("alice")
	alice, there := user.On(onWhatsApp()), user.On(onMessenger())
	anna := w.PersonOn(onWhatsApp(), "Anna").OptedIn()
	ben := w.PersonOn(onMessenger(), "Ben").OptedIn()
	anna.Says(alice, "hello from WhatsApp")
	ben.Says(there, "hello from Messenger")
	annas, bens := alice.WaitForRoom(anna), there.WaitForRoom(ben)
	bens.WaitForMessage(ben, "hello from Messenger")

	user.Command("consent withdraw messenger")
	user.WaitForNotice("write", "withdraw")
	user.Command("withdraw")
	user.WaitForNotice("Messenger", "has ended")
	bens.WaitForNotice("stays readable")
	_, err := ben.Say(there.jid, "is anybody there?")
	require.Error(t, err)
	annas.Says("still here")
	anna.HearsText(alice, "still here")
}

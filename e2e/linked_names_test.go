package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
)

// number is a person's phone number as the network addresses it.
func (p *person) number() string { return strings.TrimPrefix(p.Phone(), "+") + "@s.whatsapp.net" }

// ghosts are all accounts that stand for a person in the room, by whichever of their numbers.
func (r *room) ghosts(p *person) (found []id.UserID) {
	for _, key := range r.StateKeys("m.room.member") {
		user := id.UserID(key)
		byNumber := strings.HasSuffix(user.Localpart(), network.Phone(p.Phone()).String())
		if (byNumber || p.is(user)) && r.Member(user) == event.MembershipJoin {
			found = append(found, user)
		}
	}
	return found
}

// roomsWith are the user's rooms with a person in them, the account's space aside.
func (u *linkedUser) roomsWith(p *person) (found []*room) {
	for _, candidate := range u.client.Rooms() {
		r := &room{Room: candidate, user: u.matrixUser}
		if candidate.Type() == "" && len(r.ghosts(p)) > 0 {
			found = append(found, r)
		}
	}
	return found
}

// textsOf is what others have said in the room, whoever stood for them. What could be read only at the second try stands in the
// place of a notice: phones of before the hidden numbers and those after have sessions apart.
func (r *room) textsOf() (texts []string) {
	for _, line := range r.Lines() {
		content := line.Content
		if content.NewContent != nil {
			content = *content.NewContent
		}
		if line.Sender != r.user.client.UserID() && content.MsgType == event.MsgText {
			texts = append(texts, content.Body)
		}
	}
	return texts
}

// requireOneRoom requires that there is one room with a person, one account that stands for them, and each text once.
func (u *linkedUser) requireOneRoom(r *room, p *person, texts ...string) {
	w := u.house.world
	w.t.Helper()
	r.waitFor("one ghost of "+p.name, func() bool { ghosts := r.ghosts(p); return len(ghosts) == 1 && p.is(ghosts[0]) })
	w.eventually("one room with "+p.name, func() bool { rooms := u.roomsWith(p); return len(rooms) == 1 && rooms[0].ID == r.ID })
	r.waitFor("all that "+p.name+" said", func() bool { return len(r.textsOf()) >= len(texts) })
	require.ElementsMatch(w.t, texts, r.textsOf())
}

// Somebody who was known by number goes on in the same room when their hidden number is known: one room, one account, and what was
// said before can be answered, changed and read as if nothing had happened. So it is while they write, and after a restart.
func TestLinkedNumberBecomesHidden(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000071", "Anna")
	anna.TellOneName(true)
	says := func(to, text string) string {
		t.Helper()
		messageID, err := anna.Say(to, text)
		require.NoError(t, err)
		return messageID
	}
	first := says(alice.phone.number(), "it is me")
	room := alice.WaitForRoomOf(network.Phone(anna.Phone()))
	room.waitFor("her words", func() bool { return len(room.textsOf()) == 1 })
	wrong := says(alice.phone.number(), "on Sunday")
	room.waitFor("more words", func() bool { return len(room.textsOf()) == 2 })

	// the answer makes the bridge ask who that is, while she goes on
	room.Says("who is me?")
	asked := anna.HearsLinked(alice)
	require.Equal(t, "who is me?", asked.Text)
	for i := range 3 {
		says(alice.phone.number(), fmt.Sprintf("by number %d", i))
		says(alice.phone.LID(), fmt.Sprintf("hidden %d", i))
	}
	said := []string{"it is me", "on Sunday", "by number 0", "by number 1", "by number 2", "hidden 0", "hidden 1", "hidden 2"}
	require.Equal(t, room.ID, alice.WaitForRoomOf(network.LID(anna.lidDigits())).ID)
	alice.requireOneRoom(room, anna, said...)
	room.waitFor("her name", func() bool { return strings.Contains(room.Name(), "Anna") })

	// what is older than the move is still known
	own := lastOwn(room, "who is me?")
	_, err := anna.React(asked, "😀")
	require.NoError(t, err)
	room.waitFor("the reaction", func() bool { return room.stands(anna, own, "😀") })
	require.NoError(t, anna.Read(asked.ID))
	room.waitFor("the receipt", func() bool { return room.HasRead(room.ghosts(anna)[0], own) })
	lineOf := func(text string) id.EventID {
		for _, line := range room.Lines() {
			if line.Body == text {
				return line.ID
			}
		}
		return ""
	}
	room.sends(event.EventMessage, replying(lineOf("it is me"), "hello, me"))
	answer := anna.HearsLinked(alice)
	require.Equal(t, []string{"hello, me", first}, []string{answer.Text, answer.ReplyTo})
	_, err = anna.Unsend(alice.phone.LID(), wrong)
	require.NoError(t, err)
	room.waitFor("the message to be gone", func() bool { return room.Redacted(lineOf("on Sunday")) })

	_, err = anna.Edit(alice.phone.LID(), first, "it is me, Anna")
	require.NoError(t, err)
	old := lineOf("it is me")
	room.waitFor("the edit", func() bool { return slices.Contains(room.textsOf(), "it is me, Anna") && room.Redacted(old) })
	said = append(said, "it is me, Anna")

	require.NoError(t, w.stage.Bridge.Stop())
	says(alice.phone.number(), "meanwhile by number")
	says(alice.phone.LID(), "meanwhile hidden")
	require.NoError(t, w.stage.Bridge.Start(w.ctx))
	alice.requireOneRoom(room, anna, append(said, "meanwhile by number", "meanwhile hidden")...)
	room.Says("all here")
	require.Equal(t, "all here", anna.textFrom(alice))
}

// Somebody who was known by their hidden number stays where they are when the number is known.
func TestLinkedHiddenBecomesNumber(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	ben := w.Phone("+4915130000072", "Ben")
	ben.TellOneName(true)
	ben.WritesTo(alice, "from nowhere")
	room := alice.WaitForRoom(ben)
	room.WaitForMessage(ben, "from nowhere")
	require.Equal(t, room.ID, alice.StartsChat(ben).ID, "found by number")
	_, err := ben.Say(alice.phone.number(), "by number")
	require.NoError(t, err)
	alice.requireOneRoom(room, ben, "from nowhere", "by number")
}

// Whoever has written under both numbers before anybody could know that it is one person has two rooms; when it is known, the older way
// leads on to the other.
func TestLinkedTwoRoomsBecomeOne(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	carl := w.Phone("+4915130000073", "Carl")
	carl.TellOneName(true)
	carl.WritesTo(alice, "hidden")
	hidden := alice.WaitForRoom(carl)
	hidden.WaitForMessage(carl, "hidden")
	_, err := carl.Say(alice.phone.number(), "by number")
	require.NoError(t, err)
	old := alice.WaitForRoomOf(network.Phone(carl.Phone()))
	require.NotEqual(t, hidden.ID, old.ID)
	old.waitFor("his words", func() bool { return len(old.textsOf()) == 1 })

	carl.TellOneName(false)
	_, err = carl.Say(alice.phone.number(), "it is all me")
	require.NoError(t, err)
	hidden.waitFor("his words", func() bool { return slices.Contains(hidden.textsOf(), "it is all me") })
	old.waitFor("the way to the other room", func() bool {
		var tombstone event.TombstoneEventContent
		return old.State("m.room.tombstone", "", &tombstone) && tombstone.ReplacementRoom == hidden.ID
	})
	old.waitFor("nobody to be left", func() bool { return len(old.ghosts(carl)) == 0 })
	require.Equal(t, []string{"by number"}, old.textsOf(), "what was said stays readable")
	alice.requireOneRoom(hidden, carl, "hidden", "it is all me")
}

package e2e

import (
	"strings"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/id"

	"causeway/simulator/meta"
)

// person is somebody with a phone.
type person struct {
	*meta.Person
	world *world
	side  side
	name  string
}

// Somebody is a new person on the story's network who has not turned on third-party chats.
func (w *world) Somebody(name string) *person { return w.PersonOn(w.side, name) }

// PersonOn is a new person on a network.
func (w *world) PersonOn(on side, name string) *person {
	w.shared.mu.Lock()
	w.shared.people++
	number := w.shared.people
	w.shared.mu.Unlock()
	made := on.person(w.net, number, name)
	w.keepPrivate(strings.TrimPrefix(made.Phone(), "+"))
	return &person{Person: made, world: w, side: on, name: name}
}

// OptedIn turns on third-party chats with our provider.
func (p *person) OptedIn() *person {
	p.world.t.Helper()
	require.NoError(p.world.t, p.OptIn(integrator))
	return p
}

// identifier is what users find the person by, conversation the stored form of their address.
func (p *person) identifier() string   { return p.side.identifier(p.Person) }
func (p *person) conversation() string { return p.side.conversation(p.Person) }

// is says whether a Matrix account is the person's ghost.
func (p *person) is(user id.UserID) bool {
	return strings.HasSuffix(user.Localpart(), p.conversation())
}

// Says sends a message to an enlisted user.
func (p *person) Says(to *matrixUser, text string) (messageID string) {
	p.world.t.Helper()
	p.world.keepSecret(text)
	messageID, err := p.Say(to.jid, text)
	require.NoError(p.world.t, err)
	return messageID
}

// HearsText waits for the next message and requires that it is this one.
func (p *person) HearsText(from *matrixUser, text string) meta.Heard {
	p.world.t.Helper()
	heard, err := p.Hears(p.world.soon())
	require.NoError(p.world.t, err, "%s waited for %q", p.name, text)
	require.Equal(p.world.t, text, heard.Text)
	require.Equal(p.world.t, from.jid, heard.From)
	return heard
}

package e2e

import (
	"strings"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/id"

	"causeway/network"
	"causeway/simulator/meta"
)

// person is somebody with a phone, on WhatsApp unless made otherwise.
type person struct {
	*meta.Person
	world *world
	name  string
}

// Person puts somebody into the network who has not turned on third-party chats.
func (w *world) Person(phone, name string) *person {
	w.keepPrivate(strings.TrimPrefix(phone, "+"))
	return &person{Person: w.net.WhatsApp(phone, name), world: w, name: name}
}

// OptedIn turns on third-party chats with our provider.
func (p *person) OptedIn() *person {
	p.world.t.Helper()
	require.NoError(p.world.t, p.OptIn(integrator))
	return p
}

// conversation is the stored form of the person's address.
func (p *person) conversation() string {
	if p.FBID() != "" {
		return network.Account(p.FBID()).String()
	}
	return network.LID(p.lidDigits()).String()
}

func (p *person) lidDigits() string {
	digits, _, _ := strings.Cut(p.LID(), "@")
	return digits
}

// is says whether a Matrix account is the person's ghost.
func (p *person) is(user id.UserID) bool {
	return strings.HasSuffix(user.Localpart(), p.conversation())
}

// Says sends a message to an enlisted user.
func (p *person) Says(to *matrixUser, text string) (messageID string) {
	p.world.t.Helper()
	p.world.keepPrivate(text)
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

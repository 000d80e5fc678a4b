package e2e

import (
	"fmt"
	"strings"

	"causeway/network"
	"causeway/portal"
	"causeway/simulator/meta"
)

// side is a network as stories see it: how its people come to be, and by what they are found.
type side struct {
	network network.Network
	// flow is the login flow of its third-party accounts.
	flow string
	// person puts the number-th person into the network.
	person func(net *meta.Network, number int, name string) *meta.Person
	// identifier is what users find a person by; unknown is nobody's, malformed no identifier at all.
	identifier         func(*meta.Person) string
	unknown, malformed string
	// can is what its chats carry.
	can portal.Abilities
}

func onWhatsApp() side {
	return side{
		network: network.WhatsApp, flow: "whatsapp-interop", can: portal.AbilitiesOf(network.WhatsApp),
		person: func(net *meta.Network, number int, name string) *meta.Person {
			return net.WhatsApp(fmt.Sprintf("+49151200%05d", number), name)
		},
		identifier: (*meta.Person).Phone, unknown: "+4915119999999", malformed: "five",
	}
}

func onMessenger() side {
	return side{
		network: network.Messenger, flow: "messenger-interop", can: portal.AbilitiesOf(network.Messenger),
		person: func(net *meta.Network, number int, name string) *meta.Person {
			return net.Messenger(fmt.Sprintf("1000000000%05d", number), name)
		},
		identifier: (*meta.Person).FBID, unknown: "100009999999999", malformed: "five",
	}
}

func sides() []side { return []side{onWhatsApp(), onMessenger()} }

func (s side) name() string { return s.network.DisplayName() }

// conversation is the stored form of a person's address.
func (s side) conversation(p *meta.Person) string {
	digits, _, _ := strings.Cut(p.LID(), "@")
	if s.network == network.Messenger {
		return network.Account(digits).String()
	}
	return network.LID(digits).String()
}

// Package puppet is the people of a network as Matrix users: the id of a ghost,
// the name it carries, and who an event is from.
//
// It converts and nothing else: it does no I/O, holds no state and knows no
// connection. Whatever a person's name contained, what leaves this package is
// one line of harmless text with the network's name in it.
package puppet

import (
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"

	"causeway/network"
)

// ID is the ghost of an address.
func ID(a network.Address) networkid.UserID { return networkid.UserID(a.String()) }

// Address is the inverse of [ID]; it refuses everything that [ID] does not make.
func Address(id networkid.UserID) (network.Address, error) {
	return network.ParseAddress(string(id))
}

// LoginID is the id of the login that uses an address.
func LoginID(a network.Address) networkid.UserLoginID {
	return networkid.UserLoginID(a.String())
}

// LoginAddress is the inverse of [LoginID].
func LoginAddress(id networkid.UserLoginID) (network.Address, error) {
	return network.ParseAddress(string(id))
}

// IsPerson says whether an address can stand for somebody to talk to: a user of
// the network itself, not of a provider.
func IsPerson(a network.Address) bool {
	return a.Validate() == nil && a.Kind != network.KindInterop
}

// Sender attributes an event: to the login itself only where the whole address,
// integrator included, is its own.
func Sender(from, self network.Address) bridgev2.EventSender {
	sender := bridgev2.EventSender{Sender: ID(from)}
	if from == self {
		sender.IsFromMe = true
		sender.SenderLogin = LoginID(self)
	}
	return sender
}

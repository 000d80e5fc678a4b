package network

import (
	"context"
	"io"
	"time"
)

// Person is what a network says of an account.
type Person struct {
	Address Address
	// Alias is another address of the same person, zero if unknown.
	Alias Address
	// Name is empty where the network does not share it, as in third-party chats. Where it does, it is what
	// the login's address book calls the person, and what they call themselves if they do not stand in it.
	Name string
	// Own says that Name comes from the login's address book, which is nobody else's business.
	Own bool
	// Business is the name of a verified business, empty for people.
	Business string
	// Picture is the id of the profile picture, empty if there is none or it is not known.
	Picture string
}

// PersonEvent tells that what is known of a person has changed. What did not change is empty.
type PersonEvent struct {
	// Person is the canonical address. Alias is another one of the same person: if a conversation or a sender was
	// known by it until now, it goes on under Person.
	Person, Alias Address
	// Name is what they call themselves now; ContactName what the login's address book calls them.
	Name, ContactName string
	// Picture says that the profile picture changed; PictureID is the new one, empty if it was removed.
	Picture   bool
	PictureID string
	Time      time.Time
}

// Picture is a profile or group picture.
type Picture struct {
	ID string
	// Open starts reading the image; it may be called again.
	Open func(ctx context.Context) (io.ReadCloser, error) `json:"-"`
}

// Directory is a client that knows people.
type Directory interface {
	// Contacts are the people of the login's address book, and others it has met.
	Contacts(ctx context.Context) ([]Person, error)
	// Person is what is known of one; nothing being known is no error.
	Person(ctx context.Context, address Address) (Person, error)
	// Canonical is the address under which a person is known here: their LID, if the network knows
	// one for the phone number. Other addresses are their own.
	Canonical(ctx context.Context, address Address) (Address, error)
	// Picture is the picture of a person or group. Errors wrap [ErrNoPicture] if there is none, or none for the
	// login's eyes; [ErrUnchanged] if it is still the known one.
	Picture(ctx context.Context, of Address, known string) (Picture, error)
}

func (PersonEvent) event() {}

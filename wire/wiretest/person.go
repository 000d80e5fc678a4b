package wiretest

import (
	"context"

	"causeway/network"
	"causeway/network/networktest"
	"causeway/simulator/meta"
	"causeway/wire"
)

// Person is a played phone in the words of the suite.
type Person struct {
	*meta.Person
	product Product
}

var _ networktest.Selective = Person{}

// Played is a person of a simulated network in the words of the suite.
func (p Product) Played(person *meta.Person) Person { return Person{person, p} }

// Address implements [networktest.Person].
func (p Person) Address() network.Address {
	address, err := wire.ParseTextJID(p.product.Network, p.LID())
	if err != nil {
		panic(err)
	}
	return address
}

// Identifier implements [networktest.Person].
func (p Person) Identifier() string { return p.product.Identifier(p.Person) }

// Carried implements [networktest.Selective].
func (p Person) Carried(content network.Content) (network.Content, bool) {
	return p.product.Carried(content)
}

// OptOut implements [networktest.Person].
func (p Person) OptOut() error { return p.Person.OptOut() }

// Say implements [networktest.Person].
func (p Person) Say(to network.Address, body string) (string, error) {
	name, err := wire.TextJID(to)
	if err != nil {
		return "", err
	}
	return p.Person.Say(name, body)
}

// Reply implements [networktest.Person].
func (p Person) Reply(to networktest.Heard, body string) (string, error) {
	from, err := wire.TextJID(to.From)
	if err != nil {
		return "", err
	}
	heard := meta.Heard{From: from, ID: to.ID, Text: to.Text}
	if to.From.Kind != network.KindInterop {
		heard.Chat = from
	}
	return p.Person.Reply(heard, body)
}

// Hears implements [networktest.Person].
func (p Person) Hears(ctx context.Context) (networktest.Heard, error) {
	heard, err := p.Person.Hears(ctx)
	if err != nil {
		return networktest.Heard{}, err
	}
	from, err := wire.ParseTextJID(p.product.Network, heard.From)
	return more(networktest.Heard{From: from, ID: heard.ID, Text: heard.Text, ReplyTo: heard.ReplyTo, Edited: heard.Edited, Removed: heard.Removed}, heard), err
}

// Typing implements [networktest.Person].
func (p Person) Typing(to network.Address, typing bool) error {
	name, err := wire.TextJID(to)
	if err != nil {
		return err
	}
	return p.Person.Typing(name, typing)
}

// WaitReceipt implements [networktest.Person].
func (p Person) WaitReceipt(ctx context.Context, id string, kind network.ReceiptKind) error {
	if kind == network.Delivered {
		return p.Person.WaitReceipt(ctx, id, "delivery")
	}
	return p.Person.WaitReceipt(ctx, id, "read")
}

// WaitTyping implements [networktest.Person].
func (p Person) WaitTyping(ctx context.Context, from network.Address, typing bool) error {
	name, err := wire.TextJID(from)
	if err != nil {
		return err
	}
	return p.Person.WaitTyping(ctx, name, typing)
}

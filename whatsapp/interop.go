package whatsapp

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"causeway/network"
	"causeway/wire"
)

// Interop is a third-party account on WhatsApp.
type Interop struct{ *wire.Account }

var (
	_ network.Client      = (*Interop)(nil)
	_ network.Finder      = (*Interop)(nil)
	_ network.MediaSource = (*Interop)(nil)
)

// NewInterop makes the client of a third-party account; it connects when told to.
func NewInterop(login wire.Login) *Interop {
	spelling := &codec{}
	spelling.account = wire.NewAccount(login, wire.Service{
		Network: network.WhatsApp, Product: wire.ProductWhatsApp, People: network.KindLID, Codec: spelling,
	})
	return &Interop{spelling.account}
}

// Find looks a person up by phone number; spaces, hyphens, dots and brackets in it
// do not matter (docs/protocol.md#lookup).
func (i *Interop) Find(ctx context.Context, identifier string) (network.Person, error) {
	phone, err := normalPhone(identifier)
	if err != nil {
		return network.Person{}, err
	}
	found, err := i.FindBy(ctx, wire.ByPhone, phone)
	if err != nil {
		return network.Person{}, err
	}
	found.Alias = network.Phone(phone)
	return found, nil
}

// codec spells messages, and has their files hosted by its account.
type codec struct{ account *wire.Account }

var _ wire.Codec = (*codec)(nil)

// NewMessageID implements [wire.Codec] by the function of the same name.
func (*codec) NewMessageID(seed []byte) string { return NewMessageID(seed) }

// NewMessageID is "3EB0" and 18 upper-case hexadecimal digits made from seed.
func NewMessageID(seed []byte) string {
	sum := sha256.Sum256(seed)
	return fmt.Sprintf("3EB0%X", sum[:9])
}

// Encode writes a message, after its file was hosted.
func (c *codec) Encode(ctx context.Context, message network.Message) (out wire.Outgoing, err error) {
	file, err := c.account.HostFile(ctx, message.Content)
	if err != nil {
		return out, err
	}
	out.Type, out.MediaType = stanzaType(message.Content)
	out.Plaintext, err = encode(message, file)
	return out, err
}

// Decode reads a message.
func (*codec) Decode(in wire.Incoming, self, peer network.Address) (network.Content, *network.MessageID, error) {
	return decode(in.Plaintext, self, peer)
}

// normalPhone is a phone number in E.164 form, with its plus sign.
func normalPhone(identifier string) (string, error) {
	phone := strings.NewReplacer(" ", "", "\u00a0", "", "-", "", ".", "", "(", "", ")", "").Replace(identifier)
	digits, plus := strings.CutPrefix(phone, "+")
	if !plus || len(digits) < 7 || len(digits) > 15 || network.Phone(digits).Validate() != nil {
		return "", fmt.Errorf("%w: want a phone number with its country, like +49…", network.ErrBadIdentifier)
	}
	return phone, nil
}

package messenger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"causeway/network"
	"causeway/wire"
)

// Interop is a third-party account on Messenger.
type Interop struct{ *wire.Account }

var (
	_ network.Client      = (*Interop)(nil)
	_ network.Finder      = (*Interop)(nil)
	_ network.MediaSource = (*Interop)(nil)
)

// NewInterop makes the client of a third-party account; it connects when told to.
func NewInterop(login wire.Login) *Interop {
	spelling := &codec{payload: v3{}}
	spelling.account = wire.NewAccount(login, wire.Service{
		Network: network.Messenger, Product: wire.ProductMessenger, People: network.KindAccount,
		Franking: frankingTag, Codec: spelling,
	})
	return &Interop{spelling.account}
}

// Find looks a person up by account number or by username, which may have an @ in
// front and is not case-sensitive (docs/protocol.md#lookup).
func (i *Interop) Find(ctx context.Context, identifier string) (network.Person, error) {
	key, value, err := normalIdentifier(identifier)
	if err != nil {
		return network.Person{}, err
	}
	return i.FindBy(ctx, key, value)
}

// usernameForm is what a username looks like, in lower case. // assumed: U18
var usernameForm = regexp.MustCompile(`^[a-z0-9.]{5,50}$`)

// normalIdentifier tells an account number from a username, and brings it into the wire's form.
func normalIdentifier(identifier string) (wire.LookupKey, string, error) {
	text := strings.ToLower(strings.TrimSpace(identifier))
	if network.Account(text).Validate() == nil {
		return wire.ByAccount, text, nil
	}
	name := strings.TrimPrefix(text, "@")
	if !usernameForm.MatchString(name) || strings.Trim(name, "0123456789.") == "" {
		return "", "", fmt.Errorf("%w: want a Messenger username or account number", network.ErrBadIdentifier)
	}
	return wire.ByUsername, name, nil
}

// codec spells messages by one form of payload, and has their files hosted by its account.
type codec struct {
	payload Payload
	account *wire.Account
}

var (
	_ wire.Codec  = (*codec)(nil)
	_ wire.Prover = (*codec)(nil)
)

// NewMessageID implements [wire.Codec] by the function of the same name.
func (*codec) NewMessageID(seed []byte) string { return NewMessageID(seed) }

// NewMessageID is a decimal number of 19 digits, as Messenger's own ids are. Those begin
// with the time; here all of it follows from seed, so that a repeated message keeps its id.
func NewMessageID(seed []byte) string {
	sum := sha256.Sum256(seed)
	const positive, large = 1<<63 - 1, 1 << 62
	return strconv.FormatUint(binary.BigEndian.Uint64(sum[:])&positive|large, 10)
}

// Encode writes a message, after its file was hosted. The stanza calls everything a text that is not a file.
func (c *codec) Encode(ctx context.Context, message network.Message) (out wire.Outgoing, err error) {
	file, err := c.account.HostFile(ctx, message.Content)
	if err != nil {
		return out, err
	}
	out.Type = "text"
	if _, ok := message.Content.(network.Media); ok {
		out.Type = "media"
	}
	out.Plaintext, err = c.payload.Encode(message, file)
	return out, err
}

// Proof implements [wire.Prover].
func (c *codec) Proof(in wire.Incoming) []byte { return c.payload.Proof(in.Plaintext, in.Franking) }

// Decode reads a message.
func (c *codec) Decode(in wire.Incoming, self, peer network.Address) (network.Content, *network.MessageID, error) {
	return c.payload.Decode(in.Plaintext, in.Franking, self, peer)
}

package whatsapp

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/whatsmeow/types"

	"causeway/network"
	"causeway/wire"
)

// InteropConfig is what a third-party account needs to be on WhatsApp.
type InteropConfig struct {
	// Self is the account's own address, of kind interop.
	Self network.Address
	// Keys are the account's keys, the ones that were enlisted.
	Keys wire.Keys
	// Store keeps the account's Signal state, and of no other account.
	Store wire.Store
	// Endpoint is where the network is; the zero value is production.
	Endpoint wire.Endpoint
	// ChatURL is the websocket that the enlistment named; empty is the network's usual one.
	ChatURL string
	// Token makes a fresh connect token (a compact JWT) for each connection. Its errors may wrap
	// sentinels of package network; those that trying again cannot mend end in Refused.
	Token func(ctx context.Context) (string, error)
	// ReadReceipts sends and receives read receipts.
	ReadReceipts bool
	// Upload gives an encrypted file to the provider's media host and returns the path by which the
	// network finds it there. Nil: files cannot be sent.
	Upload func(ctx context.Context, ciphertext io.Reader, size int64, encSHA256 [32]byte) (directPath string, err error)
	// Headers are added to the websocket's request.
	Headers http.Header
	// Handler takes everything that happens, one at a time.
	Handler network.Handler
	Log     zerolog.Logger
}

// Interop is a third-party account on WhatsApp.
type Interop struct {
	self         network.Address
	handler      network.Handler
	readReceipts bool
	keys         wire.Keys
	upload       func(ctx context.Context, ciphertext io.Reader, size int64, encSHA256 [32]byte) (string, error)
	client       *wire.Client
}

var (
	_ network.Client = (*Interop)(nil)
	_ network.Finder = (*Interop)(nil)
)

// NewInterop makes the client of a third-party account; it connects when told to.
func NewInterop(cfg InteropConfig) *Interop {
	i := &Interop{self: cfg.Self, handler: cfg.Handler, readReceipts: cfg.ReadReceipts, keys: cfg.Keys, upload: cfg.Upload}
	self, err := toJID(cfg.Self)
	if err != nil {
		self = types.JID{} // refused by Connect, which can return an error
	}
	i.client = wire.New(wire.Config{
		Self:         self,
		PeerServer:   types.HiddenUserServer,
		Product:      wire.ProductWhatsApp,
		Keys:         cfg.Keys,
		Store:        cfg.Store,
		Endpoint:     cfg.Endpoint,
		URL:          cfg.ChatURL,
		Token:        cfg.Token,
		ReadReceipts: cfg.ReadReceipts,
		Headers:      cfg.Headers,
		Receiver:     receiver{i},
		Log:          cfg.Log,
	})
	return i
}

// Self is the account's own address.
func (i *Interop) Self() network.Address { return i.self }

// Connect starts the connection, see [network.Client].
func (i *Interop) Connect(ctx context.Context) error { return i.client.Connect(ctx) }

// Disconnect ends the connection, see [network.Client].
func (i *Interop) Disconnect() { i.client.Disconnect() }

// NewMessageID is "3EB0" and 18 upper-case hexadecimal digits made from seed.
func (i *Interop) NewMessageID(seed []byte) string {
	sum := sha256.Sum256(seed)
	return fmt.Sprintf("3EB0%X", sum[:9])
}

// Send delivers a message to one person, who is named by LID: numbers of third-party
// accounts and phone numbers could be mistaken for each other (docs/protocol.md#identifiers).
func (i *Interop) Send(ctx context.Context, msg network.Message) (network.Sent, error) {
	to, err := i.peer(msg.ID.Conversation)
	if err != nil {
		return network.Sent{}, err
	}
	file, err := i.host(ctx, msg.Content)
	if err != nil {
		return network.Sent{}, err
	}
	out := wire.Outgoing{To: to, ID: msg.ID.ID}
	if out.Plaintext, err = encode(msg, file); err != nil {
		return network.Sent{}, err
	}
	out.Type, out.MediaType = stanzaType(msg.Content)
	at, err := i.client.Send(ctx, out)
	if err != nil {
		return network.Sent{}, fmt.Errorf("failed to send to WhatsApp: %w", err)
	}
	return network.Sent{Time: at}, nil
}

// peer is the wire's name of somebody to write to.
func (i *Interop) peer(conversation network.Address) (types.JID, error) {
	jid, err := toJID(conversation)
	if err != nil {
		return jid, fmt.Errorf("%w: %w", network.ErrUnknownPerson, err)
	} else if conversation.Kind != network.KindLID {
		return jid, fmt.Errorf("%w: people are written to by LID", network.ErrUnknownPerson)
	}
	return jid, nil
}

// MarkRead tells a person that messages of theirs were read, unless read receipts are off.
func (i *Interop) MarkRead(ctx context.Context, conversation network.Address, ids []network.MessageID, at time.Time) error {
	to, err := i.peer(conversation)
	if err != nil || !i.readReceipts {
		return err
	}
	var theirs []string
	for _, id := range ids {
		if id.Sender == conversation {
			theirs = append(theirs, id.ID)
		}
	}
	return i.client.MarkRead(ctx, to, theirs, at)
}

// SetTyping tells a person that the user began or stopped typing.
func (i *Interop) SetTyping(ctx context.Context, conversation network.Address, typing bool) error {
	to, err := i.peer(conversation)
	if err != nil {
		return err
	}
	return i.client.SetTyping(ctx, to, typing)
}

// Find looks a person up by phone number; spaces, hyphens, dots and brackets in it
// do not matter (docs/protocol.md#finding-people).
func (i *Interop) Find(ctx context.Context, identifier string) (network.Person, error) {
	phone, err := normalPhone(identifier)
	if err != nil {
		return network.Person{}, err
	}
	found, err := i.client.Lookup(ctx, phone)
	if err != nil {
		return network.Person{}, fmt.Errorf("failed to look a person up: %w", err)
	}
	address, err := fromJID(found.JID)
	if err != nil || address.Kind != network.KindLID {
		return network.Person{}, fmt.Errorf("%w: the answer names nobody by LID", network.ErrTemporary)
	}
	return network.Person{Address: address, Alias: network.Phone(phone), Name: found.Name}, nil
}

// SafetyNumber is the 60 digits to compare with a person (docs/protocol.md#keys). It wraps
// ErrNoEncryption while the two have not written to each other.
func (i *Interop) SafetyNumber(ctx context.Context, person network.Address) (string, error) {
	jid, err := i.peer(person)
	if err != nil {
		return "", err
	}
	theirs, known, err := i.client.Identity(ctx, jid)
	if err != nil {
		return "", fmt.Errorf("failed to read an identity key: %w", err)
	} else if !known {
		return "", fmt.Errorf("%w: no key is known yet", network.ErrNoEncryption)
	}
	name, err := textJID(person)
	if err != nil {
		return "", err
	}
	ours, err := textJID(i.self)
	if err != nil {
		return "", err
	}
	return wire.SafetyNumber(wire.Identity{Key: i.keys.Public().Identity, ID: ours}, wire.Identity{Key: theirs, ID: name})
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

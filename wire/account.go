package wire

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/whatsmeow/types"

	"causeway/network"
)

// Login is what a third-party account needs to be on a network, whichever it is.
type Login struct {
	// Self is the account's own address, of kind interop.
	Self network.Address
	// Keys are the account's keys, the ones that were enlisted.
	Keys Keys
	// Store keeps the account's Signal state, and of no other account.
	Store Store
	// Endpoint is where the network is; the zero value is production.
	Endpoint Endpoint
	// ChatURL is the websocket that the enlistment named; empty is the network's usual one.
	ChatURL string
	// Token makes a fresh connect token (a compact JWT) for each connection. Its errors may wrap
	// sentinels of package network; those that trying again cannot mend end in Refused.
	Token func(ctx context.Context) (string, error)
	// Publish makes the network know the keys with a new signed prekey, which is due from time to time; nil keeps the
	// first one for good (docs/protocol.md#keys).
	Publish func(ctx context.Context, keys PublicKeys) error
	// Now is the clock, nil the system's.
	Now func() time.Time
	// ReadReceipts sends and receives read receipts.
	ReadReceipts bool
	// Upload hosts files on their way out; nil: files cannot be sent.
	Upload Upload
	// Withhold says whether a person is not to see that their messages arrived, as while the user has not
	// accepted the chat; nil withholds nothing. See also [Account.MarkDelivered].
	Withhold func(ctx context.Context, person network.Address) bool
	// Behalf says for whose client a connection stands in, for each that is made; nil: the account is its user's client itself.
	Behalf func() (Behalf, error)
	// Handler takes everything that happens, one at a time.
	Handler network.Handler
	Log     zerolog.Logger
}

// Service is what one network does its own way.
type Service struct {
	Network network.Network
	Product Product
	// People is the kind of address by which people are written to. There is one only: numbers of
	// third-party accounts and of people could be mistaken for each other (docs/protocol.md#identifiers).
	People network.Kind
	// Franking is nil where messages have no tag, see [Config].
	Franking func(plaintext []byte) []byte
	Codec    Codec
}

// Codec spells a network's messages. Its methods may be called by several goroutines at once.
type Codec interface {
	// NewMessageID is an id of the network's shape made from seed, the same for the same seed.
	NewMessageID(seed []byte) string
	// Encode writes a message's content: all of [Outgoing] but To and ID. Errors wrap sentinels of package network.
	Encode(ctx context.Context, message network.Message) (Outgoing, error)
	// Decode reads a message of a direct chat between self and peer. Errors wrap [ErrContent]: what
	// is outside of what the network allows.
	Decode(in Incoming, self, peer network.Address) (network.Content, *network.MessageID, error)
}

// Prover is a codec of messages that come with a proof of what their sender sent.
type Prover interface {
	// Proof is what to hand over with a report about a message that Decode has read.
	Proof(in Incoming) []byte
}

// Account is a third-party account on a network: a [network.Client] for all that the
// networks share, which a [Service] completes.
type Account struct {
	login   Login
	service Service
	client  *Client
}

var _ network.Client = (*Account)(nil)

// NewAccount makes the client of an account; it connects when told to.
func NewAccount(login Login, service Service) *Account {
	a := &Account{login: login, service: service}
	self, err := ToJID(login.Self)
	if err != nil || login.Self.Network != service.Network {
		self = types.JID{} // refused by Connect, which can return an error
	}
	server, err := serverOf(service.People)
	if err != nil {
		self = types.JID{} // as above
	}
	a.client = New(Config{
		Self:         self,
		PeerServer:   server,
		Product:      service.Product,
		Keys:         login.Keys,
		Store:        login.Store,
		Endpoint:     login.Endpoint,
		URL:          login.ChatURL,
		Token:        login.Token,
		Publish:      login.Publish,
		Now:          login.Now,
		ReadReceipts: login.ReadReceipts,
		Behalf:       login.Behalf,
		Withhold:     a.withholds,
		Franking:     service.Franking,
		Receiver:     receiver{a},
		Log:          login.Log,
	})
	return a
}

// Self is the account's own address.
func (a *Account) Self() network.Address { return a.login.Self }

// Connect starts the connection, see [network.Client].
func (a *Account) Connect(ctx context.Context) error { return a.client.Connect(ctx) }

// Wake makes the account's connection show that it lives, see [network.Waker].
func (a *Account) Wake() { a.client.Wake() }

// Disconnect ends the connection, see [network.Client].
func (a *Account) Disconnect() { a.client.Disconnect() }

// NewMessageID is an id of the network's shape, see [network.Client].
func (a *Account) NewMessageID(seed []byte) string { return a.service.Codec.NewMessageID(seed) }

// Send delivers a message to one person.
func (a *Account) Send(ctx context.Context, msg network.Message) (network.Sent, error) {
	to, err := a.peer(msg.ID.Conversation)
	if err != nil {
		return network.Sent{}, err
	}
	out, err := a.service.Codec.Encode(ctx, msg)
	if err != nil {
		return network.Sent{}, err
	}
	out.To, out.ID = to, msg.ID.ID
	at, err := a.client.Send(ctx, out)
	if err != nil {
		return network.Sent{}, fmt.Errorf("failed to send to %s: %w", a.service.Network.DisplayName(), err)
	}
	return network.Sent{Time: at}, nil
}

// peer is the wire's name of somebody to write to.
func (a *Account) peer(conversation network.Address) (types.JID, error) {
	jid, err := ToJID(conversation)
	if err != nil {
		return jid, fmt.Errorf("%w: %w", network.ErrUnknownPerson, err)
	} else if conversation.Network != a.service.Network || conversation.Kind != a.service.People {
		return jid, fmt.Errorf("%w: people of %s are written to by %s", network.ErrUnknownPerson, a.service.Network, a.service.People)
	}
	return jid, nil
}

// MarkRead tells a person that messages of theirs were read, unless read receipts are off.
func (a *Account) MarkRead(ctx context.Context, conversation network.Address, ids []network.MessageID, at time.Time) error {
	to, err := a.peer(conversation)
	if err != nil || !a.login.ReadReceipts {
		return err
	}
	return a.client.MarkRead(ctx, to, theirs(conversation, ids), at)
}

// MarkDelivered tells a person that messages of theirs arrived whose receipts were withheld.
func (a *Account) MarkDelivered(ctx context.Context, conversation network.Address, ids []network.MessageID) error {
	to, err := a.peer(conversation)
	if err != nil {
		return err
	}
	return a.client.MarkDelivered(ctx, to, theirs(conversation, ids))
}

// theirs are the bare ids of the messages that the other side of a direct chat wrote.
func theirs(conversation network.Address, ids []network.MessageID) (bare []string) {
	for _, id := range ids {
		if id.Sender == conversation {
			bare = append(bare, id.ID)
		}
	}
	return bare
}

func (a *Account) withholds(ctx context.Context, from types.JID) bool {
	person, err := FromJID(a.service.Network, from)
	return err == nil && a.login.Withhold != nil && a.login.Withhold(ctx, person)
}

// SetTyping tells a person that the user began or stopped typing.
func (a *Account) SetTyping(ctx context.Context, conversation network.Address, typing bool) error {
	to, err := a.peer(conversation)
	if err != nil {
		return err
	}
	return a.client.SetTyping(ctx, to, typing)
}

var _ network.Pinger = (*Account)(nil)

// Ping implements [network.Pinger].
func (a *Account) Ping(ctx context.Context) (time.Duration, error) { return a.client.Ping(ctx) }

// FindBy looks a person up by something that the network knows them by, in the
// network's spelling (docs/protocol.md#lookup).
func (a *Account) FindBy(ctx context.Context, key LookupKey, value string) (network.Person, error) {
	found, err := a.client.LookupBy(ctx, key, value)
	if err != nil {
		return network.Person{}, fmt.Errorf("failed to look a person up: %w", err)
	}
	address, err := FromJID(a.service.Network, found.JID)
	if err != nil || address.Kind != a.service.People {
		return network.Person{}, fmt.Errorf("%w: the answer names nobody by %s", network.ErrTemporary, a.service.People)
	}
	return network.Person{Address: address, Name: found.Name}, nil
}

// SafetyNumber is the 60 digits to compare with a person (docs/protocol.md#keys). It wraps
// ErrNoEncryption while the two have not written to each other.
func (a *Account) SafetyNumber(ctx context.Context, person network.Address) (string, error) {
	jid, err := a.peer(person)
	if err != nil {
		return "", err
	}
	theirs, known, err := a.client.Identity(ctx, jid)
	if err != nil {
		return "", fmt.Errorf("failed to read an identity key: %w", err)
	} else if !known {
		return "", fmt.Errorf("%w: no key is known yet", network.ErrNoEncryption)
	}
	name, err := TextJID(person)
	if err != nil {
		return "", err
	}
	ours, err := TextJID(a.login.Self)
	if err != nil {
		return "", err
	}
	return SafetyNumber(Identity{Key: a.login.Keys.Public().Identity, ID: ours}, Identity{Key: theirs, ID: name})
}

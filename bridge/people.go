package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"

	"go.mau.fi/util/ptr"

	"causeway/network"
	"causeway/puppet"
)

// GhostMetadata is what we remember of a person beside bridgev2's columns. Ghosts are shared by all logins, and bridgev2
// writes them down whenever it likes, so that this has a lock of its own.
type GhostMetadata struct {
	lock  sync.Mutex
	facts ghostFacts
}

type ghostFacts struct {
	// Phone is digits without the plus sign, empty if the network keeps the number back.
	Phone string `json:"phone,omitempty"`
	// Name is the person's own name for themselves, if the network told it.
	Name string `json:"name,omitempty"`
}

// MarshalJSON implements [json.Marshaler].
func (m *GhostMetadata) MarshalJSON() ([]byte, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return json.Marshal(m.facts)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (m *GhostMetadata) UnmarshalJSON(data []byte) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	return json.Unmarshal(data, &m.facts)
}

// note adds what is known of a person, and says whether that was news.
func note(ghost *bridgev2.Ghost, known puppet.Profile) bool {
	metadata, ok := ghost.Metadata.(*GhostMetadata)
	if !ok {
		return false
	}
	metadata.lock.Lock()
	defer metadata.lock.Unlock()
	before := metadata.facts
	if known.Phone.Kind == network.KindPhone {
		metadata.facts.Phone = known.Phone.User
	}
	if name := puppet.Clean(known.Name); name != "" {
		metadata.facts.Name = name
	}
	return metadata.facts != before
}

// profile is what is known of a ghost's person.
func profile(ghost *bridgev2.Ghost) (puppet.Profile, error) {
	address, err := puppet.Address(ghost.ID)
	if err != nil {
		return puppet.Profile{}, fmt.Errorf("failed to read a ghost's address: %w", err)
	}
	known := puppet.Profile{Address: address}
	if metadata, ok := ghost.Metadata.(*GhostMetadata); ok {
		metadata.lock.Lock()
		defer metadata.lock.Unlock()
		known.Name = metadata.facts.Name
		if metadata.facts.Phone != "" {
			known.Phone = network.Phone(metadata.facts.Phone)
		}
	}
	return known, nil
}

// userInfo is how a person looks in Matrix: the network shares no pictures with
// third parties, so everybody has the network's own.
func (c *Connector) userInfo(known puppet.Profile) *bridgev2.UserInfo {
	info := &bridgev2.UserInfo{
		Name:   ptr.Ptr(c.namer.Name(known)),
		IsBot:  ptr.Ptr(false),
		Avatar: c.icons.avatar(known.Address.Network),
	}
	if known.Phone.Kind == network.KindPhone {
		info.Identifiers = []string{"tel:+" + known.Phone.User}
	}
	return info
}

// GetUserInfo implements [bridgev2.NetworkAPI] from what is known already: the network is never asked in the background.
func (c *Client) GetUserInfo(_ context.Context, ghost *bridgev2.Ghost) (*bridgev2.UserInfo, error) {
	known, err := profile(ghost)
	if err != nil {
		return nil, err
	}
	return c.connector.userInfo(known), nil
}

// learn remembers what is new about a person and renames the ghost if that gives it a better name.
func (c *Connector) learn(ctx context.Context, login *bridgev2.UserLogin, news puppet.Profile) error {
	// Ghosts are shared by logins, and bridgev2 does not lock them.
	c.people.Lock()
	defer c.people.Unlock()
	ghost, err := c.bridge.GetGhostByID(ctx, puppet.ID(news.Address))
	if err != nil {
		return fmt.Errorf("failed to get a ghost: %w", err)
	}
	if !note(ghost, news) {
		ghost.UpdateInfoIfNecessary(ctx, login, bridgev2.RemoteEventMessage)
		return nil
	}
	known, err := profile(ghost)
	if err != nil {
		return err
	}
	info := c.userInfo(known)
	info.ExtraUpdates = func(context.Context, *bridgev2.Ghost) bool { return true }
	ghost.UpdateInfo(ctx, info)
	return nil
}

// nameOf is a person's name for use in a sentence, without the network's.
func (c *Connector) nameOf(ctx context.Context, a network.Address) string {
	return puppet.BestName(c.knownOf(ctx, a))
}

// knownOf is what is known of a person: no more than the address where that cannot be read.
func (c *Connector) knownOf(ctx context.Context, a network.Address) puppet.Profile {
	if ghost, err := c.bridge.GetGhostByID(ctx, puppet.ID(a)); err == nil {
		if known, err := profile(ghost); err == nil {
			return known
		}
	}
	return puppet.Profile{Address: a}
}

// nameAndNumber is how a person can be told to somebody who does not know them; the number is empty if it is the
// name already, or nobody knows it.
func (c *Connector) nameAndNumber(ctx context.Context, a network.Address) (name, number string) {
	known := c.knownOf(ctx, a)
	if name = puppet.BestName(known); known.Phone.User != "" && !strings.Contains(name, known.Phone.User) {
		number = "+" + known.Phone.User
	}
	return name, number
}

// ResolveIdentifier looks a person up: one action of the user, one question to
// the network. It also takes the id of a ghost, which needs no question.
func (c *Client) ResolveIdentifier(ctx context.Context, identifier string, createChat bool) (*bridgev2.ResolveIdentifierResponse, error) {
	person, err := c.find(ctx, identifier)
	if err != nil {
		return nil, replyOf(err, c.self.Network)
	}
	news := puppet.Profile{Address: person.Address, Phone: person.Alias, Name: person.Name}
	if err = c.connector.learn(ctx, c.login, news); err != nil {
		return nil, replyOf(err, c.self.Network)
	}
	ghost, err := c.connector.bridge.GetGhostByID(ctx, puppet.ID(person.Address))
	if err != nil {
		return nil, replyOf(err, c.self.Network)
	}
	response := &bridgev2.ResolveIdentifierResponse{Ghost: ghost, UserID: ghost.ID}
	if createChat {
		response.Chat, err = c.chatWith(ctx, person.Address)
		if err != nil {
			return nil, replyOf(err, c.self.Network)
		}
	}
	return response, nil
}

func (c *Client) find(ctx context.Context, identifier string) (network.Person, error) {
	if address, err := puppet.Address(networkid.UserID(identifier)); err == nil {
		switch {
		case !puppet.IsPerson(address) || address.Network != c.self.Network:
			return network.Person{}, bridgev2.ErrResolveIdentifierTryNext
		case address.Kind == network.KindPhone:
			identifier = "+" + address.User
		default:
			return network.Person{Address: address}, nil
		}
	}
	c.settle(ctx)
	client, err := c.live()
	if err != nil {
		return network.Person{}, err
	}
	finder, ok := client.(network.Finder)
	if !ok {
		return network.Person{}, network.ErrUnsupported
	}
	if number, err := bridgev2.CleanPhoneNumber(identifier); err == nil {
		identifier = number
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	person, err := finder.Find(ctx, identifier)
	if err != nil {
		return network.Person{}, fmt.Errorf("failed to find a person: %w", err)
	}
	return person, nil
}

package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rs/zerolog"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/simplevent"

	"go.mau.fi/util/ptr"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// GhostMetadata is what we remember of a person beside bridgev2's columns. Ghosts are shared by all logins, and bridgev2
// writes them down whenever it likes, so that this has a lock of its own.
type GhostMetadata struct {
	lock  sync.Mutex
	facts ghostFacts
	// shown says that the ghost looks as the facts have it.
	shown bool
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

// note adds what is known of a person, and says whether there is something to show.
func (m *GhostMetadata) note(news puppet.Profile) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	before := m.facts
	if news.Phone.Kind == network.KindPhone {
		m.facts.Phone = news.Phone.User
	}
	if name := puppet.Clean(news.Name); name != "" {
		m.facts.Name = name
	}
	if m.facts != before {
		m.shown = false
	}
	return !m.shown
}

func (m *GhostMetadata) setShown() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.shown = true
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
	ghost, err := c.bridge.GetGhostByID(ctx, puppet.ID(news.Address))
	if err != nil {
		return fmt.Errorf("failed to get a ghost: %w", err)
	}
	metadata, ok := ghost.Metadata.(*GhostMetadata)
	if !ok || !metadata.note(news) {
		return nil
	}
	complete := false
	err = c.dress(ctx, login, ghost, func() error {
		look, err := login.Client.GetUserInfo(ctx, ghost)
		if err != nil {
			return err
		}
		ghost.UpdateName(ctx, *look.Name)
		ghost.UpdateContactInfo(ctx, look.Identifiers, look.IsBot, nil)
		if look.Avatar != nil {
			ghost.UpdateAvatar(ctx, look.Avatar)
		}
		if look.ExtraUpdates != nil {
			look.ExtraUpdates(ctx, ghost)
		}
		complete = ghost.NameSet
		return nil
	})
	if err == nil && complete {
		metadata.setShown()
	}
	return err
}

// dress changes how a ghost looks, and the rooms that are named after it. bridgev2 locks no ghosts: they are changed between
// the events of the person's own chat, and a change is not left to [bridgev2.Ghost.UpdateInfo], which would change the rooms
// while they handle events. It must not be called from a handler of that chat: that would wait for itself.
func (c *Connector) dress(ctx context.Context, login *bridgev2.UserLogin, ghost *bridgev2.Ghost, change func() error) error {
	err := c.between(ctx, login, ghost.ID, func() error {
		// by logins that share the person, one after the other
		c.people.Lock()
		defer c.people.Unlock()
		if err := change(); err != nil {
			return err
		}
		if err := c.bridge.DB.Ghost.Update(ctx, ghost.Ghost); err != nil {
			return fmt.Errorf("%w: failed to remember a person: %w", bridgev2.ErrDatabaseError, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	rooms, err := c.bridge.GetDMPortalsWith(ctx, ghost.ID)
	if err != nil {
		return fmt.Errorf("%w: failed to look for a person's chats: %w", bridgev2.ErrDatabaseError, err)
	}
	for _, room := range rooms {
		owner := c.bridge.GetCachedUserLoginByID(room.Receiver)
		if owner == nil {
			continue
		}
		follow := func() {
			owner.QueueRemoteEvent(&simplevent.EventMeta{
				Type: bridgev2.RemoteEventUnknown, PortalKey: room.PortalKey,
				PreHandleFunc: func(ctx context.Context, room *bridgev2.Portal) { followGhost(ctx, room, ghost) },
			})
		}
		if owner == login {
			follow()
		} else {
			c.errands.Go(follow) // another user's room may be busy for long
		}
	}
	return nil
}

// followGhost has a direct chat's room look as the person does. It runs in the room's own order.
func followGhost(ctx context.Context, room *bridgev2.Portal, ghost *bridgev2.Ghost) {
	if !room.UpdateInfoFromGhost(ctx, ghost) {
		return
	}
	room.UpdateBridgeInfo(ctx)
	if err := room.Save(ctx); err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to save a portal")
	}
}

// errChatGone: a chat was deleted while something in it was to be done. Another try finds that out.
var errChatGone = errors.New("the chat was deleted just now")

// between runs fn when the login's chat with a person handles no event: at once if there is no such chat.
func (c *Connector) between(ctx context.Context, login *bridgev2.UserLogin, person networkid.UserID, fn func() error) error {
	address, err := puppet.Address(person)
	if err != nil {
		return fmt.Errorf("failed to read a ghost's address: %w", err)
	}
	self, err := puppet.LoginAddress(login.ID)
	if err != nil {
		return fmt.Errorf("failed to read a login's address: %w", err)
	}
	room, err := c.bridge.GetExistingPortalByKey(ctx, portal.Key(address, self))
	if err != nil {
		return fmt.Errorf("%w: failed to look for a chat: %w", bridgev2.ErrDatabaseError, err)
	} else if room == nil {
		return fn()
	}
	ran := false
	result := login.QueueRemoteEvent(&simplevent.EventMeta{
		Type: bridgev2.RemoteEventUnknown, PortalKey: room.PortalKey,
		// the one hook that is called before a chat without a room refuses the event
		MutateContextFunc: func(ctx context.Context) context.Context {
			ran, err = true, fn()
			return ctx
		},
	})
	if !ran {
		return fmt.Errorf("failed to reach a chat: %w", cmp.Or(result.Error, errChatGone))
	}
	return err
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

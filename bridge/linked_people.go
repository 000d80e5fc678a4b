package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"go.mau.fi/util/ptr"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/simplevent"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

const (
	// picturePause keeps questions for pictures apart: nobody waits for them, and the network counts questions.
	picturePause = 500 * time.Millisecond
	// pictureQueue is how many people may wait for their picture to be asked for; more are asked for when they write again.
	pictureQueue = 512
	// pictureAge is after how long a picture is asked for again although nobody said that it has changed.
	pictureAge = 7 * 24 * time.Hour
	// maxFound is how many people a search names.
	maxFound = 50
)

// GetUserInfo implements [bridgev2.NetworkAPI] from what the client below knows already.
func (c *linkedClient) GetUserInfo(ctx context.Context, ghost *bridgev2.Ghost) (*bridgev2.UserInfo, error) {
	known, err := profile(ghost)
	if err != nil {
		return nil, err
	}
	if known.Name == "" || known.Phone.IsZero() {
		if directory, err := ability[network.Directory](c.Client); err == nil {
			if person, err := directory.Person(ctx, known.Address); err == nil {
				known = c.merge(known, person)
			}
		}
	}
	info := c.connector.userInfo(known)
	if ghost.AvatarID != "" {
		info.Avatar = nil
	}
	info.ExtraUpdates = func(_ context.Context, ghost *bridgev2.Ghost) bool {
		metadata, ok := ghost.Metadata.(*GhostMetadata)
		return ok && metadata.note(known)
	}
	return info, nil
}

// merge adds what the network says of a person to what is known. The address book's name is used only where all may see it.
func (c *Client) merge(known puppet.Profile, person network.Person) puppet.Profile {
	if person.Alias.Kind == network.KindPhone {
		known.Phone = person.Alias
	}
	name := person.Name
	if person.Own && c.connector.config.Linked.ContactNames != NamesPublic {
		name = ""
	}
	if name = firstText(name, person.Business); name != "" && known.Name == "" {
		known.Name = puppet.Clean(name)
	}
	return known
}

// personChanged shows what is new about a person: names, the picture, or that two addresses are one person.
func (c *Client) personChanged(ctx context.Context, e network.PersonEvent) error {
	if !e.Alias.IsZero() {
		if err := c.unite(ctx, e.Person, e.Alias); err != nil {
			return err
		}
	}
	if !puppet.IsPerson(e.Person) {
		return nil
	}
	news := puppet.Profile{Address: e.Person, Phone: e.Alias, Name: e.Name}
	if c.connector.config.Linked.ContactNames == NamesPublic && e.ContactName != "" {
		news.Name = e.ContactName
	}
	if err := c.connector.learn(ctx, c.login, news); err != nil {
		return err
	}
	if e.Picture {
		c.pictureChanged(ctx, e.Person, e.PictureID)
	}
	if e.ContactName == "" || c.connector.config.Linked.ContactNames != NamesPerLogin {
		return nil
	}
	name := c.connector.namer.Name(puppet.Profile{Address: e.Person, Name: e.ContactName})
	meta := c.meta(ctx, bridgev2.RemoteEventChatInfoChange, e.Person, network.Address{})
	return ignoring(c.queue(&simplevent.ChatInfoChange{
		EventMeta: meta, ChatInfoChange: &bridgev2.ChatInfoChange{ChatInfo: &bridgev2.ChatInfo{Name: &name}},
	}))
}

// wantPicture has a person's picture asked for when there is time, unless that was done lately.
func (c *Client) wantPicture(person network.Address) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if at, asked := c.pictured[person]; asked && time.Since(at) < pictureAge || c.pictures == nil {
		return
	}
	select {
	case c.pictures <- person:
		c.pictured[person] = time.Now()
	default:
	}
}

// fetchPictures asks for pictures one after the other until the login disconnects.
func (c *Client) fetchPictures(ctx context.Context, wanted <-chan network.Address) {
	for {
		select {
		case person := <-wanted:
			c.pictureChanged(ctx, person, "")
		case <-ctx.Done():
			return
		}
		if !sleep(ctx, picturePause) {
			return
		}
	}
}

// pictureChanged asks for a person's picture and shows it. Without one they get the network's own.
func (c *Client) pictureChanged(ctx context.Context, person network.Address, id string) {
	log := zerolog.Ctx(ctx)
	ghost, err := c.connector.bridge.GetGhostByID(ctx, puppet.ID(person))
	if err != nil {
		log.Err(err).Msg("Failed to get a ghost")
		return
	}
	directory, err := ability[network.Directory](c)
	if err != nil {
		return
	}
	prefix := person.String() + "/"
	c.connector.people.Lock()
	known, isTheirs := strings.CutPrefix(string(ghost.AvatarID), prefix)
	c.connector.people.Unlock()
	if !isTheirs {
		known = ""
	}
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	picture, err := directory.Picture(asking, person, known)
	var look *bridgev2.Avatar
	switch {
	case errors.Is(err, network.ErrUnchanged):
		return
	case errors.Is(err, network.ErrNoPicture):
		if look = c.connector.icons.avatar(person.Network); look == nil {
			return
		}
	case err != nil:
		log.Debug().Err(err).Msg("A picture could not be asked for")
		return
	default:
		data, err := readPicture(ctx, picture)
		if err != nil {
			log.Debug().Err(err).Msg("A picture could not be read")
			return
		}
		look = &bridgev2.Avatar{
			ID:  networkid.AvatarID(prefix + cmp.Or(picture.ID, id)),
			Get: func(context.Context) ([]byte, error) { return data, nil },
		}
	}
	err = c.connector.dress(ctx, c.login, ghost, func() error {
		ghost.UpdateAvatar(ctx, look)
		return nil
	})
	if err != nil {
		log.Err(err).Msg("A picture could not be shown")
	}
}

// GetContactList implements [bridgev2.ContactListingNetworkAPI].
func (c *linkedClient) GetContactList(ctx context.Context) ([]*bridgev2.ResolveIdentifierResponse, error) {
	people, err := c.contacts(ctx, "")
	if err != nil {
		return nil, replyOf(err, c.self.Network)
	}
	return c.described(ctx, people)
}

// SearchUsers implements [bridgev2.UserSearchingNetworkAPI]: it looks through the address book, and asks nobody.
func (c *linkedClient) SearchUsers(ctx context.Context, query string) ([]*bridgev2.ResolveIdentifierResponse, error) {
	people, err := c.contacts(ctx, query)
	if err != nil {
		return nil, replyOf(err, c.self.Network)
	}
	return c.described(ctx, people[:min(len(people), maxFound)])
}

// contacts are the people whom the login knows, by name; those whose name or number has query in it.
func (c *Client) contacts(ctx context.Context, query string) ([]network.Person, error) {
	directory, err := ability[network.Directory](c)
	if err != nil {
		return nil, err
	}
	people, err := directory.Contacts(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to list contacts: %w", err)
	}
	query = strings.ToLower(strings.TrimSpace(query))
	digits := strings.NewReplacer("+", "", " ", "", "-", "").Replace(query)
	people = slices.DeleteFunc(people, func(p network.Person) bool {
		named := strings.Contains(strings.ToLower(p.Name+" "+p.Business), query)
		numbered := digits != "" && (strings.Contains(p.Alias.User, digits) || p.Address.Kind == network.KindPhone && strings.Contains(p.Address.User, digits))
		return p.Address == c.self || !named && !numbered
	})
	slices.SortStableFunc(people, func(a, b network.Person) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Address.User, b.Address.User))
	})
	return people, nil
}

// described is people as bridgev2 tells them. A name of the address book is told to its owner alone, so it may be used here.
func (c *Client) described(ctx context.Context, people []network.Person) ([]*bridgev2.ResolveIdentifierResponse, error) {
	found := make([]*bridgev2.ResolveIdentifierResponse, 0, len(people))
	for _, person := range people {
		response := &bridgev2.ResolveIdentifierResponse{
			UserID:   puppet.ID(person.Address),
			UserInfo: c.connector.userInfo(puppet.Profile{Address: person.Address, Phone: person.Alias, Name: firstText(person.Name, person.Business)}),
		}
		room, err := c.connector.bridge.GetExistingPortalByKey(ctx, portal.Key(person.Address, c.self))
		if err != nil {
			return nil, replyOf(err, c.self.Network)
		}
		if room != nil && room.MXID != "" {
			response.Chat = &bridgev2.CreateChatResponse{PortalKey: room.PortalKey, Portal: room}
		}
		response.UserInfo.IsBot = ptr.Ptr(false)
		found = append(found, response)
	}
	return found, nil
}

package linked

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"causeway/network"
	"causeway/wire"
)

// largestPicture is how many bytes a profile picture may have.
const largestPicture = 8 << 20

// Find looks a person up by phone number, see [network.Finder].
func (c *Client) Find(ctx context.Context, identifier string) (network.Person, error) {
	phone, err := normalPhone(identifier)
	if err != nil {
		return network.Person{}, err
	}
	l, err := c.current()
	if err != nil {
		return network.Person{}, err
	}
	answers, err := l.lib.IsOnWhatsApp(ctx, []string{phone})
	if err != nil {
		return network.Person{}, fmt.Errorf("failed to look a person up: %w", failure(err))
	}
	for _, answer := range answers {
		if !answer.IsIn {
			continue
		}
		if !answer.PhoneNumber.IsEmpty() {
			l.lib.StoreLIDPNMapping(ctx, plain(answer.JID), plain(answer.PhoneNumber))
		}
		address, err := l.lidOf(ctx, plain(answer.JID))
		if err != nil {
			return network.Person{}, err
		}
		return c.Person(ctx, address)
	}
	return network.Person{}, network.ErrUnknownPerson
}

// lidOf is a person's LID, asked of the network if it is not known.
func (l *link) lidOf(ctx context.Context, jid types.JID) (network.Address, error) {
	if jid.Server == types.DefaultUserServer {
		known, err := l.own.aliases.GetLIDForPN(ctx, jid)
		if err != nil {
			return network.Address{}, err
		}
		if known.IsEmpty() {
			if _, err = l.lib.GetUserInfo(ctx, []types.JID{jid}); err != nil { // the library notes the LID
				return network.Address{}, fmt.Errorf("failed to ask for a LID: %w", failure(err))
			}
		}
	}
	return l.own.address(ctx, jid)
}

// normalPhone is a phone number in E.164 form, with its plus sign.
func normalPhone(identifier string) (string, error) {
	phone := strings.NewReplacer(" ", "", "\u00a0", "", "-", "", ".", "", "(", "", ")", "", "/", "").Replace(identifier)
	digits, plus := strings.CutPrefix(phone, "+")
	if !plus || len(digits) < 7 || len(digits) > 15 || network.Phone(digits).Validate() != nil {
		return "", fmt.Errorf("%w: want a phone number with its country, like +49…", network.ErrBadIdentifier)
	}
	return phone, nil
}

// Contacts are the people that the login knows, see [network.Directory].
func (c *Client) Contacts(ctx context.Context) ([]network.Person, error) {
	contacts, own, err := c.contacts(ctx)
	if err != nil {
		return nil, err
	}
	all, err := contacts.GetAllContacts(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to list contacts: %w", err)
	}
	found := map[network.Address]network.Person{}
	for jid, info := range all {
		address, err := own.address(ctx, jid)
		if errors.Is(err, errNobody) || address == c.Self() || address.IsGroup() {
			continue
		} else if err != nil {
			return nil, err
		}
		alias, err := own.alias(ctx, address)
		if err != nil {
			return nil, err
		}
		found[address] = merged(found[address], named(network.Person{Address: address, Alias: alias}, info))
	}
	people := make([]network.Person, 0, len(found))
	for _, person := range found {
		people = append(people, person)
	}
	return people, nil
}

// contacts is what the login's address book says, also while it is not connected. It is read anew each time: the
// connection's own copy in memory is changed while others read it.
func (c *Client) contacts(ctx context.Context) (store.ContactStore, *login, error) {
	device, own, err := c.store.device(ctx, c.Self())
	if err != nil {
		return nil, nil, err
	}
	return device.Contacts, own, nil
}

// named is a person with the best name of a contact's.
func named(person network.Person, info types.ContactInfo) network.Person {
	person.Business = wire.Clean(info.BusinessName)
	switch {
	case info.FullName != "":
		person.Name, person.Own = wire.Clean(info.FullName), true
	case info.FirstName != "":
		person.Name, person.Own = wire.Clean(info.FirstName), true
	case info.PushName != "" && info.PushName != "-":
		person.Name = wire.Clean(info.PushName)
	default:
		person.Name = person.Business
	}
	return person
}

// merged is what two entries of one person say together; the address book's name wins.
func merged(a, b network.Person) network.Person {
	if b.Name == "" || a.Own && !b.Own {
		a, b = b, a
	}
	if b.Business == "" {
		b.Business = a.Business
	}
	if b.Name == "" {
		b.Name = a.Name
	}
	return b
}

// Person is what is known of one, see [network.Directory].
func (c *Client) Person(ctx context.Context, address network.Address) (network.Person, error) {
	person := network.Person{Address: address}
	contacts, own, err := c.contacts(ctx)
	if err != nil {
		return person, err
	}
	jid, err := jidOf(address)
	if err != nil || address.IsGroup() {
		return person, err
	}
	if person.Alias, err = own.alias(ctx, address); err != nil {
		return person, err
	}
	other, err := own.aliases.other(ctx, jid)
	if err != nil {
		return person, err
	}
	for _, name := range []types.JID{jid, other} {
		if name.IsEmpty() {
			continue
		}
		info, err := contacts.GetContact(ctx, name)
		if err != nil {
			return person, fmt.Errorf("failed to read a contact: %w", err)
		}
		person = merged(person, named(network.Person{Address: address, Alias: person.Alias}, info))
	}
	return person, nil
}

// Canonical is the address under which a person is known, see [network.Directory].
func (c *Client) Canonical(ctx context.Context, address network.Address) (network.Address, error) {
	if address.Network != network.WhatsApp || address.Kind != network.KindPhone {
		return address, nil
	}
	jid, err := wire.ToJID(address)
	if err != nil {
		return address, err
	}
	lid, err := c.store.login(c.Self()).aliases.GetLIDForPN(ctx, jid)
	if err != nil || lid.IsEmpty() {
		return address, err
	}
	return wire.FromJID(network.WhatsApp, lid)
}

// Picture is the picture of a person or group, see [network.Directory].
func (c *Client) Picture(ctx context.Context, of network.Address, known string) (network.Picture, error) {
	l, err := c.current()
	if err != nil {
		return network.Picture{}, err
	}
	jid, err := jidOf(of)
	if err != nil {
		return network.Picture{}, err
	}
	info, err := l.lib.GetProfilePictureInfo(ctx, jid, &whatsmeow.GetProfilePictureParams{ExistingID: known})
	if err != nil {
		return network.Picture{}, fmt.Errorf("failed to ask for a picture: %w", failure(err))
	} else if info == nil {
		return network.Picture{}, network.ErrUnchanged
	}
	if address, err := url.Parse(info.URL); err != nil || address.Scheme != "https" {
		return network.Picture{}, fmt.Errorf("%w: its address is none", network.ErrNoPicture)
	}
	return network.Picture{ID: info.ID, Open: func(ctx context.Context) (io.ReadCloser, error) {
		return l.download(ctx, largestPicture, func(ctx context.Context, spool *os.File) error {
			return l.owner.store.get(ctx, info.URL, spool)
		})
	}}, nil
}

// get fetches a public file.
func (s *Store) get(ctx context.Context, address string, into io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return network.ErrNoPicture
	}
	answer, err := s.media.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return whatsmeow.DownloadHTTPError{Response: &http.Response{StatusCode: answer.StatusCode}}
	}
	_, err = io.Copy(into, answer.Body)
	return err
}

// pushNameChanged takes what a person calls themselves.
func (l *link) pushNameChanged(ctx context.Context, e *events.PushName) error {
	return l.renamed(ctx, e.JID, network.PersonEvent{Name: wire.Clean(e.NewPushName)})
}

// businessNameChanged takes what a business is called.
func (l *link) businessNameChanged(ctx context.Context, e *events.BusinessName) error {
	return l.renamed(ctx, e.JID, network.PersonEvent{Name: wire.Clean(e.NewBusinessName)})
}

// contactChanged takes what the user calls a person. A whole address book comes by [Client.Contacts] instead.
func (l *link) contactChanged(ctx context.Context, e *events.Contact) error {
	if lid, err := types.ParseJID(e.Action.GetLidJID()); err == nil && lid.Server == types.HiddenUserServer {
		l.lib.StoreLIDPNMapping(ctx, plain(lid), plain(e.JID))
	}
	if e.FromFullSync {
		return nil
	}
	name := e.Action.GetFullName()
	if name == "" {
		name = e.Action.GetFirstName()
	}
	return l.renamed(ctx, e.JID, network.PersonEvent{ContactName: wire.Clean(name), Time: e.Timestamp})
}

func (l *link) renamed(ctx context.Context, jid types.JID, event network.PersonEvent) error {
	person, err := l.own.address(ctx, jid)
	if err != nil {
		return unlessNobody(err)
	} else if person == l.owner.Self() || person.IsGroup() || event.Name == "" && event.ContactName == "" {
		return nil
	}
	event.Person = person
	if event.Alias, err = l.own.alias(ctx, person); err != nil {
		return err
	}
	return l.hand(ctx, event)
}

package linked

import (
	"context"
	"fmt"
	"sync"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"causeway/database"
	"causeway/network"
)

// aliases is which phone number belongs to which LID, as far as one login knows. The library would have all logins
// share it.
type aliases struct {
	db    *database.Database
	login string

	mu     sync.Mutex
	loaded bool
	phone  map[string]string // by LID, digits both
	lid    map[string]string // by phone number
	// loose are phone numbers that stood for people before their LID was known.
	loose map[string]bool
}

var _ store.LIDStore = (*aliases)(nil)

func newAliases(db *database.Database, self network.Address) *aliases {
	return &aliases{db: db, login: self.String(), phone: map[string]string{}, lid: map[string]string{}, loose: map[string]bool{}}
}

// load reads all, once. The lock is held.
func (a *aliases) load(ctx context.Context) error {
	if a.loaded {
		return nil
	}
	known, err := a.db.LinkedAliases(ctx, a.login)
	if err != nil {
		return err
	}
	loose, err := a.db.LoosePhones(ctx, a.login)
	if err != nil {
		return err
	}
	for _, alias := range known {
		a.phone[alias.LID], a.lid[alias.Phone] = alias.Phone, alias.LID
	}
	for _, phone := range loose {
		a.loose[phone] = true
	}
	a.loaded = true
	return nil
}

// PutManyLIDMappings learns numbers that belong together.
func (a *aliases) PutManyLIDMappings(ctx context.Context, mappings []store.LIDMapping) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.load(ctx); err != nil {
		return err
	}
	var fresh []database.LinkedAlias
	for _, m := range mappings {
		pair := m.LID.Server == types.HiddenUserServer && m.PN.Server == types.DefaultUserServer
		if pair && isNumber(m.LID.User) && isNumber(m.PN.User) && a.phone[m.LID.User] != m.PN.User {
			fresh = append(fresh, database.LinkedAlias{LID: m.LID.User, Phone: m.PN.User})
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := a.db.PutLinkedAliases(ctx, a.login, fresh); err != nil {
		return err
	}
	for _, alias := range fresh {
		delete(a.lid, a.phone[alias.LID])
		delete(a.phone, a.lid[alias.Phone])
		a.phone[alias.LID], a.lid[alias.Phone] = alias.Phone, alias.LID
	}
	return nil
}

// PutLIDMapping learns one pair.
func (a *aliases) PutLIDMapping(ctx context.Context, lid, pn types.JID) error {
	return a.PutManyLIDMappings(ctx, []store.LIDMapping{{LID: lid, PN: pn}})
}

// GetPNForLID is the phone number of a LID, empty if unknown; the device stays.
func (a *aliases) GetPNForLID(ctx context.Context, lid types.JID) (types.JID, error) {
	return a.find(ctx, lid, types.HiddenUserServer, types.DefaultUserServer, a.phone)
}

// GetLIDForPN is the LID of a phone number, empty if unknown; the device stays.
func (a *aliases) GetLIDForPN(ctx context.Context, pn types.JID) (types.JID, error) {
	return a.find(ctx, pn, types.DefaultUserServer, types.HiddenUserServer, a.lid)
}

func (a *aliases) find(ctx context.Context, jid types.JID, from, to string, known map[string]string) (types.JID, error) {
	if jid.Server != from {
		return types.JID{}, fmt.Errorf("an alias of somebody on %q was sought on %q", jid.Server, from)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.load(ctx); err != nil {
		return types.JID{}, err
	}
	user := known[jid.User]
	if user == "" {
		return types.JID{}, nil
	}
	return types.JID{User: user, Device: jid.Device, Server: to}, nil
}

// GetManyLIDsForPNs is GetLIDForPN for several; those that are unknown are left out.
func (a *aliases) GetManyLIDsForPNs(ctx context.Context, pns []types.JID) (map[types.JID]types.JID, error) {
	found := make(map[types.JID]types.JID, len(pns))
	for _, pn := range pns {
		if pn.Server != types.DefaultUserServer {
			continue
		}
		lid, err := a.GetLIDForPN(ctx, pn)
		if err != nil {
			return nil, err
		}
		if !lid.IsEmpty() {
			found[pn] = lid
		}
	}
	return found, nil
}

// other is the same person's other JID, empty if unknown.
func (a *aliases) other(ctx context.Context, jid types.JID) (types.JID, error) {
	switch jid.Server {
	case types.HiddenUserServer:
		return a.GetPNForLID(ctx, jid)
	case types.DefaultUserServer:
		return a.GetLIDForPN(ctx, jid)
	}
	return types.JID{}, nil
}

// standIn notes that a phone number stands for a person whose LID is not known yet.
func (a *aliases) standIn(ctx context.Context, phone string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.load(ctx); err != nil {
		return err
	}
	if a.loose[phone] {
		return nil
	}
	if err := a.db.PutLoosePhone(ctx, a.login, phone); err != nil {
		return err
	}
	a.loose[phone] = true
	return nil
}

// found lists the phone numbers that stood for people whose LID is known by now.
func (a *aliases) found(ctx context.Context) ([]database.LinkedAlias, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.load(ctx); err != nil {
		return nil, err
	}
	var found []database.LinkedAlias
	for phone := range a.loose {
		if lid := a.lid[phone]; lid != "" {
			found = append(found, database.LinkedAlias{LID: lid, Phone: phone})
		}
	}
	return found, nil
}

// told notes that the bridge knows of a phone number's LID.
func (a *aliases) told(ctx context.Context, phone string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.db.DropLoosePhone(ctx, a.login, phone); err != nil {
		return err
	}
	delete(a.loose, phone)
	return nil
}

func isNumber(user string) bool {
	return network.LID(user).Validate() == nil
}

// secrets is the library's store of message secrets. A secret is found by either name of chat and sender.
type secrets struct {
	store.MsgSecretStore
	aliases *aliases
}

// GetMessageSecret finds a message's secret, and under what name of its sender it was stored.
func (s *secrets) GetMessageSecret(ctx context.Context, chat, sender types.JID, id types.MessageID) ([]byte, types.JID, error) {
	chats, err := s.names(ctx, chat)
	if err != nil {
		return nil, types.JID{}, err
	}
	senders, err := s.names(ctx, sender)
	if err != nil {
		return nil, types.JID{}, err
	}
	for _, chat := range chats {
		for _, sender := range senders {
			secret, stored, err := s.MsgSecretStore.GetMessageSecret(ctx, chat, sender, id)
			if err != nil || secret != nil {
				return secret, stored, err
			}
		}
	}
	return nil, types.JID{}, nil
}

func (s *secrets) names(ctx context.Context, jid types.JID) ([]types.JID, error) {
	jid = jid.ToNonAD()
	other, err := s.aliases.other(ctx, jid)
	if err != nil || other.IsEmpty() {
		return []types.JID{jid}, err
	}
	return []types.JID{jid, other}, nil
}

// tokens is the library's store of privacy tokens. A token is found by either name of its person.
type tokens struct {
	store.PrivacyTokenStore
	aliases *aliases
}

// GetPrivacyToken finds a person's token.
func (t *tokens) GetPrivacyToken(ctx context.Context, user types.JID) (*store.PrivacyToken, error) {
	token, err := t.PrivacyTokenStore.GetPrivacyToken(ctx, user)
	if err != nil || token != nil {
		return token, err
	}
	other, err := t.aliases.other(ctx, user.ToNonAD())
	if err != nil || other.IsEmpty() {
		return nil, err
	}
	return t.PrivacyTokenStore.GetPrivacyToken(ctx, other)
}

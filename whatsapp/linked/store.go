package linked

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.mau.fi/util/dbutil"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/store/sqlstore/upgrades"
	"go.mau.fi/whatsmeow/types"

	"causeway/database"
	"causeway/network"
	"causeway/wire"
)

// libraryVersionTable holds the schema version of the connection library's tables.
const libraryVersionTable = "whatsmeow_version"

// Options is what all linked logins of a process share.
type Options struct {
	// Endpoint is where the network is; the zero value is production. Logins that were linked elsewhere are refused.
	Endpoint wire.Endpoint
	// DeviceName is what the phone's list of linked devices shows.
	DeviceName string
	Log        zerolog.Logger
}

// Store has the keys of all linked logins, in the bridge's database. There is one in a process.
type Store struct {
	endpoint wire.Endpoint
	name     string
	db       *database.Database
	rows     *sqlstore.Container
	http     *http.Client
	media    *http.Client
	log      zerolog.Logger

	mu sync.Mutex
	// version is what the client says it is to the network, newer than the library's own once that was refused.
	version store.WAVersionContainer
	// open are the logins' own parts, by address: a login has one guard, however often it connects.
	open map[network.Address]*login
}

// login is what one login has for itself.
type login struct {
	self    network.Address
	db      *database.Database
	guard   *wire.Guard
	aliases *aliases
}

// Open prepares the store: it brings the connection library's tables up to date and pins the endpoint's root of trust.
func Open(ctx context.Context, db *database.Database, options Options) (*Store, error) {
	client, err := options.Endpoint.HTTPClient()
	if err != nil {
		return nil, err
	}
	if err = options.Endpoint.Pin(); err != nil {
		return nil, err
	}
	tables := db.Database.Child(libraryVersionTable, upgrades.Table, dbutil.NoopLogger)
	rows := sqlstore.NewWithWrappedDB(tables, wire.LibraryLog(options.Log))
	if err = rows.Upgrade(ctx); err != nil {
		return nil, fmt.Errorf("failed to upgrade the connection library's tables: %w", err)
	}
	return &Store{
		endpoint: options.Endpoint, name: options.DeviceName, db: db, rows: rows, http: client, media: limited(client),
		log: options.Log, version: store.GetWAVersion(), open: map[network.Address]*login{},
	}, nil
}

// login is what a login has for itself, the same at each call.
func (s *Store) login(self network.Address) *login {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.open[self]
	if found == nil {
		found = &login{self: self, db: s.db, guard: wire.NewGuard(), aliases: newAliases(s.db, self)}
		s.open[self] = found
	}
	return found
}

// device loads a login's keys. Errors wrap [network.ErrUnlinked] if it has none, [network.ErrForeignEndpoint] if
// they belong to another network.
func (s *Store) device(ctx context.Context, self network.Address) (*store.Device, *login, error) {
	known, err := s.db.LinkedLogin(ctx, self.String())
	if err != nil {
		return nil, nil, err
	} else if known == nil {
		return nil, nil, network.ErrUnlinked
	}
	if root := s.endpoint.Root(); !bytes.Equal(known.TrustRoot, root[:]) {
		return nil, nil, network.ErrForeignEndpoint
	}
	jid, err := types.ParseJID(known.Device)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to read a linked login: %w", err)
	}
	device, err := s.rows.GetDevice(ctx, jid)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to read a device's keys: %w", err)
	} else if device == nil {
		return nil, nil, network.ErrUnlinked
	}
	own := s.login(self)
	s.adopt(device, own)
	return device, own, nil
}

// adopt gives a device the login's own parts in place of those that the library shares or leaves unguarded.
func (s *Store) adopt(device *store.Device, own *login) {
	device.Sessions = &sessions{SessionStore: device.Sessions, guard: own.guard}
	device.EventBuffer = &eventBuffer{EventBuffer: device.EventBuffer, guard: own.guard}
	device.MsgSecrets = &secrets{MsgSecretStore: device.MsgSecrets, aliases: own.aliases}
	device.PrivacyTokens = &tokens{PrivacyTokenStore: device.PrivacyTokens, aliases: own.aliases}
	device.LIDs = own.aliases
	device.Container = &keeper{store: s, own: own}
}

// newDevice makes keys for a device that is yet to be linked. They are stored when it is, unless admit has something against it.
func (s *Store) newDevice(admit Admission) *store.Device {
	device := s.rows.NewDevice()
	device.Container = &keeper{store: s, admit: admit}
	return device
}

// keeper stores devices for the library.
type keeper struct {
	store *Store
	// own is nil for a device that is being linked, of which admit decides.
	own   *login
	admit Admission
}

var _ store.DeviceContainer = (*keeper)(nil)

// errNoLID is a fault of the network: it names linked accounts by their LID.
var errNoLID = errors.New("the network did not tell the account's LID")

// declinedError is why an account is not to be linked here.
type declinedError struct{ error }

// Unwrap is the reason.
func (e declinedError) Unwrap() error { return e.error }

// PutDevice stores a device. One that was just linked takes the place of an earlier device of the same account; if that must
// not be, nothing is stored, and the phone is told that linking failed.
func (k *keeper) PutDevice(ctx context.Context, device *store.Device) error {
	if k.own != nil {
		return k.store.rows.PutDevice(ctx, device)
	}
	self, err := wire.FromJID(network.WhatsApp, device.LID.ToNonAD())
	if err != nil || self.Kind != network.KindLID {
		return errors.Join(errNoLID, err)
	}
	if k.admit != nil {
		if err = k.admit(ctx, self); err != nil {
			return declinedError{err}
		}
	}
	root := k.store.endpoint.Root()
	now := time.Now().UnixMilli()
	err = k.store.db.DoTxn(ctx, nil, func(ctx context.Context) error {
		if err := k.store.forgetDevice(ctx, self); err != nil {
			return err
		}
		if err := k.store.rows.PutDevice(ctx, device); err != nil {
			return err
		}
		return k.store.db.PutLinkedLogin(ctx, database.LinkedLogin{
			Login: self.String(), Device: device.ID.String(), Phone: device.ID.User, TrustRoot: root[:], LinkedAt: now, PhoneSeen: now,
		})
	})
	if err != nil {
		return err
	}
	k.own = k.store.login(self)
	k.store.adopt(device, k.own)
	return nil
}

// DeleteDevice forgets a device that is linked no longer.
func (k *keeper) DeleteDevice(ctx context.Context, device *store.Device) error {
	if k.own == nil {
		return nil
	}
	return k.store.db.DoTxn(ctx, nil, func(ctx context.Context) error {
		if err := k.store.rows.DeleteDevice(ctx, device); err != nil {
			return err
		}
		return k.store.db.DeleteLinkedLogin(ctx, k.own.self.String(), device.ID.String())
	})
}

// forgetDevice deletes the keys of an account's earlier device. What the login knows of people stays.
func (s *Store) forgetDevice(ctx context.Context, self network.Address) error {
	known, err := s.db.LinkedLogin(ctx, self.String())
	if err != nil || known == nil {
		return err
	}
	jid, err := types.ParseJID(known.Device)
	if err != nil {
		return fmt.Errorf("failed to read a linked login: %w", err)
	}
	return s.rows.DeleteDevice(ctx, &store.Device{ID: &jid})
}

// Forget deletes all that is stored of a login. The network is not told; see [Client.Unlink].
func (s *Store) Forget(ctx context.Context, self network.Address) error {
	err := s.db.DoTxn(ctx, nil, func(ctx context.Context) error {
		if err := s.forgetDevice(ctx, self); err != nil {
			return err
		}
		known, err := s.db.LinkedLogin(ctx, self.String())
		if err != nil || known == nil {
			return err
		}
		return s.db.DeleteLinkedLogin(ctx, known.Login, known.Device)
	})
	if err != nil {
		return fmt.Errorf("failed to forget a linked login: %w", err)
	}
	s.mu.Lock()
	delete(s.open, self)
	s.mu.Unlock()
	return nil
}

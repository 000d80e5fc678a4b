package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rs/zerolog"
	"go.mau.fi/util/random"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/failpoint"
)

// homeserverRooms is what creations ask of the homeserver, as the bot.
type homeserverRooms interface {
	JoinedRooms(ctx context.Context) (*mautrix.RespJoinedRooms, error)
	FullStateEvent(ctx context.Context, room id.RoomID, eventType event.Type, stateKey string) (*event.Event, error)
}

// creations creates rooms once each. A row is committed before the homeserver is asked, with a marker
// that the room will carry; whoever finds the row later finds the room by the marker.
type creations struct {
	d *Delivery
	// rooms asks the homeserver, bot is who we are there, used says whether bridgev2 knows a room.
	rooms func() homeserverRooms
	bot   func() id.UserID
	used  func(ctx context.Context, room id.RoomID) (bool, error)
	// portal says whether bridgev2 knows a room as a portal; it is asked for each Matrix event.
	portal func(ctx context.Context, room id.RoomID) (bool, error)

	lock sync.Mutex
	// complete holds the creations that this process has seen through.
	complete map[string]bool
}

func newCreations(d *Delivery, m *Matrix) *creations {
	return &creations{
		d: d, complete: map[string]bool{},
		rooms:  func() homeserverRooms { return m.Bot },
		bot:    func() id.UserID { return m.Bot.UserID },
		used:   m.usesRoom,
		portal: m.isPortal,
	}
}

func (m *Matrix) isPortal(ctx context.Context, room id.RoomID) (bool, error) {
	portal, err := m.Bridge.GetPortalByMXID(ctx, room)
	return portal != nil, err
}

// usesRoom says whether bridgev2 knows a room, as a portal or as a login's space.
func (m *Matrix) usesRoom(ctx context.Context, room id.RoomID) (bool, error) {
	if is, err := m.isPortal(ctx, room); is || err != nil {
		return is, err
	}
	users, err := m.Bridge.DB.UserLogin.GetAllUserIDsWithLogins(ctx)
	if err != nil {
		return false, err
	}
	for _, userID := range users {
		user, err := m.Bridge.GetExistingUserByMXID(ctx, userID)
		if err != nil {
			return false, err
		}
		if user == nil {
			continue
		}
		for _, login := range user.GetUserLogins() {
			if login.SpaceRoom == room {
				return true, nil
			}
		}
	}
	return false, nil
}

// create makes or finds the room of a name. ask asks the homeserver for a room with a marker.
func (c *creations) create(ctx context.Context, name string, ask func(markerKey, marker string) (id.RoomID, error)) (id.RoomID, error) {
	pending, known, err := c.pending(ctx, name)
	if err != nil {
		return "", err
	}
	if known {
		found, err := c.find(ctx, pending)
		if err != nil || found != "" {
			if err == nil {
				err = c.finish(ctx, pending, found)
			}
			return found, err
		}
	} else {
		pending = database.PendingRoom{
			PortalID: name, Marker: c.d.secret.marker("room", name, random.String(16)), CreatedAt: c.d.now().UnixMilli(),
		}
		// an older creation of the same name is complete: its room is gone, or this one would not be made
		err = c.d.writer.do(ctx, func(ctx context.Context) error {
			return errors.Join(c.d.journal.DropPendingRoom(ctx, name, ""), c.d.journal.PutPendingRoom(ctx, pending))
		})
		if err != nil {
			return "", fmt.Errorf("failed to note the creation of a room: %w", err)
		}
	}
	carried := carriageOf(ctx)
	if carried != nil {
		carried.ask()
	}
	room, err := ask(c.d.secret.roomKey(), pending.Marker)
	if err == nil {
		err = failpoint.Hit(failpoint.RoomCreated)
	}
	if carried != nil && (err == nil || wasRefused(err)) {
		carried.answered()
	}
	if err != nil {
		return "", err
	}
	return room, c.finish(ctx, pending, room)
}

// pending looks for a creation of a name that may be incomplete.
func (c *creations) pending(ctx context.Context, name string) (database.PendingRoom, bool, error) {
	c.lock.Lock()
	complete := c.complete[name]
	delete(c.complete, name)
	c.lock.Unlock()
	if complete {
		return database.PendingRoom{}, false, nil
	}
	rows, err := c.d.journal.PendingRooms(ctx)
	if err != nil {
		return database.PendingRoom{}, false, fmt.Errorf("failed to list creations: %w", err)
	}
	for _, row := range rows {
		if row.PortalID == name {
			return row, true, nil
		}
	}
	return database.PendingRoom{}, false, nil
}

// finish notes which room a creation has become. bridgev2 keeps it in memory from here on and saves it next.
func (c *creations) finish(ctx context.Context, pending database.PendingRoom, room id.RoomID) error {
	c.lock.Lock()
	c.complete[pending.PortalID] = true
	c.lock.Unlock()
	pending.Room = string(room)
	c.d.write(func(ctx context.Context) error { return c.d.journal.PutPendingRoom(ctx, pending) })
	return nil
}

// find looks for the room of a creation among those that the bot has joined and bridgev2 does not know. The
// oldest counts; there can be more than one only if the homeserver has answered late.
func (c *creations) find(ctx context.Context, pending database.PendingRoom) (id.RoomID, error) {
	ctx = context.WithValue(ctx, mautrix.MaxAttemptsContextKey, 1)
	joined, err := c.rooms().JoinedRooms(ctx)
	if err != nil {
		return "", fmt.Errorf("failed to list the bot's rooms: %w", err)
	}
	var oldest *event.Event
	for _, room := range joined.JoinedRooms {
		used, err := c.used(ctx, room)
		if err != nil {
			return "", fmt.Errorf("failed to look up a room: %w", err)
		}
		if used {
			continue
		}
		created, err := c.rooms().FullStateEvent(ctx, room, event.StateCreate, "")
		if err != nil {
			return "", fmt.Errorf("failed to read how a room was created: %w", err)
		}
		if created.Sender != c.bot() || markerOf(created, c.d.secret.roomKey()) != pending.Marker {
			continue
		}
		created.RoomID = room
		if oldest != nil {
			zerolog.Ctx(ctx).Warn().Stringer("room_id", room).Msg("A conversation has a second room, left over from a late answer of the homeserver")
		}
		if oldest == nil || created.Timestamp < oldest.Timestamp {
			oldest = created
		}
	}
	if oldest == nil {
		return "", nil
	}
	c.d.metrics.reconciled.Add(1)
	return oldest.RoomID, nil
}

// Ready says whether a room's events can be handled: it is known to bridgev2, or nobody is creating it.
func (m *Matrix) Ready(ctx context.Context, room id.RoomID) (bool, error) {
	return m.rooms.settled(ctx, room)
}

// Opens says whether the bridge is set up for encryption.
func (m *Matrix) Opens() bool { return m.Crypto != nil }

// Portal names the conversation of a room.
func (m *Matrix) Portal(ctx context.Context, room id.RoomID) (key networkid.PortalKey, known bool, err error) {
	portal, err := m.Bridge.GetPortalByMXID(ctx, room)
	if portal == nil || err != nil {
		return key, false, err
	}
	return portal.PortalKey, true, nil
}

// settled says whether a room is none of those that are being created.
func (c *creations) settled(ctx context.Context, room id.RoomID) (bool, error) {
	if known, err := c.portal(ctx, room); known || err != nil {
		return known, err
	}
	pending, err := c.d.journal.PendingRooms(ctx)
	pending = slices.DeleteFunc(pending, func(p database.PendingRoom) bool { return p.Room != "" && p.Room != string(room) })
	if err != nil || len(pending) == 0 {
		return err == nil, err
	}
	ctx = context.WithValue(ctx, mautrix.MaxAttemptsContextKey, 1)
	created, err := c.rooms().FullStateEvent(ctx, room, event.StateCreate, "")
	if err != nil {
		if kind, _ := faultOf(err); kind == faultRefused {
			// no room that the bot has made, or one that it has left
			return true, nil
		}
		return false, fmt.Errorf("failed to read how a room was created: %w", err)
	}
	marker := markerOf(created, c.d.secret.roomKey())
	return !slices.ContainsFunc(pending, func(p database.PendingRoom) bool { return p.Marker == marker }), nil
}

// tidy forgets the creations whose rooms bridgev2 has saved.
func (c *creations) tidy(ctx context.Context) error {
	rows, err := c.d.journal.PendingRooms(ctx)
	if err != nil {
		return fmt.Errorf("failed to list creations: %w", err)
	}
	for _, row := range rows {
		if row.Room == "" {
			continue
		}
		used, err := c.used(ctx, id.RoomID(row.Room))
		if err != nil {
			return fmt.Errorf("failed to look up a room: %w", err)
		}
		if used {
			c.d.write(func(ctx context.Context) error { return c.d.journal.DropPendingRoom(ctx, row.PortalID, row.Receiver) })
		}
	}
	return nil
}

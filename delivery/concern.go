package delivery

import (
	"context"
	"slices"
	"sync"

	"github.com/rs/zerolog"
	"maunium.net/go/mautrix/id"
)

// concernLimit bounds how many rooms are remembered; beyond it they are looked up anew.
const concernLimit = 100_000

// concern tells the rooms that are the bridge's business from all others, where the homeserver pushes what happens in the rooms of
// all its users. A room becomes the bridge's by an event of the bridge's own or about one of its accounts, which the homeserver
// pushes before whatever users say there; so what is known of a room stays true.
type concern struct {
	// look says whether the bridge is in a room, by what is stored.
	look func(ctx context.Context, room id.RoomID) (bool, error)

	lock  sync.Mutex
	rooms map[id.RoomID]bool
}

// ours notes that a room is the bridge's business.
func (c *concern) ours(room id.RoomID) { c.note(room, true) }

func (c *concern) note(room id.RoomID, ours bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.rooms == nil || len(c.rooms) >= concernLimit {
		c.rooms = map[id.RoomID]bool{}
	}
	c.rooms[room] = ours
}

// is says whether a room is the bridge's business. In doubt it is.
func (c *concern) is(ctx context.Context, room id.RoomID) bool {
	c.lock.Lock()
	ours, known := c.rooms[room]
	c.lock.Unlock()
	if known {
		return ours
	}
	ours, err := c.look(ctx, room)
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("Failed to look whether a room is the bridge's, taking it as such")
		return true
	}
	c.note(room, ours)
	return ours
}

// inRoom says whether the bridge has to do with a room: it is a conversation's, or the bot or a ghost is in it.
func (m *Matrix) inRoom(ctx context.Context, room id.RoomID) (bool, error) {
	if _, known, err := m.Portal(ctx, room); known || err != nil {
		return known, err
	}
	members, err := m.AS.StateStore.GetRoomJoinedOrInvitedMembers(ctx, room)
	return slices.ContainsFunc(members, m.isOurs), err
}

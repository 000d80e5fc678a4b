package delivery

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/failpoint"
)

// playedRooms is a homeserver's rooms, as the bot sees them.
type playedRooms struct {
	created []*event.Event
	used    map[id.RoomID]bool
	answer  error
	err     error
}

func (r *playedRooms) JoinedRooms(context.Context) (*mautrix.RespJoinedRooms, error) {
	resp := &mautrix.RespJoinedRooms{}
	for _, evt := range r.created {
		resp.JoinedRooms = append(resp.JoinedRooms, evt.RoomID)
	}
	return resp, r.err
}

func (r *playedRooms) FullStateEvent(_ context.Context, room id.RoomID, _ event.Type, _ string) (*event.Event, error) {
	for _, evt := range r.created {
		if evt.RoomID == room {
			return evt, r.err
		}
	}
	return nil, mautrix.MNotFound
}

// make creates a room, whatever the caller hears of it.
func (r *playedRooms) make(key, marker string) (id.RoomID, error) {
	room := id.RoomID(fmt.Sprint("!", len(r.created)))
	r.created = append(r.created, &event.Event{
		RoomID: room, Sender: "@bot:hs", Timestamp: int64(100 - len(r.created)), Content: event.Content{Raw: map[string]any{key: marker}},
	})
	if r.answer != nil {
		return "", r.answer
	}
	return room, nil
}

func (r *playedRooms) creations(p *process) *creations {
	used := func(_ context.Context, room id.RoomID) (bool, error) { return r.used[room], nil }
	return &creations{
		d: p.Delivery, complete: map[string]bool{},
		rooms: func() homeserverRooms { return r },
		bot:   func() id.UserID { return "@bot:hs" },
		used:  used, portal: used,
	}
}

func TestARoomIsCreatedOnce(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		rooms := &playedRooms{used: map[id.RoomID]bool{}}
		p := boot(t, on, newBridge())
		c := rooms.creations(p)
		rooms.answer = errDown
		_, err := c.create(t.Context(), "anna", rooms.make)
		require.ErrorIs(t, err, errDown)
		rooms.answer, rooms.err = nil, errDown
		_, err = c.create(t.Context(), "anna", rooms.make)
		require.ErrorIs(t, err, errDown, "without a look at the rooms none is made")
		require.Len(t, rooms.created, 1)
		p.die()

		rooms.err = nil
		p = boot(t, on, newBridge())
		c = rooms.creations(p)
		settled := func(room id.RoomID) bool {
			is, err := c.settled(t.Context(), room)
			require.NoError(t, err)
			return is
		}
		require.False(t, settled("!0"), "somebody writes before the program has found its room")
		found, err := c.create(t.Context(), "anna", rooms.make)
		require.NoError(t, err)
		require.Equal(t, id.RoomID("!0"), found)
		bobs, err := c.create(t.Context(), "bob", rooms.make)
		require.NoError(t, err)
		require.Equal(t, id.RoomID("!1"), bobs)

		rooms.used["!0"], rooms.used["!1"] = true, true
		require.NoError(t, p.flush(t.Context()))
		require.True(t, settled("!0"))
		require.True(t, settled("!elsewhere"), "a room of which nobody knows anything")
		require.NoError(t, c.tidy(t.Context()))
		require.NoError(t, p.flush(t.Context()))
		pending, err := p.journal.PendingRooms(t.Context())
		require.NoError(t, err)
		require.Empty(t, pending)
		p.die()
	})
}

func TestADeletedRoomMayBeCreatedAgain(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		rooms := &playedRooms{used: map[id.RoomID]bool{}}
		p := boot(t, on, newBridge())
		t.Cleanup(p.die)
		c := rooms.creations(p)
		first, err := c.create(t.Context(), "anna", rooms.make)
		require.NoError(t, err)
		second, err := c.create(t.Context(), "anna", rooms.make)
		require.NoError(t, err)
		require.NotEqual(t, first, second)
	})
}

func TestOnlyTheBotsOwnMarkedRoomIsAdopted(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		rooms := &playedRooms{used: map[id.RoomID]bool{}}
		p := boot(t, on, newBridge())
		t.Cleanup(p.die)
		c := rooms.creations(p)
		rooms.answer = errDown
		for range 3 {
			_, err := c.create(t.Context(), "anna", func(key, marker string) (id.RoomID, error) {
				_, _ = rooms.make(key, "another")
				_, _ = rooms.make(key, marker)
				rooms.created[len(rooms.created)-1].Sender = "@mallory:hs"
				return "", errDown
			})
			require.ErrorIs(t, err, errDown)
		}
		_, err := c.create(t.Context(), "anna", func(key, marker string) (id.RoomID, error) {
			_, _ = rooms.make(key, marker)
			_, _ = rooms.make(key, marker)
			return "", failpoint.ErrInjected
		})
		require.ErrorIs(t, err, failpoint.ErrInjected)
		found, err := c.create(t.Context(), "anna", rooms.make)
		require.NoError(t, err)
		require.Equal(t, id.RoomID("!7"), found, "the oldest of two")
		rooms.used[found] = true
	})
}

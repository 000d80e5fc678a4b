package delivery

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
)

// playedRoom is a room's history, newest event first.
type playedRoom struct {
	events []*event.Event
	reads  int
	err    error
}

func (r *playedRoom) Messages(
	_ context.Context, _ id.RoomID, from, _ string, dir mautrix.Direction, _ *mautrix.FilterPart, limit int,
) (*mautrix.RespMessages, error) {
	r.reads++
	if r.err != nil || dir != mautrix.DirectionBackward {
		return nil, errors.Join(r.err, fmt.Errorf("direction %c", dir))
	}
	start, _ := strconv.Atoi(from)
	end := min(start+limit, len(r.events))
	resp := &mautrix.RespMessages{Chunk: r.events[start:end]}
	if end < len(r.events) {
		resp.End = strconv.Itoa(end)
	}
	return resp, nil
}

func history(n int, at func(i int) int64) *playedRoom {
	room := &playedRoom{}
	for i := range n {
		evt := &event.Event{ID: id.EventID(fmt.Sprint("$", i)), Timestamp: at(i)}
		if i%2 == 0 {
			evt.Content.Raw = map[string]any{"key": fmt.Sprint("marker", i)}
		}
		room.events = append(room.events, evt)
	}
	return room
}

func TestMarkersOfARoom(t *testing.T) {
	since := time.UnixMilli(1000)
	fresh := func(int) int64 { return 2000 }
	tests := map[string]struct {
		room  *playedRoom
		found int
		reads int
	}{
		"all of a short room":    {history(7, fresh), 4, 1},
		"several pages":          {history(250, fresh), 125, 3},
		"no more than the limit": {history(3000, fresh), scanLimit / 2, scanLimit / scanPage},
		"an empty room":          {history(0, fresh), 0, 1},
		"ends at old events":     {history(1000, func(int) int64 { return 10 }), 50, 1},
		"a single old event proves nothing": {history(200, func(i int) int64 {
			if i%10 != 9 {
				return 10
			}
			return 2000
		}), 100, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found, err := scanRoom(t.Context(), test.room, "!r", "key", since)
			require.NoError(t, err)
			require.Len(t, found, test.found)
			require.Equal(t, test.reads, test.room.reads)
			if test.found > 2 {
				require.Equal(t, id.EventID("$2"), found["marker2"])
			}
		})
	}
	_, err := scanRoom(t.Context(), &playedRoom{err: errDown}, "!r", "key", since)
	require.ErrorIs(t, err, errDown)
}

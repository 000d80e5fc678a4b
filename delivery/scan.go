package delivery

import (
	"context"
	"fmt"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
)

const (
	// scanMargin is by how much the clocks of homeserver and network may differ from ours.
	scanMargin = 10 * time.Minute
	// scanLimit is how many events of a room are read at most.
	scanLimit = 2000
	scanPage  = 100
	// scanOld is how many events in a row must be older than what is sought. A single one proves nothing: events of
	// networks carry the network's times, and need not lie in the order of those.
	scanOld = 50
)

// roomReader reads a room backwards; the bot's client is one.
type roomReader interface {
	Messages(
		ctx context.Context, room id.RoomID, from, to string, dir mautrix.Direction, filter *mautrix.FilterPart, limit int,
	) (*mautrix.RespMessages, error)
}

// scan reads the markers that a conversation's room has. A conversation without a room has none.
func (m *Matrix) scan(ctx context.Context, key networkid.PortalKey, since time.Time) (map[string]id.EventID, error) {
	portal, err := m.Bridge.GetExistingPortalByKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("failed to look up the room: %w", err)
	}
	if portal == nil || portal.MXID == "" {
		return map[string]id.EventID{}, nil
	}
	ctx = context.WithValue(ctx, mautrix.MaxAttemptsContextKey, 1)
	return scanRoom(ctx, m.Bot, portal.MXID, m.d.secret.markerKey(), since)
}

// scanRoom collects the markers of a room's events, newest first, down to a time.
func scanRoom(ctx context.Context, reader roomReader, room id.RoomID, key string, since time.Time) (map[string]id.EventID, error) {
	found := map[string]id.EventID{}
	from, old := "", 0
	for read := 0; read < scanLimit && old < scanOld; {
		page, err := reader.Messages(ctx, room, from, "", mautrix.DirectionBackward, nil, scanPage)
		if err != nil {
			return nil, fmt.Errorf("failed to read the room: %w", err)
		}
		for _, evt := range page.Chunk {
			read++
			old++
			if evt.Timestamp >= since.UnixMilli() {
				old = 0
			}
			if marker := markerOf(evt, key); marker != "" {
				found[marker] = evt.ID
			}
		}
		if page.End == "" || page.End == from || len(page.Chunk) == 0 {
			break
		}
		from = page.End
	}
	return found, nil
}

func markerOf(evt *event.Event, key string) string {
	marker, _ := evt.Content.Raw[key].(string)
	return marker
}

package homeserver

import (
	"maps"
	"slices"
)

// Rooms are the ids of all rooms in the order of their creation.
func (hs *Server) Rooms() []string {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	ids := make([]string, len(hs.roomOrder))
	for i, rm := range hs.roomOrder {
		ids[i] = rm.id
	}
	return ids
}

// Timeline is every event of a room from its first, state events included; nil when there is no such room.
func (hs *Server) Timeline(roomID string) []Event {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	rm := hs.rooms[roomID]
	if rm == nil {
		return nil
	}
	events := make([]Event, len(rm.timeline))
	for i, e := range rm.timeline {
		events[i] = e.Event
	}
	return events
}

// Members maps everybody who ever had a membership in a room to the current one ("join", "invite", "leave", "ban").
func (hs *Server) Members(roomID string) map[string]string {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	rm := hs.rooms[roomID]
	if rm == nil {
		return nil
	}
	return maps.Clone(rm.members)
}

// JoinedRooms are the rooms that a user is in, sorted by id.
func (hs *Server) JoinedRooms(userID string) []string {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if user := hs.accounts[userID]; user != nil {
		return user.joinedRooms()
	}
	return nil
}

// State is a current state event of a room; false when there is none.
func (hs *Server) State(roomID, eventType, key string) (Event, bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	rm := hs.rooms[roomID]
	if rm == nil || rm.state[stateKey{eventType, key}] == nil {
		return Event{}, false
	}
	return rm.state[stateKey{eventType, key}].Event, true
}

// Typing are the users who are typing in a room, sorted.
func (hs *Server) Typing(roomID string) []string {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if rm := hs.rooms[roomID]; rm != nil {
		return rm.typists()
	}
	return nil
}

// ReadUpTo is the event of a user's public read receipt in a room, empty when there is none.
func (hs *Server) ReadUpTo(roomID, userID string) string {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if rm := hs.rooms[roomID]; rm != nil {
		return rm.receipts[receiptKey{userID, "m.read", ""}].event
	}
	return ""
}

// Connections counts the TCP connections opened to the server since its making.
func (hs *Server) Connections() int { return int(hs.count.connections.Load()) }

// Requests counts the requests that reached an endpoint, by pattern ("PUT /_matrix/client/v3/rooms/{room}/send/{type}/{txn}").
// Requests that a fault kept from being handled are not among them.
func (hs *Server) Requests() map[string]int {
	counts := map[string]int{}
	for pattern, count := range hs.count.routes {
		if n := count.Load(); n > 0 {
			counts[pattern] = int(n)
		}
	}
	return counts
}

// Unrecognized are the requests, "METHOD /path", that this server does not know, sorted.
func (hs *Server) Unrecognized() []string {
	var all []string
	hs.count.unrecognized.Range(func(key, _ any) bool {
		all = append(all, key.(string))
		return true
	})
	slices.Sort(all)
	return all
}

// ForgetTransactions empties the memory of client transaction ids, as real servers do after 30 to 60 minutes.
func (hs *Server) ForgetTransactions() {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	clear(hs.txns)
}

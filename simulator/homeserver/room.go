package homeserver

import (
	"encoding/json"
	"net/http"
	"reflect"
)

const (
	newestRoomVersion = 12
	maxEvent          = 65535 // bytes, docs: specification, "Size limits"
)

// Event is one event of a room's timeline as the server has it now.
type Event struct {
	Position   int64           // place in the order of all events of the server, from 1, with gaps
	ID         string          //
	Room       string          //
	Type       string          //
	Sender     string          //
	StateKey   *string         // nil: not a state event
	Content    json.RawMessage // "{}" or the protected keys only when redacted
	Time       int64           // origin_server_ts, Unix milliseconds
	Redacts    string          // the event that this one removes
	RedactedBy string          // the event that removed this one
}

// entry is an event with what the server needs to serve it.
type entry struct {
	Event
	index   int // in the room's timeline
	prev    *entry
	encoded answer // as clients and application services get it; replaced, never changed
}

type stateKey struct{ kind, key string }

type annotation struct{ target, sender, key string }

type receiptKey struct{ user, kind, thread string }

type receipt struct {
	event    string
	ts       int64
	position int64
}

// room is a room and everything in it. The caller of its methods holds the server's lock.
type room struct {
	id, version string
	creators    map[string]bool // with endless power; room version 12 only
	timeline    []*entry
	byID        map[string]*entry
	state       map[stateKey]*entry
	members     map[string]string // user id → membership
	power       powerLevels
	annotations map[annotation]string // reaction → its event id
	services    map[*appservice]int   // how many joined members each application service has
	changed     int64                 // position of the latest event or notice
	gossip
}

// gossip is what a room knows for the moment only.
type gossip struct {
	typing         map[string]int64 // user → number of the latest notice, so that an old timer does not end a new one
	typingPosition int64
	receipts       map[receiptKey]receipt
}

func (hs *Server) newRoom(version string) *room {
	rm := &room{
		id:          "!" + hs.token(),
		version:     version,
		byID:        map[string]*entry{},
		state:       map[stateKey]*entry{},
		members:     map[string]string{},
		annotations: map[annotation]string{},
		services:    map[*appservice]int{},
		gossip:      gossip{typing: map[string]int64{}, receipts: map[receiptKey]receipt{}},
	}
	if !rm.privilegedCreators() {
		rm.id = rm.id[:19] + ":" + hs.opts.serverName
	}
	hs.rooms[rm.id] = rm
	hs.roomOrder = append(hs.roomOrder, rm)
	return rm
}

// room finds a room that the user has to be in.
func (hs *Server) room(rq *request) (*room, error) {
	rm := hs.rooms[rq.PathValue("room")]
	if rm == nil || rm.members[rq.user.id] != "join" {
		return nil, forbidden("User %s not in room %s", rq.user.id, rq.PathValue("room"))
	}
	return rm, nil
}

// readable finds a room that the user is or was in.
func (hs *Server) readable(rq *request) (*room, error) {
	rm := hs.rooms[rq.PathValue("room")]
	if rm != nil && (rm.members[rq.user.id] == "join" || rm.members[rq.user.id] == "leave") {
		return rm, nil
	}
	return nil, forbidden("User %s not in room %s, and room previews are disabled", rq.user.id, rq.PathValue("room"))
}

// commit appends an event: from here on everybody sees it.
func (hs *Server) commit(rm *room, ev Event) (*entry, error) {
	ev.ID, ev.Room = "$"+hs.token(), rm.id
	e := &entry{Event: ev, index: len(rm.timeline)}
	if ev.StateKey != nil {
		e.prev = rm.state[stateKey{ev.Type, *ev.StateKey}]
	}
	if err := e.encode(nil); err != nil {
		return nil, err
	}
	if len(e.encoded) > maxEvent {
		return nil, refuse(http.StatusRequestEntityTooLarge, "M_TOO_LARGE", "event too large")
	}
	e.Position = hs.next()
	rm.changed = e.Position
	before := rm.audience(nil)
	if ev.StateKey != nil {
		hs.applyState(rm, e)
	}
	rm.timeline = append(rm.timeline, e)
	rm.byID[e.ID] = e
	hs.events = append(hs.events, e)
	for _, as := range rm.audience(before, hs.interested(e)...) {
		as.push.add(e.encoded, false)
	}
	hs.wakeRoom(rm)
	return e, nil
}

// applyState makes a state event the current one of its kind.
func (hs *Server) applyState(rm *room, e *entry) {
	rm.state[stateKey{e.Type, *e.StateKey}] = e
	switch {
	case e.Type == "m.room.power_levels" && *e.StateKey == "":
		rm.power = parsePower(e.Content)
	case e.Type == "m.room.member":
		hs.applyMembership(rm, *e.StateKey, membershipOf(e))
	}
}

func (hs *Server) applyMembership(rm *room, userID, membership string) {
	was := rm.members[userID]
	rm.members[userID] = membership
	if user := hs.accounts[userID]; user != nil {
		user.rooms[rm.id] = rm
	}
	step := 0
	switch {
	case was != "join" && membership == "join":
		step = 1
	case was == "join" && membership != "join":
		step = -1
		delete(rm.typing, userID)
	default:
		return
	}
	for _, as := range hs.interest(userID) {
		if rm.services[as] += step; rm.services[as] == 0 {
			delete(rm.services, as)
		}
	}
}

// audience are the application services with a joined member in the room, added to some that are known already.
func (rm *room) audience(known []*appservice, more ...*appservice) []*appservice {
	for as := range rm.services {
		more = append(more, as)
	}
	for _, as := range more {
		if !contains(known, as) {
			known = append(known, as)
		}
	}
	return known
}

func contains(list []*appservice, as *appservice) bool {
	for _, other := range list {
		if other == as {
			return true
		}
	}
	return false
}

// wire is an event in the format of the client-server API.
type wire struct {
	Content  answer         `json:"content"`
	ID       string         `json:"event_id"`
	Time     int64          `json:"origin_server_ts"`
	Redacts  string         `json:"redacts,omitempty"`
	Room     string         `json:"room_id"`
	Sender   string         `json:"sender"`
	StateKey *string        `json:"state_key,omitempty"`
	Type     string         `json:"type"`
	Unsigned map[string]any `json:"unsigned,omitempty"`
}

// encode spells the event. redaction is the event that removed it, or nil.
func (e *entry) encode(redaction *entry) error {
	out := wire{e.Content, e.ID, e.Time, e.Redacts, e.Room, e.Sender, e.StateKey, e.Type, nil}
	if e.prev != nil {
		out.Unsigned = map[string]any{
			"prev_content": e.prev.Content, "prev_sender": e.prev.Sender, "replaces_state": e.prev.ID,
		}
	}
	if redaction != nil {
		out.Unsigned = map[string]any{"redacted_because": redaction.encoded}
	}
	encoded, err := json.Marshal(out)
	if err != nil {
		return badJSON("the content is not JSON: %v", err)
	}
	e.encoded = encoded
	return nil
}

func membershipOf(e *entry) string {
	if e == nil {
		return ""
	}
	var content struct {
		Membership string `json:"membership"`
	}
	_ = json.Unmarshal(e.Content, &content)
	return content.Membership
}

// spell turns a value that cannot fail to be JSON into it.
func spell(value any) answer {
	body, _ := json.Marshal(value)
	return body
}

func sameJSON(a, b answer) bool {
	var left, right any
	return json.Unmarshal(a, &left) == nil && json.Unmarshal(b, &right) == nil && reflect.DeepEqual(left, right)
}

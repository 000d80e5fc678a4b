package homeserver

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// syncQuery is what one /sync asks for.
type syncQuery struct {
	since   int64 // 0: everything
	full    bool
	limit   int // events of a room's timeline
	timeout time.Duration
}

type syncAnswer struct {
	Next        string    `json:"next_batch"`
	AccountData eventList `json:"account_data"`
	ToDevice    eventList `json:"to_device"`
	Rooms       struct {
		Join   map[string]*joinedRoom  `json:"join"`
		Invite map[string]*invitedRoom `json:"invite"`
		Leave  map[string]*joinedRoom  `json:"leave"`
	} `json:"rooms"`
	KeyCounts map[string]int `json:"device_one_time_keys_count"`
	Lists     deviceLists    `json:"device_lists"`
	Fallback  []string       `json:"device_unused_fallback_key_types"`
}

type eventList struct {
	Events []answer `json:"events"`
}

type deviceLists struct {
	Changed []string `json:"changed"`
	Left    []string `json:"left"`
}

type invitedRoom struct {
	State eventList `json:"invite_state"`
}

type joinedRoom struct {
	Timeline struct {
		Events  []answer `json:"events"`
		Limited bool     `json:"limited"`
		Prev    string   `json:"prev_batch"`
	} `json:"timeline"`
	State       eventList      `json:"state"`
	Ephemeral   eventList      `json:"ephemeral"`
	AccountData eventList      `json:"account_data"`
	Unread      map[string]int `json:"unread_notifications"`
}

func (hs *Server) getSync(_ http.ResponseWriter, rq *request) (any, error) {
	query, err := hs.readSyncQuery(rq)
	if err != nil {
		return nil, err
	}
	hs.mu.Lock()
	w := hs.newWaiter(rq.user.id)
	hs.mu.Unlock()
	defer hs.dropWaiter(w)
	timer := time.NewTimer(query.timeout)
	defer timer.Stop()
	for late := query.timeout == 0; ; {
		var news bool
		result, err := hs.locked(rq, func(hs *Server, rq *request) (out any, _ error) {
			out, news = hs.sync(rq, query)
			return out, nil
		})
		if err != nil || news || late || query.since == 0 || query.full {
			return result, err
		}
		select {
		case <-w.wake:
		case <-timer.C:
			late = true
		case <-rq.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
}

func (hs *Server) readSyncQuery(rq *request) (syncQuery, error) {
	query := syncQuery{limit: 10, full: rq.query.Get("full_state") == "true"}
	if since := rq.query.Get("since"); since != "" {
		number, err := strconv.ParseInt(strings.TrimPrefix(since, "s"), 10, 64)
		if err != nil {
			return query, badJSON("Invalid token %q", since)
		}
		query.since = number
	}
	if ms, err := strconv.Atoi(rq.query.Get("timeout")); err == nil && ms > 0 {
		query.timeout = min(time.Duration(ms)*time.Millisecond, 5*time.Minute)
	}
	text := []byte(rq.query.Get("filter"))
	if index, err := strconv.Atoi(string(text)); err == nil {
		hs.mu.Lock()
		if index >= 0 && index < len(rq.user.filters) {
			text = rq.user.filters[index]
		}
		hs.mu.Unlock()
	}
	var filter struct {
		Room struct {
			Timeline struct {
				Limit int `json:"limit"`
			} `json:"timeline"`
		} `json:"room"`
	}
	if len(text) > 0 && json.Unmarshal(text, &filter) == nil && filter.Room.Timeline.Limit > 0 {
		query.limit = min(filter.Room.Timeline.Limit, 1000)
	}
	return query, nil
}

// sync collects what happened to a user, and says whether it is anything.
func (hs *Server) sync(rq *request, query syncQuery) (*syncAnswer, bool) {
	out := &syncAnswer{Next: "s" + strconv.FormatInt(hs.position, 10), Fallback: []string{}}
	out.Lists = deviceLists{Changed: []string{}, Left: []string{}}
	out.Rooms.Join = map[string]*joinedRoom{}
	out.Rooms.Invite = map[string]*invitedRoom{}
	out.Rooms.Leave = map[string]*joinedRoom{}
	news, data := false, rq.user.dataSince(query.since)
	for roomID, rm := range rq.user.rooms {
		own := rm.state[stateKey{"m.room.member", rq.user.id}]
		switch rm.members[rq.user.id] {
		case "join":
			if joined := rm.syncJoined(own, query, data[roomID]); joined != nil {
				out.Rooms.Join[roomID] = joined
				news = true
			}
		case "invite":
			if own.Position > query.since {
				out.Rooms.Invite[roomID] = &invitedRoom{eventList{rm.invitation(own)}}
				news = true
			}
		default:
			if own.Position > query.since && query.since > 0 {
				left := &joinedRoom{}
				left.Timeline.Events, left.Timeline.Prev = []answer{own.encoded}, indexToken(own.index)
				out.Rooms.Leave[roomID] = left
				news = true
			}
		}
	}
	out.AccountData.Events = append([]answer{}, data[""]...)
	out.ToDevice.Events, out.KeyCounts = rq.deviceNews(query.since)
	return out, news || len(out.AccountData.Events) > 0 || len(out.ToDevice.Events) > 0
}

// syncJoined is nil when nothing happened in the room.
func (rm *room) syncJoined(own *entry, query syncQuery, data []answer) *joinedRoom {
	since := query.since
	if rm.changed <= since && len(data) == 0 && !query.full {
		return nil
	}
	if own.Position > since && membershipOf(own.prev) != "join" {
		since = 0 // new to the user, who needs all of it
	}
	out := &joinedRoom{Unread: map[string]int{"highlight_count": 0, "notification_count": 0}}
	first, _ := rm.place("s"+strconv.FormatInt(since, 10), 0)
	start := max(first, len(rm.timeline)-query.limit)
	out.Timeline.Events = encodings(rm.timeline[start:])
	out.Timeline.Limited = start > first
	out.Timeline.Prev = indexToken(start)
	out.State.Events = []answer{}
	if since == 0 || query.full {
		out.State.Events = rm.currentState(func(e *entry) bool { return e.index < start })
	} else if out.Timeline.Limited {
		out.State.Events = rm.currentState(func(e *entry) bool { return e.index >= first && e.index < start })
	}
	out.Ephemeral.Events = rm.gossipSince(*own.StateKey, since)
	out.AccountData.Events = append([]answer{}, data...)
	return out
}

func (rm *room) gossipSince(userID string, since int64) []answer {
	notices := []answer{}
	if rm.typingPosition > since {
		notices = append(notices, spell(map[string]any{
			"type": "m.typing", "content": map[string][]string{"user_ids": rm.typists()},
		}))
	}
	fresh := map[receiptKey]receipt{}
	for key, r := range rm.receipts {
		if r.position > since && (key.kind == "m.read" || key.user == userID) {
			fresh[key] = r
		}
	}
	if len(fresh) > 0 {
		notices = append(notices, spell(map[string]any{"type": "m.receipt", "content": receiptContent(fresh)}))
	}
	return notices
}

// dataSince is the account data that changed, by room; that of the whole account is under the empty name.
func (user *account) dataSince(since int64) map[string][]answer {
	changed := map[string][]answer{}
	for key, d := range user.data {
		if d.position > since {
			changed[key.room] = append(changed[key.room], spell(map[string]any{"type": key.kind, "content": d.content}))
		}
	}
	return changed
}

// invitation is the stripped state that somebody invited may see.
func (rm *room) invitation(own *entry) []answer {
	events := []answer{}
	for _, key := range []stateKey{
		{"m.room.create", ""}, {"m.room.name", ""}, {"m.room.avatar", ""}, {"m.room.topic", ""}, {"m.room.join_rules", ""},
		{"m.room.canonical_alias", ""}, {"m.room.encryption", ""}, {"m.room.member", own.Sender}, {"m.room.member", *own.StateKey},
	} {
		if e := rm.state[key]; e != nil {
			events = append(events, spell(map[string]any{
				"type": e.Type, "state_key": *e.StateKey, "sender": e.Sender, "content": e.Content,
			}))
		}
	}
	return events
}

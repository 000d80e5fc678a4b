package homeserver

import (
	"cmp"
	"encoding/json"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// currentState in the order of its making.
func (rm *room) currentState(keep func(*entry) bool) []answer {
	var kept []*entry
	for _, e := range rm.state {
		if keep(e) {
			kept = append(kept, e)
		}
	}
	slices.SortFunc(kept, func(a, b *entry) int { return cmp.Compare(a.Position, b.Position) })
	return encodings(kept)
}

func encodings(events []*entry) []answer {
	out := make([]answer, len(events))
	for i, e := range events {
		out[i] = e.encoded
	}
	return out
}

func getJoinedRooms(_ *Server, rq *request) (any, error) {
	return map[string][]string{"joined_rooms": rq.user.joinedRooms()}, nil
}

func getState(hs *Server, rq *request) (any, error) {
	rm, err := hs.readable(rq)
	if err != nil {
		return nil, err
	}
	return rm.currentState(func(*entry) bool { return true }), nil
}

func getStateEvent(hs *Server, rq *request) (any, error) {
	rm, err := hs.readable(rq)
	if err != nil {
		return nil, err
	}
	e := rm.state[stateKey{rq.PathValue("type"), rq.PathValue("key")}]
	if e == nil {
		return nil, notFound("Event not found.")
	}
	if rq.query.Get("format") == "event" {
		return e.encoded, nil
	}
	return e.Content, nil
}

func getMembers(hs *Server, rq *request) (any, error) {
	rm, err := hs.readable(rq)
	if err != nil {
		return nil, err
	}
	only, not := rq.query.Get("membership"), rq.query.Get("not_membership")
	return map[string]any{"chunk": rm.currentState(func(e *entry) bool {
		if e.Type != "m.room.member" {
			return false
		}
		membership := rm.members[*e.StateKey]
		return (only == "" || membership == only) && (not == "" || membership != not)
	})}, nil
}

func getJoinedMembers(hs *Server, rq *request) (any, error) {
	rm, err := hs.room(rq)
	if err != nil {
		return nil, err
	}
	type profile struct {
		Name   *string `json:"display_name"`
		Avatar *string `json:"avatar_url"`
	}
	joined := map[string]profile{}
	for userID, membership := range rm.members {
		if membership != "join" {
			continue
		}
		var content struct {
			Name   *string `json:"displayname"`
			Avatar *string `json:"avatar_url"`
		}
		_ = json.Unmarshal(rm.state[stateKey{"m.room.member", userID}].Content, &content)
		joined[userID] = profile(content)
	}
	return map[string]any{"joined": joined}, nil
}

func getEvent(hs *Server, rq *request) (any, error) {
	rm, err := hs.readable(rq)
	if err != nil {
		return nil, err
	}
	e := rm.byID[rq.PathValue("event")]
	if e == nil {
		return nil, notFound("Event not found.")
	}
	return e.encoded, nil
}

func getContext(hs *Server, rq *request) (any, error) {
	rm, err := hs.readable(rq)
	if err != nil {
		return nil, err
	}
	e := rm.byID[rq.PathValue("event")]
	if e == nil {
		return nil, notFound("Event not found.")
	}
	half := limitOf(rq) / 2
	first, last := max(0, e.index-half), min(len(rm.timeline), e.index+1+half)
	before := encodings(rm.timeline[first:e.index])
	slices.Reverse(before)
	return map[string]any{
		"start": indexToken(first), "end": indexToken(last), "event": e.encoded,
		"events_before": before, "events_after": encodings(rm.timeline[e.index+1 : last]),
		"state": rm.currentState(func(*entry) bool { return true }),
	}, nil
}

// A place in a timeline is spelled "t<number of events before it>".
func indexToken(index int) string { return "t" + strconv.Itoa(index) }

// place reads a token of /messages, or one of /sync ("s<position>"), as a number of events.
func (rm *room) place(token string, otherwise int) (int, error) {
	if token == "" {
		return otherwise, nil
	}
	number, err := strconv.ParseInt(token[1:], 10, 64)
	switch {
	case err != nil || number < 0:
		return 0, badJSON("Invalid token %q", token)
	case token[0] == 's':
		return sort.Search(len(rm.timeline), func(i int) bool { return rm.timeline[i].Position > number }), nil
	case token[0] == 't':
		return min(int(number), len(rm.timeline)), nil
	}
	return 0, badJSON("Invalid token %q", token)
}

func limitOf(rq *request) int {
	limit, err := strconv.Atoi(rq.query.Get("limit"))
	if err != nil || limit <= 0 {
		return 10
	}
	return min(limit, 1000)
}

// eventFilter is the part of a RoomEventFilter that /messages obeys.
type eventFilter struct {
	Types      []string `json:"types"`
	NotTypes   []string `json:"not_types"`
	Senders    []string `json:"senders"`
	NotSenders []string `json:"not_senders"`
}

func (f *eventFilter) keeps(e *entry) bool {
	matches := func(pattern string) bool {
		prefix, open := strings.CutSuffix(pattern, "*")
		return pattern == e.Type || open && strings.HasPrefix(e.Type, prefix)
	}
	return (f.Types == nil || slices.ContainsFunc(f.Types, matches)) && !slices.ContainsFunc(f.NotTypes, matches) &&
		(f.Senders == nil || slices.Contains(f.Senders, e.Sender)) && !slices.Contains(f.NotSenders, e.Sender)
}

func getMessages(hs *Server, rq *request) (any, error) {
	rm, err := hs.readable(rq)
	if err != nil {
		return nil, err
	}
	var filter eventFilter
	if text := rq.query.Get("filter"); text != "" {
		if err = json.Unmarshal([]byte(text), &filter); err != nil {
			return nil, badJSON("filter: %v", err)
		}
	}
	back := rq.query.Get("dir") == "b"
	start, stop := 0, len(rm.timeline)
	if back {
		start, stop = stop, start
	}
	from, err := rm.place(rq.query.Get("from"), start)
	if err != nil {
		return nil, err
	}
	to, err := rm.place(rq.query.Get("to"), stop)
	if err != nil {
		return nil, err
	}
	chunk, end := rm.page(from, to, limitOf(rq), back, &filter)
	out := map[string]any{"chunk": encodings(chunk), "start": indexToken(from)}
	if end != to {
		out["end"] = indexToken(end)
	}
	return out, nil
}

// page reads from one place towards another and says where it stopped.
func (rm *room) page(from, to, limit int, back bool, filter *eventFilter) ([]*entry, int) {
	var chunk []*entry
	at := from
	for len(chunk) < limit && (back && at > to || !back && at < to) {
		e := rm.timeline[at-1+btoi(!back)]
		at += 2*btoi(!back) - 1
		if filter.keeps(e) {
			chunk = append(chunk, e)
		}
	}
	return chunk, at
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

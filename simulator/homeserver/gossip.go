package homeserver

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// gossips tells the application services of a room something that is not an event.
func (hs *Server) gossips(rm *room, kind string, content any) {
	notice := spell(map[string]any{"type": kind, "room_id": rm.id, "content": content})
	for as := range rm.services {
		if as.reg.ephemeral() {
			as.push.add(notice, true)
		}
	}
	hs.wakeRoom(rm)
}

func putTyping(hs *Server, rq *request) (any, error) {
	if err := requireSelf(rq); err != nil {
		return nil, err
	}
	rm, err := hs.room(rq)
	if err != nil {
		return nil, err
	}
	var in struct {
		Typing  bool  `json:"typing"`
		Timeout int64 `json:"timeout"`
	}
	if err = rq.decode(&in); err != nil {
		return nil, err
	}
	hs.setTyping(rm, rq.user.id, in.Typing, time.Duration(in.Timeout)*time.Millisecond)
	return empty, nil
}

func (hs *Server) setTyping(rm *room, userID string, typing bool, timeout time.Duration) {
	_, was := rm.typing[userID]
	number := hs.next()
	if typing {
		rm.typing[userID] = number
		time.AfterFunc(timeout, func() { hs.stopTyping(rm, userID, number) })
	} else {
		delete(rm.typing, userID)
	}
	if was != typing {
		rm.typingPosition, rm.changed = number, number
		hs.gossips(rm, "m.typing", map[string][]string{"user_ids": rm.typists()})
	}
}

// stopTyping ends a typing notice that nobody renewed.
func (hs *Server) stopTyping(rm *room, userID string, number int64) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if rm.typing[userID] == number && !hs.down {
		hs.setTyping(rm, userID, false, 0)
	}
}

func (rm *room) typists() []string {
	users := []string{}
	for userID := range rm.typing {
		users = append(users, userID)
	}
	slices.Sort(users)
	return users
}

func postReceipt(hs *Server, rq *request) (any, error) {
	rm, err := hs.room(rq)
	if err != nil {
		return nil, err
	}
	var in struct {
		Thread string `json:"thread_id"`
	}
	if err = rq.decode(&in); err != nil {
		return nil, err
	}
	return empty, hs.markRead(rm, rq, rq.PathValue("type"), rq.PathValue("event"), in.Thread)
}

func postReadMarkers(hs *Server, rq *request) (any, error) {
	rm, err := hs.room(rq)
	if err != nil {
		return nil, err
	}
	var in map[string]answer
	if err = rq.decode(&in); err != nil {
		return nil, err
	}
	for _, kind := range []string{"m.fully_read", "m.read", "m.read.private"} {
		var eventID string
		if in[kind] == nil {
			continue
		}
		if err = json.Unmarshal(in[kind], &eventID); err != nil {
			return nil, badJSON("%s: %v", kind, err)
		}
		if err = hs.markRead(rm, rq, kind, eventID, ""); err != nil {
			return nil, err
		}
	}
	return empty, nil
}

func (hs *Server) markRead(rm *room, rq *request, kind, eventID, thread string) error {
	switch kind {
	case "m.fully_read":
		hs.setData(rq.user, dataKey{rm.id, kind}, spell(map[string]string{"event_id": eventID}))
		return nil
	case "m.read", "m.read.private":
	default:
		return refuse(http.StatusBadRequest, "M_INVALID_PARAM", "Receipt type must be 'm.read', 'm.read.private' or 'm.fully_read'.")
	}
	target, key := rm.byID[eventID], receiptKey{rq.user.id, kind, thread}
	if target == nil {
		return nil // like Synapse: a receipt for an unknown event is accepted and forgotten
	}
	if last := rm.byID[rm.receipts[key].event]; last != nil && last.index >= target.index {
		return nil
	}
	r := receipt{event: eventID, ts: time.Now().UnixMilli(), position: hs.next()}
	rm.receipts[key], rm.changed = r, r.position
	if kind == "m.read" {
		hs.gossips(rm, "m.receipt", receiptContent(map[receiptKey]receipt{key: r}))
	} else {
		hs.wakeUser(rq.user.id)
	}
	return nil
}

// receiptContent spells receipts as the content of one m.receipt notice.
func receiptContent(receipts map[receiptKey]receipt) map[string]map[string]map[string]any {
	content := map[string]map[string]map[string]any{}
	for key, r := range receipts {
		if content[r.event] == nil {
			content[r.event] = map[string]map[string]any{}
		}
		if content[r.event][key.kind] == nil {
			content[r.event][key.kind] = map[string]any{}
		}
		data := map[string]any{"ts": r.ts}
		if key.thread != "" {
			data["thread_id"] = key.thread
		}
		content[r.event][key.kind][key.user] = data
	}
	return content
}

// putPresence accepts a presence and keeps none: like a server with presence switched off.
func putPresence(_ *Server, rq *request) (any, error) {
	return empty, requireSelf(rq)
}

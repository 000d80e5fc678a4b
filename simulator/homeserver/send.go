package homeserver

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
)

// txnKey names a request that must take effect once. Both Synapse and Dendrite remember (token, path): the path holds
// room, type and transaction id, and the user that an application service acts as plays no part.
type txnKey struct{ token, path string }

// remembered makes a handler idempotent by transaction id. Only successes are remembered, as on real servers.
func remembered(handle handler) handler {
	return func(hs *Server, rq *request) (any, error) {
		key := txnKey{rq.token, rq.URL.EscapedPath()}
		if known, ok := hs.txns[key]; ok {
			return known, nil
		}
		result, err := handle(hs, rq)
		if err != nil {
			return nil, err
		}
		known := spell(result)
		hs.txns[key] = known
		return known, nil
	}
}

func eventIDAnswer(e *entry) answer {
	return answer(`{"event_id":"` + e.ID + `"}`)
}

func requireObject(content answer) error {
	if trimmed := bytes.TrimLeft(content, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return badJSON("Content must be a JSON object")
	}
	return nil
}

func putSend(hs *Server, rq *request) (any, error) {
	rm, err := hs.room(rq)
	if err != nil {
		return nil, err
	}
	e, err := hs.send(rm, rq.user.id, rq.PathValue("type"), rq.body, rq.timestamp())
	if err != nil {
		return nil, err
	}
	return eventIDAnswer(e), nil
}

// send appends an event that is not state.
func (hs *Server) send(rm *room, sender, eventType string, content answer, ts int64) (*entry, error) {
	if err := requireObject(content); err != nil {
		return nil, err
	}
	if err := rm.may(sender, eventType, nil); err != nil {
		return nil, err
	}
	switch eventType {
	case "m.reaction":
		return hs.sendReaction(rm, sender, content, ts)
	case "m.room.redaction":
		var in struct {
			Redacts string `json:"redacts"`
		}
		if err := json.Unmarshal(content, &in); err != nil {
			return nil, badJSON("redaction: %v", err)
		}
		return hs.redact(rm, sender, in.Redacts, content, ts)
	}
	return hs.commit(rm, Event{Type: eventType, Sender: sender, Content: content, Time: ts})
}

// sendReaction refuses the same reaction twice, as Synapse does.
func (hs *Server) sendReaction(rm *room, sender string, content answer, ts int64) (*entry, error) {
	relates := relation(content)
	about := annotation{relates.Event, sender, relates.Key}
	if rm.annotations[about] != "" {
		return nil, refuse(http.StatusBadRequest, "M_DUPLICATE_ANNOTATION", "Can't send same reaction twice")
	}
	e, err := hs.commit(rm, Event{Type: "m.reaction", Sender: sender, Content: content, Time: ts})
	if err == nil && relates.Kind == "m.annotation" {
		rm.annotations[about] = e.ID
	}
	return e, err
}

type relatesTo struct {
	Kind  string `json:"rel_type"`
	Event string `json:"event_id"`
	Key   string `json:"key"`
}

func relation(content answer) relatesTo {
	var in struct {
		RelatesTo relatesTo `json:"m.relates_to"`
	}
	_ = json.Unmarshal(content, &in)
	return in.RelatesTo
}

func putState(hs *Server, rq *request) (any, error) {
	rm := hs.rooms[rq.PathValue("room")]
	if rm == nil {
		return nil, forbidden("User %s not in room %s", rq.user.id, rq.PathValue("room"))
	}
	if err := requireObject(rq.body); err != nil {
		return nil, err
	}
	e, err := hs.sendState(rm, rq.user.id, stateKey{rq.PathValue("type"), rq.PathValue("key")}, rq.body, rq.timestamp())
	if err != nil {
		return nil, err
	}
	return eventIDAnswer(e), nil
}

// sendState checks and appends a state event.
func (hs *Server) sendState(rm *room, sender string, key stateKey, content answer, ts int64) (*entry, error) {
	if key.kind == "m.room.member" {
		var extra map[string]answer
		var membership string
		if json.Unmarshal(content, &extra) != nil || json.Unmarshal(extra["membership"], &membership) != nil {
			return nil, badJSON("a membership needs the key membership")
		}
		return hs.changeMembership(rm, sender, key.key, membership, extra, ts)
	}
	if err := rm.may(sender, key.kind, &key.key); err != nil {
		return nil, err
	}
	switch key.kind {
	case "m.room.create":
		return nil, forbidden("The room exists")
	case "m.room.power_levels":
		if err := rm.mayRelevel(sender, content); err != nil {
			return nil, err
		}
	}
	return hs.putStateEvent(rm, sender, key, content, ts)
}

// putStateEvent appends a state event unless it repeats the current one.
func (hs *Server) putStateEvent(rm *room, sender string, key stateKey, content answer, ts int64) (*entry, error) {
	if now := rm.state[key]; now != nil && now.Sender == sender && now.RedactedBy == "" && sameJSON(now.Content, content) {
		return now, nil
	}
	return hs.commit(rm, Event{Type: key.kind, StateKey: &key.key, Sender: sender, Content: content, Time: ts})
}

// Send is a user of the server sending an event, without HTTP: a generator for benchmarks. content is JSON or a value
// to be marshalled. It answers with the event id.
func (hs *Server) Send(roomID, userID, eventType string, content any) (string, error) {
	body, ok := content.(json.RawMessage)
	if !ok {
		var err error
		if body, err = json.Marshal(content); err != nil {
			return "", badJSON("%v", err)
		}
	}
	hs.mu.Lock()
	defer hs.mu.Unlock()
	rm := hs.rooms[roomID]
	if rm == nil {
		return "", notFound("no room %s", roomID)
	}
	e, err := hs.send(rm, userID, eventType, body, time.Now().UnixMilli())
	if err != nil {
		return "", err
	}
	return e.ID, nil
}

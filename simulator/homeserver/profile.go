package homeserver

import (
	"encoding/json"
	"maps"
	"net/http"
	"time"
)

func getProfile(hs *Server, rq *request) (any, error) {
	user := hs.accounts[rq.PathValue("user")]
	if user == nil {
		return nil, notFound("No row found (profiles)")
	}
	return maps.Clone(user.profile), nil
}

func getProfileField(hs *Server, rq *request) (any, error) {
	user := hs.accounts[rq.PathValue("user")]
	if user == nil {
		return nil, notFound("No row found (profiles)")
	}
	key := rq.PathValue("key")
	value, ok := user.profile[key]
	if !ok && key != "displayname" && key != "avatar_url" {
		return nil, notFound("No such profile field")
	} else if !ok {
		return empty, nil
	}
	return map[string]answer{key: value}, nil
}

// putProfileField sets or deletes a field. Name and avatar then change in every joined room, as on real servers.
func putProfileField(hs *Server, rq *request) (any, error) {
	if err := requireSelf(rq); err != nil {
		return nil, err
	}
	key := rq.PathValue("key")
	var in map[string]answer
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	value, given := in[key]
	if rq.Method == http.MethodPut && !given {
		return nil, refuse(http.StatusBadRequest, "M_MISSING_PARAM", "Missing key %q", key)
	}
	if rq.Method == http.MethodDelete || string(value) == `""` || string(value) == "null" {
		delete(rq.user.profile, key)
	} else {
		rq.user.profile[key] = value
	}
	if key == "displayname" || key == "avatar_url" {
		return empty, hs.spreadProfile(rq.user)
	}
	return empty, nil
}

func (hs *Server) spreadProfile(user *account) error {
	for _, roomID := range user.joinedRooms() {
		rm := hs.rooms[roomID]
		old := rm.state[stateKey{"m.room.member", user.id}]
		content := map[string]answer{}
		if err := json.Unmarshal(old.Content, &content); err != nil {
			return badJSON("membership of %s: %v", user.id, err)
		}
		delete(content, "displayname")
		delete(content, "avatar_url")
		hs.fillProfile(user.id, content)
		if _, err := hs.putStateEvent(rm, user.id, stateKey{"m.room.member", user.id}, spell(content), time.Now().UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}

// fillProfile adds name and avatar of a local user to a membership that does not name its own.
func (hs *Server) fillProfile(userID string, content map[string]answer) {
	user := hs.accounts[userID]
	if user == nil {
		return
	}
	for _, key := range []string{"displayname", "avatar_url"} {
		if value, ok := user.profile[key]; ok && content[key] == nil {
			content[key] = value
		}
	}
}

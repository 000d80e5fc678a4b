package homeserver

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// createRequest is the body of /createRoom.
type createRequest struct {
	Visibility  string            `json:"visibility"`
	Preset      string            `json:"preset"`
	AliasName   string            `json:"room_alias_name"`
	Name        string            `json:"name"`
	Topic       string            `json:"topic"`
	Invite      []string          `json:"invite"`
	IsDirect    bool              `json:"is_direct"`
	RoomVersion string            `json:"room_version"`
	Creation    map[string]answer `json:"creation_content"`
	Power       map[string]answer `json:"power_level_content_override"`
	State       []struct {
		Type    string `json:"type"`
		Key     string `json:"state_key"`
		Content answer `json:"content"`
	} `json:"initial_state"`
}

func postCreateRoom(hs *Server, rq *request) (any, error) {
	var in createRequest
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	if in.RoomVersion == "" {
		in.RoomVersion = hs.opts.roomVersion
	}
	if version, err := strconv.Atoi(in.RoomVersion); err != nil || version < 1 || version > newestRoomVersion {
		return nil, refuse(http.StatusBadRequest, "M_UNSUPPORTED_ROOM_VERSION", "Your homeserver does not support this room version")
	}
	if in.Preset == "" {
		in.Preset = "private_chat"
		if in.Visibility == "public" {
			in.Preset = "public_chat"
		}
	}
	alias := ""
	if in.AliasName != "" {
		alias = "#" + in.AliasName + ":" + hs.opts.serverName
		if hs.aliases[alias] != "" {
			return nil, refuse(http.StatusBadRequest, "M_ROOM_IN_USE", "Room alias already taken")
		}
	}
	rm, err := hs.createRoom(rq.user.id, alias, in, rq.timestamp())
	if err != nil {
		return nil, err
	}
	return map[string]string{"room_id": rm.id}, nil
}

// createRoom writes the first events of a room in the order that the specification gives. When one is refused the room
// is left without members, so that nobody ever sees it.
func (hs *Server) createRoom(creator, alias string, in createRequest, ts int64) (*room, error) {
	rm := hs.newRoom(in.RoomVersion)
	err := hs.foundRoom(rm, creator, in, ts)
	for _, step := range in.steps(creator, alias) {
		if err == nil {
			_, err = hs.sendState(rm, creator, step.key, step.content, ts)
		}
	}
	for _, userID := range in.Invite {
		extra := map[string]answer{}
		if in.IsDirect {
			extra["is_direct"] = spell(true)
		}
		if err == nil {
			_, err = hs.changeMembership(rm, creator, userID, "invite", extra, ts)
		}
	}
	if err != nil {
		hs.abandon(rm)
		return nil, err
	}
	if alias != "" {
		hs.aliases[alias] = rm.id
	}
	return rm, nil
}

// foundRoom writes creation, the creator's membership and the power levels, which need no power.
func (hs *Server) foundRoom(rm *room, creator string, in createRequest, ts int64) error {
	content := map[string]answer{}
	for key, value := range in.Creation {
		content[key] = value
	}
	content["room_version"] = spell(in.RoomVersion)
	if version, _ := strconv.Atoi(in.RoomVersion); version < 11 {
		content["creator"] = spell(creator)
	}
	if rm.privilegedCreators() {
		rm.creators = map[string]bool{creator: true}
		var more []string
		_ = json.Unmarshal(content["additional_creators"], &more)
		if in.Preset == "trusted_private_chat" {
			more = append(more, in.Invite...)
			content["additional_creators"] = spell(more)
		}
		for _, userID := range more {
			rm.creators[userID] = true
		}
	}
	member := map[string]answer{"membership": spell("join")}
	hs.fillProfile(creator, member)
	if _, err := hs.putStateEvent(rm, creator, stateKey{"m.room.create", ""}, spell(content), ts); err != nil {
		return err
	}
	if _, err := hs.putStateEvent(rm, creator, stateKey{"m.room.member", creator}, spell(member), ts); err != nil {
		return err
	}
	levels := in.powerLevels(rm, creator)
	var named powerLevels
	if err := json.Unmarshal(levels, &named); err != nil {
		return badJSON("power_level_content_override: %v", err)
	}
	for userID := range rm.creators {
		if _, ok := named.Users[userID]; ok {
			return badJSON("Creator user %s must not appear in content.users", userID)
		}
	}
	_, err := hs.putStateEvent(rm, creator, stateKey{"m.room.power_levels", ""}, levels, ts)
	return err
}

func (in *createRequest) powerLevels(rm *room, creator string) answer {
	users := map[string]int64{}
	if !rm.privilegedCreators() {
		users[creator] = 100
		if in.Preset == "trusted_private_chat" {
			for _, userID := range in.Invite {
				users[userID] = 100
			}
		}
	}
	invite := 0
	if in.Preset == "public_chat" {
		invite = 50
	}
	levels := map[string]answer{
		"users": spell(users), "users_default": spell(0), "events_default": spell(0), "state_default": spell(50),
		"ban": spell(50), "kick": spell(50), "redact": spell(50), "invite": spell(invite),
		"events": spell(map[string]int64{
			"m.room.name": 50, "m.room.avatar": 50, "m.room.canonical_alias": 50, "m.room.power_levels": 100,
			"m.room.history_visibility": 100, "m.room.tombstone": 100, "m.room.server_acl": 100, "m.room.encryption": 100,
		}),
	}
	for key, value := range in.Power {
		levels[key] = value
	}
	return spell(levels)
}

type step struct {
	key     stateKey
	content answer
}

// steps are the state events after the power levels: preset, initial state, name and topic.
func (in *createRequest) steps(creator, alias string) []step {
	joinRule, guests := "invite", "can_join"
	if in.Preset == "public_chat" {
		joinRule, guests = "public", "forbidden"
	}
	all := []step{
		{stateKey{"m.room.join_rules", ""}, spell(map[string]string{"join_rule": joinRule})},
		{stateKey{"m.room.history_visibility", ""}, spell(map[string]string{"history_visibility": "shared"})},
		{stateKey{"m.room.guest_access", ""}, spell(map[string]string{"guest_access": guests})},
	}
	if alias != "" {
		all = append(all, step{stateKey{"m.room.canonical_alias", ""}, spell(map[string]string{"alias": alias})})
	}
	for _, given := range in.State {
		key := stateKey{given.Type, given.Key}
		all = slices.DeleteFunc(all, func(s step) bool { return s.key == key })
		isMember := given.Type == "m.room.member" && strings.HasPrefix(given.Key, "@") && given.Key == creator
		if !isMember {
			all = append(all, step{key, given.Content})
		}
	}
	if in.Name != "" {
		all = append(all, step{stateKey{"m.room.name", ""}, spell(map[string]string{"name": in.Name})})
	}
	if in.Topic != "" {
		all = append(all, step{stateKey{"m.room.topic", ""}, spell(map[string]string{"topic": in.Topic})})
	}
	return all
}

func (hs *Server) abandon(rm *room) {
	for userID := range rm.members {
		rm.members[userID] = "leave"
		if user := hs.accounts[userID]; user != nil {
			delete(user.rooms, rm.id)
		}
	}
	delete(hs.rooms, rm.id)
	hs.roomOrder = slices.DeleteFunc(hs.roomOrder, func(other *room) bool { return other == rm })
}

package homeserver

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// changeMembership is the way of every membership, whichever endpoint asked for it. extra is further content.
func (hs *Server) changeMembership(rm *room, sender, target, membership string, extra map[string]answer, ts int64) (*entry, error) {
	was := rm.members[target]
	if err := hs.mayBecome(rm, sender, target, was, membership); err != nil {
		return nil, err
	}
	key := stateKey{"m.room.member", target}
	if membership == "leave" && was == "leave" {
		return rm.state[key], nil
	}
	content := map[string]answer{}
	for name, value := range extra {
		content[name] = value
	}
	content["membership"] = spell(membership)
	if membership == "join" || membership == "invite" {
		hs.fillProfile(target, content)
	}
	return hs.putStateEvent(rm, sender, key, spell(content), ts)
}

// mayBecome holds the rules of memberships. Error texts are Synapse's, since bridges read some of them.
func (hs *Server) mayBecome(rm *room, sender, target, was, membership string) error {
	own := sender == target
	if !own && rm.members[sender] != "join" {
		return forbidden("%s not in room %s.", sender, rm.id)
	}
	switch membership {
	case "join":
		return hs.mayJoin(rm, sender, target, was)
	case "invite":
		switch {
		case was == "join":
			return forbidden("%s is already in the room.", target)
		case was == "ban":
			return forbidden("%s is banned from the room", target)
		case rm.members[sender] != "join" || rm.level(sender) < rm.power.Invite:
			return forbidden("You don't have permission to invite users")
		}
		return nil
	case "leave":
		if own && (was == "" || was == "ban") {
			return forbidden("User %s not in room %s", target, rm.id)
		} else if own {
			return nil
		}
		return rm.mayRemove(sender, target, was)
	case "ban":
		if rm.level(sender) < orFifty(rm.power.Ban) || rm.level(target) >= rm.level(sender) {
			return forbidden("You don't have permission to ban")
		}
		return nil
	}
	return badJSON("Unknown membership %q", membership)
}

func (rm *room) mayRemove(sender, target, was string) error {
	switch {
	case was == "ban" && rm.level(sender) < orFifty(rm.power.Ban):
		return forbidden("You cannot unban user %s.", target)
	case was != "ban" && was != "join" && was != "invite":
		return forbidden("The target user is not in the room")
	case was != "ban" && (rm.level(sender) < orFifty(rm.power.Kick) || rm.level(target) >= rm.level(sender)):
		return forbidden("You cannot kick user %s.", target)
	}
	return nil
}

func (hs *Server) mayJoin(rm *room, sender, target, was string) error {
	switch {
	case sender != target:
		return forbidden("Cannot force another user to join.")
	case was == "ban":
		return forbidden("You are banned from this room")
	case was == "join" || was == "invite" || hs.openTo(rm, target):
		return nil
	}
	return forbidden("You are not invited to this room.")
}

// openTo says whether the join rules let a user in without an invitation.
func (hs *Server) openTo(rm *room, userID string) bool {
	var rules struct {
		JoinRule string `json:"join_rule"`
		Allow    []struct {
			Type string `json:"type"`
			Room string `json:"room_id"`
		} `json:"allow"`
	}
	if e := rm.state[stateKey{"m.room.join_rules", ""}]; e != nil {
		_ = json.Unmarshal(e.Content, &rules)
	}
	if rules.JoinRule == "public" {
		return true
	}
	for _, allow := range rules.Allow {
		other := hs.rooms[allow.Room]
		if rules.JoinRule == "restricted" && allow.Type == "m.room_membership" && other != nil && other.members[userID] == "join" {
			return true
		}
	}
	return false
}

func postJoin(hs *Server, rq *request) (any, error) {
	roomID := rq.PathValue("room")
	if target, ok := hs.aliases[roomID]; ok {
		roomID = target
	}
	rm := hs.rooms[roomID]
	if rm == nil {
		return nil, notFound("Can't join room %s: no known servers", roomID)
	}
	extra, err := reasonOnly(rq)
	if err != nil {
		return nil, err
	}
	if rm.members[rq.user.id] != "join" {
		if _, err = hs.changeMembership(rm, rq.user.id, rq.user.id, "join", extra, rq.timestamp()); err != nil {
			return nil, err
		}
	}
	return map[string]string{"room_id": rm.id}, nil
}

func postLeave(hs *Server, rq *request) (any, error) {
	return hs.postMembership(rq, "leave", func(string) string { return rq.user.id })
}

func postInvite(hs *Server, rq *request) (any, error) {
	return hs.postMembership(rq, "invite", func(target string) string { return target })
}

func postKick(hs *Server, rq *request) (any, error) {
	return hs.postMembership(rq, "leave", func(target string) string { return target })
}

func postBan(hs *Server, rq *request) (any, error) {
	return hs.postMembership(rq, "ban", func(target string) string { return target })
}

func postUnban(hs *Server, rq *request) (any, error) {
	return hs.postMembership(rq, "leave", func(target string) string { return target })
}

func (hs *Server) postMembership(rq *request, membership string, choose func(string) string) (any, error) {
	var in struct {
		UserID string `json:"user_id"`
	}
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	rm, target := hs.rooms[rq.PathValue("room")], choose(in.UserID)
	if rm == nil {
		return nil, forbidden("User %s not in room %s", rq.user.id, rq.PathValue("room"))
	} else if target == "" {
		return nil, refuse(http.StatusBadRequest, "M_MISSING_PARAM", "Missing user_id")
	}
	extra, err := reasonOnly(rq)
	if err != nil {
		return nil, err
	}
	if _, err = hs.changeMembership(rm, rq.user.id, target, membership, extra, rq.timestamp()); err != nil {
		return nil, err
	}
	return empty, nil
}

func reasonOnly(rq *request) (map[string]answer, error) {
	var in map[string]answer
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	if in["reason"] == nil {
		return nil, nil
	}
	return map[string]answer{"reason": in["reason"]}, nil
}

func postForget(hs *Server, rq *request) (any, error) {
	rm := hs.rooms[rq.PathValue("room")]
	if rm != nil && slices.Contains([]string{"join", "invite"}, rm.members[rq.user.id]) {
		return nil, refuse(http.StatusBadRequest, "M_UNKNOWN", "User %s is in room %s", rq.user.id, rm.id)
	}
	delete(rq.user.rooms, rq.PathValue("room"))
	return empty, nil
}

// Join puts a registered user into a room without asking anybody, for tests that are not about joining.
func (hs *Server) Join(roomID, userID string) error {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	rm := hs.rooms[roomID]
	if rm == nil || hs.accounts[userID] == nil {
		return notFound("no room %s or no user %s", roomID, userID)
	}
	content := map[string]answer{"membership": spell("join")}
	hs.fillProfile(userID, content)
	_, err := hs.putStateEvent(rm, userID, stateKey{"m.room.member", userID}, spell(content), time.Now().UnixMilli())
	return err
}

package homeserver

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// powerLevels of a room, or what holds without an event (only the creator has power then, see level).
type powerLevels struct {
	Present bool `json:"-"`

	Users         map[string]int64 `json:"users"`
	UsersDefault  int64            `json:"users_default"`
	Events        map[string]int64 `json:"events"`
	EventsDefault int64            `json:"events_default"`
	StateDefault  *int64           `json:"state_default"`
	Invite        int64            `json:"invite"`
	Kick          *int64           `json:"kick"`
	Ban           *int64           `json:"ban"`
	Redact        *int64           `json:"redact"`
}

func parsePower(content answer) powerLevels {
	levels := powerLevels{Present: true}
	if json.Unmarshal(content, &levels) != nil {
		return powerLevels{Present: true}
	}
	return levels
}

func orFifty(level *int64) int64 {
	if level == nil {
		return 50
	}
	return *level
}

// privilegedCreators says whether the creators have endless power: since room version 12.
func (rm *room) privilegedCreators() bool {
	version, err := strconv.Atoi(rm.version)
	return err == nil && version >= 12
}

func (rm *room) creator() string { return rm.timeline[0].Sender }

func (rm *room) level(userID string) int64 {
	if rm.creators[userID] {
		return math.MaxInt64
	}
	if !rm.power.Present {
		if userID == rm.creator() {
			return 100
		}
		return 0
	}
	if level, ok := rm.power.Users[userID]; ok {
		return level
	}
	return rm.power.UsersDefault
}

func (rm *room) needed(eventType string, isState bool) int64 {
	if level, ok := rm.power.Events[eventType]; ok {
		return level
	}
	switch {
	case !isState:
		return rm.power.EventsDefault
	case !rm.power.Present:
		return 0
	}
	return orFifty(rm.power.StateDefault)
}

// may refuses an event that its sender has not the power to send.
func (rm *room) may(sender, eventType string, key *string) error {
	if rm.members[sender] != "join" {
		return forbidden("User %s not in room %s", sender, rm.id)
	}
	if level, needed := rm.level(sender), rm.needed(eventType, key != nil); level < needed {
		return forbidden("You don't have permission to post that to the room. user_level (%d) < send_level (%d)", level, needed)
	}
	if key != nil && strings.HasPrefix(*key, "@") && *key != sender {
		return forbidden("You are not allowed to set others state")
	}
	return nil
}

// mayRelevel refuses new power levels that give or take more than their sender has.
func (rm *room) mayRelevel(sender string, content answer) error {
	var levels powerLevels
	if err := json.Unmarshal(content, &levels); err != nil {
		return badJSON("power levels: %v", err)
	}
	for userID := range rm.creators {
		if _, named := levels.Users[userID]; named {
			return badJSON("Creator user %s must not appear in content.users", userID)
		}
	}
	own := rm.level(sender)
	check := func(was, is map[string]int64, self bool) error {
		for key, level := range is {
			if old, known := was[key]; (!known || old != level) && (level > own || known && old > own) {
				return forbidden("You don't have permission to add ops level greater than your own")
			}
		}
		for key, old := range was {
			level, kept := is[key]
			if self && key != sender && old >= own && (!kept || level != old) || !kept && old > own {
				return forbidden("You don't have permission to remove ops level equal to your own")
			}
		}
		return nil
	}
	if err := check(rm.power.Users, levels.Users, true); err != nil {
		return err
	}
	return check(rm.power.Events, levels.Events, false)
}

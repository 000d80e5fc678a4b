package homeserver

import "encoding/json"

// keptKeys names the content that survives a redaction (room version 11).
func keptKeys(eventType string) []string {
	switch eventType {
	case "m.room.member":
		return []string{"membership", "join_authorised_via_users_server"}
	case "m.room.join_rules":
		return []string{"join_rule", "allow"}
	case "m.room.history_visibility":
		return []string{"history_visibility"}
	case "m.room.redaction":
		return []string{"redacts"}
	case "m.room.power_levels":
		return []string{
			"ban", "events", "events_default", "invite", "kick", "redact", "state_default", "users", "users_default",
		}
	}
	return nil
}

func putRedact(hs *Server, rq *request) (any, error) {
	rm, err := hs.room(rq)
	if err != nil {
		return nil, err
	}
	content := map[string]answer{}
	if err = rq.decode(&content); err != nil {
		return nil, err
	}
	content["redacts"] = spell(rq.PathValue("event"))
	e, err := hs.redact(rm, rq.user.id, rq.PathValue("event"), spell(content), rq.timestamp())
	if err != nil {
		return nil, err
	}
	return eventIDAnswer(e), nil
}

// redact removes what an event says. Like Synapse it puts the target into the content and beside it, for old and new
// room versions alike.
func (hs *Server) redact(rm *room, sender, targetID string, content answer, ts int64) (*entry, error) {
	target := rm.byID[targetID]
	if target == nil {
		return nil, notFound("Could not find event %s", targetID)
	}
	if err := rm.may(sender, "m.room.redaction", nil); err != nil {
		return nil, err
	}
	if target.Sender != sender && rm.level(sender) < orFifty(rm.power.Redact) {
		return nil, forbidden("You don't have permission to redact events")
	}
	e, err := hs.commit(rm, Event{Type: "m.room.redaction", Sender: sender, Content: content, Time: ts, Redacts: targetID})
	if err != nil {
		return nil, err
	}
	return e, rm.erase(target, e)
}

func (rm *room) erase(target, redaction *entry) error {
	if target.Type == "m.room.create" || target.RedactedBy != "" {
		return nil
	}
	if target.Type == "m.reaction" {
		relates := relation(target.Content)
		delete(rm.annotations, annotation{relates.Event, target.Sender, relates.Key})
	}
	var old map[string]answer
	if err := json.Unmarshal(target.Content, &old); err != nil {
		return badJSON("failed to read the redacted event: %v", err)
	}
	kept := map[string]answer{}
	for _, key := range keptKeys(target.Type) {
		if value, ok := old[key]; ok {
			kept[key] = value
		}
	}
	target.Content, target.RedactedBy, target.Redacts = spell(kept), redaction.ID, ""
	return target.encode(redaction)
}

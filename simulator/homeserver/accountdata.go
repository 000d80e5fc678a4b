package homeserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// dataKey names account data; room is empty for global data.
type dataKey struct{ room, kind string }

type datum struct {
	content  answer
	position int64
}

func (hs *Server) setData(user *account, key dataKey, content answer) {
	user.data[key] = datum{content, hs.next()}
	hs.wakeUser(user.id)
}

func getAccountData(_ *Server, rq *request) (any, error) {
	if err := requireSelf(rq); err != nil {
		return nil, err
	}
	d, ok := rq.user.data[dataKey{rq.PathValue("room"), rq.PathValue("type")}]
	if !ok {
		return nil, notFound("Account data not found")
	}
	return d.content, nil
}

func putAccountData(hs *Server, rq *request) (any, error) {
	if err := requireSelf(rq); err != nil {
		return nil, err
	}
	if err := requireObject(rq.body); err != nil {
		return nil, err
	}
	hs.setData(rq.user, dataKey{rq.PathValue("room"), rq.PathValue("type")}, rq.body)
	return empty, nil
}

func tagsOf(rq *request) map[string]answer {
	var content struct {
		Tags map[string]answer `json:"tags"`
	}
	_ = json.Unmarshal(rq.user.data[dataKey{rq.PathValue("room"), "m.tag"}].content, &content)
	if content.Tags == nil {
		content.Tags = map[string]answer{}
	}
	return content.Tags
}

func getTags(_ *Server, rq *request) (any, error) {
	return map[string]any{"tags": tagsOf(rq)}, requireSelf(rq)
}

func putTag(hs *Server, rq *request) (any, error) {
	if err := requireSelf(rq); err != nil {
		return nil, err
	}
	tags := tagsOf(rq)
	if rq.Method == http.MethodDelete {
		delete(tags, rq.PathValue("tag"))
	} else if err := requireObject(rq.body); err != nil {
		return nil, err
	} else {
		tags[rq.PathValue("tag")] = rq.body
	}
	hs.setData(rq.user, dataKey{rq.PathValue("room"), "m.tag"}, spell(map[string]any{"tags": tags}))
	return empty, nil
}

func postFilter(_ *Server, rq *request) (any, error) {
	if err := requireSelf(rq); err != nil {
		return nil, err
	}
	if err := requireObject(rq.body); err != nil {
		return nil, err
	}
	rq.user.filters = append(rq.user.filters, rq.body)
	return map[string]string{"filter_id": strconv.Itoa(len(rq.user.filters) - 1)}, nil
}

func getFilter(_ *Server, rq *request) (any, error) {
	if err := requireSelf(rq); err != nil {
		return nil, err
	}
	index, err := strconv.Atoi(rq.PathValue("filter"))
	if err != nil || index < 0 || index >= len(rq.user.filters) {
		return nil, notFound("No such filter")
	}
	return rq.user.filters[index], nil
}

func getAlias(hs *Server, rq *request) (any, error) {
	roomID := hs.aliases[rq.PathValue("alias")]
	if roomID == "" {
		return nil, notFound("Room alias %s not found.", rq.PathValue("alias"))
	}
	return map[string]any{"room_id": roomID, "servers": []string{hs.opts.serverName}}, nil
}

func putAlias(hs *Server, rq *request) (any, error) {
	var in struct {
		Room string `json:"room_id"`
	}
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	alias := rq.PathValue("alias")
	if hs.aliases[alias] != "" {
		return nil, refuse(http.StatusConflict, "M_UNKNOWN", "%s", fmt.Sprintf("Room alias %s already exists", alias))
	}
	if rm := hs.rooms[in.Room]; rm == nil || rm.members[rq.user.id] != "join" {
		return nil, notFound("No such room %s", in.Room)
	}
	hs.aliases[alias] = in.Room
	return empty, nil
}

func deleteAlias(hs *Server, rq *request) (any, error) {
	alias := rq.PathValue("alias")
	rm := hs.rooms[hs.aliases[alias]]
	if rm == nil {
		return nil, notFound("Room alias %s not found.", alias)
	}
	if err := rm.may(rq.user.id, "m.room.canonical_alias", new(string)); err != nil {
		return nil, err
	}
	delete(hs.aliases, alias)
	return empty, nil
}

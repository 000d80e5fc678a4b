package homeserver

import (
	"encoding/json"
	"slices"
	"strings"
)

// device is a device of an account with its published keys and its inbox. Cross-signing and key backup are not known here.
type device struct {
	keys    answer
	oneTime map[string]answer // "algorithm:id" → key
	inbox   []parcel
}

type parcel struct {
	position int64
	encoded  answer
}

func newDevice() *device { return &device{oneTime: map[string]answer{}} }

func (d *device) counts() map[string]int {
	counts := map[string]int{"signed_curve25519": 0}
	for keyID := range d.oneTime {
		algorithm, _, _ := strings.Cut(keyID, ":")
		counts[algorithm]++
	}
	return counts
}

// deviceNews are the messages to the requesting device, which forgets those that it has confirmed by its token.
func (rq *request) deviceNews(since int64) ([]answer, map[string]int) {
	events := []answer{}
	d := rq.user.devices[rq.device]
	if d == nil {
		return events, map[string]int{}
	}
	d.inbox = slices.DeleteFunc(d.inbox, func(p parcel) bool { return p.position <= since })
	for _, p := range d.inbox {
		events = append(events, p.encoded)
	}
	return events, d.counts()
}

func getDevices(_ *Server, rq *request) (any, error) {
	list := []map[string]string{}
	for id := range rq.user.devices {
		list = append(list, map[string]string{"device_id": id, "user_id": rq.user.id})
	}
	return map[string]any{"devices": list}, nil
}

func getDevice(_ *Server, rq *request) (any, error) {
	if rq.user.devices[rq.PathValue("device")] == nil {
		return nil, notFound("No device found")
	}
	return map[string]string{"device_id": rq.PathValue("device"), "user_id": rq.user.id}, nil
}

// putDevice makes a device for an application service's user (MSC4190), or renames one, which changes nothing here.
func putDevice(_ *Server, rq *request) (any, error) {
	if id := rq.PathValue("device"); rq.user.devices[id] == nil {
		if rq.as == nil {
			return nil, notFound("No device found")
		}
		rq.user.devices[id] = newDevice()
	}
	return empty, nil
}

func deleteDevice(hs *Server, rq *request) (any, error) {
	id := rq.PathValue("device")
	delete(rq.user.devices, id)
	for token, s := range hs.sessions {
		if s.user == rq.user && s.device == id {
			delete(hs.sessions, token)
		}
	}
	return empty, nil
}

func postKeysUpload(_ *Server, rq *request) (any, error) {
	var in struct {
		Device  answer            `json:"device_keys"`
		OneTime map[string]answer `json:"one_time_keys"`
	}
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	d := rq.user.devices[rq.device]
	if d == nil {
		return nil, badJSON("To upload keys, you must pass device_id when authenticating")
	}
	if in.Device != nil {
		d.keys = in.Device
	}
	for keyID, key := range in.OneTime {
		d.oneTime[keyID] = key
	}
	return map[string]any{"one_time_key_counts": d.counts()}, nil
}

func postKeysQuery(hs *Server, rq *request) (any, error) {
	var in struct {
		Users map[string][]string `json:"device_keys"`
	}
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	found := map[string]map[string]answer{}
	for userID, wanted := range in.Users {
		user := hs.accounts[userID]
		if user == nil {
			continue
		}
		found[userID] = map[string]answer{}
		for id, d := range user.devices {
			if d.keys != nil && (len(wanted) == 0 || slices.Contains(wanted, id)) {
				found[userID][id] = d.keys
			}
		}
	}
	return map[string]any{"device_keys": found, "failures": empty}, nil
}

func postKeysClaim(hs *Server, rq *request) (any, error) {
	var in struct {
		Wanted map[string]map[string]string `json:"one_time_keys"`
	}
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	claimed := map[string]map[string]map[string]answer{}
	for userID, devices := range in.Wanted {
		for id, algorithm := range devices {
			user := hs.accounts[userID]
			if user == nil || user.devices[id] == nil {
				continue
			}
			if keyID, key := user.devices[id].claim(algorithm); key != nil {
				if claimed[userID] == nil {
					claimed[userID] = map[string]map[string]answer{}
				}
				claimed[userID][id] = map[string]answer{keyID: key}
			}
		}
	}
	return map[string]any{"one_time_keys": claimed, "failures": empty}, nil
}

func (d *device) claim(algorithm string) (string, answer) {
	for keyID, key := range d.oneTime {
		if strings.HasPrefix(keyID, algorithm+":") {
			delete(d.oneTime, keyID)
			return keyID, key
		}
	}
	return "", nil
}

func putToDevice(hs *Server, rq *request) (any, error) {
	var in struct {
		Messages map[string]map[string]json.RawMessage `json:"messages"`
	}
	if err := rq.decode(&in); err != nil {
		return nil, err
	}
	for userID, devices := range in.Messages {
		user := hs.accounts[userID]
		if user == nil {
			continue
		}
		for id, content := range devices {
			encoded := spell(map[string]any{"type": rq.PathValue("type"), "sender": rq.user.id, "content": content})
			for own, d := range user.devices {
				if own == id || id == "*" {
					d.inbox = append(d.inbox, parcel{hs.next(), encoded})
				}
			}
		}
		hs.wakeUser(userID)
	}
	return empty, nil
}

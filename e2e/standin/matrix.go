package standin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// syncTimeout is how long the homeserver may hold an empty /sync, in milliseconds.
const syncTimeout = "10000"

// transaction is the body of an application service push.
type transaction struct {
	Events    []json.RawMessage `json:"events"`
	Ephemeral []json.RawMessage `json:"ephemeral,omitempty"`
}

func (t transaction) empty() bool { return len(t.Events) == 0 && len(t.Ephemeral) == 0 }

type syncAnswer struct {
	NextBatch string `json:"next_batch"`
	Rooms     struct {
		Join map[string]struct {
			Timeline  eventList `json:"timeline"`
			Ephemeral eventList `json:"ephemeral"`
		} `json:"join"`
	} `json:"rooms"`
}

type eventList struct {
	Events []map[string]any `json:"events"`
}

// sync asks for the user's news and keeps what a homeserver should have pushed. An empty
// since returns at once.
func (s *StandIn) sync(ctx context.Context, user, since string) (next string, found transaction, err error) {
	query := url.Values{"user_id": {user}, "set_presence": {"offline"}}
	if since != "" {
		query.Set("since", since)
		query.Set("timeout", syncTimeout)
	}
	address := s.options.Homeserver + "/_matrix/client/v3/sync?" + query.Encode()
	var answer syncAnswer
	if err := s.call(ctx, http.MethodGet, address, s.options.PuppetToken, nil, &answer); err != nil {
		return "", transaction{}, err
	}
	for room, news := range answer.Rooms.Join {
		for _, event := range news.Timeline.Events {
			// Each watcher of a room sees the redaction; the one who made it passes it on.
			if event["type"] == "m.room.redaction" && event["sender"] == user {
				found.Events = append(found.Events, inRoom(event, room))
			}
		}
		for _, event := range news.Ephemeral.Events {
			found.Ephemeral = append(found.Ephemeral, inRoom(event, room))
		}
	}
	return answer.NextBatch, found, nil
}

// inRoom adds the room, which /sync leaves to the surroundings of the event.
func inRoom(event map[string]any, room string) json.RawMessage {
	event["room_id"] = room
	data, err := json.Marshal(event)
	if err != nil {
		panic(err) // cannot happen: it came from JSON
	}
	return data
}

func (s *StandIn) push(ctx context.Context, id string, found transaction) error {
	if found.Events == nil {
		found.Events = []json.RawMessage{}
	}
	address := s.options.Bridge + "/_matrix/app/v1/transactions/" + id
	return s.call(ctx, http.MethodPut, address, s.options.BridgeToken, found, nil)
}

func (s *StandIn) call(ctx context.Context, method, address, token string, body, answer any) error {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("failed to encode: %w", err)
		}
		reader = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, reader)
	if err != nil {
		return fmt.Errorf("failed to ask: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("failed to ask: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("failed to ask: answered %s", response.Status)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("failed to read the answer: %w", err)
	}
	return nil
}

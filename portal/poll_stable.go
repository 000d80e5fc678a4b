package portal

import (
	"encoding/json"
	"fmt"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
)

// The events of polls by the names of the Matrix specification, and by those that clients used before it had them (MSC3381).
const (
	StablePollStart    = "m.poll.start"
	StablePollResponse = "m.poll.response"
	StablePollEnd      = "m.poll.end"
)

type stableText []struct {
	Body string `json:"body"`
	MIME string `json:"mimetype"`
}

func (t stableText) plain() string {
	for _, form := range t {
		if form.MIME == "" || form.MIME == "text/plain" {
			return form.Body
		}
	}
	return ""
}

// UnstablePoll writes the content of a poll's event by its stable name as the library below us reads it.
func UnstablePoll(kind string, content json.RawMessage) (event.Type, json.RawMessage, error) {
	var poll struct {
		RelatesTo json.RawMessage `json:"m.relates_to,omitempty"`
		Poll      struct {
			Kind          string `json:"kind"`
			MaxSelections int    `json:"max_selections"`
			Question      struct {
				Text stableText `json:"m.text"`
			} `json:"question"`
			Answers []struct {
				ID   string     `json:"m.id"`
				Text stableText `json:"m.text"`
			} `json:"answers"`
		} `json:"m.poll"`
		Selections []string `json:"m.selections"`
	}
	if err := json.Unmarshal(content, &poll); err != nil {
		return event.Type{}, nil, fmt.Errorf("failed to read a poll: %w", err)
	}
	out := map[string]any{}
	if len(poll.RelatesTo) > 0 {
		out["m.relates_to"] = poll.RelatesTo
	}
	as := event.EventUnstablePollResponse
	if kind == StablePollStart {
		as = event.EventUnstablePollStart
		answers := make([]map[string]any, len(poll.Poll.Answers))
		for i, answer := range poll.Poll.Answers {
			answers[i] = map[string]any{"id": answer.ID, pollText: answer.Text.plain()}
		}
		out[pollStart] = map[string]any{
			"kind": poll.Poll.Kind, "max_selections": poll.Poll.MaxSelections, "answers": answers,
			"question": map[string]any{pollText: poll.Poll.Question.Text.plain()},
		}
	} else {
		selections := poll.Selections
		if selections == nil {
			selections = []string{}
		}
		out[pollReply] = map[string]any{"answers": selections}
	}
	data, err := json.Marshal(out)
	return as, data, err
}

// PollEnd is the end of a poll as a text that replies to it: the network's polls have none. ended stands in for a missing text.
func PollEnd(content json.RawMessage, ended string) (json.RawMessage, error) {
	var end struct {
		RelatesTo struct {
			EventID id.EventID `json:"event_id"`
		} `json:"m.relates_to"`
		Text   stableText `json:"m.text"`
		Legacy string     `json:"org.matrix.msc1767.text"`
	}
	if err := json.Unmarshal(content, &end); err != nil {
		return nil, fmt.Errorf("failed to read the end of a poll: %w", err)
	}
	text := end.Text.plain()
	for _, fallback := range []string{end.Legacy, ended} {
		if text == "" {
			text = fallback
		}
	}
	return json.Marshal(&event.MessageEventContent{
		MsgType: event.MsgText, Body: "📊 " + text, Mentions: &event.Mentions{}, RelatesTo: (&event.RelatesTo{}).SetReplyTo(end.RelatesTo.EventID),
	})
}

package meta

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	maxInboxWait = time.Minute
	maxRepeat    = 10_000
)

func (a *admin) lookup(p *Person, r *http.Request) (any, error) {
	var body struct {
		Integrator int    `json:"integrator"`
		ExternalID string `json:"external_id"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	jid, err := p.Find(body.Integrator, body.ExternalID)
	return addressee{jid}, refused(err)
}

// send sends something of the kinds that third-party chats have; to_id is a message that the person heard, or
// for edit and unsend one that they sent.
func (a *admin) send(p *Person, r *http.Request) (any, error) {
	body := sendCall{Kind: "text", Repeat: 1}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	} else if body.Repeat < 1 || body.Repeat > maxRepeat {
		return nil, fmt.Errorf("repeat: want 1 to %d", maxRepeat)
	}
	say, err := body.action(p)
	if err != nil {
		return nil, err
	}
	var ids []string
	for range body.Repeat {
		id, err := say()
		if err != nil {
			return nil, refused(err)
		}
		ids = append(ids, id)
	}
	return map[string]any{"id": ids[0], "ids": ids}, nil
}

func (a *admin) receipt(p *Person, r *http.Request) (any, error) {
	var body struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	switch body.Type {
	case "delivery":
		return body, refused(p.Deliver(body.ID))
	case "read":
		return body, refused(p.Read(body.ID))
	case "played":
		return body, refused(p.acknowledge(body.ID, "played"))
	default:
		return nil, fmt.Errorf("type %q: want delivery, read or played", body.Type)
	}
}

func (a *admin) typing(p *Person, r *http.Request) (any, error) {
	var body struct {
		To    string `json:"to"`
		State string `json:"state"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	} else if body.State != "composing" && body.State != "paused" {
		return nil, fmt.Errorf("state %q: want composing or paused", body.State)
	}
	return body, refused(p.Typing(body.To, body.State == "composing"))
}

// heardInfo is a message in a person's inbox.
type heardInfo struct {
	From        string    `json:"from"`
	DisplayName string    `json:"display_name"`
	ID          string    `json:"id"`
	Kind        string    `json:"kind"`
	Text        string    `json:"text,omitempty"`
	ReplyTo     string    `json:"reply_to,omitempty"`
	ReplyFrom   string    `json:"reply_from,omitempty"`
	ReplyText   string    `json:"reply_text,omitempty"`
	ReactionTo  string    `json:"reaction_to,omitempty"`
	Edited      string    `json:"edited,omitempty"`
	Removed     string    `json:"removed,omitempty"`
	Time        time.Time `json:"time"`

	Media        *mediaInfo `json:"media,omitempty"`
	PreviewURL   string     `json:"preview_url,omitempty"`
	PreviewTitle string     `json:"preview_title,omitempty"`

	// The rest is of chats within WhatsApp.
	Chat      string   `json:"chat,omitempty"`
	FromMe    bool     `json:"from_me,omitempty"`
	Device    uint16   `json:"device,omitempty"`
	Mentions  []string `json:"mentions,omitempty"`
	Forwarded bool     `json:"forwarded,omitempty"`
	ViewOnce  bool     `json:"view_once,omitempty"`
	VoteIn    string   `json:"vote_in,omitempty"`
	Options   []string `json:"options,omitempty"`
	Location  string   `json:"location,omitempty"`
	Cards     []string `json:"cards,omitempty"`
}

// inbox shows what the phone decrypted after the first ?since= messages. It waits up to
// ?wait_ms= for there to be something.
func (a *admin) inbox(p *Person, r *http.Request) (any, error) {
	query := r.URL.Query()
	since, err := strconv.Atoi(orElse(query.Get("since"), "0"))
	if err != nil || since < 0 {
		return nil, errors.New("since is not a count of messages")
	}
	wait, err := strconv.Atoi(orElse(query.Get("wait_ms"), "0"))
	if err != nil || wait < 0 {
		return nil, errors.New("wait_ms is not a time in milliseconds")
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(time.Duration(wait)*time.Millisecond, maxInboxWait))
	defer cancel()
	_ = p.wait(ctx, func() bool { return len(p.heard) > since }) // what is there is shown in any case
	messages := []heardInfo{}
	for _, h := range p.Heard()[min(since, len(p.Heard())):] {
		messages = append(messages, heardInfo{From: h.From, DisplayName: h.DisplayName, ID: h.ID, Kind: h.Kind, Text: h.Text,
			ReplyTo: h.ReplyTo, ReplyFrom: h.ReplyFrom, ReplyText: h.ReplyText, Time: h.Time}.with(h).within(h))
	}
	receipts := []map[string]any{}
	for _, receipt := range p.Receipts() {
		receipts = append(receipts, map[string]any{"id": receipt.ID, "from": receipt.From, "type": receipt.Type, "time": receipt.Time})
	}
	return map[string]any{"messages": messages, "receipts": receipts, "next": since + len(messages)}, nil
}

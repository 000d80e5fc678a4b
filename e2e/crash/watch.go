package crash

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"causeway/e2e/crash/checker"
	"causeway/simulator/homeserver"
	"causeway/simulator/meta"
)

// watch follows both sides, to know how far they are. The verdict does not depend on it.
type watch struct {
	world *world
	mu    sync.Mutex
	seen  map[string]bool
	last  time.Time
	// began is when the bridge was started last, first how long it took from then until something appeared, 0 before.
	began time.Time
	first time.Duration
}

func newWatch(w *world) *watch {
	return &watch{world: w, seen: map[string]bool{}, last: time.Now(), began: time.Now()}
}

// follow takes note of what homeserver and phones show until ctx ends.
func (v *watch) follow(ctx context.Context) {
	ours := map[string]bool{}
	for _, u := range v.world.users {
		ours[u.id] = true
	}
	// nothing matches, so it ends with ctx alone
	_, _ = v.world.hs.Await(ctx, 0, func(event homeserver.Event) bool {
		if content, _ := bodyOf(event); content.Body != "" && !ours[event.Sender] {
			v.note(content.Body)
		}
		return false
	})
}

// listen takes note of what a person's phone shows.
func (v *watch) listen(person *meta.Person) {
	person.OnMessage(func(_ *meta.Person, h meta.Heard) { v.note(h.Text) })
}

func (v *watch) note(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen[text] = true
	v.last = time.Now()
	if v.first == 0 {
		v.first = v.last.Sub(v.began)
	}
}

// begin notes that the bridge starts. It returns how long the first line has taken after the start before.
func (v *watch) begin() (first time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	first = v.first
	v.began, v.first = time.Now(), 0
	return first
}

func (v *watch) has(text string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.seen[text]
}

// quiet is how long nothing has appeared.
func (v *watch) quiet() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Since(v.last)
}

type body struct {
	Body      string `json:"body"`
	Msgtype   string `json:"msgtype"`
	RelatesTo struct {
		RelType string `json:"rel_type"`
		EventID string `json:"event_id"`
	} `json:"m.relates_to"`
	NewContent *body `json:"m.new_content"`
}

// bodyOf is a message's content; of an edit, what it says now, and what it replaces.
func bodyOf(event homeserver.Event) (content body, replaces string) {
	if event.Type == "m.room.message" {
		_ = json.Unmarshal(event.Content, &content) // without a body it is an empty line
	}
	if content.RelatesTo.RelType == "m.replace" && content.NewContent != nil {
		return *content.NewContent, content.RelatesTo.EventID
	}
	return content, ""
}

// isFor says whether a room is the portal of a person.
func (w *world) isFor(room string, person *meta.Person) bool {
	digits, _, _ := strings.Cut(person.LID(), "@")
	return strings.Contains(w.conversation(room), digits)
}

// conversation is what a room says that it is bridged to, empty if it is no chat's room.
func (w *world) conversation(room string) string {
	var created struct {
		Type string `json:"type"`
	}
	if event, ok := w.hs.State(room, "m.room.create", ""); !ok || json.Unmarshal(event.Content, &created) != nil || created.Type == "m.space" {
		return ""
	}
	for _, event := range w.hs.Timeline(room) {
		if event.Type != "m.bridge" || event.StateKey == nil {
			continue
		}
		var bridged struct {
			Channel struct {
				ID string `json:"id"`
			} `json:"channel"`
		}
		if json.Unmarshal(event.Content, &bridged) == nil && bridged.Channel.ID != "" {
			return bridged.Channel.ID
		}
	}
	return ""
}

// learnRooms finds the rooms of chats that have got one.
func (w *world) learnRooms() {
	for _, c := range w.chats {
		if c.room != "" {
			continue
		}
		for _, room := range w.hs.JoinedRooms(c.user.id) {
			if w.isFor(room, c.person) {
				c.room = room
			}
		}
	}
}

// rooms is what the homeserver shows, every room from its first event.
func (w *world) rooms() (rooms []checker.Room) {
	for _, roomID := range w.hs.Rooms() {
		room := checker.Room{ID: roomID, Conversation: w.conversation(roomID)}
		for member, membership := range w.hs.Members(roomID) {
			if membership == "join" || membership == "invite" {
				room.Members = append(room.Members, member)
			}
		}
		slices.Sort(room.Members)
		for _, event := range w.hs.Timeline(roomID) {
			if event.Type != "m.room.message" || event.RedactedBy != "" {
				continue
			}
			content, replaces := bodyOf(event)
			room.Seen = append(room.Seen, checker.Seen{
				ID: event.ID, From: event.Sender, Text: content.Body, Notice: content.Msgtype == "m.notice", Replaces: replaces,
			})
		}
		rooms = append(rooms, room)
	}
	return rooms
}

// phones is what the people's phones show.
func (w *world) phones() (phones []checker.Phone) {
	for _, person := range w.people {
		phone := checker.Phone{Address: person.LID()}
		for _, heard := range person.Heard() {
			phone.Seen = append(phone.Seen, checker.Seen{ID: heard.ID, From: heard.From, Text: heard.Text})
		}
		phones = append(phones, phone)
	}
	return phones
}

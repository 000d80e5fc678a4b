package crash

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	// seen maps what has appeared to the event that people see it in, empty if it is on a phone.
	seen map[string]string
	// told are the events whose authors know that they have failed.
	told map[string]bool
	last time.Time
	// began is when the bridge was started last, first how long it took from then until something appeared, 0 before.
	began time.Time
	first time.Duration
}

func newWatch(w *world) *watch {
	return &watch{world: w, seen: map[string]string{}, told: map[string]bool{}, last: time.Now(), began: time.Now()}
}

// follow takes note of what homeserver and phones show until ctx ends.
func (v *watch) follow(ctx context.Context) {
	// nothing matches, so it ends with ctx alone
	_, _ = v.world.hs.Await(ctx, 0, func(event homeserver.Event) bool {
		if content, replaces := bodyOf(event); content.Body != "" && !isOurs(event.Sender) {
			v.note(firstLine(content.Body), cmp.Or(replaces, event.ID))
		}
		if failed := failedBy(event); failed != "" {
			v.mu.Lock()
			v.told[failed] = true
			v.mu.Unlock()
		}
		return false
	})
}

// isOurs says whether an account is that of one of our users, and no ghost's.
func isOurs(account string) bool {
	return strings.HasPrefix(account, "@"+userName) || strings.HasPrefix(account, "@"+applicantName)
}

// listen takes note of what a person's phone shows.
func (v *watch) listen(person *meta.Person) {
	person.OnMessage(func(_ *meta.Person, h meta.Heard) { v.note(firstLine(h.Text), "") })
}

func (v *watch) note(text, event string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen[text] = event
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
	_, seen := v.seen[text]
	return seen
}

// knows says whether the author of an event knows that it has failed.
func (v *watch) knows(event string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.told[event]
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
	URL       string `json:"url"`
	RelatesTo struct {
		RelType string `json:"rel_type"`
		EventID string `json:"event_id"`
		Key     string `json:"key"`
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
			if event.RedactedBy == "" {
				w.show(&room, event)
			} else {
				room.Seen = append(room.Seen, checker.Seen{ID: event.ID, From: event.Sender, TakenBack: true})
			}
		}
		rooms = append(rooms, room)
	}
	return rooms
}

// show adds an event to what a room shows.
func (w *world) show(room *checker.Room, event homeserver.Event) {
	switch event.Type {
	case "m.room.message":
		content, replaces := bodyOf(event)
		text, version := readEdited(content.Body)
		seen := checker.Seen{ID: event.ID, From: event.Sender, Text: firstLine(text), Version: version,
			Notice: content.Msgtype == "m.notice", Replaces: replaces}
		file := w.hs.Media(content.URL)
		if file != nil {
			seen.File = sumOf(file)
		}
		if content.Msgtype == "m.file" && belongs(room, seen, firstLine(string(file))) {
			return
		}
		room.Seen = append(room.Seen, seen)
	case "m.reaction":
		var mark body
		_ = json.Unmarshal(event.Content, &mark) // without a relation it is on nothing
		room.Marks = append(room.Marks, checker.Mark{From: event.Sender, Target: mark.RelatesTo.EventID, Emoji: plain(mark.RelatesTo.Key)})
	default:
		if failed := failedBy(event); failed != "" {
			room.Failed = append(room.Failed, failed)
		}
	}
}

// belongs adds a file to the line above it that is the beginning of its text. One more such file is no part of that.
func belongs(room *checker.Room, file checker.Seen, line string) bool {
	for i := range room.Seen {
		if above := &room.Seen[i]; above.Text == line && above.From == file.From && above.File == "" {
			above.File = file.File
			return true
		}
	}
	return false
}

// failedBy is the event that a status says to have failed for good, empty for all else.
func failedBy(event homeserver.Event) string {
	if event.Type != "com.beeper.message_send_status" {
		return ""
	}
	var status struct {
		Status    string `json:"status"`
		RelatesTo struct {
			EventID string `json:"event_id"`
		} `json:"m.relates_to"`
	}
	if json.Unmarshal(event.Content, &status) != nil || !strings.HasPrefix(status.Status, "FAIL") {
		return ""
	}
	return status.RelatesTo.EventID
}

// plain is an emoji without the mark that asks for its colourful form, which networks add and drop as they like.
func plain(emoji string) string { return strings.ReplaceAll(emoji, "\uFE0F", "") }

// phones is what the people's phones show; files are the sums of the files on them, by message.
func (w *world) phones(files map[string]string) (phones []checker.Phone) {
	for _, person := range w.people {
		phone := checker.Phone{Address: person.LID()}
		for _, heard := range person.Heard() {
			if heard.Reaction != nil {
				phone.Marks = append(phone.Marks, checker.Mark{From: heard.From, Target: heard.Reaction.TargetID, Emoji: plain(heard.Reaction.Emoji)})
				continue
			}
			text, version := readEdited(heard.Text)
			phone.Seen = append(phone.Seen, checker.Seen{ID: heard.ID, From: heard.From, Text: text, Version: version,
				Replaces: heard.Edited, Removes: heard.Removed, File: files[person.LID()+heard.ID]})
		}
		phones = append(phones, phone)
	}
	return phones
}

// fetchFiles opens every file on the phones, which the bridge hosts, and returns their sums.
func (w *world) fetchFiles(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, filesLimit)
	defer cancel()
	files := map[string]string{}
	for _, person := range w.people {
		for _, heard := range person.Heard() {
			if heard.Media == nil {
				continue
			}
			var data []byte
			var err error
			asked := w.await(ctx, "the media host", func() bool {
				data, err = heard.Media.Bytes()
				return !errors.Is(err, meta.ErrMediaBusy) // it takes so many requests a second and no more
			})
			if err = errors.Join(asked, err); err != nil {
				return nil, fmt.Errorf("failed to open a file on the phone of %s: %w", person.Name(), err)
			}
			files[person.LID()+heard.ID] = sumOf(data)
		}
	}
	return files, nil
}

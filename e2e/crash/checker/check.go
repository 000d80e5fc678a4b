package checker

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// digits are what makes notices of one kind differ.
var digits = regexp.MustCompile(`[0-9]+`)

// check is one run of the checker.
type check struct {
	record  Record
	verdict *Verdict
	tallies map[tallyKey]*Tally
	said    map[Line]Said
	// seen counts the sightings of each line.
	seen map[Line]int
	// rooms is where each chat belongs; ghosts who speaks for each person, and the other way round.
	rooms         map[string]string
	ghosts, ghost map[string]string
	users         map[string]bool
	// told are the messages whose authors know that they have failed.
	told map[string]bool
}

// outlineBytes is how much of a text that is no line is shown.
const outlineBytes = 120

type tallyKey struct {
	phase     string
	direction Direction
}

// Check judges a record.
func Check(record Record) *Verdict {
	c := &check{
		record: record, verdict: &Verdict{Notices: map[string]int{}}, tallies: map[tallyKey]*Tally{},
		said: map[Line]Said{}, seen: map[Line]int{}, rooms: map[string]string{},
		ghosts: map[string]string{}, ghost: map[string]string{}, users: map[string]bool{}, told: map[string]bool{},
	}
	for _, chat := range record.Chats {
		c.users[chat.User] = true
	}
	for _, said := range record.Said {
		c.said[said.Line] = said
		if said.Accepted {
			c.tally(said).Accepted++
		}
		if said.Accepted && said.File != "" {
			c.verdict.Files++
		}
	}
	c.findRooms()
	for _, room := range record.Rooms {
		for _, id := range room.Failed {
			c.told[id] = true
		}
		room.Seen = c.applyEdits(room)
		c.checkRoom(room)
	}
	for _, phone := range record.Phones {
		c.checkPhone(phone)
	}
	c.checkLost()
	c.checkMarks()
	c.checkSecondRooms()
	return c.verdict
}

func (c *check) tally(said Said) *Tally {
	key := tallyKey{said.Phase, said.Direction}
	if c.tallies[key] == nil {
		c.tallies[key] = &Tally{Phase: said.Phase, Direction: said.Direction, Wrong: map[Kind]int{}}
		c.verdict.Tallies = append(c.verdict.Tallies, c.tallies[key])
	}
	return c.tallies[key]
}

func (c *check) find(kind Kind, said Said, format string, args ...any) {
	if said.Seq > 0 {
		c.tally(said).Wrong[kind]++
	}
	c.verdict.Findings = append(c.verdict.Findings, Finding{
		Kind: kind, Phase: said.Phase, Direction: said.Direction, Detail: fmt.Sprintf(format, args...),
	})
}

// name is a line in words.
func name(said Said) string {
	return fmt.Sprintf("line %d (%s, chat %s, %s's no. %d, phase %s)", said.Seq, said.Direction, said.Chat, said.Sender, said.N, said.Phase)
}

// findRooms decides where each chat belongs: where its first message of all is, from either side.
func (c *check) findRooms() {
	first := map[string]int{}
	for _, room := range c.record.Rooms {
		for _, seen := range room.Seen {
			line, err := Read(c.record.Key, seen.Text)
			if err != nil || line.Run != c.record.Run {
				continue
			}
			if at, known := first[line.Chat]; !known || line.Seq < at {
				first[line.Chat], c.rooms[line.Chat] = line.Seq, room.ID
			}
		}
	}
}

// applyEdits puts the texts of edits where the messages are that they replace.
func (c *check) applyEdits(room Room) (shown []Seen) {
	at := map[string]int{}
	for _, seen := range room.Seen {
		if seen.Replaces == "" {
			at[seen.ID] = len(shown)
			shown = append(shown, seen)
			continue
		}
		target, known := at[seen.Replaces]
		if !known || shown[target].From != seen.From {
			c.find(Unexpected, Said{}, "%s from %s in room %s replaces %s", seen.ID, seen.From, room.ID, seen.Replaces)
			continue
		}
		shown[target].Text, shown[target].Notice, shown[target].File = seen.Text, seen.Notice, seen.File
	}
	return shown
}

func (c *check) checkRoom(room Room) {
	last := map[string]int{}
	for _, seen := range room.Seen {
		said, ok := c.recognize(seen, "room "+room.ID)
		if !ok && seen.Notice && room.Conversation != "" {
			c.verdict.Notices[digits.ReplaceAllString(outline(seen.Text), "#")]++
		}
		if !ok {
			continue
		}
		if room.ID != c.rooms[said.Chat] || !slices.Contains(room.Members, c.record.Chats[said.Chat].User) {
			c.find(Misplaced, said, "%s is in room %s", name(said), room.ID)
		}
		if said.Direction == ToNetwork {
			c.checkAuthor(said, seen) // their own words in their own room
			continue
		}
		c.checkGhost(said, seen)
		c.count(said, seen, last)
	}
}

// recognize finds the line that a message is. What is none is an error, unless a program or a user may have said it.
func (c *check) recognize(seen Seen, where string) (Said, bool) {
	line, err := Read(c.record.Key, seen.Text)
	said, known := c.said[line]
	if err == nil && known {
		return said, true
	}
	mayBe := seen.Notice || seen.From == c.record.Bot || c.users[seen.From] // commands and answers
	if err == nil || !mayBe || strings.Count(seen.Text, separator) == fields-1 {
		c.find(Unexpected, Said{}, "%s from %s in %s: %q", seen.ID, seen.From, where, outline(seen.Text))
	}
	return Said{}, false
}

// outline is the beginning of a text.
func outline(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return text[:min(len(text), outlineBytes)]
}

func (c *check) checkAuthor(said Said, seen Seen) {
	if want := c.record.Chats[said.Chat].User; seen.From != want {
		c.find(Misattributed, said, "%s is said by %s instead of %s", name(said), seen.From, want)
	}
}

// checkGhost holds each person to one Matrix account, and each account to one person.
func (c *check) checkGhost(said Said, seen Seen) {
	person := c.record.Chats[said.Chat].Person
	if c.ghosts[person] == "" && c.ghost[seen.From] == "" && !c.users[seen.From] {
		c.ghosts[person], c.ghost[seen.From] = seen.From, person
	}
	if c.ghosts[person] != seen.From || c.ghost[seen.From] != person {
		c.find(Misattributed, said, "%s is said by %s instead of %q", name(said), seen.From, c.ghosts[person])
	}
}

func (c *check) checkPhone(phone Phone) {
	last := map[string]int{}
	for _, seen := range phone.Seen {
		said, ok := c.recognize(seen, "phone "+phone.Address)
		if !ok {
			continue
		}
		chat := c.record.Chats[said.Chat]
		if said.Direction != ToNetwork || chat.Person != phone.Address {
			c.find(Misplaced, said, "%s is on the phone of %s", name(said), phone.Address)
			continue
		}
		if seen.From != chat.Address {
			c.find(Misattributed, said, "%s is from %s instead of %s", name(said), seen.From, chat.Address)
		}
		c.count(said, seen, last)
	}
}

// count counts a sighting; last is the highest number so far of each chat in this place.
func (c *check) count(said Said, seen Seen, last map[string]int) {
	c.seen[said.Line]++
	if said.File != seen.File {
		c.find(Damaged, said, "%s has the file %q instead of %q", name(said), seen.File, said.File)
	}
	if times := c.seen[said.Line]; times > 1 {
		c.find(Doubled, said, "%s is there %d times", name(said), times)
		return
	}
	if said.Accepted {
		c.tally(said).Seen++
	} else {
		c.tally(said).Recovered++
	}
	if said.N < last[said.Chat] {
		c.find(Disordered, said, "%s comes after no. %d", name(said), last[said.Chat])
	}
	last[said.Chat] = max(last[said.Chat], said.N)
}

func (c *check) checkLost() {
	for _, said := range c.record.Said {
		if !said.Accepted || c.seen[said.Line] > 0 {
			continue
		}
		if said.Direction == ToNetwork && c.told[said.ID] {
			c.tally(said).Told++
		} else {
			c.find(Lost, said, "%s", name(said))
		}
	}
}

// checkSecondRooms looks for two portals of one conversation with the same user in them.
func (c *check) checkSecondRooms() {
	type portal struct{ conversation, user string }
	found := map[portal]string{}
	for _, room := range c.record.Rooms {
		if room.Conversation == "" {
			continue
		}
		for _, member := range room.Members {
			if !c.users[member] {
				continue
			}
			key := portal{room.Conversation, member}
			if found[key] != "" {
				c.find(SecondRoom, Said{}, "%s has %s and %s for %s", member, found[key], room.ID, room.Conversation)
			}
			found[key] = room.ID
		}
	}
}

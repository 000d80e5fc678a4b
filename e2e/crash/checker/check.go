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
	// fates are of the lines that were changed.
	fates map[changed]fate
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
		ghosts: map[string]string{}, ghost: map[string]string{}, users: map[string]bool{}, told: map[string]bool{}, fates: map[changed]fate{},
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
	}
	c.noteChanges()
	for _, room := range record.Rooms {
		room.Seen = c.applyChanges(room.Seen, "room "+room.ID)
		c.checkRoom(room)
	}
	for _, phone := range record.Phones {
		phone.Seen = c.applyChanges(phone.Seen, "phone "+phone.Address)
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

// applyChanges puts the texts of edits where the messages are that they replace, and files without a word to the lines before them
// whose they are, and takes out what was taken back.
func (c *check) applyChanges(all []Seen, where string) (shown []Seen) {
	at, gone := map[string]int{}, map[int]bool{}
	for _, seen := range all {
		target, known := at[seen.Replaces+seen.Removes]
		known = known && shown[target].From == seen.From
		switch {
		case seen.Replaces+seen.Removes == "" && c.joins(shown, seen):
		case seen.Replaces+seen.Removes == "":
			at[seen.ID], gone[len(shown)] = len(shown), seen.TakenBack
			shown = append(shown, seen)
		case !known:
			c.find(Unexpected, Said{}, "%s from %s in %s changes %s", seen.ID, seen.From, where, seen.Replaces+seen.Removes)
		case seen.Removes != "":
			gone[target] = true
		default:
			old := &shown[target]
			old.Text, old.Notice, old.File, old.Version = seen.Text, seen.Notice, seen.File, seen.Version
		}
	}
	left := shown[:0]
	for i, seen := range shown {
		if !gone[i] {
			left = append(left, seen)
		}
	}
	return left
}

// joins adds a file that came without a word to the line that it was sent with, if that stands before it.
func (c *check) joins(shown []Seen, file Seen) bool {
	if file.Text != "" || file.File == "" {
		return false
	}
	for i := range shown {
		line, err := Read(c.record.Key, shown[i].Text)
		if err == nil && shown[i].File == "" && shown[i].From == file.From && c.said[line].File == file.File {
			shown[i].File = file.File
			return true
		}
	}
	return false
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
	c.checkVersion(said, seen)
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
		switch {
		case said.Direction == ToNetwork && c.told[said.ID]:
			c.tally(said).Told++
		case c.fateOf(said).takenBack:
			c.tally(said).TakenBack++
		default:
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

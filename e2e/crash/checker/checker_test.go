package checker

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

var key = []byte("the key of these tests")

// goodRun is a run of two users with two people, in which everything went well.
func goodRun() Record {
	record := Record{Run: "r1", Key: key, Chats: map[string]Chat{
		"a1": {User: "@alice:hs", Address: "1@interop", Person: "100@lid"},
		"a2": {User: "@alice:hs", Address: "1@interop", Person: "200@lid"},
		"b1": {User: "@bob:hs", Address: "2@interop", Person: "100@lid"},
	}}
	rooms := map[string]*Room{}
	phones := map[string]*Phone{"100@lid": {Address: "100@lid"}, "200@lid": {Address: "200@lid"}}
	for name, chat := range record.Chats {
		rooms[name] = &Room{ID: "!" + name, Conversation: chat.Person, Members: []string{chat.User, "@ghost" + chat.Person}}
	}
	seq := 0
	for n := 1; n <= 5; n++ {
		for _, name := range []string{"a1", "a2", "b1"} {
			chat, room := record.Chats[name], rooms[name]
			for _, direction := range []Direction{ToMatrix, ToNetwork} {
				seq++
				said := Said{Line: Line{Seq: seq, Run: "r1", Direction: direction, Chat: name, Sender: "s", N: n}, Phase: "one", Accepted: true, ID: fmt.Sprint("$", seq)}
				record.Said = append(record.Said, said)
				text, id := said.Text(key), fmt.Sprint("$", seq)
				if direction == ToMatrix {
					room.Seen = append(room.Seen, Seen{ID: id, From: "@ghost" + chat.Person, Text: text})
					continue
				}
				room.Seen = append(room.Seen, Seen{ID: id, From: chat.User, Text: text})
				phone := phones[chat.Person]
				phone.Seen = append(phone.Seen, Seen{ID: id, From: chat.Address, Text: text})
			}
		}
	}
	record.Said[2].File, rooms["a2"].Seen[0].File = "a sum", "a sum"
	phones["100@lid"].Marks = []Mark{{"1@interop", "$1", "😀"}, {"1@interop", "$1", ""}, {"1@interop", "$1", "👍"}}
	rooms["a1"].Marks = []Mark{{"@ghost100@lid", "$2", "👍"}, {"@alice:hs", "$1", "👍"}}
	record.Reacted = []Reacted{
		{ToNetwork, "a1", "$1", "😀", true, "$r1"}, {ToMatrix, "a1", "$2", "🎉", true, ""}, {ToNetwork, "a1", "$1", "", true, "$r2"},
		{ToMatrix, "a1", "$2", "👍", true, ""}, {ToNetwork, "a1", "$1", "👍", true, "$r3"}, {ToMatrix, "b1", "$6", "👍", true, ""}, {ToMatrix, "b1", "$6", "", true, ""},
	}
	record.Rooms = []Room{*rooms["a1"], *rooms["a2"], *rooms["b1"]}
	record.Phones = []Phone{*phones["100@lid"], *phones["200@lid"]}
	return record
}

func TestAGoodRunIsGood(t *testing.T) {
	record := goodRun()
	record.Bot = "@bot:hs"
	record.Rooms = append(record.Rooms, Room{ID: "!bot", Members: []string{"@alice:hs"}, Seen: []Seen{
		{From: "@alice:hs", Text: "login"}, {From: "@bot:hs", Text: "Done."},
	}})
	record.Rooms[0].Seen = append(record.Rooms[0].Seen, Seen{From: "@bot:hs", Text: "Not sent.\nMore", Notice: true})
	verdict := Check(record)
	if !verdict.OK() || verdict.Accepted() != 30 || len(verdict.Notices) != 1 || verdict.Notices["Not sent."] != 1 {
		t.Fatal(verdict, verdict.Notices)
	}
	for _, tally := range verdict.Tallies {
		if tally.Accepted != 15 || tally.Seen != 15 {
			t.Errorf("%+v", tally)
		}
	}
}

// first and second are where a good room has its first two messages from the network.
const first, second = 0, 2

func TestEachFaultIsNamed(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*Record)
		want  Kind
		count int
		says  string
	}{
		"a room without one line":  {func(r *Record) { r.Rooms[0].Seen = slices.Delete(r.Rooms[0].Seen, first, first+1) }, Lost, 1, "line 1 "},
		"a phone without one line": {func(r *Record) { r.Phones[1].Seen = r.Phones[1].Seen[1:] }, Lost, 1, "line 4 "},
		"a line twice in a room": {func(r *Record) {
			r.Rooms[0].Seen = append(r.Rooms[0].Seen, r.Rooms[0].Seen[first])
		}, Doubled, 1, "line 1 "},
		"a line twice on a phone": {func(r *Record) {
			again := r.Phones[0].Seen[0]
			again.ID = "another"
			r.Phones[0].Seen = append(r.Phones[0].Seen, again)
		}, Doubled, 1, "line 2 "},
		"two lines of a room swapped": {func(r *Record) {
			seen := r.Rooms[0].Seen
			seen[first], seen[second] = seen[second], seen[first]
		}, Disordered, 1, "line 1 "},
		"two lines of a phone swapped": {func(r *Record) {
			seen := r.Phones[1].Seen
			seen[0], seen[1] = seen[1], seen[0]
		}, Disordered, 1, "line 4 "},
		"a line in another's room": {func(r *Record) {
			r.Rooms[1].Seen = append(r.Rooms[1].Seen, r.Rooms[2].Seen[8])
			r.Rooms[2].Seen = slices.Delete(r.Rooms[2].Seen, 8, 9)
		}, Misplaced, 1, "line 29 "},
		"a line on another's phone": {func(r *Record) {
			r.Phones[0].Seen = append(r.Phones[0].Seen, r.Phones[1].Seen[4])
		}, Misplaced, 1, "line 28 "},
		"a line from another's ghost": {func(r *Record) { r.Rooms[0].Seen[second].From = "@ghost200@lid" }, Misattributed, 1, "line 7 "},
		"a line as the user's own":    {func(r *Record) { r.Rooms[0].Seen[second].From = "@alice:hs" }, Misattributed, 1, "line 7 "},
		"a phone shows another user":  {func(r *Record) { r.Phones[0].Seen[0].From = "2@interop" }, Misattributed, 1, "line 2 "},
		"a room without its user":     {func(r *Record) { r.Rooms[1].Members = nil }, Misplaced, 10, "!a2"},
		"a line that nobody said": {func(r *Record) {
			r.Rooms[0].Seen = append(r.Rooms[0].Seen, Seen{From: "@ghost100@lid", Text: Line{Seq: 99, Run: "r1", Chat: "a1"}.Text(key)})
		}, Unexpected, 1, "99|"},
		"a line of another run": {func(r *Record) {
			r.Phones[0].Seen = append(r.Phones[0].Seen, Seen{From: "1@interop", Text: Line{Seq: 1, Run: "r0", Chat: "a1"}.Text(key)})
		}, Unexpected, 1, "r0"},
		"a text changed on the way": {func(r *Record) {
			r.Phones[0].Seen = append(r.Phones[0].Seen, Seen{Text: strings.Replace(r.Phones[0].Seen[0].Text, "a1", "a2", 1)})
		}, Unexpected, 1, "a2"},
		"a text of somebody's own": {func(r *Record) {
			r.Rooms[0].Seen = append(r.Rooms[0].Seen, Seen{From: "@ghost100@lid", Text: "hello"})
		}, Unexpected, 1, "hello"},
		"another file":              {func(r *Record) { r.Rooms[1].Seen[0].File = "another sum" }, Damaged, 1, "another sum"},
		"no file":                   {func(r *Record) { r.Rooms[1].Seen[0].File = "" }, Damaged, 1, "a sum"},
		"a file for a text":         {func(r *Record) { r.Phones[0].Seen[0].File = "a sum" }, Damaged, 1, "line 2 "},
		"a reaction lost in a room": {func(r *Record) { r.Rooms[0].Marks = r.Rooms[0].Marks[1:] }, Unmarked, 1, "$2"},
		"a reaction that was changed stays": {func(r *Record) {
			r.Rooms[0].Marks = append(r.Rooms[0].Marks, Mark{"@ghost100@lid", "$2", "🎉"})
		}, Unmarked, 1, "$2"},
		"a reaction that was taken back stays": {func(r *Record) {
			r.Rooms[2].Marks = []Mark{{"@ghost100@lid", "$6", "👍"}}
		}, Unmarked, 1, "$6"},
		"a reaction from another's ghost": {func(r *Record) { r.Rooms[0].Marks[0].From = "@ghost200@lid" }, Unmarked, 2, "$2"},
		"a reaction on another message":   {func(r *Record) { r.Rooms[0].Marks[0].Target = "$4" }, Unmarked, 2, "$4"},
		"reactions of a phone swapped": {func(r *Record) {
			marks := r.Phones[0].Marks
			marks[0], marks[1] = marks[1], marks[0]
		}, Unmarked, 1, "$1"},
		"a reaction lost on a phone": {func(r *Record) { r.Phones[0].Marks = r.Phones[0].Marks[:2] }, Unmarked, 1, "$1"},
		"a second room": {func(r *Record) {
			r.Rooms = append(r.Rooms, Room{ID: "!other", Conversation: "100@lid", Members: []string{"@alice:hs"}})
		}, SecondRoom, 1, "!other"},
	} {
		t.Run(name, func(t *testing.T) {
			record := goodRun()
			test.spoil(&record)
			verdict := Check(record)
			if verdict.Count(test.want) != test.count || len(verdict.Findings) != test.count {
				t.Fatalf("want %d %s: %+v", test.count, test.want, verdict.Findings)
			}
			var printed bytes.Buffer
			verdict.Print(&printed, 20)
			if !strings.Contains(printed.String(), test.says) || verdict.OK() {
				t.Error(printed.String())
			}
		})
	}
}

func TestAnEditStandsWhereItsTargetIs(t *testing.T) {
	record := goodRun()
	seen := record.Rooms[0].Seen
	edit := seen[first]
	edit.ID, edit.Replaces = "$edit", edit.ID
	seen[first].Text, seen[first].Notice = "This message could not be read yet.", true
	record.Rooms[0].Seen = append(seen, edit)
	if verdict := Check(record); !verdict.OK() {
		t.Fatal(verdict.Findings)
	}
	record.Rooms[0].Seen[len(seen)].From = "@ghost200@lid"
	if verdict := Check(record); verdict.Count(Unexpected) != 1 || verdict.Count(Lost) != 1 {
		t.Fatal(verdict.Findings)
	}
}

func TestWhatTheAuthorKnowsIsNotLost(t *testing.T) {
	record := goodRun()
	record.Phones[0].Seen = record.Phones[0].Seen[1:] // line 2, event $2
	record.Rooms[0].Failed = []string{"$2"}
	if verdict := Check(record); !verdict.OK() || verdict.Told() != 1 {
		t.Fatal(verdict.Findings)
	}
	record.Rooms[0].Seen = record.Rooms[0].Seen[1:] // line 1, from the network: nobody can know
	record.Rooms[0].Failed = []string{"$1", "$2"}
	if verdict := Check(record); verdict.Count(Lost) != 1 || verdict.Told() != 1 {
		t.Fatal(verdict.Findings)
	}
}

func TestAReactionWhoseAuthorWasToldIsNotThere(t *testing.T) {
	record := goodRun()
	record.Phones[0].Marks = record.Phones[0].Marks[:2] // what is left out is $r3
	if verdict := Check(record); verdict.Count(Unmarked) != 1 {
		t.Fatal(verdict.Findings)
	}
	record.Rooms[0].Failed = []string{"$r3"}
	if verdict := Check(record); !verdict.OK() {
		t.Fatal(verdict.Findings)
	}
}

func TestAReactionThatWasNotAcceptedMayBeThere(t *testing.T) {
	record := goodRun()
	record.Reacted[3].Accepted = false
	for _, marks := range [][]Mark{{{"@ghost100@lid", "$2", "🎉"}}, {{"@ghost100@lid", "$2", "👍"}}, nil} {
		record.Rooms[0].Marks = marks
		if verdict := Check(record); !verdict.OK() || verdict.Reactions != 6 {
			t.Fatal(marks, verdict.Findings)
		}
	}
}

func TestWhatWasNotAcceptedMayAppear(t *testing.T) {
	record := goodRun()
	record.Said[0].Accepted = false
	record.Said[1].Accepted = false
	record.Phones[0].Seen = record.Phones[0].Seen[1:] // line 2
	verdict := Check(record)
	if !verdict.OK() || verdict.Accepted() != 28 || verdict.Tallies[0].Recovered+verdict.Tallies[1].Recovered != 1 {
		t.Fatal(verdict)
	}
}

func TestLinesAreReadAsTheyAreSpelt(t *testing.T) {
	line := Line{Seq: 12, N: 3, Run: "r", Chat: "c", Sender: "s", Direction: ToMatrix}
	if read, err := Read(key, line.Text(key)); err != nil || read != line {
		t.Fatal(read, err)
	}
	if _, err := Read([]byte("another key"), line.Text(key)); err != ErrForged {
		t.Fatal(err)
	}
	for _, text := range []string{"", "hello", "1|2|3|4|5|6", "x|r|d|c|s|n|" + sign(key, "x|r|d|c|s|n")} {
		if _, err := Read(key, text); err == nil {
			t.Error(text)
		}
	}
}

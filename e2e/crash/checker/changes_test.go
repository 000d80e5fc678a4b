package checker

import "testing"

// changedRun is a good run in which the first line to Matrix was edited twice and the second taken back, and the same on a phone.
func changedRun() Record {
	record := goodRun()
	record.Changed = []Changed{
		{ToMatrix, "a1", "$1", 1, true, "$c1"}, {ToMatrix, "a1", "$1", 2, true, "$c2"}, {ToMatrix, "a1", "$7", 0, true, "$c3"},
		{ToNetwork, "a2", "$4", 1, true, "$c4"}, {ToNetwork, "a2", "$10", 0, true, "$c5"},
	}
	room, phone := &record.Rooms[0], &record.Phones[1]
	edit := func(seen Seen, id string, version int) Seen {
		seen.ID, seen.Replaces, seen.Version = id, seen.ID, version
		return seen
	}
	room.Seen = append(room.Seen, edit(room.Seen[first], "$c1", 1), edit(room.Seen[first], "$c2", 2))
	room.Seen[second] = Seen{ID: room.Seen[second].ID, From: room.Seen[second].From, TakenBack: true}
	phone.Seen = append(phone.Seen, edit(phone.Seen[0], "$c4", 1), Seen{ID: "$c5", From: phone.Seen[1].From, Removes: phone.Seen[1].ID})
	return record
}

func TestChanges(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*Record)
		want  Kind
		count int
	}{
		"as it should be": {spoil: func(*Record) {}},
		"the last text is missing in a room": {func(r *Record) {
			r.Rooms[0].Seen = r.Rooms[0].Seen[:len(r.Rooms[0].Seen)-1]
		}, Unchanged, 1},
		"the texts of a room swapped": {func(r *Record) {
			seen := r.Rooms[0].Seen
			last := len(seen) - 1
			seen[last], seen[last-1] = seen[last-1], seen[last]
		}, Unchanged, 1},
		"an edit is missing on a phone":    {func(r *Record) { r.Phones[1].Seen[len(r.Phones[1].Seen)-2] = Seen{Notice: true} }, Unchanged, 1},
		"a removal is missing on a phone":  {func(r *Record) { r.Phones[1].Seen = r.Phones[1].Seen[:len(r.Phones[1].Seen)-1] }, Unchanged, 1},
		"a removal is missing in a room":   {func(r *Record) { r.Rooms[0].Seen[second] = goodRun().Rooms[0].Seen[second] }, Unchanged, 1},
		"another line is gone from a room": {func(r *Record) { r.Rooms[0].Seen[second+2] = Seen{TakenBack: true} }, Lost, 1},
		"a line that nobody took back is gone": {func(r *Record) {
			r.Phones[1].Seen = append(r.Phones[1].Seen, Seen{From: r.Phones[1].Seen[0].From, Removes: r.Phones[1].Seen[2].ID})
		}, Lost, 1},
		"somebody else's edit": {func(r *Record) { r.Rooms[0].Seen[len(r.Rooms[0].Seen)-1].From = "@ghost200@lid" }, Unexpected, 1},
		"an edit before its message": {func(r *Record) {
			r.Phones[1].Seen = append(r.Phones[1].Seen[len(r.Phones[1].Seen)-2:], r.Phones[1].Seen[:len(r.Phones[1].Seen)-2]...)
		}, Unexpected, 2},
		"a removal that was not accepted": {spoil: func(r *Record) {
			r.Changed[4].Accepted = false
			r.Phones[1].Seen = r.Phones[1].Seen[:len(r.Phones[1].Seen)-1]
		}},
		"an edit whose author knows that it has failed": {spoil: func(r *Record) {
			r.Rooms[1].Failed = []string{"$c4"}
			r.Phones[1].Seen[len(r.Phones[1].Seen)-2] = Seen{Notice: true}
		}},
	} {
		record := changedRun()
		test.spoil(&record)
		verdict := Check(record)
		if verdict.Count(test.want) != test.count || test.want == "" && !verdict.OK() {
			t.Errorf("%s: %v %v", name, verdict, verdict.Findings)
		}
	}
}

// A file without a word belongs to the line that it was sent with.
func TestFileAfterItsLine(t *testing.T) {
	record := goodRun()
	phone := &record.Phones[1]
	record.Said[3].File = "a sum"
	if verdict := Check(record); verdict.Count(Damaged) != 1 {
		t.Error("the file is missing", verdict)
	}
	file := Seen{ID: "$file", From: phone.Seen[0].From, File: "a sum"}
	phone.Seen = append(phone.Seen, file)
	if verdict := Check(record); !verdict.OK() {
		t.Error(verdict.Findings)
	}
	phone.Seen = append(phone.Seen, file)
	if verdict := Check(record); verdict.Count(Unexpected) != 1 {
		t.Error("the file is there twice", verdict)
	}
}

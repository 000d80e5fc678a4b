package checker

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Kind is what is wrong with a line.
type Kind string

// The kinds of findings.
const (
	// Lost: accepted and seen nowhere.
	Lost Kind = "lost"
	// Doubled: seen once more than once.
	Doubled Kind = "doubled"
	// Disordered: seen after a later line of the same chat and direction.
	Disordered Kind = "out of order"
	// Misplaced: seen in a room or on a phone where it does not belong.
	Misplaced Kind = "wrong place"
	// Misattributed: seen as said by somebody else.
	Misattributed Kind = "wrong sender"
	// Damaged: seen with another file than it was sent with.
	Damaged Kind = "damaged"
	// Unmarked: a message has other reactions on it than were put there.
	Unmarked Kind = "wrong reaction"
	// Unchanged: seen with another text than it has by now, or although it was taken back.
	Unchanged Kind = "wrong text"
	// Unexpected: never sent.
	Unexpected Kind = "unexpected"
	// SecondRoom: one user has two rooms for one conversation.
	SecondRoom Kind = "second room"
)

// Kinds are all kinds, in the order of the table.
func Kinds() []Kind {
	return []Kind{Lost, Doubled, Disordered, Misattributed, Misplaced, Damaged, Unmarked, Unchanged, Unexpected, SecondRoom}
}

// Finding is one thing that is wrong.
type Finding struct {
	Kind Kind
	// Phase and Direction are the line's, empty if it is about no line.
	Phase     string
	Direction Direction
	Detail    string
}

// Tally counts one phase and direction.
type Tally struct {
	Phase     string
	Direction Direction
	// Accepted lines and those of them that were seen; Recovered were not accepted and seen all the same, which is allowed. Told
	// were accepted and not seen, and their author knows; TakenBack are not seen any more.
	Accepted, Seen, Recovered, Told, TakenBack int
	Wrong                                      map[Kind]int
}

// Verdict is what the checker says of a run.
type Verdict struct {
	Tallies  []*Tally
	Findings []Finding
	// Reactions is how many were put on messages, changed or taken back, Changes how often a line was edited or taken back, and Files
	// how many lines had a file.
	Reactions, Changes, Files int
	// ChangesTold is how many changes have failed, as their authors know.
	ChangesTold int
	// Notices counts what programs said in the chats' rooms, by the beginning of the text without its numbers.
	Notices map[string]int
}

// OK says that nothing is wrong.
func (v *Verdict) OK() bool { return len(v.Findings) == 0 }

// Count is how often something was found.
func (v *Verdict) Count(kind Kind) (count int) {
	for _, finding := range v.Findings {
		if finding.Kind == kind {
			count++
		}
	}
	return count
}

// Accepted is how many lines were accepted.
func (v *Verdict) Accepted() (count int) {
	for _, tally := range v.Tallies {
		count += tally.Accepted
	}
	return count
}

// Forgive takes the findings of one kind in one phase out of the verdict.
func (v *Verdict) Forgive(phase string, kind Kind) (count int) {
	before := len(v.Findings)
	v.Findings = slices.DeleteFunc(v.Findings, func(f Finding) bool { return f.Phase == phase && f.Kind == kind })
	return before - len(v.Findings)
}

// Told is how many lines their authors know to have failed.
func (v *Verdict) Told() (count int) {
	for _, tally := range v.Tallies {
		count += tally.Told
	}
	return count
}

// String is the verdict in one line.
func (v *Verdict) String() string {
	parts := []string{fmt.Sprintf("%d accepted (%d with files), %d reactions and %d changes (%d told to have failed)",
		v.Accepted(), v.Files, v.Reactions, v.Changes, v.ChangesTold)}
	for _, kind := range Kinds() {
		parts = append(parts, fmt.Sprintf("%d %s", v.Count(kind), kind))
	}
	return strings.Join(parts, ", ")
}

// Print writes the table, at most some findings in detail, and the line.
func (v *Verdict) Print(w io.Writer, details int) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "phase\tdirection\taccepted\tseen\trecovered\ttold\ttaken back\t")
	for _, kind := range Kinds() {
		fmt.Fprintf(table, "%s\t", kind)
	}
	fmt.Fprintln(table)
	for _, tally := range v.Tallies {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t", tally.Phase, tally.Direction, tally.Accepted, tally.Seen, tally.Recovered, tally.Told, tally.TakenBack)
		for _, kind := range Kinds() {
			fmt.Fprintf(table, "%d\t", tally.Wrong[kind])
		}
		fmt.Fprintln(table)
	}
	table.Flush()
	for i, finding := range v.Findings {
		if i == details {
			fmt.Fprintf(w, "… and %d more\n", len(v.Findings)-details)
			break
		}
		fmt.Fprintf(w, "%s: %s\n", finding.Kind, finding.Detail)
	}
	for _, text := range slices.Sorted(keys(v.Notices)) {
		fmt.Fprintf(w, "notice, %d times: %s\n", v.Notices[text], text)
	}
	fmt.Fprintln(w, v)
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}

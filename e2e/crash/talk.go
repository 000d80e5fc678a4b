package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"causeway/e2e/crash/checker"
)

// talk is the generator: it says lines and remembers them.
type talk struct {
	world *world
	run   string
	key   []byte
	rng   *rand.Rand

	mu   sync.Mutex
	seq  int
	n    map[string]int
	said []checker.Said
	// accepted are the lines that some side took and that may be missing, by phase; refused is how many it did not take.
	accepted map[string][]checker.Said
	refused  int
	reacted  []checker.Reacted
	changed  []checker.Changed
	// versions number the texts of lines that were edited, takenBack are those that are gone; both by what their side calls them.
	versions  map[string]int
	takenBack map[string]bool
	// mixes say what is said in which phase.
	mixes map[string]mix
	// reactions are those that are on messages now; only the speaker uses them.
	reactions map[string]reaction
	// arrived says whether a line was seen on the other side.
	arrived func(text string) bool
}

func newTalk(w *world, run string, key []byte, arrived func(string) bool) *talk {
	return &talk{
		world: w, run: run, key: key, rng: rand.New(rand.NewPCG(w.options.Seed, 1)),
		n: map[string]int{}, accepted: map[string][]checker.Said{}, reactions: map[string]reaction{}, mixes: map[string]mix{}, arrived: arrived,
		versions: map[string]int{}, takenBack: map[string]bool{},
	}
}

// speak says lines of a phase at the run's rate until there are enough of them or ctx ends; it returns how many
// it has said. One goroutine speaks, so that the order of acceptance is the order of the record.
func (t *talk) speak(ctx context.Context, phase string, lines int, chats []*chat) (count int) {
	pause := time.NewTicker(time.Duration(float64(time.Second) / t.world.options.Rate))
	defer pause.Stop()
	for count < lines {
		select {
		case <-ctx.Done():
			return count
		case <-pause.C:
		}
		t.say(phase, chats[t.rng.IntN(len(chats))])
		count++
	}
	return count
}

// say says one thing in a chat, by either side.
func (t *talk) say(phase string, c *chat) {
	mix := t.mixes[phase]
	direction, sender := checker.ToMatrix, c.person.Name()
	if c.room != "" && t.rng.Float64() >= mix.toMatrix {
		direction, sender = checker.ToNetwork, c.user.name
	}
	if c.room != "" && t.rng.Float64() < mix.reactions && t.react(c, direction) {
		return
	}
	if c.room != "" && t.rng.Float64() < mix.changes && t.change(c, direction) {
		return
	}
	if direction == checker.ToNetwork && t.rng.Float64() < mix.sealed {
		if err := t.world.seal(c); err != nil {
			t.world.options.note("an encrypted event was not accepted: %v", err)
		}
	}
	var file []byte
	said := t.next(phase, direction, c.name, sender)
	if t.rng.Float64() < mix.files {
		file = photo(said.Seq)
	}
	text, whole := said.Text(t.key), file
	if file == nil && direction == checker.ToMatrix && t.rng.Float64() < mix.long {
		text = lengthen(text)
		whole = []byte(text)
	}
	name, err := t.world.post(c, direction, text, file)
	t.mu.Lock()
	defer t.mu.Unlock()
	noted := &t.said[said.Seq-1]
	if whole != nil {
		noted.File = sumOf(whole)
	}
	if err != nil {
		t.refused++
		t.world.options.note("line %d was not accepted: %v", said.Seq, err)
		return
	}
	noted.Accepted, noted.ID = true, name
	t.accepted[phase] = append(t.accepted[phase], *noted)
}

// next notes a line as attempted, before it is said.
func (t *talk) next(phase string, direction checker.Direction, chat, sender string) checker.Said {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq++
	lane := fmt.Sprint(direction, chat)
	t.n[lane]++
	said := checker.Said{Phase: phase, Line: checker.Line{
		Seq: t.seq, N: t.n[lane], Run: t.run, Chat: chat, Sender: sender, Direction: direction,
	}}
	t.said = append(t.said, said)
	return said
}

// missing counts the accepted lines of a phase of which gone says that they are still to come. It asks again about those alone.
func (t *talk) missing(phase string, gone func(checker.Said) bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accepted[phase] = slices.DeleteFunc(t.accepted[phase], gone)
	return len(t.accepted[phase])
}

// allMissing counts those of all phases.
func (t *talk) allMissing(gone func(checker.Said) bool) (count int) {
	for phase := range t.mixes {
		count += t.missing(phase, gone)
	}
	return count
}

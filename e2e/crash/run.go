package crash

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"causeway/e2e/crash/checker"
)

// Result is what a run has shown.
type Result struct {
	Verdict *checker.Verdict
	// Kills are the deaths of each phase.
	Kills map[string]int
	// Struck is how often each fault struck.
	Struck map[string]int
	// Refused is how many lines were not accepted, and so promised to nobody.
	Refused int
	// Recoveries is how long after each start the first line appeared, where one did, in order of length.
	Recoveries []time.Duration
	// Problems are what went wrong apart from the lines, such as a bridge that ended by itself.
	Problems []string
	Took     time.Duration
}

// OK says that nothing went wrong.
func (r *Result) OK() bool { return r.Verdict.OK() && len(r.Problems) == 0 }

// runner is one run.
type runner struct {
	*world
	talk  *talk
	files map[string]string
	rng   *mrand.Rand
	// applicant is a user who is about to enlist, enlisted are those who have in this phase.
	applicant *user
	enlisted  []*user
	result    *Result
}

// Run plays the phases, one after the other, and judges them all at the end.
func Run(ctx context.Context, options Options, phases []Phase) (result *Result, err error) {
	began := time.Now()
	options = options.withDefaults()
	w, err := open(ctx, options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	key := make([]byte, 16)
	if _, err = rand.Read(key); err != nil {
		return nil, fmt.Errorf("failed to make a key: %w", err)
	}
	w.watch = newWatch(w)
	r := &runner{
		world: w, talk: newTalk(w, hex.EncodeToString(key[:4]), key, w.watch.has),
		rng: mrand.New(mrand.NewPCG(options.Seed, 2)), result: &Result{Kills: map[string]int{}, Struck: map[string]int{}},
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	if err = r.inPeace(ctx, func(l *life) error { return r.settle(ctx, l) }); err != nil {
		return nil, err
	}
	go r.watch.follow(following)
	for _, person := range r.people {
		r.watch.listen(person)
	}
	if err = r.playAll(ctx, phases); err != nil {
		return nil, err
	}
	if err = r.inPeace(ctx, func(*life) error { return r.collect(ctx) }); err != nil {
		return nil, err
	}
	for _, sign := range []string{"panic: ", "goroutine 1 [", "WARNING: DATA RACE"} {
		if strings.Contains(r.stage.Bridge.Log(), sign) {
			r.problem("the bridge's log has %q in it", sign)
		}
	}
	r.checkCalls()
	for _, finding := range r.net.Findings() {
		r.problem("the network has found: %s: %s", finding.Kind, finding.Detail)
	}
	slices.Sort(r.result.Recoveries)
	record := r.record()
	r.result.Verdict, r.result.Refused, r.result.Took = checker.Check(record), r.talk.refused, time.Since(began)
	r.judge(phases)
	return r.result, save(filepath.Join(options.Dir, "record.json"), record)
}

// playAll plays the phases.
func (r *runner) playAll(ctx context.Context, phases []Phase) (err error) {
	for _, phase := range phases {
		r.talk.mixes[phase.Name] = mixOf(phase, r.options.Flow)
	}
	for _, phase := range phases {
		if phase.Fault != nil {
			err = r.endure(ctx, phase)
		} else {
			err = r.play(ctx, phase)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inPeace runs something while the bridge runs undisturbed, and ends the bridge by SIGKILL.
func (r *runner) inPeace(ctx context.Context, do func(*life) error) error {
	l, err := r.begin("")
	if err != nil {
		return err
	}
	defer l.end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(l) }()
	select {
	case err = <-done:
	case <-l.process.Done():
		err = fmt.Errorf("the bridge ended by itself: %w\n%s", l.process.Err(), l.process.Tail())
		cancel()
		<-done
	}
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w\nthe end of the bridge's log:\n%s", err, l.process.Tail())
	}
	return err
}

// calmDown waits until everything has appeared and nothing more comes, or nothing has for too long.
func (r *runner) calmDown(ctx context.Context) error {
	began := time.Now()
	return r.await(ctx, "the end", func() bool {
		quiet := min(r.watch.quiet(), time.Since(began))
		return quiet > r.options.Patience || quiet > r.options.Silence && r.talk.allMissing(r.gone) == 0
	})
}

// collect brings in what can be seen only while the bridge runs.
func (r *runner) collect(ctx context.Context) (err error) {
	if err = r.calmDown(ctx); err == nil {
		r.files, err = r.fetchFiles(ctx)
	}
	return err
}

// record is what the checker gets.
func (r *runner) record() checker.Record {
	record := checker.Record{
		Run: r.talk.run, Key: r.talk.key, Bot: r.stage.BotID, Said: r.talk.said, Reacted: r.talk.reacted, Changed: r.talk.changed,
		Rooms: r.rooms(), Phones: r.phones(r.files), Chats: map[string]checker.Chat{},
	}
	for _, c := range r.chats {
		record.Chats[c.name] = checker.Chat{User: c.user.id, Address: c.user.jid, Person: c.person.LID()}
	}
	return record
}

func save(path string, record checker.Record) error {
	data, err := json.Marshal(record)
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("failed to save the record: %w", err)
	}
	return nil
}

// Load reads a record that a run has saved.
func Load(path string) (record checker.Record, err error) {
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &record)
	}
	if err != nil {
		return record, fmt.Errorf("failed to read the record: %w", err)
	}
	return record, nil
}

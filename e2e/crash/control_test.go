package crash

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"causeway/e2e/crash/checker"
	"causeway/e2e/stage"
	"causeway/failpoint"
	"causeway/simulator/meta"
)

// runEnv has the storms run; each takes half a minute.
const runEnv = "CAUSEWAY_TEST_CRASH"

// postgresEnv names the variable with the URL of a PostgreSQL server for tests; without it they use SQLite.
const postgresEnv = "CAUSEWAY_TEST_POSTGRES"

func TestPhasesHaveTheirShareOfDeaths(t *testing.T) {
	for lines, kills := range map[int]int{1: 2, 20: 2, 100: 5, 200: 10, 2000: 10} {
		phases := AtPoints([]string{failpoint.InboxCommitted, failpoint.FrontAnswered}, lines)
		if len(phases) != 2 || phases[1] != (Phase{Name: failpoint.FrontAnswered, Lines: lines, Kills: kills}) {
			t.Error(phases)
		}
	}
}

// storm runs the real bridge in a small world.
func storm(t *testing.T, control Control, change func(*Options), phases []Phase) *Result {
	t.Helper()
	if os.Getenv(runEnv) == "" {
		t.Skip("kills the real bridge for half a minute; set " + runEnv + " to run it")
	}
	dir := t.TempDir()
	options := Options{
		Binary: breakable(t), Dir: dir, Seed: 1, Profile: meta.Calm, Users: 1, People: 3, Rate: 150, Control: control,
		Silence: 2 * time.Second, Patience: 8 * time.Second, Forget: true, Log: os.Stderr,
	}
	if change != nil {
		change(&options)
	}
	result, err := Run(t.Context(), options, phases)
	if err != nil {
		t.Fatal(err)
	}
	record, err := Load(filepath.Join(dir, "record.json"))
	if err != nil {
		t.Fatal(err)
	}
	if verdict := checker.Check(record); verdict.String() != result.Verdict.String() {
		t.Error("the saved record says something else", verdict)
	}
	result.Verdict.Print(os.Stderr, 5)
	return result
}

// binary is the bridge with failpoints, built once.
var binary struct {
	once sync.Once
	dir  string
	err  error
}

func breakable(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		if binary.dir, binary.err = os.MkdirTemp("", "causeway-crash-"); binary.err == nil {
			binary.err = stage.BuildBreakable(context.Background(), filepath.Join(binary.dir, "causeway"))
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return filepath.Join(binary.dir, "causeway")
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binary.dir != "" {
		os.RemoveAll(binary.dir)
	}
	os.Exit(code)
}

// Each means that is taken away must show: a run that stays good without it proves nothing with it.
func TestWithoutOneMeansTheRunIsBad(t *testing.T) {
	for _, test := range []struct {
		control Control
		phases  []Phase
		change  func(*Options)
		want    checker.Kind
	}{
		// a homeserver that believes too early forgets what the bridge had not seen
		{control: EarlyAnswer, phases: []Phase{{Name: Anywhere, Lines: 150, Kills: 3}}, want: checker.Lost},
		// without the identity of what it sends, the bridge says again what a death has kept it from noting
		{control: RandomTransactions, phases: AtPoints([]string{failpoint.SendCommitted}, 60), want: checker.Doubled},
		{control: MemoryQueue, phases: AtPoints([]string{failpoint.SendBefore}, 60), want: checker.Lost},
		{control: RandomIDs, phases: AtPoints([]string{failpoint.OutboxAcked}, 60), want: checker.Doubled},
		// two who use a session at once take the same step twice
		{control: NoGuard, phases: []Phase{{Name: Nowhere, Lines: 1500}}, want: checker.Lost, change: func(o *Options) { o.People, o.Rate = 1, 400 }},
	} {
		t.Run(string(test.control), func(t *testing.T) {
			result := storm(t, test.control, test.change, test.phases)
			if result.OK() || result.Verdict.Count(test.want) == 0 {
				t.Errorf("want some %s: %s %q", test.want, result.Verdict, result.Problems)
			}
		})
	}
}

func TestNothingIsLostInASmallStorm(t *testing.T) {
	phases := append(AtPoints([]string{failpoint.InboxCommitted, failpoint.FrontCommitted}, 20), Phase{Name: Anywhere, Lines: 150, Kills: 3})
	// 190 things are said, and some of them are reactions
	result := storm(t, "", nil, phases)
	if verdict := result.Verdict; !result.OK() || verdict.Accepted() < 140 || verdict.Reactions == 0 || verdict.Files == 0 {
		t.Error(verdict, result.Problems)
	}
}

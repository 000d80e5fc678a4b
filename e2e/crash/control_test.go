package crash

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"causeway/e2e/crash/checker"
	"causeway/e2e/stage"
	"causeway/failpoint"
	"causeway/simulator/meta"
)

// runEnv has the storms run; each takes half a minute.
const runEnv = "CAUSEWAY_TEST_CRASH"

func TestPhasesHaveTheirShareOfDeaths(t *testing.T) {
	for lines, kills := range map[int]int{1: 2, 20: 2, 100: 5, 200: 10, 2000: 10} {
		phases := AtPoints([]string{failpoint.InboxCommitted, failpoint.FrontAnswered}, lines)
		if len(phases) != 2 || phases[1] != (Phase{Name: failpoint.FrontAnswered, Lines: lines, Kills: kills}) {
			t.Error(phases)
		}
	}
}

// storm runs the real bridge in a small world.
func storm(t *testing.T, control Control, phases []Phase) *Result {
	t.Helper()
	if os.Getenv(runEnv) == "" {
		t.Skip("kills the real bridge for half a minute; set " + runEnv + " to run it")
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "causeway")
	if err := stage.BuildBreakable(t.Context(), binary); err != nil {
		t.Fatal(err)
	}
	result, err := Run(t.Context(), Options{
		Binary: binary, Dir: dir, Seed: 1, Profile: meta.Calm, Users: 1, People: 3, Rate: 150, Control: control,
		Silence: 2 * time.Second, Patience: 15 * time.Second, Forget: true, Log: os.Stderr,
	}, phases)
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

// A homeserver that believes too early loses what the bridge had not seen. A run that does not show it shows nothing.
func TestAnEarlyAnswerLosesMessages(t *testing.T) {
	result := storm(t, EarlyAnswer, []Phase{{Name: Anywhere, Lines: 150, Kills: 3}})
	if result.OK() || result.Verdict.Count(checker.Lost) == 0 {
		t.Error(result.Verdict)
	}
}

// Without the identity of what it sends, the bridge says again what a death has kept it from noting.
func TestForgottenIdentitiesDoubleMessages(t *testing.T) {
	result := storm(t, RandomTransactions, AtPoints([]string{failpoint.SendCommitted}, 60))
	if result.OK() || result.Verdict.Count(checker.Doubled) == 0 {
		t.Error(result.Verdict)
	}
}

func TestNothingIsLostInASmallStorm(t *testing.T) {
	phases := append(AtPoints([]string{failpoint.InboxCommitted, failpoint.FrontCommitted}, 20), Phase{Name: Anywhere, Lines: 150, Kills: 3})
	if result := storm(t, "", phases); !result.OK() || result.Verdict.Accepted() != 190 {
		t.Error(result.Verdict, result.Problems)
	}
}

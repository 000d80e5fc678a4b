package crash

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"causeway/simulator/meta"
)

const (
	// loadEnv sets how many lines the load is, both ways together; loadLines are enough to notice a race at every change.
	loadEnv   = "CAUSEWAY_TEST_LOAD"
	loadLines = 600
	// loadRate is as much as one conversation can take, in lines a second.
	loadRate = 250
)

// Two people who both write without a pause use one Signal session from both ends all the time. Whoever lets sending and
// receiving into it at once loses a message in a hundred: see the control no-guard.
func TestTwoWhoTalkAtOnceLoseNothing(t *testing.T) {
	lines := loadLines
	if text := os.Getenv(loadEnv); text != "" {
		var err error
		if lines, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	result, err := Run(t.Context(), Options{
		Binary: breakable(t), Dir: dir, Seed: 1, Profile: meta.Calm, Users: 1, People: 1, Rate: loadRate,
		Postgres: os.Getenv(postgresEnv), Silence: 2 * time.Second, Patience: time.Minute, Log: os.Stderr,
	}, []Phase{{Name: Nowhere, Lines: lines}})
	if err != nil {
		t.Fatal(err)
	}
	result.Verdict.Print(os.Stderr, 5)
	if !result.OK() || result.Verdict.Accepted() != lines {
		t.Error(result.Verdict, result.Problems)
	}
	t.Logf("%d lines in %.0f s; the record is in %s", lines, result.Took.Seconds(), filepath.Join(dir, "record.json"))
}

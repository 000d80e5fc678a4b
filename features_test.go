package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each "yes" of the feature table leads to a test that is there.
func TestEveryYesHasATest(t *testing.T) {
	text, err := os.ReadFile("docs/features.md")
	require.NoError(t, err)
	shown := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for cell := range strings.SplitSeq(line, "|") {
			cell = strings.TrimSpace(cell)
			require.False(t, cell == "yes" || strings.HasPrefix(cell, "yes,") || strings.HasPrefix(cell, "yes;"), "a yes without a test: %s", line)
		}
		shown += requireTests(t, line)
	}
	require.Greater(t, shown, 60)
}

// testLink is a link to a test, with or without its name.
func testLink() *regexp.Regexp { return regexp.MustCompile(`\[[^\]]+\]\(([^)#]+)(?:#([A-Za-z_]+))?\)`) }

// requireTests looks whether the tests are there that a line of a page leads to, and says how many they are.
func requireTests(t *testing.T, line string) (count int) {
	t.Helper()
	for _, link := range testLink().FindAllStringSubmatch(line, -1) {
		source, err := os.ReadFile(filepath.Join("docs", link[1]))
		require.NoError(t, err, line)
		if link[2] != "" {
			require.Regexp(t, `(?m)^func `+link[2]+`\(`, string(source), link[0])
		}
		count++
	}
	return count
}

// Each fault that the simulated network knows stands in its table, each row of which leads to a test that is there.
func TestEveryFaultHasATest(t *testing.T) {
	text, err := os.ReadFile("docs/simulator.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## Faults\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	rows := 0
	for line := range strings.SplitSeq(section, "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| **") ||
			strings.HasPrefix(line, "| fault ") || strings.HasPrefix(line, "| finding ") {
			continue
		}
		require.Positive(t, requireTests(t, line), line)
		rows++
	}
	require.Greater(t, rows, 60)
	sources, err := filepath.Glob("simulator/meta/*.go")
	require.NoError(t, err)
	kinds := 0
	for _, path := range sources {
		source, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, kind := range regexp.MustCompile(`FaultKind = "([a-z0-9_]+)"`).FindAllStringSubmatch(string(source), -1) {
			require.Contains(t, section, "`"+kind[1]+"`", "a fault without a row")
			kinds++
		}
	}
	require.Greater(t, kinds, 40)
}

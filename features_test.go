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
	links := regexp.MustCompile(`\[[^\]]+\]\(([^)#]+)(?:#([A-Za-z_]+))?\)`)
	shown := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for cell := range strings.SplitSeq(line, "|") {
			cell = strings.TrimSpace(cell)
			require.False(t, cell == "yes" || strings.HasPrefix(cell, "yes,") || strings.HasPrefix(cell, "yes;"), "a yes without a test: %s", line)
		}
		for _, link := range links.FindAllStringSubmatch(line, -1) {
			source, err := os.ReadFile(filepath.Join("docs", link[1]))
			require.NoError(t, err, line)
			if link[2] != "" {
				require.Regexp(t, `(?m)^func `+link[2]+`\(`, string(source), link[0])
			}
			shown++
		}
	}
	require.Greater(t, shown, 60)
}

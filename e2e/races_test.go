package e2e

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// raceReport begins each report of the race detector, and a row of equals signs ends it.
const raceReport = "WARNING: DATA RACE"

var raceAccess = regexp.MustCompile(`(?mi)^(?:previous )?(?:atomic )?(?:read|write) at 0x[0-9a-f]+ by .*:$`)

// races are the reports of the race detector in a log: those in which our own code makes one of the two accesses, and those
// in which libraries alone do. Libraries lock what is theirs, or do not (docs/decisions/0015): a story cannot mend that.
func races(log string) (ours, theirs []string) {
	for _, report := range strings.Split(log, raceReport)[1:] {
		report, _, _ = strings.Cut(report, "\n==================")
		accesses := raceAccess.FindAllStringIndex(report, -1)
		isOurs := len(accesses) < 2 // not understood, so not excused
		for _, at := range accesses {
			isOurs = isOurs || strings.HasPrefix(accessedBy(report[at[1]:]), "causeway/") || strings.HasPrefix(accessedBy(report[at[1]:]), "main.")
		}
		if isOurs {
			ours = append(ours, report)
		} else {
			theirs = append(theirs, report)
		}
	}
	return ours, theirs
}

// accessedBy is the function that made an access, behind what it used of the standard library.
func accessedBy(stack string) string {
	for line := range strings.Lines(strings.TrimPrefix(stack, "\n")) {
		if strings.TrimSpace(line) == "" {
			break
		}
		name, isFunction := strings.CutPrefix(line, "  ")
		if !isFunction || strings.HasPrefix(name, " ") {
			continue
		}
		first, _, _ := strings.Cut(name, "/")
		if strings.HasPrefix(name, "causeway/") || strings.HasPrefix(name, "main.") || strings.Contains(name, "/") && strings.Contains(first, ".") {
			return strings.TrimSpace(name)
		}
	}
	return "main.unknown"
}

func TestRaces(t *testing.T) {
	const library = `
Read at 0x00c0006e6440 by goroutine 1919:
  maunium.net/go/mautrix/bridgev2.(*Ghost).UpdateInfoIfNecessary()
      /go/mautrix/bridgev2/ghost.go:295 +0x6e

Previous write at 0x00c0006e6440 by goroutine 1903:
  strings.Clone()
      /usr/local/go/src/strings/clone.go:20 +0x20f
  maunium.net/go/mautrix/bridgev2.(*Ghost).UpdateInfo()
      /go/mautrix/bridgev2/ghost.go:338 +0x1a
  causeway/bridge.(*Connector).learn()
      /causeway/bridge/people.go:125 +0x1a

Goroutine 1919 (running) created at:
  causeway/bridge.(*Client).Connect()
      /causeway/bridge/client.go:122 +0xc9a
==================
`
	own := strings.Replace(library, "  maunium.net/go/mautrix/bridgev2.(*Ghost).UpdateInfo()\n      /go/mautrix/bridgev2/ghost.go:338 +0x1a\n", "", 1)
	require.NotEqual(t, library, own)
	for name, test := range map[string]struct{ report, by string }{
		"a library against itself": {library, "theirs"},
		"ours against a library's": {own, "ours"},
		"of package main":          {strings.ReplaceAll(own, "causeway/bridge.(*Connector).learn()", "main.start()"), "ours"},
		"the standard library":     {strings.ReplaceAll(own, "causeway/bridge.(*Connector).learn()", "sync.run()"), "ours"},
		"an atomic access":         {strings.Replace(library, "\nRead at", "\nAtomic read at", 1), "theirs"},
		"not understood":           {"\nsomething else", "ours"},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := races("{\"level\":\"info\"}\n==================\n" + raceReport + test.report + "{\"level\":\"info\"}\n")
			require.Len(t, append(ours, theirs...), 1)
			require.Equal(t, test.by == "ours", len(ours) == 1)
		})
	}
	ours, theirs := races(raceReport + library + raceReport + own)
	require.Len(t, ours, 1)
	require.Len(t, theirs, 1)
}

package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// transcript prints what happened where, as columns.
type transcript struct{ began time.Time }

const (
	margin  = 38
	width   = 72
	logTail = 8000
)

// rule is the line above and below the transcript.
func rule() string { return strings.Repeat("-", margin+width) }

func begin() transcript {
	fmt.Printf("%7s  %-28s %s\n%s\n", "seconds", "where", "what", rule())
	return transcript{began: time.Now()}
}

// tell prints one entry.
func (t transcript) tell(where, format string, args ...any) {
	text := wrapped(fmt.Sprintf(format, args...))
	fmt.Printf("%7.2f  %-28s %s\n", time.Since(t.began).Seconds(), where, strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", margin)))
}

// abridged is the first paragraph of a long text.
func abridged(text string) string {
	paragraphs := strings.Split(text, "\n\n")
	if len(paragraphs) < 4 {
		return text
	}
	return fmt.Sprintf("%s […and %d more paragraphs]", paragraphs[0], len(paragraphs)-1)
}

// wrapped breaks long lines between words.
func wrapped(text string) string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		current := ""
		for _, word := range strings.Fields(line) {
			if current != "" && len(current)+1+len(word) > width {
				lines, current = append(lines, current), ""
			}
			current = strings.TrimPrefix(current+" "+word, " ")
		}
		lines = append(lines, current)
	}
	return strings.Join(lines, "\n")
}

// evidence prints what a failed run leaves to look at.
func (h *house) evidence() {
	log := h.stage.Bridge.Log()
	fmt.Fprintf(os.Stderr, "\nwhat went over the network's wire:\n%s\n\nthe end of the bridge's log:\n%s\n", h.net.Transcript(), log[max(0, len(log)-logTail):])
}

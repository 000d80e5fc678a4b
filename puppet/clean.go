package puppet

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Clean makes one harmless line of a name that somebody else chose: valid UTF-8
// in composed form, no line breaks, no control characters, nothing that turns
// the direction of writing, no runs of invisible characters or spaces.
func Clean(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	var out strings.Builder
	var last rune
	for _, r := range name {
		switch {
		case isBidiControl(r):
			continue
		case isInvisible(r):
			if isInvisible(last) || last == 0 {
				continue
			}
		case unicode.IsSpace(r):
			r = ' '
			if last == ' ' {
				continue
			}
		case unicode.IsControl(r):
			continue
		}
		out.WriteRune(r)
		last = r
	}
	trimmed := strings.TrimFunc(out.String(), func(r rune) bool {
		return unicode.IsSpace(r) || isInvisible(r)
	})
	// Last, as what was taken out may have stood between a letter and its accent.
	return norm.NFC.String(trimmed)
}

func isBidiControl(r rune) bool {
	switch {
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069:
		return true
	case r == 0x200E, r == 0x200F, r == 0x061C:
		return true
	}
	return false
}

// isInvisible tells characters without width. Joiners stay where they stand
// alone, as emoji and some scripts need them.
func isInvisible(r rune) bool {
	switch r {
	case 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD, 0x180E:
		return true
	}
	return false
}

func truncate(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return strings.TrimSpace(string(runes[:limit]))
}

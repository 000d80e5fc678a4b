package portal

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"causeway/puppet"
)

const (
	// maxMarks is how many marks may stand on one character; scripts need fewer.
	maxMarks = 8
	// maxBreaks is how many line breaks may follow each other.
	maxBreaks = 50
	// maxFileName is how many bytes the name of a file may have.
	maxFileName = 200
)

// cleanText makes a remote text harmless: valid UTF-8, no control characters but
// line breaks and tabs, no towers of marks, no runs of invisible characters or of line
// breaks beyond reason, and no word that would notify a whole room. Cleaning twice changes nothing.
func cleanText(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	var out strings.Builder
	marks, breaks, last := 0, 0, rune(0)
	for _, r := range text {
		switch {
		case r == '\n':
			breaks++
		case unicode.IsControl(r) && r != '\t':
			continue
		case isZeroWidth(r) && isZeroWidth(last):
			continue
		case unicode.In(r, unicode.Mn, unicode.Me):
			marks++
		default:
			marks, breaks = 0, 0
		}
		if marks > maxMarks || breaks > maxBreaks && r == '\n' {
			continue
		}
		out.WriteRune(r)
		last = r
	}
	return callNobody(out.String())
}

// callNobody breaks every "@room" with an invisible joiner.
func callNobody(text string) string {
	const call = "@room"
	var out strings.Builder
	for {
		at := strings.IndexByte(text, '@')
		if at < 0 {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(text[:at+1])
		text = text[at:]
		if len(text) >= len(call) && strings.EqualFold(text[:len(call)], call) {
			out.WriteRune('\u200D')
		}
		text = text[1:]
	}
}

func isZeroWidth(r rune) bool {
	switch r {
	case 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF:
		return true
	}
	return false
}

// FileName makes a harmless name for a file of a type whose names end in extension: no path, one
// line, nothing that turns the direction of writing, no leading dots, no name of a device, at
// most 200 bytes. A name without an ending of its own gets the extension; an empty one is called after it.
func FileName(name, extension string) string {
	name = puppet.Clean(name)
	if at := strings.LastIndexAny(name, `/\`); at >= 0 {
		name = name[at+1:]
	}
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>:"|?*`, r) {
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(name, ". ")
	if name == "" {
		return "file" + extension
	}
	stem, ending := splitName(name)
	if isDevice(stem) {
		stem = "_" + stem
	}
	if ending == "" {
		ending = extension
	}
	return cut(stem, maxFileName-len(ending)) + ending
}

// splitName takes the ending off a name, dot included.
func splitName(name string) (stem, ending string) {
	at := strings.LastIndexByte(name, '.')
	if at <= 0 || len(name)-at > 12 || strings.ContainsRune(name[at:], ' ') {
		return name, ""
	}
	return name[:at], name[at:]
}

// isDevice knows the names that Windows takes for devices, whatever their ending.
func isDevice(stem string) bool {
	stem, _, _ = strings.Cut(strings.ToLower(stem), ".")
	switch stem {
	case "con", "prn", "aux", "nul":
		return true
	}
	if len(stem) == 4 && (strings.HasPrefix(stem, "com") || strings.HasPrefix(stem, "lpt")) {
		return stem[3] >= '0' && stem[3] <= '9'
	}
	return false
}

// cut shortens a text to a number of bytes without breaking a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

package meta

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxIdentifier is the longest identifier that a phone can look up. docs/protocol.md#control
const maxIdentifier = 100

// normalizeIdentifier brings an identifier into the form that is compared: lower case,
// or E.164 with the plus sign. It says no when the text is none of that type.
func normalizeIdentifier(kind, text string) (string, bool) {
	if text == "" || len(text) > maxIdentifier || !utf8.ValidString(text) ||
		strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return "", false
	}
	switch kind {
	case "email":
		local, domain, found := strings.Cut(text, "@")
		return strings.ToLower(text), found && local != "" && domain != "" && !strings.Contains(domain, "@")
	case "username":
		return strings.ToLower(text), true
	case "pn":
		return text, isPhone(text)
	}
	return "", false
}

// isPhone tells whether text is an E.164 number: a plus sign, 7 to 15 digits, no leading zero.
func isPhone(text string) bool {
	digits, plus := strings.CutPrefix(text, "+")
	return plus && len(digits) >= 7 && isAccount(digits)
}

// isDisplayName tells whether text may be shown as a name: 1 to 64 characters, none of them controls.
func isDisplayName(text string) bool {
	length := utf8.RuneCountInString(text)
	return utf8.ValidString(text) && length >= 1 && length <= 64 && strings.TrimSpace(text) != "" &&
		!strings.ContainsFunc(text, unicode.IsControl)
}

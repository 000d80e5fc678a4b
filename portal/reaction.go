package portal

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"go.mau.fi/util/variationselector"

	"causeway/network"
)

// maxReaction is how many bytes a reaction may have; the longest emoji of Unicode have 35.
const maxReaction = 64

// ReactionFromMatrix is a reaction as the network spells it: one emoji. Anything
// else, such as words or a picture of one's own, wraps [network.ErrUnsupported].
func ReactionFromMatrix(key string) (string, error) {
	if !isEmoji(key) {
		return "", fmt.Errorf("failed to convert a reaction that is not one emoji: %w", network.ErrUnsupported)
	}
	emoji := variationselector.FullyQualify(key)
	if len(emoji) > maxReaction {
		return "", fmt.Errorf("failed to convert a reaction of %d bytes: %w", len(emoji), network.ErrUnsupported)
	}
	return emoji, nil
}

// ReactionToMatrix is a reaction that arrived, in the spelling that Matrix clients
// compare; false if it is none that could be shown.
func ReactionToMatrix(emoji string) (string, bool) {
	if emoji == "" || len(emoji) > maxReaction || !utf8.ValidString(emoji) {
		return "", false
	}
	for _, r := range emoji {
		if unicode.IsControl(r) || unicode.IsSpace(r) {
			return "", false
		}
	}
	return variationselector.Remove(emoji), true
}

// isEmoji says whether a text is one emoji: one sign, or several that are joined into one.
func isEmoji(text string) bool {
	const joiner, keycap = 0x200D, 0x20E3
	if !utf8.ValidString(text) {
		return false
	}
	signs, flags, joined, digit := 0, 0, false, false
	for _, r := range text {
		switch {
		case r == joiner:
			if signs == 0 {
				return false
			}
			joined = true
			continue
		case r == keycap:
			if !digit {
				return false
			}
			digit = false
		case isModifier(r):
			if signs+flags == 0 && !digit {
				return false
			}
		case r >= 0x1F1E6 && r <= 0x1F1FF:
			flags++
		case r >= '0' && r <= '9', r == '#', r == '*':
			digit = true
			signs++
		case isSign(r):
			if !joined {
				signs++
			}
		default:
			return false
		}
		joined = false
	}
	return !joined && !digit && (signs == 1 && flags == 0 || signs == 0 && flags == 2)
}

// isModifier tells what changes the sign before it: its looks, its colour of skin, the region of its flag.
func isModifier(r rune) bool {
	return r == 0xFE0E || r == 0xFE0F || r >= 0x1F3FB && r <= 0x1F3FF || r >= 0xE0020 && r <= 0xE007F
}

// isSign tells pictographs; some of them are punctuation or letters by their category.
func isSign(r rune) bool {
	switch r {
	case 0x203C, 0x2049, 0x2139, 0x3030, 0x303D:
		return true
	}
	return r > 0x7F && unicode.IsSymbol(r)
}

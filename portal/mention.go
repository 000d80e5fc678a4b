package portal

import (
	"html"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
	"causeway/puppet"
)

// Called is a person whom a text calls, as Matrix knows them.
type Called struct {
	// Digits stand after an "@" in the text.
	Digits string
	User   id.UserID
	Name   string
}

const (
	// callAll is how the network spells a call of everybody, and callRoom how Matrix does.
	callAll  = "@all"
	callRoom = "@room"
	// firstMark is the first of the private characters that stand for calls while a text is converted.
	firstMark = '\U000F0000'
	// maxCalls is how many people one text calls.
	maxCalls = 1024
)

// setCallingText is [setText] for a text that calls people.
func setCallingText(content *event.MessageEventContent, text string, called []Called, everybody bool) {
	called = called[:min(len(called), maxCalls)]
	marked, found, everybody := markCalls(text, called, everybody)
	setText(content, marked)
	plain, rich := make([]string, 0, 2*len(found)), make([]string, 0, 2*len(found))
	content.Mentions = &event.Mentions{Room: everybody}
	for i, who := range found {
		mark := string(firstMark + rune(i) + 1)
		name := callNobody(puppet.Clean(who.Name))
		plain = append(plain, mark, "@"+name)
		rich = append(rich, mark, `<a href="`+html.EscapeString(who.User.URI().MatrixToURL())+`">`+html.EscapeString("@"+name)+"</a>")
		content.Mentions.UserIDs = append(content.Mentions.UserIDs, who.User)
	}
	plain, rich = append(plain, string(firstMark), callRoom), append(rich, string(firstMark), callRoom)
	if content.FormattedBody == "" && len(found) > 0 {
		source, _ := markupToHTML(content.Body)
		content.Format, content.FormattedBody = event.FormatHTML, source
	}
	content.Body = strings.NewReplacer(plain...).Replace(content.Body)
	content.FormattedBody = strings.NewReplacer(rich...).Replace(content.FormattedBody)
	if len(content.Body)+len(content.FormattedBody) > maxHTML {
		content.Format, content.FormattedBody = "", ""
	}
}

// markCalls puts a private character in place of each call, so that conversion leaves it alone, and says who is called.
func markCalls(text string, called []Called, everybody bool) (marked string, found []Called, all bool) {
	var out strings.Builder
	before := rune(0)
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if r == '@' && !isWord(before) && before != '/' {
			rest := text[1:]
			digits := rest[:strings.IndexFunc(rest+" ", func(r rune) bool { return r < '0' || r > '9' })]
			at := slices.IndexFunc(called, func(c Called) bool { return c.Digits == digits && digits != "" })
			switch {
			case at >= 0:
				i := slices.IndexFunc(found, func(c Called) bool { return c.User == called[at].User })
				if i < 0 {
					i, found = len(found), append(found, called[at])
				}
				out.WriteRune(firstMark + rune(i) + 1)
				text, before = text[1+len(digits):], '0'
				continue
			case everybody && len(text) >= len(callAll) && strings.EqualFold(text[:len(callAll)], callAll):
				out.WriteRune(firstMark)
				text, before, all = text[len(callAll):], 'l', true
				continue
			}
		}
		if r < firstMark || r > firstMark+maxCalls || !unicode.Is(unicode.Co, r) {
			out.WriteString(text[:size])
		}
		text, before = text[size:], r
	}
	return out.String(), found, all
}

// Pills finds whom a text of a Matrix user calls: the address of a Matrix account, false if it is nobody on the network.
type Pills func(user id.UserID) (network.Address, bool)

// calls collects whom a text calls while it is written in the network's spelling.
type calls struct {
	who    Pills
	people []network.Address
}

// pill writes a mention: a person of the network by their digits, anybody else by name.
func (c *calls) pill(name string, user id.UserID) string {
	person, ok := c.who(user)
	if !ok {
		return name
	}
	if !slices.Contains(c.people, person) {
		c.people = append(c.people, person)
	}
	return "@" + person.User
}

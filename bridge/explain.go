package bridge

import (
	"strings"

	"maunium.net/go/mautrix/event"

	"causeway/network"
)

// rowProblems are the ends that an event of a network can come to in the journal, by [database.Entry]'s class.
func rowProblems() map[string]problem {
	return map[string]problem{
		"transient":   {code: "CW-1901", text: textRowTransient, status: retriable},
		"credentials": {code: "CW-1902", text: textRowCredentials, status: retriable},
		"refused":     {code: "CW-1903", text: textRowRefused, status: failed},
		"too large":   {code: "CW-1904", text: textRowTooLarge, status: failed},
		"ours":        {code: "CW-1905", text: textRowOurs, status: failed},
		"gone":        {code: "CW-1906", text: textRowGone, status: failed},
		"unreadable":  {code: "CW-1907", text: textRowUnreadable, status: failed},
		"deadly":      {code: "CW-1908", text: textRowDeadly, status: failed},
		"placeholder": {code: "CW-1909", text: textRowPlaceholder, status: failed},
		"dropped":     {code: "CW-1910", text: textRowDropped, status: failed},
		"repeat":      {code: "CW-1911", text: textRowRepeat, status: event.MessageStatusSuccess},
		"ignored":     {code: "CW-1912", text: textRowIgnored, status: event.MessageStatusSuccess},
		"overtaken":   {code: "CW-1913", text: textRowOvertaken, status: event.MessageStatusSuccess},
	}
}

// Explain is what the journal's class or a code stands for; an unknown one is explained as such.
func Explain(class string) Explanation {
	if p, ok := rowProblems()[class]; ok {
		return Explanation{p}
	}
	for _, p := range problems() {
		if strings.EqualFold(p.code, class) {
			return Explanation{p}
		}
	}
	for _, p := range rowProblems() {
		if strings.EqualFold(p.code, class) {
			return Explanation{p}
		}
	}
	return Explanation{unexplained()}
}

// Explanation is a reason in words.
type Explanation struct{ problem }

// Code is the stable name of the reason, such as "CW-1201".
func (e Explanation) Code() string { return e.code }

// Sentence says what happened and what can be done, with the code at its end.
func (e Explanation) Sentence(n network.Network) string { return e.sentence(n) }

// DroppedCode is the reason that authors are told of a message that an operator has given up.
func DroppedCode() string { return "CW-1409" }

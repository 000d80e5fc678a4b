// Package wire is the connection that both networks share: Noise, stanzas and
// Signal envelopes over one websocket for each login, with the guard that keeps
// Signal sessions whole and the safety number that people compare.
//
// It is not an adapter: it knows stanzas and bytes, but neither what a message
// says nor how a network spells its people (packages whatsapp and messenger do),
// and it keeps nothing itself: rows are the [Store]'s.
package wire

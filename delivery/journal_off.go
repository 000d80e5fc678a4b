//go:build nojournal

package delivery

// journaled is false in a program that is built to be measured against: it keeps no promise. See unjournaled.go.
const journaled = false

// Package checker says whether everything that was accepted on one side has appeared on the
// other: once, in order, in the right place and from the right person. It reads two
// records, what a generator has sent and what each side saw, and nothing else.
//
// It knows no code of the bridge, of the simulators or of Matrix, uses the standard library only, and
// does not explain why something is missing.
package checker

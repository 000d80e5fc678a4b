//go:build !linux

package convert

// limit is left to the time limit where a running child cannot be bounded from outside.
func limit(int) error { return nil }

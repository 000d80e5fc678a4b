//go:build !linux

package bridge

import "errors"

// inMemory cannot be told here.
func inMemory(string) (bool, error) {
	return false, errors.New("it cannot be told on this system whether a folder is in memory")
}

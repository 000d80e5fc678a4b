package bridge

import (
	"fmt"
	"syscall"
)

// The kinds of file systems that are in memory (statfs(2)).
const (
	tmpfsMagic = 0x01021994
	ramfsMagic = 0x858458f6
)

// inMemory says whether what is written to a folder stays in memory.
func inMemory(folder string) (bool, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(folder, &stat); err != nil {
		return false, fmt.Errorf("failed to look at %s: %w", folder, err)
	}
	kind := uint32(stat.Type)
	return kind == tmpfsMagic || kind == ramfsMagic, nil
}

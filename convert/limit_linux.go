package convert

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// limit bounds a child that has just started: its memory, its time on a processor, what it writes, and no core file.
func limit(pid int) error {
	for resource, most := range map[int]uint64{
		unix.RLIMIT_DATA:  memoryLimit,
		unix.RLIMIT_CPU:   uint64(timeLimit.Seconds()),
		unix.RLIMIT_FSIZE: MaxInput,
		unix.RLIMIT_CORE:  0,
	} {
		err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: most, Max: most}, nil)
		if errors.Is(err, unix.ESRCH) {
			return nil // it has ended already
		}
		if err != nil {
			return fmt.Errorf("resource %d: %w", resource, err)
		}
	}
	return nil
}

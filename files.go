package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// The permission bits of those who are not the owner.
const (
	groupReads  = 0o040
	othersReads = 0o004
)

// checkFiles refuses to start with secrets that everybody on the machine can read, and warns of those that a group can:
// the homeserver may need the registration. Files that are not there are somebody else's business.
func checkFiles(warn io.Writer, paths ...string) error {
	var open []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("failed to look at %s: %w", path, err)
		}
		switch mode := info.Mode().Perm(); {
		case mode&othersReads != 0:
			open = append(open, fmt.Sprintf("%s can be read by everybody on this machine, and holds secrets: run chmod 0600 %s", path, path))
		case mode&groupReads != 0:
			fmt.Fprintf(warn, "Warning: %s can be read by its group, and holds secrets. Unless that is meant, run chmod 0600 %s\n", path, path)
		}
	}
	if len(open) > 0 {
		return errors.New(strings.Join(open, "\n"))
	}
	return nil
}

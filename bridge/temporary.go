package bridge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// temporaryPrefix begins the names of our folders for temporary files.
const temporaryPrefix = "causeway-files-"

// OwnTemporary gives the process a folder of its own for temporary files, among them what people send while it is converted
// or uploaded, in the open: the environment variable TMPDIR names it from now on. What processes left behind that were
// killed is deleted. So is the folder by remove, when nothing uses it any more.
func OwnTemporary() (remove func() error, err error) {
	parent := os.TempDir()
	found, err := filepath.Glob(filepath.Join(parent, temporaryPrefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("failed to look for temporary files: %w", err)
	}
	for _, folder := range found {
		if lock, err := lockFolder(folder); err == nil {
			_ = os.RemoveAll(folder) // tidying; the next start tries again
			_ = lock.Close()
		}
	}
	folder, lock, err := makeFolder(parent)
	if err != nil { // another process that starts may have found it before it was locked
		folder, lock, err = makeFolder(parent)
	}
	if err != nil {
		return nil, fmt.Errorf("failed to make a folder for temporary files, which the environment variable TMPDIR can move: %w", err)
	}
	if err = os.Setenv("TMPDIR", folder); err != nil {
		return nil, errors.Join(err, lock.Close(), os.Remove(folder))
	}
	return func() error {
		return errors.Join(os.RemoveAll(folder), lock.Close())
	}, nil
}

func makeFolder(parent string) (folder string, lock *os.File, err error) {
	if folder, err = os.MkdirTemp(parent, temporaryPrefix); err != nil {
		return "", nil, err
	}
	if lock, err = lockFolder(folder); err != nil {
		_ = os.Remove(folder)
	}
	return folder, lock, err
}

// lockFolder takes the lock that a process holds on its folder as long as it lives. The folder may not be a link.
func lockFolder(folder string) (*os.File, error) {
	lock, err := os.OpenFile(folder, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		_, err = os.Lstat(folder) // a process that tidies may have been here in between
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// Package convert turns media into the few formats that a network takes: it
// tells what a file is by its first bytes, makes thumbnails, and runs ffmpeg as
// a bounded child process for everything that needs a codec.
//
// It is the only package that starts processes. It does not know what a network
// takes (portal does), fetches nothing and keeps nothing: what it makes is gone
// when its reader is closed.
package convert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

var (
	// ErrMissing: the file would need ffmpeg, and there is none.
	ErrMissing = errors.New("no ffmpeg is installed")
	// ErrFailed: the file could not be converted: broken, of another format than it says, or too much work.
	ErrFailed = errors.New("the file could not be converted")
	// ErrTooBig: a picture is over the limits of this package, or a file over [MaxInput].
	ErrTooBig = errors.New("the file is too big to be converted")
)

const (
	// MaxInput is how many bytes a file may have that is to be converted.
	MaxInput = 100 << 20
	// workers is how many conversions and decodings run at the same time.
	workers = 2
)

// Converter converts, a few files at a time. Make it with [Find].
type Converter struct {
	// ffmpeg is the program's absolute path, empty if there is none.
	ffmpeg string
	// busy has a place for each conversion that runs.
	busy chan struct{}
}

// Find looks for ffmpeg: the program that path names, or the one in PATH if path is
// empty. The converter is usable in any case; with [ErrMissing] it does only what needs no
// codec.
func Find(path string) (*Converter, error) {
	c := &Converter{busy: make(chan struct{}, workers)}
	if path == "" {
		path = "ffmpeg"
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return c, fmt.Errorf("failed to find %s: %w", path, errors.Join(ErrMissing, err))
	}
	if c.ffmpeg, err = filepath.Abs(found); err != nil {
		return c, fmt.Errorf("failed to find %s: %w", path, errors.Join(ErrMissing, err))
	}
	return c, nil
}

// Available says whether ffmpeg is there.
func (c *Converter) Available() bool { return c.ffmpeg != "" }

// enter waits for a free place; leave gives it back.
func (c *Converter) enter(ctx context.Context) error {
	select {
	case c.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Converter) leave() { <-c.busy }

// File is a converted file. It is deleted when it is closed.
type File struct {
	*os.File
	// Size is its length in bytes.
	Size int64
	dir  string
}

// Close deletes the file.
func (f *File) Close() error {
	return errors.Join(f.File.Close(), os.RemoveAll(f.dir))
}

// spool writes a stream into a new directory that nobody else can read.
func spool(in io.Reader) (dir, path string, err error) {
	dir, err = os.MkdirTemp("", "convert-*")
	if err != nil {
		return "", "", fmt.Errorf("failed to make a directory: %w", err)
	}
	path = filepath.Join(dir, "in")
	if err = write(path, in); err != nil {
		return "", "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, path, nil
}

func write(path string, in io.Reader) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("failed to make a file: %w", err)
	}
	n, err := io.Copy(file, io.LimitReader(in, MaxInput+1))
	err = errors.Join(err, file.Close())
	switch {
	case err != nil:
		return fmt.Errorf("failed to write a file: %w", err)
	case n > MaxInput:
		return ErrTooBig
	}
	return nil
}

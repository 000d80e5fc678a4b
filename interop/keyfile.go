package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// readKeys reads a ring; a file that others can read is refused.
func readKeys(path string) ([]signingKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("failed to read signing keys: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("signing keys in %s can be read by others: run chmod 600 %s", path, path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("failed to read signing keys: %w", err)
	}
	var keys []signingKey
	if err := json.Unmarshal(content, &keys); err != nil {
		return nil, fmt.Errorf("failed to read signing keys in %s: %w", path, err)
	}
	if err := checkRing(keys); err != nil {
		return nil, fmt.Errorf("failed to read signing keys in %s: %w", path, err)
	}
	return keys, nil
}

func checkRing(keys []signingKey) error {
	var current, next int
	for _, key := range keys {
		private, ok := key.Key.Key.(*ecdsa.PrivateKey)
		if !ok || private.Curve != elliptic.P256() {
			return errors.New("a key is not a private P-256 key")
		}
		if isCurrent(key) {
			current++
		}
		if isNext(key) {
			next++
		}
	}
	if current != 1 || next != 1 {
		return fmt.Errorf("want one current and one next key, got %d and %d", current, next)
	}
	return nil
}

// writeKeys replaces the file in one step, so that a crash leaves the old ring or the new one.
func writeKeys(path string, keys []signingKey) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("failed to write signing keys: %w", err)
		}
	}()
	content, err := json.MarshalIndent(keys, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// CreateTemp makes the file with mode 0600.
	file, err := os.CreateTemp(filepath.Dir(path), keyFile+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, errWrite := file.Write(content)
	if err := errors.Join(errWrite, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

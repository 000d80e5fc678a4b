package interop

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// secretLength is in bytes.
const secretLength = 32

// openSecret reads a random secret from a file that only the owner may read, or
// makes it where there is none yet. The text is what the file holds, without its line end.
func openSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createSecret(path)
	}
	if err != nil {
		return "", fmt.Errorf("failed to read a secret: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("the secret in %s can be read by others: run chmod 600 %s", path, path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("failed to read a secret: %w", err)
	}
	text := strings.TrimSpace(string(content))
	if decoded, err := base64.RawURLEncoding.DecodeString(text); err != nil || len(decoded) != secretLength {
		return "", fmt.Errorf("the secret in %s is damaged: restore it from a backup, or remove the file and a new one is made", path)
	}
	return text, nil
}

func createSecret(path string) (string, error) {
	var random [secretLength]byte
	_, _ = rand.Read(random[:])
	text := base64.RawURLEncoding.EncodeToString(random[:])
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("failed to make a secret: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("failed to make a secret: %w", err)
	}
	_, err = file.WriteString(text + "\n")
	if err = errors.Join(err, file.Sync(), file.Close(), syncDir(filepath.Dir(path))); err != nil {
		return "", fmt.Errorf("failed to make a secret: %w", err)
	}
	return text, nil
}

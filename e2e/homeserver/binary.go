package homeserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// BinaryEnv names the environment variable that points at a ready Dendrite binary.
const BinaryEnv = "DENDRITE_BIN"

// Binary is the path of Dendrite's program: what DENDRITE_BIN names, else the one that the Go
// tool builds from e2e/hs and keeps in its build cache. The first build takes a minute or two.
func Binary(ctx context.Context) (string, error) {
	if path := os.Getenv(BinaryEnv); path != "" {
		return path, nil
	}
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=e2e/hs/go.mod", "-n", "dendrite")
	cmd.Dir = root
	// Our build tags are not Dendrite's: other flags would be another entry of the build cache.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("failed to build dendrite: %w\n%s", err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// ModuleRoot is the folder of causeway's go.mod, looked for from the working directory upwards.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("failed to find the module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("failed to find the module: no go.mod above the working directory")
		}
		dir = parent
	}
}

package stage

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"causeway/e2e/homeserver"
)

// Build compiles the bridge to the given path, with the race detector if asked.
func Build(ctx context.Context, path string, race bool) error {
	if race {
		return build(ctx, path, "-tags", "goolm", "-race")
	}
	return build(ctx, path, "-tags", "goolm")
}

// BuildBreakable compiles the bridge with its failpoints to the given path.
func BuildBreakable(ctx context.Context, path string) error {
	return build(ctx, path, "-tags", "goolm,failpoint")
}

// BuildUnjournaled compiles the bridge as it would be without its journal, to be compared with.
func BuildUnjournaled(ctx context.Context, path string) error {
	return build(ctx, path, "-tags", "goolm,nojournal")
}

func build(ctx context.Context, path string, flags ...string) error {
	root, err := homeserver.ModuleRoot()
	if err != nil {
		return err
	}
	if _, err = goIn(ctx, root, append(append([]string{"build", "-o", path}, flags...), ".")...); err != nil {
		return err
	}
	return lookAtSources(ctx, root)
}

// lookAtSources looks at what the bridge is built of. The go command takes the result of a test from its cache as long as
// all is as it was that the test has looked at, and a compiler that it ran is no part of that.
func lookAtSources(ctx context.Context, root string) error {
	folders, err := goIn(ctx, root, "list", "-deps", "-f", "{{if .Module}}{{if .Module.Main}}{{.Dir}}{{end}}{{end}}", ".")
	if err != nil {
		return err
	}
	for folder := range strings.Lines(folders) {
		if folder = strings.TrimSpace(folder); folder == "" {
			continue
		}
		if _, err = os.ReadDir(folder); err != nil {
			return fmt.Errorf("failed to look at the bridge's sources: %w", err)
		}
	}
	return nil
}

func goIn(ctx context.Context, folder string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = folder
	var output, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("failed to build the bridge: %w\n%s%s", err, output.String(), problems.String())
	}
	return output.String(), nil
}

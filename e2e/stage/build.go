package stage

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"

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
	args := append([]string{"build", "-o", path}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
	cmd.Dir = root
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("failed to build the bridge: %w\n%s", err, output.String())
	}
	return nil
}

package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
	"maunium.net/go/mautrix/appservice"

	"causeway/e2e/child"
	"causeway/e2e/homeserver"
)

const (
	startLimit = 60 * time.Second
	stopLimit  = 30 * time.Second
	pollEvery  = 20 * time.Millisecond

	// started is what the bridge logs once everything runs.
	started = `"message":"Bridge started"`
)

// Bridge is the bridge's program with its own folder: configuration, registration, database, log.
type Bridge struct {
	// URL is where it listens for the homeserver.
	URL string
	// Dir holds its files.
	Dir string

	binary      string
	environment []string
	process     *child.Process
}

// configPath and registrationPath are the program's own default names.
func (b *Bridge) configPath() string       { return filepath.Join(b.Dir, "config.yaml") }
func (b *Bridge) registrationPath() string { return filepath.Join(b.Dir, "registration.yaml") }

// configure does what an operator does before the first start: example configuration, edit, registration.
func (b *Bridge) configure(ctx context.Context, edit func(Config)) (*appservice.Registration, error) {
	if err := b.run(ctx, "-e"); err != nil {
		return nil, err
	}
	if err := b.Edit(edit); err != nil {
		return nil, err
	}
	if err := b.run(ctx, "-g"); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(b.registrationPath())
	if err != nil {
		return nil, fmt.Errorf("failed to read the registration: %w", err)
	}
	var registration appservice.Registration
	if err := yaml.Unmarshal(data, &registration); err != nil {
		return nil, fmt.Errorf("failed to read the registration: %w", err)
	}
	return &registration, nil
}

// Edit changes the configuration file; a running bridge reads it at its next start.
func (b *Bridge) Edit(edit func(Config)) error {
	config, err := readConfig(b.configPath())
	if err != nil {
		return err
	}
	edit(config)
	return config.write(b.configPath())
}

func (b *Bridge) run(ctx context.Context, flag string) error {
	cmd := exec.CommandContext(ctx, b.binary, flag)
	cmd.Dir = b.Dir
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("failed to run the bridge with %s: %w\n%s", flag, err, output)
	}
	return nil
}

// Start starts the bridge and waits until it is ready.
func (b *Bridge) Start(ctx context.Context) error { return b.StartWith(ctx) }

// StartWith is [Bridge.Start] with further arguments for the program.
func (b *Bridge) StartWith(ctx context.Context, arguments ...string) error {
	process, err := b.launch(nil, arguments)
	if err != nil {
		return err
	}
	b.process = process
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for !Ready(process) {
		select {
		case <-process.Done():
			return fmt.Errorf("failed to start the bridge: it ended with %v\n%s", process.Err(), process.Tail())
		case <-ctx.Done():
			process.Kill()
			return fmt.Errorf("failed to start the bridge: %w\n%s", ctx.Err(), process.Tail())
		case <-time.After(pollEvery):
		}
	}
	return nil
}

// Launch starts the program and waits for nothing: the process is the caller's, and neither [Bridge.Stop] nor
// [Bridge.Kill] knows of it. The environment gets the variables ("NAME=value") in addition.
func (b *Bridge) Launch(environment ...string) (*child.Process, error) {
	return b.launch(environment, nil)
}

func (b *Bridge) launch(environment, arguments []string) (*child.Process, error) {
	if !homeserver.Complete() {
		arguments = append([]string{"--ignore-unsupported-server"}, arguments...)
	}
	return child.StartWith(append(b.environment, environment...), b.Dir, "bridge", b.binary, arguments...)
}

// Ready says whether a launched bridge has come up. It reads the log and not the bridge's own ready page,
// which races with the start in the library.
func Ready(process *child.Process) bool { return strings.Contains(process.Output(), started) }

// Stop asks the bridge to end and waits for it; an exit status other than 0 is an error.
func (b *Bridge) Stop() error {
	if b.process == nil {
		return nil
	}
	process := b.process
	b.process = nil
	return process.Stop(stopLimit)
}

// Kill ends the bridge as a crash would.
func (b *Bridge) Kill() error {
	if b.process == nil {
		return errors.New("failed to kill the bridge: it is not running")
	}
	b.process.Kill()
	b.process = nil
	return nil
}

// Doing ends the bridge with a look at its goroutines, and returns those that run code of ours.
func (b *Bridge) Doing() string {
	if b.process == nil {
		return "(the bridge was not running)"
	}
	process := b.process
	b.process = nil
	before := len(process.Output())
	process.Quit(stopLimit)
	var ours []string
	for _, goroutine := range strings.Split(process.Output()[before:], "\n\n") {
		if strings.Contains(goroutine, "\ncauseway/") {
			ours = append(ours, goroutine)
		}
	}
	return strings.Join(ours, "\n\n")
}

// PID is the running bridge's process number, 0 if it does not run.
func (b *Bridge) PID() int {
	if b.process == nil {
		return 0
	}
	return b.process.PID()
}

// Log is everything that the bridge has written, all its runs together.
func (b *Bridge) Log() string {
	data, err := os.ReadFile(filepath.Join(b.Dir, "bridge.log"))
	if err != nil {
		return fmt.Sprintf("(no log of the bridge: %v)", err)
	}
	return string(data)
}

// Package child runs another program for as long as a test or the demo needs it:
// started with its output in a file, stopped by a signal, and never outliving its parent.
//
// It is not a supervisor: nothing is restarted.
package child

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const tailBytes = 32 << 10

// Process is one running child.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	// from is where this run's output begins.
	from int64
	done chan struct{}
	err  error
}

// Start runs a program in dir with its output appended to dir/<name>.log.
func Start(dir, name, binary string, args ...string) (*Process, error) {
	return StartWith(nil, dir, name, binary, args...)
}

// StartWith is [Start] with variables ("NAME=value") added to the program's environment.
func StartWith(environment []string, dir, name, binary string, args ...string) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("failed to start the %s: %w", name, err)
	}
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		log.Close()
		return nil, fmt.Errorf("failed to start the %s: %w", name, err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), environment...)
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		log.Close()
		return nil, fmt.Errorf("failed to start the %s: %w", name, err)
	}
	p := &Process{name: name, cmd: cmd, log: log, from: from, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how the process ended, nil for exit status 0; only meaningful after Done.
func (p *Process) Err() error { return p.err }

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the process to end with SIGTERM and waits; past the limit it is killed, which is an error.
func (p *Process) Stop(limit time.Duration) error {
	defer p.log.Close()
	select {
	case <-p.done:
		return p.failure()
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("failed to stop the %s: %w", p.name, err)
	}
	select {
	case <-p.done:
		return p.failure()
	case <-time.After(limit):
		p.Kill()
		return fmt.Errorf("failed to stop the %s: still running %s after SIGTERM", p.name, limit)
	}
}

// Quit has a Go program end with the stacks of its goroutines in its output, and waits; past the limit it is killed.
func (p *Process) Quit(limit time.Duration) {
	defer p.log.Close()
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // it has ended if that fails
	select {
	case <-p.done:
	case <-time.After(limit):
		p.Kill()
	}
}

func (p *Process) failure() error {
	if p.err != nil {
		return fmt.Errorf("the %s ended with %w", p.name, p.err)
	}
	return nil
}

// Kill ends the process at once, as a crash would, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Output is what the process has written so far.
func (p *Process) Output() string {
	file, err := os.Open(p.log.Name())
	if err != nil {
		return fmt.Sprintf("(no output of the %s: %v)", p.name, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.NewSectionReader(file, p.from, math.MaxInt64-p.from))
	if err != nil {
		return fmt.Sprintf("(no output of the %s: %v)", p.name, err)
	}
	return string(data)
}

// Tail is the end of the process's output.
func (p *Process) Tail() string {
	output := p.Output()
	return output[max(0, len(output)-tailBytes):]
}

// FreePort is a TCP port that nothing listens at on loopback. It lies below the range
// that systems give to outgoing connections, so that none of those takes it before the child does.
func FreePort() (int, error) {
	const first, last, attempts = 18_000, 32_000, 200
	for range attempts {
		port := first + rand.IntN(last-first)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, listener.Close()
	}
	return 0, errors.New("failed to find a free port")
}

package homeserver

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/synapseadmin"

	"causeway/e2e/child"
)

const (
	startLimit = 60 * time.Second
	stopLimit  = 10 * time.Second
	pollEvery  = 20 * time.Millisecond
)

// Server is one running homeserver.
type Server struct {
	// URL is its client address, "http://127.0.0.1:<port>".
	URL string

	dir     string
	process *child.Process
}

// Options say how a homeserver starts; the zero value starts one without application services.
type Options struct {
	// Registrations are the application services' registration files.
	Registrations []string
	// Port to listen at on loopback, 0 for a free one.
	Port int
}

// Complete says whether the homeserver pushes all that a bridge wants to know: Dendrite keeps redactions, typing and
// receipts to itself, and announces an old version of the specification.
func Complete() bool { return os.Getenv(SynapseEnv) != "" }

// Start runs Dendrite, or Synapse where [SynapseEnv] names it, and waits until it answers. Its data lives in a fresh folder, on
// /dev/shm where there is one, which [Server.Stop] removes. The child dies with this process.
func Start(ctx context.Context, options Options) (*Server, error) {
	dir, err := os.MkdirTemp(memory(), "causeway-homeserver-")
	if err != nil {
		return nil, fmt.Errorf("failed to make the homeserver's folder: %w", err)
	}
	server, err := start(ctx, dir, options)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return server, nil
}

func start(ctx context.Context, dir string, options Options) (*Server, error) {
	port := options.Port
	if port == 0 {
		var err error
		if port, err = child.FreePort(); err != nil {
			return nil, err
		}
	}
	command, err := command(ctx, dir, port, options.Registrations)
	if err != nil {
		return nil, err
	}
	process, err := child.Start(dir, "homeserver", command[0], command[1:]...)
	if err != nil {
		return nil, err
	}
	server := &Server{URL: fmt.Sprintf("http://127.0.0.1:%d", port), dir: dir, process: process}
	if err := server.awaitReady(ctx); err != nil {
		process.Kill()
		return nil, fmt.Errorf("%w\n%s", err, process.Tail())
	}
	return server, nil
}

// command is how to run the homeserver with its data in a folder.
func command(ctx context.Context, dir string, port int, registrations []string) ([]string, error) {
	if python := os.Getenv(SynapseEnv); python != "" {
		return synapse(python, dir, port, registrations)
	}
	return dendrite(ctx, dir, port, registrations)
}

// memory is the folder of the memory file system, empty (the system's temporary folder) if there is none.
func memory() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return ""
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		if s.answers(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("failed to start the homeserver: %w", ctx.Err())
		case <-s.process.Done():
			return fmt.Errorf("failed to start the homeserver: it ended with %v", s.process.Err())
		case <-time.After(pollEvery):
		}
	}
}

func (s *Server) answers(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/_matrix/client/versions", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Register makes an account and logs it in. Localparts are lower case.
func (s *Server) Register(ctx context.Context, localpart, password string) (*mautrix.Client, error) {
	client, err := mautrix.NewClient(s.URL, "", "")
	if err != nil {
		return nil, fmt.Errorf("failed to register %s: %w", localpart, err)
	}
	admin := &synapseadmin.Client{Client: client}
	answer, err := admin.SharedSecretRegister(ctx, sharedSecret, synapseadmin.ReqSharedSecretRegister{
		Username: strings.ToLower(localpart), Password: password,
	})
	if err != nil {
		return nil, fmt.Errorf("failed to register %s: %w", localpart, err)
	}
	client.UserID, client.DeviceID, client.AccessToken = answer.UserID, answer.DeviceID, answer.AccessToken
	return client, nil
}

// Tail is the end of the homeserver's log.
func (s *Server) Tail() string { return s.process.Tail() }

// Freeze lets the homeserver neither answer nor refuse anything, as a machine that is overloaded, until [Server.Thaw].
func (s *Server) Freeze() error { return syscall.Kill(s.process.PID(), syscall.SIGSTOP) }

// Thaw lets it go on where it was.
func (s *Server) Thaw() error { return syscall.Kill(s.process.PID(), syscall.SIGCONT) }

// Stop ends the homeserver and removes its data. Stop the bridge first.
func (s *Server) Stop() error {
	err := s.process.Stop(stopLimit)
	if removeErr := os.RemoveAll(s.dir); err == nil && removeErr != nil {
		err = fmt.Errorf("failed to remove the homeserver's data: %w", removeErr)
	}
	return err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"causeway/e2e/client"
	"causeway/e2e/homeserver"
	"causeway/e2e/stage"
	"causeway/simulator/meta"
)

const (
	integrator = 12
	user       = "alice"
	password   = "wonderland"
)

// house is everything that the demo runs.
type house struct {
	dir    string
	net    *meta.Network
	people *people
	stage  *stage.Stage
	alice  *client.Client
	bot    *client.Bot
}

// open builds what is missing and starts everything, saying what takes its time.
func open(ctx context.Context, port int) (h *house, err error) {
	began := time.Now()
	h = &house{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if err := step("building the homeserver (Dendrite, a minute or two the first time)", func() error {
		_, err := homeserver.Binary(ctx)
		return err
	}); err != nil {
		return h, err
	}
	binary, err := filepath.Abs(filepath.Join("build", "causeway"))
	if err != nil {
		return h, fmt.Errorf("failed to find the folder for the bridge: %w", err)
	}
	if err := step("building the bridge", func() error { return stage.Build(ctx, binary, false) }); err != nil {
		return h, err
	}
	if err := step("starting homeserver, simulated network and bridge", func() error { return h.start(ctx, binary, freeOrAny(port)) }); err != nil {
		return h, err
	}
	fmt.Printf("  ready after %.1f s\n\n", time.Since(began).Seconds())
	return h, nil
}

func step(what string, do func() error) error {
	fmt.Printf("  %s … ", what)
	began := time.Now()
	if err := do(); err != nil {
		fmt.Println("failed")
		return err
	}
	fmt.Printf("%.1f s\n", time.Since(began).Seconds())
	return nil
}

func (h *house) start(ctx context.Context, binary string, port int) (err error) {
	if h.dir, err = os.MkdirTemp("", "causeway-demo-"); err != nil {
		return fmt.Errorf("failed to make a folder for the demo: %w", err)
	}
	if h.net, err = meta.New(meta.Profile(meta.Timing), meta.Logf(func(string, ...any) {})); err != nil {
		return err
	}
	provider, err := stage.ProviderURL()
	if err != nil {
		return err
	}
	err = h.net.AddIntegrator(meta.Integrator{ID: integrator, Name: "Causeway", IdentifierType: "email", Issuer: provider, MediaBase: provider + "/media"})
	if err != nil {
		return err
	}
	h.stage, err = stage.Open(ctx, stage.Options{
		Binary: binary, Dir: h.dir, HomeserverPort: port, ProviderURL: provider,
		Log: func(line string) { fmt.Printf("\n    (%s) ", line) },
		Edit: func(config stage.Config) {
			config.Set("network.interop.media.base_url", provider+"/media")
			config.Set("network.interop.products", []string{"whatsapp", "messenger"})
		},
		Network: stage.Network{
			ChatHost: h.net.ChatAddr(), Root: h.net.Root(), ChatURL: h.net.ChatURL(),
			EnlistmentURL: h.net.EnlistmentURL(), MetaIssuer: h.net.MetaIssuer(), Integrator: integrator,
		},
	})
	if err != nil {
		return err
	}
	if h.alice, err = h.stage.Join(ctx, user, password); err != nil {
		return err
	}
	if h.people, err = settle(h.net); err != nil {
		return err
	}
	h.bot, err = h.openBot(ctx)
	return err
}

// close ends everything, the bridge before its homeserver, and removes what was written.
func (h *house) close() error {
	var problems []error
	if h.people != nil {
		h.people.leave()
	}
	if h.alice != nil {
		h.alice.Close()
	}
	if h.stage != nil {
		problems = append(problems, h.stage.Close())
	}
	if h.net != nil {
		h.net.Close()
	}
	if h.dir != "" {
		problems = append(problems, os.RemoveAll(h.dir))
	}
	return errors.Join(problems...)
}

// freeOrAny is the port if nothing listens there, else 0.
func freeOrAny(port int) int {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return 0
	}
	listener.Close()
	return port
}

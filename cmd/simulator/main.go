// Command simulator runs the simulated network by hand: chat server for third-party providers and for linked
// devices, media hosts, Enlistment API and control plane on loopback. It prints one line of JSON that tells where they are, and
// runs until it is interrupted. What can be done with it is in the help (-help).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"causeway/simulator/meta"
)

const help = `simulator: Meta's chat networks, simulated on this machine: third-party chats on WhatsApp and
Messenger, and WhatsApp for linked devices.

It serves the chat server (plain, over TLS, and through a proxy that answers CONNECT), the
media hosts, the Enlistment API and a control plane on loopback, and prints one line of
JSON with their addresses, the root key that clients must be given, and the file of
the certificate authority. Nothing is kept when it ends; an interrupt ends it.

  simulator --seed 7 --profile timing

Flags:
`

const examples = `
The control plane speaks JSON. With $ADMIN as printed in admin_url:

  curl $ADMIN/admin/info
  curl $ADMIN/admin/integrators -d '{"id":12,"name":"Causeway","issuer":"http://127.0.0.1:29340"}'
  curl $ADMIN/admin/whatsapp -d '{"phone":"+4915110000001","name":"Bob"}'
  curl $ADMIN/admin/users/+4915110000001/opt-in -d '{"integrators":[12]}'
  curl $ADMIN/admin/users/+4915110000001/send -d '{"to":"anna@example.eu","text":"hello"}'
  curl "$ADMIN/admin/users/+4915110000001/inbox?wait_ms=10000"
  curl $ADMIN/admin/mock-phone/history -d '{"account":"+4915110000001","chats":20,"messages":500}'
  curl $ADMIN/admin/mock-phone/scan-qr -d "$QR"   # the text of the code that a linked device shows
  curl $ADMIN/admin/users/+4915110000001/group -d '{"subject":"Trip","participants":["+4915110000002"]}'
  curl $ADMIN/admin/enlistments
  curl $ADMIN/admin/connections/1/drop -d '{"how":"503"}'
  curl $ADMIN/admin/findings
  curl $ADMIN/admin/trace
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "simulator:", err)
		stop()
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, out, diagnostics io.Writer) error {
	opts, err := parse(args, diagnostics)
	if err != nil {
		return err
	}
	authority, remove, err := authorityFile()
	if err != nil {
		return err
	}
	defer remove()
	opts = append([]meta.Option{meta.CAFile(authority)}, opts...)
	logger := log.New(diagnostics, "", log.LstdFlags)
	network, err := meta.New(append(opts, meta.Logf(logger.Printf))...)
	if err != nil {
		return fmt.Errorf("failed to start: %w", err)
	}
	defer network.Close()
	if err := json.NewEncoder(out).Encode(network.Info()); err != nil {
		return fmt.Errorf("failed to print the addresses: %w", err)
	}
	<-ctx.Done()
	return nil
}

// authorityFile is a fresh place for the certificate authority, and what takes it away at the end.
func authorityFile() (path string, remove func(), err error) {
	file, err := os.CreateTemp("", "simulator-ca-*.pem")
	if err != nil {
		return "", nil, fmt.Errorf("failed to make a file for the certificate authority: %w", err)
	}
	if err = file.Close(); err != nil {
		return "", nil, fmt.Errorf("failed to make a file for the certificate authority: %w", err)
	}
	return file.Name(), func() { _ = os.Remove(file.Name()) }, nil // a file that is gone already is as good
}

// parse turns the command line into options. What is not given stays with the
// environment (SIMULATOR_SEED, SIMULATOR_PROFILE) or the default.
func parse(args []string, diagnostics io.Writer) ([]meta.Option, error) {
	flags := flag.NewFlagSet("simulator", flag.ContinueOnError)
	flags.SetOutput(diagnostics)
	flags.Usage = func() {
		fmt.Fprint(diagnostics, help)
		flags.PrintDefaults()
		fmt.Fprint(diagnostics, examples)
	}
	seed := flags.Int64("seed", 0, "fixes every random decision but keys; default SIMULATOR_SEED, else the clock")
	profile := flags.String("profile", "", "how much to misbehave: calm, timing or faults; default SIMULATOR_PROFILE, else faults")
	chat := flags.String("chat", "127.0.0.1:0", "loopback address of the chat server")
	overTLS := flags.String("tls", "127.0.0.1:0", "loopback address of the chat server and the media hosts over TLS")
	proxy := flags.String("proxy", "127.0.0.1:0", "loopback address of a proxy that leads there by CONNECT")
	authority := flags.String("ca-file", "", "file for the certificate authority in PEM; default a temporary one, which ends with the program")
	enlistment := flags.String("enlistment", "127.0.0.1:0", "loopback address of the Enlistment API")
	admin := flags.String("admin", "127.0.0.1:0", "loopback address of the control plane")
	short := flags.Bool("short-account-ids", false, "give account ids that look like phone numbers, the same for every integrator")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	opts := []meta.Option{meta.ListenChat(*chat), meta.ListenEnlistment(*enlistment), meta.ListenAdmin(*admin)}
	opts = append(opts, meta.ListenTLS(*overTLS), meta.ListenProxy(*proxy))
	if *authority != "" {
		opts = append(opts, meta.CAFile(*authority))
	}
	if *short {
		opts = append(opts, meta.ShortAccountIDs())
	}
	var invalid error
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "seed":
			opts = append(opts, meta.Seed(*seed))
		case "profile":
			name, err := meta.ParseProfile(*profile)
			invalid = err
			opts = append(opts, meta.Profile(name))
		}
	})
	return opts, invalid
}

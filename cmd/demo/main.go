// Command demo is a first look at causeway without any account: it starts a real homeserver,
// a simulated WhatsApp and Messenger with people who answer, and the bridge between them, all on this
// machine alone, and says how to look at them with any Matrix client. Ctrl-C ends it all.
//
// With -once it plays a scripted conversation instead, prints what each side saw, and fails if anything is missing.
// With -crash it does so while the bridge is killed again and again.
//
// It is for looking and not for keeping: nothing survives its end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// onceLimit bounds the scripted conversation. Building before it takes as long as the machine needs.
const onceLimit = 5 * time.Minute

func main() {
	once := flag.Bool("once", false, "play a scripted conversation, print it and exit")
	storm := flag.Bool("crash", false, "the same with another conversation, while the bridge is killed again and again")
	port := flag.Int("port", 8008, "the homeserver's port on loopback; 0 for any free one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *once, *storm, *port); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, once, storm bool, port int) error {
	if once || storm {
		port = 0
	}
	h, err := open(ctx, port)
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped before everything was ready")
		}
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, onceLimit)
	defer cancel()
	switch {
	case storm:
		err = h.crash(bounded)
	case once:
		err = h.play(bounded)
	default:
		err = h.host(ctx)
	}
	return errors.Join(err, h.close())
}

package main

import (
	"context"
	"fmt"

	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/e2e/stage"
	"causeway/network"
)

// host logs alice in to both networks, greets, and waits for Ctrl-C.
func (h *house) host(ctx context.Context) error {
	if err := step("logging alice in to WhatsApp and Messenger", func() error { return h.enlist(ctx) }); err != nil {
		return err
	}
	fmt.Printf(`
Everything runs. It listens on this machine alone.

  homeserver  %s
  user        %s
  password    %s

Log in with Element or any other Matrix client ("Edit" next to the homeserver, then "Other homeserver").
There is a chat with the bridge's bot, in which alice has read what third-party chats are and agreed, for both
networks (log out and in again to do it yourself). Try in it:

  start-chat +4915110000001     a chat with Anna on WhatsApp; write in the new room
  start-chat gus.example        a chat with Gus on Messenger, in a space of its own
  help                          what else there is

People on the simulated networks:

`, h.stage.Homeserver.URL, user, password)
	for _, c := range characters() {
		fmt.Printf("  %-10s %-16s%-6s%s\n", c.network.DisplayName(), c.found(), c.name, c.about)
	}
	fmt.Printf(`
More of them come by the control plane, which also makes them write and misbehave (docs/simulator.md):

  curl -d '{"fbid":"100000000000009","name":"Kim","username":"kim.example"}' %[1]s/admin/messenger
  curl -d '{"integrators":[%[2]d]}' %[1]s/admin/users/100000000000009/opt-in

The people are simulated; homeserver and bridge are real. Real Messenger would need an agreement with Meta that covers
it, and no provider that has one is publicly known.
The bridge's files: %[3]s
Ctrl-C ends all of it.
`, h.net.AdminURL(), integrator, h.dir)
	<-ctx.Done()
	fmt.Println("\nending …")
	return nil
}

// enlist takes alice through the login flows of both networks.
func (h *house) enlist(ctx context.Context) error {
	for _, n := range []network.Network{network.WhatsApp, network.Messenger} {
		if err := stage.EnlistWith(ctx, h.bot, string(n)+"-interop", n.DisplayName()); err != nil {
			return err
		}
	}
	return nil
}

// openBot gives the user a chat with the bot, as they would open one.
func (h *house) openBot(ctx context.Context) (*client.Bot, error) {
	return h.alice.OpenBot(ctx, id.UserID(h.stage.BotID))
}

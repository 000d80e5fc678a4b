package main

import (
	"context"
	"fmt"

	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
)

// host greets and waits for Ctrl-C.
func (h *house) host(ctx context.Context) error {
	fmt.Printf(`Everything runs. It listens on this machine alone.

  homeserver  %s
  user        %s
  password    %s

Log in with Element or any other Matrix client ("Edit" next to the homeserver, then "Other homeserver").
There is a chat with the bridge's bot already. Try in it:

  login whatsapp-interop        read what a third-party chat is, and agree
  start-chat +4915110000001     open a chat, then write in the new room

On the simulated WhatsApp:

`, h.stage.Homeserver.URL, user, password)
	for _, c := range characters() {
		fmt.Printf("  %-16s%-8s%s\n", c.phone, c.name, c.about)
	}
	fmt.Printf("\nThe people are simulated; homeserver and bridge are real.\nThe bridge's files: %s\nThe network's control plane: %s\nCtrl-C ends all of it.\n", h.dir, h.net.AdminURL())
	<-ctx.Done()
	fmt.Println("\nending …")
	return nil
}

// openBot gives the user a chat with the bot, as they would open one.
func (h *house) openBot(ctx context.Context) (*client.Bot, error) {
	return h.alice.OpenBot(ctx, id.UserID(h.stage.BotID))
}

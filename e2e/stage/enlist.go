package stage

import (
	"context"
	"fmt"

	"causeway/e2e/client"
)

// Enlist takes a user through the login flow for third-party chats on WhatsApp, as they would
// in their client: ask, read the terms, agree, and say where they live.
func Enlist(ctx context.Context, bot *client.Bot) error {
	return EnlistWith(ctx, bot, "whatsapp-interop", "WhatsApp")
}

// EnlistWith is [Enlist] by any flow, for a network of the given name.
func EnlistWith(ctx context.Context, bot *client.Bot, flow, network string) error {
	for _, step := range []struct{ say, answer string }{
		{"login " + flow, "do you agree"},
		{"yes", "where do you live"},
		{"DE", "you are known to " + network},
	} {
		if err := bot.Tell(ctx, step.say); err != nil {
			return err
		}
		if _, err := bot.WaitForAnswer(ctx, step.answer); err != nil {
			return fmt.Errorf("failed to log in: %w", err)
		}
	}
	return nil
}

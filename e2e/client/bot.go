package client

import (
	"context"
	"fmt"
	"strings"

	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
)

// Bot is the user's direct chat with a bot that takes commands.
type Bot struct {
	*Room
	id id.UserID
	// asked is how many lines the chat had before the last command.
	asked int
}

// OpenBot opens a direct chat with a bot.
func (c *Client) OpenBot(ctx context.Context, bot id.UserID) (*Bot, error) {
	room, err := c.DirectChat(ctx, bot)
	if err != nil {
		return nil, err
	}
	return &Bot{Room: room, id: bot}, nil
}

// BotIn goes on with a chat that was opened earlier, once the bot is in it.
func (c *Client) BotIn(ctx context.Context, room id.RoomID, bot id.UserID) (*Bot, error) {
	err := c.Wait(ctx, fmt.Sprintf("%s in %s", bot, room), func() bool {
		known := c.Room(room)
		return known != nil && known.Member(bot) == event.MembershipJoin
	})
	return &Bot{Room: c.Room(room), id: bot}, err
}

// Tell gives the bot a command.
func (b *Bot) Tell(ctx context.Context, command string) error {
	b.asked = len(b.Lines())
	_, err := b.Send(ctx, command)
	return err
}

// WaitForAnswer waits until the bot has said something with all of the parts since the last
// command, letter case aside, and returns it.
func (b *Bot) WaitForAnswer(ctx context.Context, parts ...string) (string, error) {
	var found string
	err := b.client.Wait(ctx, fmt.Sprintf("the bot to say %q", parts), func() bool {
		for _, line := range b.Lines()[b.asked:] {
			if line.Sender == b.id && ContainsAll(line.Body, parts...) {
				found = line.Body
				return true
			}
		}
		return false
	})
	return found, err
}

// WaitForCode waits until the bot shows a QR code, and returns what stands in the newest one.
func (b *Bot) WaitForCode(ctx context.Context) (string, error) {
	var code string
	err := b.client.Wait(ctx, "a QR code", func() bool {
		for _, line := range b.Lines() {
			content := line.Content
			if content.NewContent != nil {
				content = *content.NewContent
			}
			if content.MsgType == event.MsgImage && strings.Contains(content.Body, ",") && !b.Redacted(line.ID) {
				code = content.Body
			}
		}
		return code != ""
	})
	return code, err
}

// ContainsAll says whether the text has all of the parts in it, letter case aside.
func ContainsAll(text string, parts ...string) bool {
	text = strings.ToLower(text)
	for _, part := range parts {
		if !strings.Contains(text, strings.ToLower(part)) {
			return false
		}
	}
	return true
}

// UserID is the bot's account.
func (b *Bot) UserID() id.UserID { return b.id }

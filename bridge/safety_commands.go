package bridge

import (
	"context"
	"errors"
	"strings"
	"unicode"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2/commands"

	"causeway/network"
)

// safetyGroup is how many digits of a safety number stand together where people read it.
const safetyGroup = 5

// safetyCommands let users compare safety numbers and remember that they did (docs/protocol.md#keys).
func (c *Connector) safetyCommands() []commands.CommandHandler {
	help := func(args, description string) commands.HelpMeta {
		return commands.HelpMeta{Section: commands.HelpSectionChats, Args: args, Description: description}
	}
	return []commands.CommandHandler{
		&commands.FullHandler{Func: c.safetyNumber, Name: "safety-number", RequiresLogin: true,
			Help: help("[_phone number_]", "Show the digits to compare with the person in this room, or with somebody by phone number.")},
		&commands.FullHandler{Func: c.verify, Name: "verify", RequiresLogin: true, RequiresPortal: true,
			Help: help("<_60 digits_>", "Remember that you compared the safety number of the person in this room.")},
		&commands.FullHandler{Func: c.unverify, Name: "unverify", RequiresLogin: true, RequiresPortal: true,
			Help: help("", "Forget that you compared the safety number of the person in this room.")},
	}
}

func (c *Connector) safetyNumber(ce *commands.Event) {
	who, ok := contactOf(ce, textSafetyUsage)
	if !ok {
		return
	}
	digits, ok := who.safetyNumber(ce)
	if !ok {
		return
	}
	name := c.nameOf(ce.Ctx, who.person)
	switch who.client.verified(who.person) {
	case "":
		ce.Reply(textSafetyNumber, name, grouped(digits))
	case digits:
		ce.Reply(textSafetyVerified, name, grouped(digits))
	default:
		ce.Reply(textSafetyDiffers, name, grouped(digits))
	}
}

func (c *Connector) verify(ce *commands.Event) {
	who, ok := contactOfRoom(ce)
	if !ok {
		return
	}
	told, ok := digitsOf(ce.RawArgs)
	if !ok {
		ce.Reply(textVerifyUsage)
		return
	}
	digits, ok := who.safetyNumber(ce)
	if !ok {
		return
	}
	name := c.nameOf(ce.Ctx, who.person)
	if told != digits {
		ce.Reply(textVerifyDiffers, name)
		return
	}
	who.client.setVerified(ce.Ctx, who.person, digits)
	ce.Reply(textVerified, name)
}

func (c *Connector) unverify(ce *commands.Event) {
	who, ok := contactOfRoom(ce)
	if !ok {
		return
	}
	name := c.nameOf(ce.Ctx, who.person)
	if !who.client.setVerified(ce.Ctx, who.person, "") {
		ce.Reply(textNotVerified, name)
		return
	}
	ce.Reply(textUnverified, name)
}

// safetyNumber is the digits as they are now. It has answered the user if there are none.
func (w contact) safetyNumber(ce *commands.Event) (digits string, ok bool) {
	client, err := w.client.live()
	if err == nil {
		fingerprinter, able := client.(network.Fingerprinter)
		if !able {
			ce.Reply(textSafetyUnknown)
			return "", false
		}
		digits, err = fingerprinter.SafetyNumber(ce.Ctx, w.person)
	}
	switch {
	case errors.Is(err, network.ErrNoEncryption):
		ce.Reply(textSafetyTooEarly, w.client.connector.nameOf(ce.Ctx, w.person))
	case err != nil:
		ce.Reply("%s", replyOf(err, w.person.Network))
	}
	return digits, err == nil
}

// digitsOf reads a safety number as people write it down, with spaces or hyphens between its groups.
func digitsOf(text string) (digits string, ok bool) {
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			digits += string(r)
		case !unicode.IsSpace(r) && r != '-':
			return "", false
		}
	}
	return digits, len(digits) == 60
}

// grouped sets a safety number in groups, as phones show it.
func grouped(digits string) string {
	var groups []string
	for len(digits) > safetyGroup {
		groups, digits = append(groups, digits[:safetyGroup]), digits[safetyGroup:]
	}
	return strings.Join(append(groups, digits), " ")
}

// verified is the safety number that the user has compared with somebody, empty if none.
func (c *Client) verified(person network.Address) string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if metadata, ok := c.login.Metadata.(*LoginMetadata); ok && metadata != nil {
		return metadata.Verified[person.String()]
	}
	return ""
}

// setVerified remembers a safety number that was compared, or with none forgets it, and says whether that changed anything.
func (c *Client) setVerified(ctx context.Context, person network.Address, digits string) bool {
	if c.verified(person) == digits {
		return false
	}
	c.mutex.Lock()
	metadata, ok := c.login.Metadata.(*LoginMetadata)
	if !ok || metadata == nil {
		metadata = &LoginMetadata{}
		c.login.Metadata = metadata
	}
	// A new map, as the old one may be being written to disk.
	others := make(map[string]string, len(metadata.Verified)+1)
	for who, number := range metadata.Verified {
		others[who] = number
	}
	others[person.String()] = digits
	if digits == "" {
		delete(others, person.String())
	}
	metadata.Verified = others
	c.mutex.Unlock()
	if err := c.login.Save(ctx); err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to save whose safety number was compared")
	}
	return true
}

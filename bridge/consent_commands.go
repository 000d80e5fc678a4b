package bridge

import (
	"context"
	"slices"
	"strings"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/commands"

	"causeway/interop"
	"causeway/network"
	"causeway/portal"
)

// consent shows, ends, exports or erases what a user has agreed to.
func (c *Connector) consent(ce *commands.Event) {
	logins := interopLogins(ce.User)
	action := "show"
	if len(ce.Args) > 0 {
		action = strings.ToLower(ce.Args[0])
	}
	if len(ce.Args) == 2 && (action == "show" || action == "withdraw") {
		logins = slices.DeleteFunc(logins, func(login *bridgev2.UserLogin) bool {
			return !strings.EqualFold(string(networkOf(login)), ce.Args[1])
		})
	} else if len(ce.Args) > 1 {
		action = ""
	}
	switch {
	case action == "export":
		c.export(ce)
	case action == "erase":
		c.askErasure(ce)
	case action != "show" && action != "withdraw" || action == "withdraw" && len(logins) > 1:
		ce.Reply(textConsentUsage)
	case len(logins) == 0:
		ce.Reply(textConsentNone)
	case action == "show":
		for _, login := range logins {
			ce.Reply("%s", c.consentRecord(ce.Ctx, login))
		}
	default:
		name := logins[0].RemoteName
		ce.Reply(textConsentAsk, name)
		confirm(ce, "Withdrawal", "withdraw", func(ce *commands.Event) {
			logins[0].Logout(ce.Ctx)
			ce.Reply(textConsentDone, name)
		})
	}
}

// interopLogins are a user's third-party accounts.
func interopLogins(user *bridgev2.User) []*bridgev2.UserLogin {
	return slices.DeleteFunc(slices.Clone(user.GetUserLogins()), func(login *bridgev2.UserLogin) bool {
		client, ok := clientOf(login.Client)
		return !ok || client.linked()
	})
}

// consentRecord is what is on record of a login's consent and enlistment.
func (c *Connector) consentRecord(ctx context.Context, login *bridgev2.UserLogin) string {
	client, ok := clientOf(login.Client)
	if !ok {
		return textConsentNone
	}
	enlistment, err := c.db.Enlistment(ctx, client.self.String())
	if err != nil || enlistment == nil {
		return replyOf(firstError(err, interop.ErrNoConsent), client.self.Network).Error()
	}
	consent, err := c.db.Consent(ctx, enlistment.ConsentID)
	if err != nil || consent == nil {
		return replyOf(firstError(err, interop.ErrNoConsent), client.self.Network).Error()
	}
	return textConsent(client.self.Network, consent.TermsVersion, consent.Country, consent.GivenAt.UTC().Format(time.DateOnly),
		enlistment.Identifier, enlistment.Status)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// confirm does something that cannot be undone after a second message of the user, which has to be the word.
func confirm(ce *commands.Event, action, word string, do func(ce *commands.Event)) {
	asked := time.Now()
	commands.StoreCommandState(ce.User, &commands.CommandState{
		Action: action,
		Next: commands.MinimalCommandHandlerFunc(func(ce *commands.Event) {
			commands.StoreCommandState(ce.User, nil)
			if !strings.EqualFold(strings.TrimSpace(ce.RawArgs), word) || time.Since(asked) > confirmPatience {
				ce.Reply(textConsentKept)
				return
			}
			do(ce)
		}),
	})
}

func (c *Connector) askErasure(ce *commands.Event) {
	ce.Reply(textEraseAsk)
	confirm(ce, "Erasure", "erase", func(ce *commands.Event) {
		if err := c.erase(ce.Ctx, ce.User); err != nil {
			ce.Log.Err(err).Msg("Failed to erase a user's records")
			ce.Reply("%s", replyOf(err, network.WhatsApp))
			return
		}
		ce.Reply(textErased)
	})
}

// erase ends the accounts of a user and forgets them, those that ended long ago as well: rooms become rooms like others, and
// of the consents stay hashes and times.
func (c *Connector) erase(ctx context.Context, user *bridgev2.User) error {
	accounts, err := c.linkedAccounts(ctx, user)
	if err != nil {
		return err
	}
	for _, login := range slices.Clone(user.GetUserLogins()) {
		login.Logout(ctx)
	}
	user.LogoutDoublePuppet(ctx)
	enlistments, err := c.db.EnlistmentsOfUser(ctx, user.MXID.String())
	if err != nil {
		return err
	}
	for _, enlistment := range enlistments {
		accounts = append(accounts, enlistment.LoginID)
	}
	portals, err := c.bridge.GetAllPortals(ctx)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		var rooms []string
		for _, room := range portals {
			if string(room.Receiver) != account {
				continue
			}
			if room.MXID != "" {
				rooms = append(rooms, room.MXID.String())
			}
			if err = room.Delete(ctx); err != nil {
				return err
			}
		}
		if err = c.db.EraseLogin(ctx, account, rooms); err != nil {
			return err
		}
	}
	return c.provider.Erase(ctx, user.MXID.String())
}

// chatsOf are the portals of a user's accounts.
func (c *Connector) chatsOf(ctx context.Context, logins []string) ([]exportedChat, error) {
	portals, err := c.bridge.GetAllPortals(ctx)
	if err != nil {
		return nil, err
	}
	var chats []exportedChat
	for _, room := range portals {
		conversation, err := portal.Conversation(room.PortalKey)
		if err != nil || !slices.Contains(logins, string(room.Receiver)) {
			continue
		}
		messages, err := c.bridge.DB.Message.CountMessagesInPortal(ctx, room.PortalKey)
		if err != nil {
			return nil, err
		}
		name, number := c.nameAndNumber(ctx, conversation)
		chats = append(chats, exportedChat{
			Account: string(room.Receiver), Person: conversation.String(), Name: name, Phone: number, Room: room.MXID.String(), Messages: messages,
		})
	}
	return chats, nil
}

package bridge

import (
	"context"
	"strings"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/commands"
	"maunium.net/go/mautrix/bridgev2/provisionutil"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// maxReport is how many characters of a report are passed on.
const maxReport = 2000

// contactCommands are the commands by which users decide who may write to them.
func (c *Connector) contactCommands() []commands.CommandHandler {
	help := func(args, description string) commands.HelpMeta {
		return commands.HelpMeta{Section: commands.HelpSectionChats, Args: args, Description: description}
	}
	return []commands.CommandHandler{
		&commands.FullHandler{Func: c.acceptRequest, Name: "accept", RequiresLogin: true, RequiresPortal: true,
			Help: help("", "Accept the message request in this room.")},
		&commands.FullHandler{Func: c.declineRequest, Name: "decline", RequiresLogin: true, RequiresPortal: true,
			Help: help("", "Decline the message request in this room, and hear nothing more of its sender; or the call that rings.")},
		&commands.FullHandler{Func: c.block, Name: "block", RequiresLogin: true,
			Help: help("[_phone number_]", "Hear nothing more of the person in this room, or of somebody by phone number.")},
		&commands.FullHandler{Func: c.unblock, Name: "unblock", RequiresLogin: true,
			Help: help("[_phone number_]", "End a block.")},
		&commands.FullHandler{Func: c.report, Name: "report", RequiresLogin: true, RequiresPortal: true,
			Help: help("<_what happened_>", "Report the person in this room to the administrators of this server.")},
	}
}

// contact is the person that a command is about, and the login that knows them.
type contact struct {
	client *Client
	person network.Address
}

// contactOf finds the person of the room, or the one that the arguments name. It has answered the user if there is none.
func contactOf(ce *commands.Event, usage string) (contact, bool) {
	if ce.Portal != nil && len(ce.Args) == 0 {
		return contactOfRoom(ce)
	}
	login, args := chosenLogin(ce)
	client, ok := clientOf(login.Client)
	if !ok || len(args) == 0 {
		ce.Reply(usage)
		return contact{}, false
	}
	found, err := provisionutil.ResolveIdentifier(ce.Ctx, login, strings.Join(args, " "), false)
	if err != nil {
		ce.Reply("%s", err)
		return contact{}, false
	}
	person, err := puppet.Address(found.ID)
	if err != nil {
		ce.Reply("%s", replyOf(err, client.self.Network))
		return contact{}, false
	}
	return contact{client, person}, true
}

func contactOfRoom(ce *commands.Event) (contact, bool) {
	login, _, err := ce.Portal.FindPreferredLogin(ce.Ctx, ce.User, false)
	if err != nil || login == nil {
		ce.Reply(textNoLogins)
		return contact{}, false
	}
	client, ok := clientOf(login.Client)
	conversation, err := portal.Conversation(ce.Portal.PortalKey)
	if !ok || err != nil {
		ce.Reply(textNoLogins)
		return contact{}, false
	}
	return contact{client, conversation}, true
}

// request is the contact of a room with an open message request.
func request(ce *commands.Event) (contact, bool) {
	who, ok := contactOfRoom(ce)
	if ok && !metadataOf(ce.Portal).Reserved() {
		ce.Reply(textNoRequest)
		return contact{}, false
	}
	return who, ok
}

func (c *Connector) acceptRequest(ce *commands.Event) {
	if who, ok := contactOfRoom(ce); ok && who.client.linked() {
		who.client.acceptInvitation(ce)
		return
	}
	who, ok := request(ce)
	if !ok {
		return
	}
	if err := who.client.inRoom(ce.Ctx, who.person, who.client.accept); err != nil {
		ce.Reply("%s", replyOf(err, who.person.Network))
		return
	}
	who.client.setBlocked(ce.Ctx, who.person, false)
	ce.Reply(textRequestAccepted)
}

func (c *Connector) declineRequest(ce *commands.Event) {
	if who, ok := contactOfRoom(ce); ok && who.client.linked() {
		who.client.declineCall(ce, who.person)
		return
	}
	who, ok := request(ce)
	if !ok {
		return
	}
	err := who.client.inRoom(ce.Ctx, who.person, func(ctx context.Context, room *bridgev2.Portal) {
		who.client.answer(ctx, room, portal.RequestDeclined)
	})
	if err != nil {
		ce.Reply("%s", replyOf(err, who.person.Network))
		return
	}
	who.client.setBlocked(ce.Ctx, who.person, true)
	ce.Reply(textRequestDeclined)
}

func (c *Connector) block(ce *commands.Event) {
	who, ok := contactOf(ce, textBlockUsage)
	if !ok {
		return
	}
	name := c.nameOf(ce.Ctx, who.person)
	if !who.client.setBlocked(ce.Ctx, who.person, true) {
		ce.Reply(textBlockedAlready, name)
		return
	}
	ce.Reply(textBlocked, name)
}

func (c *Connector) unblock(ce *commands.Event) {
	who, ok := contactOf(ce, textUnblockUsage)
	if !ok {
		return
	}
	name := c.nameOf(ce.Ctx, who.person)
	if !who.client.setBlocked(ce.Ctx, who.person, false) {
		ce.Reply(textNotBlocked, name)
		return
	}
	err := who.client.inRoom(ce.Ctx, who.person, func(ctx context.Context, room *bridgev2.Portal) {
		if metadataOf(room).Reserved() {
			who.client.accept(ctx, room)
		}
	})
	if err != nil {
		zerolog.Ctx(ce.Ctx).Err(err).Msg("Failed to reopen a chat")
	}
	ce.Reply(textUnblocked, name)
}

// report passes a user's words on to the administrators, in their rooms with the bot. A message goes along only where
// the user replies to it, and the network has given something that shows who sent it.
func (c *Connector) report(ce *commands.Event) {
	words := puppet.Clean(ce.RawArgs)
	if words == "" {
		ce.Reply(textReportUsage)
		return
	}
	who, ok := contactOfRoom(ce)
	if !ok {
		return
	}
	if runes := []rune(words); len(runes) > maxReport {
		words = string(runes[:maxReport])
	}
	var proof []byte
	if ce.ReplyTo != "" {
		var err error
		if proof, err = who.client.proofOf(ce.Ctx, ce.Portal, ce.ReplyTo); err != nil {
			zerolog.Ctx(ce.Ctx).Err(err).Msg("Failed to find what shows who sent a reported message")
		}
	}
	answer := textReported
	switch {
	case c.tellAdministrators(ce.Ctx, textReport(ce.User.MXID.String(), who.person.String(), words), proof) == 0:
		answer = textNobodyToReportTo
	case proof != nil:
		answer = textReportedWithMessage + " " + answer
	case ce.ReplyTo != "":
		answer = textReportedWithoutMessage + " " + answer
	}
	ce.Reply("%s", answer)
}

// tellAdministrators sends a notice, and a proof if there is one, to each administrator that the configuration names, and
// says how many got it.
func (c *Connector) tellAdministrators(ctx context.Context, text string, proof []byte) (told int) {
	for name, level := range c.bridge.Config.Permissions {
		if level == nil || !level.Admin || !strings.HasPrefix(name, "@") {
			continue
		}
		room, err := c.tellUser(ctx, id.UserID(name), text)
		if err == nil && proof != nil {
			err = c.sendProof(ctx, room, proof)
		}
		if err != nil {
			zerolog.Ctx(ctx).Err(err).Msg("Failed to tell an administrator of a report")
			continue
		}
		told++
	}
	return told
}

// tellUser says something in a user's room with the bot, and returns the room.
func (c *Connector) tellUser(ctx context.Context, name id.UserID, text string) (id.RoomID, error) {
	user, err := c.bridge.GetUserByMXID(ctx, name)
	if err != nil {
		return "", err
	}
	room, err := user.GetManagementRoom(ctx)
	if err != nil {
		return "", err
	}
	_, err = c.bridge.Bot.SendMessage(ctx, room, event.EventMessage, &event.Content{
		Parsed: &event.MessageEventContent{MsgType: event.MsgNotice, Body: text, Mentions: &event.Mentions{}},
	}, nil)
	return room, err
}

package bridge

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/commands"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/network"
	"causeway/portal"
)

// fateCommands are the commands by which users learn what became of a message, and change it.
func (c *Connector) fateCommands() []commands.CommandHandler {
	help := func(args, description string) commands.HelpMeta {
		return commands.HelpMeta{Section: commands.HelpSectionGeneral, Args: args, Description: description}
	}
	return []commands.CommandHandler{
		&commands.FullHandler{Func: c.status, Name: "status", Help: help("[_link to a message_]",
			"Show how your logins stand and what waits. As a reply to a message: what became of it.")},
		&commands.FullHandler{Func: c.ping, Name: "ping", Help: help("", "Ask the networks of your logins whether they are there.")},
		&commands.FullHandler{Func: c.why, Name: "why", Help: help("[_code_]",
			"Explain a code such as CW-1201. As a reply to a message or notice: why it is as it is.")},
		&commands.FullHandler{Func: c.retryMessage, Name: "retry", RequiresLogin: true, Help: help("[_link to a message_]",
			"As a reply to a message of yours that was not sent: try it again.")},
		&commands.FullHandler{Func: c.dropMessage, Name: "drop", RequiresLogin: true, Help: help("[_link to a message_]",
			"As a reply to a message of yours that is not sent yet: give it up.")},
	}
}

// codeShape is how codes look in notices.
var codeShape = regexp.MustCompile(`(?i)\bCW-\d{4}\b`)

// subject is the message that a command is about.
type subject struct {
	room  id.RoomID
	event id.EventID
	// text is what the event said, if it was a notice of the bot.
	notice string
	// sent is what became of it, if it was sent from here; came what is known of it if it came from a network.
	sent []database.OutboxRow
	came []database.Entry
}

// network is that of the message's login, WhatsApp if there is none.
func (s subject) network() network.Network {
	for _, row := range s.sent {
		if address, err := network.ParseAddress(row.Login); err == nil {
			return address.Network
		}
	}
	for _, entry := range s.came {
		if address, err := network.ParseAddress(entry.Login); err == nil {
			return address.Network
		}
	}
	return network.WhatsApp
}

// subjectOf finds the message that the command answers or links to. It has answered the user if there is none that they may ask about.
func (c *Connector) subjectOf(ce *commands.Event, usage string) (s subject, ok bool) {
	s = subject{room: ce.OrigRoomID, event: ce.ReplyTo}
	if s.event == "" && len(ce.Args) > 0 {
		link, err := id.ParseMatrixURIOrMatrixToURL(strings.Trim(ce.Args[0], "<>"))
		if err == nil && link.EventID() != "" {
			s.room, s.event = link.RoomID(), link.EventID()
		}
	}
	if s.event == "" {
		ce.Reply(usage)
		return s, false
	}
	err := c.follow(ce.Ctx, &s)
	if err == nil {
		err = c.lookUp(ce, &s)
	}
	if err != nil {
		ce.Log.Err(err).Msg("Failed to look up the message of a command")
		ce.Reply("%s", replyOf(err, s.network()))
		return s, false
	}
	return s, true
}

// follow goes from a notice of the bot to the message that the notice is about.
func (c *Connector) follow(ctx context.Context, s *subject) error {
	evt, err := c.bridge.Bot.GetEvent(ctx, s.room, s.event)
	if err != nil {
		// the journal knows the message without it
		zerolog.Ctx(ctx).Debug().Err(err).Msg("Failed to fetch the event that a command is about")
		return nil
	}
	content, ok := evt.Content.Parsed.(*event.MessageEventContent)
	if !ok || evt.Sender != c.bridge.Bot.GetMXID() {
		return nil
	}
	s.notice = content.Body
	if about := content.RelatesTo.GetReplyTo(); about != "" {
		s.event = about
	}
	return nil
}

// lookUp asks the journal about the message, as far as it is one of the user's.
func (c *Connector) lookUp(ce *commands.Event, s *subject) (err error) {
	sent, err := c.delivery.SentAs(ce.Ctx, s.event)
	if err != nil {
		return err
	}
	for _, row := range sent {
		if row.Author == string(ce.User.MXID) {
			s.sent = append(s.sent, row)
		}
	}
	if len(s.sent) > 0 {
		return nil
	}
	message, err := c.bridge.DB.Message.GetPartByMXID(ce.Ctx, s.event)
	if err != nil || message == nil {
		return err
	}
	login := c.loginOf(ce, message)
	parsed, err := portal.ParseMessageID(message.ID)
	if login == nil || err != nil {
		return nil
	}
	s.came, err = c.delivery.CameAs(ce.Ctx, login.ID, parsed)
	return err
}

// loginOf is the user's login that has got a message, nil if it is none of theirs.
func (c *Connector) loginOf(ce *commands.Event, message *bridgedb.Message) *bridgev2.UserLogin {
	for _, login := range ce.User.GetUserLogins() {
		if login.ID == message.Room.Receiver {
			return login
		}
	}
	return nil
}

// fateOfMessage says what became of a message.
func (c *Connector) fateOfMessage(ce *commands.Event) {
	s, ok := c.subjectOf(ce, textStatusUsage)
	if !ok {
		return
	}
	var lines []string
	for _, row := range s.sent {
		lines = append(lines, fateOfSent(row, s.network()))
	}
	for _, entry := range s.came {
		lines = append(lines, fateOfCome(entry, s.network()))
	}
	if len(lines) == 0 {
		ce.Reply(textNothingKnown)
		return
	}
	ce.Reply("%s", strings.Join(lines, "\n\n"))
}

// fateOfSent is a message of the user's in words.
func fateOfSent(row database.OutboxRow, n network.Network) string {
	text := textStored(at(row.CreatedAt))
	switch row.State {
	case database.OutboxSent:
		return text + " " + textSent(n, at(row.DoneAt), at(row.DeliveredAt), at(row.ReadAt))
	case database.OutboxFailed:
		text += " " + textNotSent(Explain(row.ErrorClass).Sentence(n))
		if row.Payload != nil {
			text += " " + textRetryHint
		}
		return text
	}
	if row.ErrorClass == "" {
		return text + " " + fill(textUnderWay, n)
	}
	reason := Explain(row.ErrorClass)
	if passing := textPassing(reason.is, n); passing != "" {
		return text + " " + textTriedSince(row.Attempts, passing+" ("+reason.code+")")
	}
	return text + " " + textTriedSince(row.Attempts, reason.Sentence(n))
}

// fateOfCome is a message from a network in words.
func fateOfCome(entry database.Entry, n network.Network) string {
	text := textCame(n, at(entry.At))
	switch database.InboxState(entry.State) {
	case database.InboxDone:
		if entry.Class == "" {
			return text + " " + textShown(at(entry.DoneAt))
		}
	case database.InboxHeld:
		return text + " " + textHeldBack
	case database.InboxNew:
		return text + " " + textNotShownYet
	}
	return text + " " + Explain(entry.Class).Sentence(n)
}

// at is a time of the journal, zero for none.
func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// why explains a code: the one that is named, the one in the notice that is answered, or the one that the message ended with.
func (c *Connector) why(ce *commands.Event) {
	if len(ce.Args) > 0 && codeShape.MatchString(ce.Args[0]) {
		ce.Reply("%s", Explain(codeShape.FindString(ce.Args[0])).Sentence(network.WhatsApp))
		return
	}
	s, ok := c.subjectOf(ce, textWhyUsage)
	if !ok {
		return
	}
	code := codeShape.FindString(s.notice)
	for _, row := range s.sent {
		if code == "" {
			code = row.ErrorClass
		}
	}
	for _, entry := range s.came {
		if code == "" {
			code = entry.Class
		}
	}
	if code == "" {
		ce.Reply(textNothingWrong)
		return
	}
	ce.Reply("%s", Explain(code).Sentence(s.network()))
}

// retryMessage tries a message again that was not sent.
func (c *Connector) retryMessage(ce *commands.Event) {
	s, ok := c.subjectOf(ce, textRetryUsage)
	if !ok {
		return
	}
	answer := textNothingToRetry
	for _, row := range s.sent {
		switch row.State {
		case database.OutboxFailed:
			done, err := c.delivery.Retry(ce.Ctx, database.WayOut, row.Seq)
			if err != nil {
				ce.Reply("%s", replyOf(err, s.network()))
				return
			}
			if done {
				answer = textRetrying
			}
		case database.OutboxReady, database.OutboxUnknown:
			c.delivery.Outbox.Wake(networkid.UserLoginID(row.Login))
			answer = textRetrying
		}
	}
	ce.Reply(answer)
}

// dropMessage gives up a message that is not sent.
func (c *Connector) dropMessage(ce *commands.Event) {
	s, ok := c.subjectOf(ce, textDropUsage)
	if !ok {
		return
	}
	answer, failures := textNothingToDrop, []error(nil)
	for _, row := range s.sent {
		done, err := c.delivery.Outbox.Drop(ce.Ctx, row)
		failures = append(failures, err)
		if done {
			answer = textGivenUp
		}
	}
	if err := errors.Join(failures...); err != nil {
		ce.Reply("%s", replyOf(err, s.network()))
		return
	}
	ce.Reply(answer)
}

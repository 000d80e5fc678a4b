package bridge

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"

	"causeway/delivery"
	"causeway/network"
	"causeway/portal"
)

// Report implements [delivery.Bridge]: what the author of a message is told of it, and what its
// fate says about the room.
func (c *Connector) Report(ctx context.Context, report delivery.Report) error {
	report.Err = recalled(report.Err)
	room, err := c.bridge.GetPortalByMXID(ctx, report.Room)
	if err != nil {
		return err
	}
	n := network.WhatsApp
	if client, err := c.client(ctx, report.Login); err == nil {
		n = client.self.Network
		if room != nil {
			client.noteAccess(ctx, room, report)
		}
	} else if !errors.Is(err, delivery.ErrGone) {
		return err
	}
	if report.Progress == delivery.Delayed {
		return c.tellDelayed(ctx, report, n)
	}
	if report.Progress == delivery.Failed {
		status := statusOf(report.Err, n)
		c.bridge.Matrix.SendMessageStatus(ctx, &status, report.StatusInfo())
		return nil
	}
	c.matrix.SendMessageStatus(ctx, &bridgev2.MessageStatus{Status: event.MessageStatusSuccess}, report.StatusInfo())
	return nil
}

// noteAccess closes a room whose other side does not take part any more, and opens it when a message has arrived.
func (c *Client) noteAccess(ctx context.Context, room *bridgev2.Portal, report delivery.Report) {
	refused := errors.Is(report.Err, network.ErrNotOptedIn) || errors.Is(report.Err, network.ErrUnknownPerson)
	if !refused && report.Progress != delivery.Sent {
		return
	}
	conversation, err := portal.Conversation(room.PortalKey)
	if err == nil && !refused && c.isOpen(conversation) {
		return // as after nearly every message: nothing to do that would have to wait for the room
	}
	if err == nil {
		err = c.inRoom(ctx, conversation, func(ctx context.Context, room *bridgev2.Portal) { c.setAccess(ctx, room, refused) })
	}
	if err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to note whether a room can be written in")
	}
}

// isOpen says whether a chat is known to be open for writing.
func (c *Client) isOpen(conversation network.Address) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.open[conversation]
}

func (c *Client) setOpen(conversation network.Address, open bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if !open {
		delete(c.open, conversation)
		return
	}
	if c.open == nil {
		c.open = map[network.Address]bool{}
	}
	c.open[conversation] = true
}

// tellDelayed says in the room that a message is still on its way, and why: a status of its own would not be shown.
func (c *Connector) tellDelayed(ctx context.Context, report delivery.Report, n network.Network) error {
	content := &event.MessageEventContent{
		MsgType: event.MsgNotice, Body: delayedSentence(report.Err, n), Mentions: &event.Mentions{},
		RelatesTo: (&event.RelatesTo{}).SetReplyTo(report.Event),
	}
	_, err := c.bridge.Bot.SendMessage(ctx, report.Room, event.EventMessage, &event.Content{Parsed: content}, nil)
	return err
}

// delayedSentence leaves out reasons that pass by themselves: what they advise has been done.
func delayedSentence(err error, n network.Network) string {
	p, known := findProblem(err)
	switch p.is {
	case network.ErrNotConnected, network.ErrTemporary, network.ErrRateLimited, network.ErrOutcomeUnknown, delivery.ErrSlow:
		return textDelayed + " (" + p.code + ")"
	}
	if !known {
		return textDelayed + " (" + p.code + ")"
	}
	return textDelayed + " " + p.sentence(n)
}

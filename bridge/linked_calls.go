package bridge

import (
	"context"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/commands"
	"maunium.net/go/mautrix/bridgev2/simplevent"

	"causeway/network"
	"causeway/portal"
)

// callArrived tells in the room that somebody calls, or has called in vain.
func (c *Client) callArrived(ctx context.Context, e network.CallEvent) error {
	c.noteRinging(e)
	text := ""
	switch {
	case e.State == network.CallRinging && e.Video:
		text = textCallVideo
	case e.State == network.CallRinging:
		text = textCallRinging
	case e.State == network.CallMissed:
		text = textCallMissed
	default:
		return nil
	}
	meta := c.meta(ctx, bridgev2.RemoteEventMessage, e.Conversation, e.Caller)
	meta.CreatePortal = true
	meta.Timestamp = e.Time
	id := network.MessageID{Conversation: e.Conversation, Sender: e.Caller, ID: "call-" + e.ID + "-" + string(e.State)}
	return c.queue(&simplevent.PreConvertedMessage{
		EventMeta: meta, ID: portal.MessageID(id),
		Data: &bridgev2.ConvertedMessage{Parts: []*bridgev2.ConvertedMessagePart{noticePart(prefixed(text, "decline", c.connector.bridge.Config.CommandPrefix))}},
	})
}

// noteRinging remembers a call for as long as it rings.
func (c *Client) noteRinging(e network.CallEvent) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if e.State == network.CallRinging {
		if c.ringing == nil {
			c.ringing = map[network.Address]network.CallEvent{}
		}
		c.ringing[e.Conversation] = e
	} else if c.ringing[e.Conversation].ID == e.ID {
		delete(c.ringing, e.Conversation)
	}
}

// declineCall turns down the call that rings in a room.
func (c *Client) declineCall(ce *commands.Event, conversation network.Address) {
	c.mutex.Lock()
	call, rings := c.ringing[conversation]
	c.mutex.Unlock()
	if !rings {
		ce.Reply(textNoCall)
		return
	}
	calls, err := ability[network.Calls](c)
	if err == nil {
		ctx, cancel := context.WithTimeout(ce.Ctx, askTimeout)
		defer cancel()
		err = calls.DeclineCall(ctx, call)
	}
	if err != nil {
		ce.Reply("%s", replyOf(err, c.self.Network))
		return
	}
	call.State = network.CallDeclined
	c.noteRinging(call)
	ce.Reply(textCallDeclined)
}

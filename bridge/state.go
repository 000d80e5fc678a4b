package bridge

import (
	"context"
	"errors"
	"strings"
	"time"

	"maunium.net/go/mautrix/bridgev2/status"
	"maunium.net/go/mautrix/event"

	"causeway/network"
)

// tellTimeout bounds a word to the user about their connection.
const tellTimeout = 10 * time.Second

// registerStates makes bridgev2 know the sentences behind our codes.
func registerStates() {
	known := make(status.BridgeStateErrorMap)
	for _, p := range append(problems(), unexplained()) {
		known[status.BridgeStateErrorCode(p.code)] = p.sentence("the network")
	}
	status.BridgeStateHumanErrors.Update(known)
}

// stateChanged tells bridgev2 how the connection stands, and lets the next login connect once there is an answer.
func (c *Client) stateChanged(change network.ConnectionEvent) {
	c.mutex.Lock()
	before := c.state
	c.state = change
	if change.State != network.Connecting && c.answered != nil {
		close(c.answered)
		c.answered = nil
	}
	news := c.newsOf(before, change)
	c.mutex.Unlock()
	c.login.BridgeState.Send(bridgeState(change, c.self.Network))
	if news != "" {
		c.tellUser(news)
	}
}

// standing is how the connection stands now.
func (c *Client) standing() status.BridgeState {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return bridgeState(c.state, c.self.Network)
}

// newsOf is what the user must be told of a change: that the network turned the
// login away, and that it is back. Connections that break and come back by
// themselves are no news; `ping` shows them. A login whose fresh token is too old
// is turned away as well, although the client goes on trying. The mutex is held.
func (c *Client) newsOf(before, change network.ConnectionEvent) string {
	expired := change.State == network.Interrupted && before.State == network.Connecting && errors.Is(change.Err, network.ErrTokenExpired)
	switch {
	case change.State == network.Refused && before.State == network.Refused && errors.Is(change.Err, before.Err), expired && c.troubled:
		return "" // heard already
	case change.State == network.Refused, expired:
		c.troubled = true
		return refusal(change.Err, c.self.Network)
	case change.State == network.Connected:
		c.attendance.told = false
		if !c.troubled {
			return ""
		}
		c.troubled = false
		return textBack(c.self.Network)
	}
	return ""
}

// tellUser says something in the user's chat with the bot.
func (c *Client) tellUser(text string) {
	ctx, cancel := context.WithTimeout(c.login.Log.WithContext(c.connector.bridge.BackgroundCtx), tellTimeout)
	defer cancel()
	room, err := c.login.User.GetManagementRoom(ctx)
	if err == nil {
		_, err = c.connector.bridge.Bot.SendMessage(ctx, room, event.EventMessage, &event.Content{
			Parsed: &event.MessageEventContent{MsgType: event.MsgText, Body: text, Mentions: &event.Mentions{}},
		}, nil)
	}
	if err != nil {
		c.login.Log.Err(err).Msg("Failed to tell a user how their login stands")
	}
}

// bridgeState is a connection's state in bridgev2's words.
func bridgeState(change network.ConnectionEvent, n network.Network) status.BridgeState {
	switch change.State {
	case network.Connected:
		return status.BridgeState{StateEvent: status.StateConnected}
	case network.Resting:
		// For bridgev2 that is in order; anything else it would complain about after a while.
		return status.BridgeState{StateEvent: status.StateConnected}
	case network.Interrupted:
		return explainState(status.StateTransientDisconnect, change.Err, n)
	case network.Refused:
		return explainState(refusedState(change.Err), change.Err, n)
	default:
		return status.BridgeState{StateEvent: status.StateConnecting}
	}
}

func explainState(state status.BridgeStateEvent, err error, n network.Network) status.BridgeState {
	if err == nil {
		err = network.ErrNotConnected
	}
	p, _ := findProblem(err)
	return status.BridgeState{
		StateEvent: state,
		Error:      status.BridgeStateErrorCode(p.code),
		Message:    refusal(err, n),
	}
}

// refusal is what the user is told of a login that is turned away, with the time of its end where that is known.
func refusal(err error, n network.Network) string {
	p, _ := findProblem(err)
	text := p.sentence(n)
	if s := (suspension{}); errors.As(err, &s) {
		text += " " + textSuspendedUntil(s.until)
	}
	if ban := (*network.BanError)(nil); errors.As(err, &ban) {
		text = strings.TrimSpace(text + " " + textBan(ban.Reason, ban.Until))
	}
	return text
}

// refusedState tells what the user's own account is turned away for from what only the operator can mend.
func refusedState(err error) status.BridgeStateEvent {
	for _, own := range []error{
		network.ErrTokenRefused, network.ErrNotEnlisted, network.ErrSuspended,
		network.ErrWithdrawn, network.ErrRegion, network.ErrUnlinked, network.ErrBanned,
	} {
		if errors.Is(err, own) {
			return status.StateBadCredentials
		}
	}
	return status.StateUnknownError
}

package bridge

import (
	"errors"

	"maunium.net/go/mautrix/bridgev2/status"

	"causeway/network"
)

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
	c.state = change
	if change.State != network.Connecting && c.answered != nil {
		close(c.answered)
		c.answered = nil
	}
	c.mutex.Unlock()
	c.login.BridgeState.Send(bridgeState(change, c.self.Network))
}

// bridgeState is a connection's state in bridgev2's words.
func bridgeState(change network.ConnectionEvent, n network.Network) status.BridgeState {
	switch change.State {
	case network.Connected:
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
		Message:    p.sentence(n),
	}
}

// refusedState tells what the user's own account is turned away for from what only the operator can mend.
func refusedState(err error) status.BridgeStateEvent {
	for _, own := range []error{
		network.ErrTokenRefused, network.ErrTokenExpired, network.ErrNotEnlisted, network.ErrSuspended,
		network.ErrWithdrawn, network.ErrRegion,
	} {
		if errors.Is(err, own) {
			return status.StateBadCredentials
		}
	}
	return status.StateUnknownError
}

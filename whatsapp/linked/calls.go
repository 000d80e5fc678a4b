package linked

import (
	"context"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"causeway/network"
	"causeway/wire"
)

// mostCalls is how many calls are remembered at a time.
const mostCalls = 256

// longestRing is for how long phones ring at most.
const longestRing = 2 * time.Minute

// offersVideo says whether a call is one with pictures.
func offersVideo(e *events.CallOffer) bool {
	if e.Data == nil {
		return false
	}
	_, video := e.Data.GetOptionalChildByTag("video")
	return video
}

// called takes a state of a call.
func (l *link) called(ctx context.Context, call types.BasicCallMeta, video bool, state network.CallState) error {
	event := network.CallEvent{ID: wire.Clean(call.CallID), Video: video, State: state, Time: call.Timestamp}
	if event.ID == "" {
		return nil
	}
	caller := call.CallCreator
	if caller.IsEmpty() {
		caller = call.From
	}
	l.lib.StoreLIDPNMapping(ctx, plain(call.CallCreator), plain(call.CallCreatorAlt))
	var err error
	if event.Caller, err = l.own.address(ctx, caller); err != nil {
		return unlessNobody(err)
	}
	event.Conversation = event.Caller
	if !call.GroupJID.IsEmpty() {
		if event.Conversation, err = l.own.address(ctx, call.GroupJID); err != nil {
			return unlessNobody(err)
		}
	}
	if event.Caller == l.owner.Self() {
		return nil // the user calls from the phone
	}
	if state == network.CallRinging && time.Since(event.Time) > longestRing {
		event.State = network.CallMissed // it rang while this device was away
	}
	return l.handCall(ctx, event)
}

// handCall tells a call's state once. An end is told once, whichever comes first.
func (l *link) handCall(ctx context.Context, event network.CallEvent) error {
	calls := l.owner.calls
	before, known := calls[event.ID]
	if known && (before != network.CallRinging || event.State == network.CallRinging) {
		return nil
	}
	if err := l.hand(ctx, event); err != nil {
		return err
	}
	if len(calls) >= mostCalls {
		clear(calls)
	}
	calls[event.ID] = event.State
	return nil
}

// callEnded takes the end of a call. One that only rang was missed; whether it did is known here, or said.
func (l *link) callEnded(ctx context.Context, e *events.CallTerminate) error {
	state := network.CallEnded
	if l.owner.calls[wire.Clean(e.CallID)] == network.CallRinging || e.Reason == "timeout" {
		state = network.CallMissed
	}
	if e.Reason == "accepted_elsewhere" || e.Reason == "rejected_elsewhere" {
		state = network.CallElsewhere
	}
	return l.called(ctx, e.BasicCallMeta, false, state)
}

// DeclineCall declines a call that rings.
func (c *Client) DeclineCall(ctx context.Context, call network.CallEvent) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	caller, err := jidOf(call.Caller)
	if err != nil {
		return err
	}
	if err = l.lib.RejectCall(ctx, caller, call.ID); err != nil {
		return fmt.Errorf("failed to decline a call: %w", failure(err))
	}
	c.taking.Lock()
	defer c.taking.Unlock()
	c.calls[call.ID] = network.CallDeclined // the caller's giving up makes it no missed one
	return nil
}

package bridge

import (
	"context"
	"errors"
	"sync"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"
	checkpoint "maunium.net/go/mautrix/bridgev2/status"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/delivery"
	"causeway/network"
	"causeway/portal"
)

// explainer is the Matrix side as bridgev2 uses it, except that every failure of
// a Matrix event is told in our words, with a code: bridgev2 has refusals of its
// own that say nothing in the room, and puts raw errors into events.
//
// Of what the outbox has taken it lets nobody but the outbox say that it was sent: bridgev2 says so of reactions and
// edits as soon as our handler returns.
type explainer struct {
	*delivery.Matrix
	// promised are the events of which the outbox will tell, until bridgev2 has had its say.
	promised *sync.Map
	// again says whether an event that has failed will be handled again.
	again func(id.EventID, error) bool
}

var (
	_ bridgev2.MatrixConnector                           = (*explainer)(nil)
	_ bridgev2.MatrixConnectorWithServer                 = (*explainer)(nil)
	_ bridgev2.MatrixConnectorWithArbitraryRoomState     = (*explainer)(nil)
	_ bridgev2.MatrixConnectorWithPostRoomBridgeHandling = (*explainer)(nil)
	_ bridgev2.MatrixConnectorWithNameDisambiguation     = (*explainer)(nil)
	_ bridgev2.MatrixConnectorWithBridgeIdentifier       = (*explainer)(nil)
	_ bridgev2.MatrixConnectorWithProvisioning           = (*explainer)(nil)
	_ bridgev2.MatrixConnectorWithURLPreviews            = (*explainer)(nil)
)

// SendMessageStatus implements [bridgev2.MatrixConnector].
func (e *explainer) SendMessageStatus(ctx context.Context, status *bridgev2.MessageStatus, info *bridgev2.MessageStatusEventInfo) {
	if status.Status != event.MessageStatusSuccess && e.again(info.SourceEventID, status.InternalError) {
		return
	}
	_, promised := e.promised.LoadAndDelete(info.SourceEventID)
	if promised && status.Status == event.MessageStatusSuccess {
		return
	}
	if status.InternalError != nil && status.Status != event.MessageStatusSuccess {
		explained := explainStatus(*status, e.networkOf(ctx, info))
		status = &explained
	}
	e.Matrix.SendMessageStatus(ctx, status, info)
}

// networkOf is the network that the event's room leads to, WhatsApp where there is none.
func (e *explainer) networkOf(ctx context.Context, info *bridgev2.MessageStatusEventInfo) network.Network {
	room, err := e.Bridge.GetPortalByMXID(ctx, info.RoomID)
	if err != nil || room == nil {
		return network.WhatsApp
	}
	conversation, err := portal.Conversation(room.PortalKey)
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("A room leads to no conversation")
		return network.WhatsApp
	}
	return conversation.Network
}

// explainStatus puts our words in place of bridgev2's and keeps the error itself
// out of the room; the log has it already.
func explainStatus(status bridgev2.MessageStatus, n network.Network) bridgev2.MessageStatus {
	p, known := findProblem(status.InternalError)
	switch {
	case known:
		explained := statusOf(status.InternalError, n)
		explained.Step, explained.RetryNum = status.Step, status.RetryNum
		if status.Status == event.MessageStatusPending {
			explained.Status, explained.SendNotice = status.Status, false
		}
		status = explained
	case status.Step == checkpoint.MsgStepCommand, status.Message == "" && !status.ErrorAsMessage:
		status.Message = p.sentence(n)
	case status.ErrorAsMessage:
		// bridgev2's own refusals are plain words about the event and name no internals.
		status.Message = status.InternalError.Error()
	}
	status.ErrorAsMessage = false
	status.InternalError = errors.New(p.code)
	return status
}

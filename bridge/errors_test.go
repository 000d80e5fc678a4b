package bridge

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/bridgev2"
	checkpoint "maunium.net/go/mautrix/bridgev2/status"
	"maunium.net/go/mautrix/event"

	"causeway/delivery"
	"causeway/interop"
	"causeway/network"
)

// sentinels is every refusal that packages below can give.
func sentinels() []error {
	return []error{
		network.ErrNotConnected, network.ErrOutcomeUnknown, network.ErrTemporary, network.ErrRateLimited,
		network.ErrNotOptedIn, network.ErrUnknownPerson, network.ErrBadIdentifier, network.ErrRegion, network.ErrTooLarge,
		network.ErrUnsupported, network.ErrRejected, network.ErrNoEncryption,
		network.ErrTokenExpired, network.ErrTokenRefused, network.ErrNotEnlisted, network.ErrSuspended, network.ErrWithdrawn,
		network.ErrReplaced, network.ErrOutdated,
		interop.ErrIncomplete, interop.ErrStopped, interop.ErrUserNotAllowed, interop.ErrNoConsent, interop.ErrIdentifierTaken,
		interop.ErrIdentityMismatch, interop.ErrNotStarted, delivery.ErrNeverSent,
		interop.ErrOutside, interop.ErrUnconfirmed, interop.ErrNoClientAddress, errRegionLate, delivery.ErrForgotten,
		errLoggedInAlready, errNotAgreed, errNoSuchFlow,
		network.ErrLocked, network.ErrUnlinked, network.ErrBanned, network.ErrPasskey, network.ErrLinkTimeout, network.ErrWrongAccount,
		network.ErrForeignEndpoint, errLinkedOff, errLinkedElsewhere,
		delivery.ErrInboxFull, delivery.ErrDiskLow, delivery.ErrGone, delivery.ErrFlooded, delivery.ErrSlow, delivery.ErrDropped, delivery.ErrSetAside,
	}
}

func TestEveryRefusalHasItsSentence(t *testing.T) {
	codes := make(map[string]error)
	for _, sentinel := range sentinels() {
		p, known := findProblem(fmt.Errorf("failed to do it: %w", sentinel))
		require.True(t, known, sentinel)
		require.NotContains(t, codes, p.code, "%v and %v", sentinel, codes[p.code])
		codes[p.code] = sentinel

		sentence := p.sentence(network.WhatsApp)
		require.Regexp(t, regexp.MustCompile(`^[A-Z].*[.!?] \(CW-[0-9]{4}\)$`), sentence)
		require.NotContains(t, sentence, "{network}")
		require.NotContains(t, sentence, "failed to", "no Go error reaches a person")
		require.NotZero(t, p.http)
		require.Contains(t, []event.MessageStatus{retriable, failed}, p.status)
	}
	for _, p := range problems() {
		for _, word := range []string{" block", "Block"} {
			require.NotContains(t, p.text, word, "a block stays invisible")
		}
	}
}

// After a restart only the code is left of a reason, and it must lead back to the same words.
func TestTheJournalsReasonsLeadBack(t *testing.T) {
	c := New()
	for _, sentinel := range sentinels() {
		code := c.Code(fmt.Errorf("ack 403: %w", sentinel))
		recorded := fmt.Errorf("not sent: %w", delivery.Recorded(code))
		require.ErrorIs(t, recalled(recorded), sentinel)
		require.Equal(t, statusOf(sentinel, network.WhatsApp).Message, statusOf(recalled(recorded), network.WhatsApp).Message)
		require.Equal(t, code, Explain(code).Code())
	}
	unknown := fmt.Errorf("%w: not sent within 24h: %w", network.ErrOutcomeUnknown, delivery.Recorded("CW-1404"))
	require.Equal(t, "CW-1402", c.Code(unknown), "it may have arrived: that counts")
	require.Equal(t, "CW-1000", c.Code(delivery.Recorded("not connected to the network")), "as an old version wrote it")
}

func TestEveryEndOfARowIsExplained(t *testing.T) {
	codes := map[string]bool{}
	for _, class := range delivery.Classes() {
		explained := Explain(class)
		require.Regexp(t, `^CW-19\d\d$`, explained.Code(), class)
		require.False(t, codes[explained.Code()], class)
		codes[explained.Code()] = true
		require.Equal(t, explained, Explain(explained.Code()))
		require.Regexp(t, `^[A-Z].*\. \(CW-19\d\d\)$`, explained.Sentence(network.WhatsApp))
	}
	require.Len(t, rowProblems(), len(codes))
	require.Equal(t, DroppedCode(), New().Code(delivery.ErrDropped))
}

func TestStatuses(t *testing.T) {
	status := statusOf(fmt.Errorf("ack 403: %w", network.ErrNotOptedIn), network.WhatsApp)
	require.True(t, status.SendNotice)
	require.True(t, status.IsCertain)
	require.Equal(t, event.MessageStatusFail, status.Status)
	require.Contains(t, status.Message, "Usually third-party chats are off in their WhatsApp settings")

	require.False(t, statusOf(network.ErrOutcomeUnknown, network.WhatsApp).IsCertain)
	require.Equal(t, "CW-1000", unexplained().code)
	require.Contains(t, statusOf(errors.New("disk on fire"), network.WhatsApp).Message, "CW-1000")

	reply := replyOf(fmt.Errorf("query: %w", network.ErrBadIdentifier), network.WhatsApp)
	require.Contains(t, reply.Error(), "+4915112345678")
	require.NotContains(t, reply.Error(), "query")
	var response bridgev2.RespError
	require.ErrorAs(t, reply, &response)
	require.Equal(t, 400, response.StatusCode)
}

func TestBridgev2sOwnRefusalsAreExplained(t *testing.T) {
	for _, known := range []error{
		bridgev2.ErrEditsNotSupported, bridgev2.ErrEditsNotSupportedInPortal, bridgev2.ErrReactionsNotSupported,
		bridgev2.ErrRedactionsNotSupported, bridgev2.ErrPollsNotSupported,
		bridgev2.WrapErrorInStatus(fmt.Errorf("%w (no usable logins found)", bridgev2.ErrNotLoggedIn)).WithMessage("You're not"),
	} {
		status := explainStatus(bridgev2.WrapErrorInStatus(known), network.WhatsApp)
		require.True(t, status.SendNotice, known)
		require.Regexp(t, `\(CW-1[0-9]{3}\)$`, status.Message)
		require.Regexp(t, `^CW-1[0-9]{3}$`, status.InternalError.Error(), "the error itself stays out of the room")
		require.False(t, status.ErrorAsMessage)
	}
	for name, c := range map[string]struct {
		status bridgev2.MessageStatus
		want   string
	}{
		"plain words":   {bridgev2.WrapErrorInStatus(bridgev2.ErrTargetMessageNotFound), "target message not found"},
		"its message":   {bridgev2.WrapErrorInStatus(bridgev2.ErrDatabaseError), "internal database error"},
		"raw error":     {bridgev2.WrapErrorInStatus(errors.New("dial tcp 10.0.0.1: refused")), "CW-1000"},
		"panic of ours": {bridgev2.MessageStatus{Step: checkpoint.MsgStepCommand, ErrorAsMessage: true, InternalError: errors.New("nil map"), Status: failed}, "CW-1000"},
	} {
		got := explainStatus(c.status, network.WhatsApp)
		require.Contains(t, got.Message, c.want, name)
		require.NotContains(t, got.Message, "10.0.0.1", name)
		require.NotContains(t, got.Message, "nil map", name)
		require.True(t, strings.HasPrefix(got.InternalError.Error(), "CW-"), name)
	}
	pending := statusOf(network.ErrTemporary, network.WhatsApp)
	pending.Status, pending.SendNotice = event.MessageStatusPending, false
	explained := explainStatus(pending, network.WhatsApp)
	require.Equal(t, event.MessageStatusPending, explained.Status)
	require.False(t, explained.SendNotice)
}

func TestBridgeStates(t *testing.T) {
	for name, c := range map[string]struct {
		change network.ConnectionEvent
		want   checkpoint.BridgeStateEvent
		code   string
	}{
		"connecting":    {network.ConnectionEvent{State: network.Connecting}, checkpoint.StateConnecting, ""},
		"connected":     {network.ConnectionEvent{State: network.Connected}, checkpoint.StateConnected, ""},
		"interrupted":   {network.ConnectionEvent{State: network.Interrupted, Err: errors.New("eof")}, checkpoint.StateTransientDisconnect, "CW-1000"},
		"broken":        {network.ConnectionEvent{State: network.Interrupted}, checkpoint.StateTransientDisconnect, "CW-1404"},
		"resting":       {network.ConnectionEvent{State: network.Resting}, checkpoint.StateConnected, ""},
		"bad token":     {network.ConnectionEvent{State: network.Refused, Err: fmt.Errorf("401: %w", network.ErrTokenRefused)}, checkpoint.StateBadCredentials, "CW-1102"},
		"clock":         {network.ConnectionEvent{State: network.Interrupted, Err: network.ErrTokenExpired}, checkpoint.StateTransientDisconnect, "CW-1101"},
		"withdrawn":     {network.ConnectionEvent{State: network.Refused, Err: network.ErrWithdrawn}, checkpoint.StateBadCredentials, "CW-1105"},
		"too old":       {network.ConnectionEvent{State: network.Refused, Err: network.ErrOutdated}, checkpoint.StateUnknownError, "CW-1107"},
		"local trouble": {network.ConnectionEvent{State: network.Refused, Err: errors.New("no such table")}, checkpoint.StateUnknownError, "CW-1000"},
	} {
		state := bridgeState(c.change, network.WhatsApp)
		require.Equal(t, c.want, state.StateEvent, name)
		require.Equal(t, c.code, string(state.Error), name)
		require.Equal(t, c.code != "", state.Message != "", name)
		require.NotContains(t, state.Message, "no such table", name)
	}
}

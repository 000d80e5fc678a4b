package linked

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"

	"causeway/network"
)

// Whatever the library says, the bridge learns whether trying again helps.
func TestFailures(t *testing.T) {
	require.NoError(t, failure(nil))
	for _, c := range []struct{ err, want error }{
		{whatsmeow.ErrNotConnected, network.ErrNotConnected},
		{whatsmeow.ErrMessageTimedOut, network.ErrOutcomeUnknown},
		{&whatsmeow.DisconnectedError{Action: "message send"}, network.ErrOutcomeUnknown},
		{fmt.Errorf("failed to get group members: %w", whatsmeow.ErrNotInGroup), network.ErrNotMember},
		{whatsmeow.ErrIQForbidden, network.ErrForbidden},
		{whatsmeow.ErrIQRateOverLimit, network.ErrRateLimited},
		{whatsmeow.ErrIQServiceUnavailable, network.ErrTemporary},
		{whatsmeow.ErrIQBadRequest, network.ErrRejected},
		{fmt.Errorf("failed to save cached sessions: %w", errExpired), network.ErrTemporary},
		{fmt.Errorf("%w 403", whatsmeow.ErrServerReturnedError), network.ErrNotMember},
		{fmt.Errorf("%w 429", whatsmeow.ErrServerReturnedError), network.ErrRateLimited},
		{fmt.Errorf("%w 479", whatsmeow.ErrServerReturnedError), network.ErrRejected},
		{errors.New("no LID found for somebody from server"), network.ErrUnknownPerson},
		{errors.New("what nobody has heard of"), network.ErrOutcomeUnknown},
	} {
		require.ErrorIs(t, sendFailure(c.err), c.want, c.err.Error())
	}
	require.NotErrorIs(t, sendFailure(&whatsmeow.DisconnectedError{}), network.ErrNotConnected, "it may have been sent")
}

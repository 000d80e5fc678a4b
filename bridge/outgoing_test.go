package bridge

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/portal"
)

var (
	self = network.Interop(network.WhatsApp, 12, "105012705411308")
	anna = network.LID("90000000000001")
)

// far is a network that answers each attempt with the next of its errors, nil for an acknowledgement.
type far struct {
	network.Client
	answers []error
	ids     []string
	silent  bool
}

func (f *far) NewMessageID(seed []byte) string { return "id-of-" + string(seed) }

func (f *far) Send(ctx context.Context, msg network.Message) (network.Sent, error) {
	f.ids = append(f.ids, msg.ID.ID)
	if f.silent {
		<-ctx.Done()
		return network.Sent{}, fmt.Errorf("%w: %w", network.ErrOutcomeUnknown, ctx.Err())
	}
	answer := f.answers[0]
	f.answers = f.answers[1:]
	return network.Sent{Time: time.Unix(1700000000, 0)}, answer
}

// statuses is a Matrix side that remembers what became of events.
type statuses struct {
	bridgev2.MatrixConnector
	seen []event.MessageStatus
}

func (s *statuses) SendMessageStatus(_ context.Context, status *bridgev2.MessageStatus, _ *bridgev2.MessageStatusEventInfo) {
	s.seen = append(s.seen, status.Status)
}

func sending(t *testing.T, f *far) (*Client, *bridgev2.MatrixMessage, *statuses) {
	t.Helper()
	c := newClient(New(), nil, self, nil)
	c.client = f
	var cancel context.CancelFunc
	c.connected, cancel = context.WithCancel(t.Context())
	c.cancel = cancel
	matrix := &statuses{}
	room := &bridgev2.Portal{
		Portal: &bridgedb.Portal{PortalKey: portal.Key(anna, self)},
		Bridge: &bridgev2.Bridge{Matrix: matrix},
	}
	return c, &bridgev2.MatrixMessage{MatrixEventBase: bridgev2.MatrixEventBase[*event.MessageEventContent]{
		Event:   &event.Event{ID: "$event", Type: event.EventMessage, Content: event.Content{Parsed: &event.MessageEventContent{}}},
		Content: &event.MessageEventContent{MsgType: event.MsgText, Body: "hi"}, Portal: room,
	}}, matrix
}

func TestSendingAgainKeepsTheID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &far{answers: []error{network.ErrOutcomeUnknown, network.ErrNotConnected, fmt.Errorf("503: %w", network.ErrTemporary), network.ErrRateLimited, nil}}
		c, msg, matrix := sending(t, f)
		response, err := c.deliver(t.Context(), msg)
		require.NoError(t, err)
		require.Len(t, f.ids, 5)
		for _, id := range f.ids {
			require.Equal(t, "id-of-$event", id)
		}
		require.Equal(t, portal.MessageID(network.MessageID{Conversation: anna, Sender: self, ID: "id-of-$event"}), response.DB.ID)
		require.Equal(t, []event.MessageStatus{"PENDING", "PENDING", "PENDING", "PENDING"}, matrix.seen)
	})
}

func TestRefusalsAreFinal(t *testing.T) {
	for _, refusal := range []error{network.ErrNotOptedIn, network.ErrRejected, network.ErrTooLarge, network.ErrRegion, errors.New("anything else")} {
		f := &far{answers: []error{refusal}}
		c, msg, matrix := sending(t, f)
		_, err := c.deliver(t.Context(), msg)
		require.ErrorIs(t, err, refusal)
		require.Len(t, f.ids, 1)
		require.Empty(t, matrix.seen)
	}
}

func TestSendingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &far{silent: true}
		c, msg, _ := sending(t, f)
		start := time.Now()
		_, err := c.deliver(t.Context(), msg)
		require.ErrorIs(t, err, network.ErrOutcomeUnknown)
		require.LessOrEqual(t, time.Since(start), time.Minute, "a room waits no longer than this")
		require.Greater(t, len(f.ids), 1)
	})
}

func TestSendingEndsWithTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &far{silent: true}
		c, msg, _ := sending(t, f)
		start := time.Now()
		time.AfterFunc(time.Second, c.cancel)
		_, err := c.deliver(t.Context(), msg)
		require.Error(t, err)
		require.LessOrEqual(t, time.Since(start), 2*time.Second)
	})
}

func TestARefusedLoginSendsNothing(t *testing.T) {
	f := &far{}
	c, msg, _ := sending(t, f)
	c.state = network.ConnectionEvent{State: network.Refused, Err: network.ErrTokenRefused}
	_, err := c.deliver(t.Context(), msg)
	require.ErrorIs(t, err, network.ErrTokenRefused)
	require.Empty(t, f.ids)
}

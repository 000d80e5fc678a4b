package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/database"
	"causeway/network"
)

func outgoingText(eventID, body string) Outgoing {
	return Outgoing{
		Login: login, NewID: newClient().NewMessageID,
		Event: &event.Event{
			ID: id.EventID(eventID), RoomID: "!room:hs", Sender: "@alice:hs", Type: event.EventMessage,
			Content: event.Content{Parsed: &event.MessageEventContent{MsgType: event.MsgText, Body: body}},
		},
		Message: network.Message{
			ID:      network.MessageID{Conversation: anna, Sender: network.Interop(network.WhatsApp, 12, "105")},
			Content: network.Text{Body: body},
		},
	}
}

func accept(t *testing.T, p *process, eventID, body string) network.MessageID {
	t.Helper()
	got, err := p.Outbox.Accept(t.Context(), outgoingText(eventID, body))
	require.NoError(t, err)
	return got
}

func (c *playedClient) hears(t *testing.T, bodies ...string) {
	t.Helper()
	until(t, func() bool { return slices.Equal(bodies, c.bodies()) }, func() any { return c.bodies() })
}

func TestAMessageIsSentOnceUnderAnIDOfItsEvent(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		first := accept(t, p, "$1", "hello")
		require.Equal(t, first, accept(t, p, "$1", "hello"), "dispatched again")
		second := accept(t, p, "$2", "hello")
		require.NotEqual(t, first.ID, second.ID)
		bridge.client.hears(t, "hello", "hello")
		report := bridge.reported(t, "$1", Sent)
		require.Equal(t, Report{
			Login: login, Room: "!room:hs", Event: "$1", Author: "@alice:hs", EventType: event.EventMessage, MessageType: event.MsgText,
			Progress: Sent, Time: time.UnixMilli(1_700_000_000_000),
		}, report)
		bridge.reported(t, "$2", Sent)
		p.die()

		again := launch(t, on, bridge)
		require.Equal(t, first, accept(t, again, "$1", "hello"), "dispatched again by the next process")
		require.NoError(t, again.flush(t.Context()))
		require.Len(t, bridge.client.calls(), 2)
	})
}

func TestAnUnknownOutcomeIsRepeatedWithTheSameIDAndContent(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		var calls atomic.Int32
		bridge.client.answer = func(msg network.Message) (bool, error) {
			switch calls.Add(1) {
			case 1:
				return true, network.ErrOutcomeUnknown
			case 2:
				return false, network.ErrNotConnected
			case 3:
				panic("boom")
			}
			return true, nil
		}
		p := launch(t, on, bridge)
		sent := accept(t, p, "$1", "one")
		accept(t, p, "$2", "two")
		bridge.client.hears(t, "one", "two")
		bridge.reported(t, "$1", Sent)
		bridge.reported(t, "$2", Sent)
		calledWith := bridge.client.calls()
		require.GreaterOrEqual(t, len(calledWith), 5)
		for _, msg := range calledWith[:4] {
			require.Equal(t, sent, msg.ID)
			require.Equal(t, network.Text{Body: "one"}, msg.Content)
		}
	})
}

func TestARefusalIsFinalAndTheChatGoesOn(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.client.answer = func(msg network.Message) (bool, error) {
			if msg.Content == (network.Text{Body: "bad"}) {
				return false, fmt.Errorf("anna: %w", network.ErrNotOptedIn)
			}
			return true, nil
		}
		p := launch(t, on, bridge)
		accept(t, p, "$1", "bad")
		accept(t, p, "$2", "good")
		bridge.client.hears(t, "good")
		report := bridge.reported(t, "$1", Failed)
		require.ErrorIs(t, report.Err, network.ErrNotOptedIn)
		require.False(t, report.MayHaveArrived)
		require.Len(t, bridge.client.calls(), 2)
	})
}

// Nobody would see the edit of a message that was refused, so its author is told.
func TestAnEditOfWhatWasNotSentFails(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.client.answer = func(msg network.Message) (bool, error) {
			if msg.Content == (network.Text{Body: "bad"}) {
				return false, network.ErrNotOptedIn
			}
			return true, nil
		}
		p := launch(t, on, bridge)
		edit := func(eventID string, target network.MessageID) {
			msg := outgoingText(eventID, "")
			msg.Message.Content = network.Edit{Target: target, Content: network.Text{Body: "better"}}
			_, err := p.Outbox.Accept(t.Context(), msg)
			require.NoError(t, err)
		}
		edit("$2", accept(t, p, "$1", "bad"))
		edit("$4", accept(t, p, "$3", "good"))
		require.ErrorIs(t, bridge.reported(t, "$2", Failed).Err, ErrNeverSent)
		bridge.reported(t, "$4", Sent)
		require.Len(t, bridge.client.calls(), 3)
	})
}

func TestTheAuthorHearsOfADelayAndOfTheEnd(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.clientErr = ErrNotReady
		p := launch(t, on, bridge, func(o *Options) { o.Timing.MaxAge = 200 * time.Millisecond })
		accept(t, p, "$1", "late")
		delayed := bridge.reported(t, "$1", Delayed)
		require.ErrorIs(t, delayed.Err, ErrNotReady)
		failed := bridge.reported(t, "$1", Failed)
		require.False(t, failed.MayHaveArrived)

		bridge.change(func() { bridge.clientErr = nil })
		bridge.client.change(func() {
			bridge.client.answer = func(network.Message) (bool, error) { return false, network.ErrOutcomeUnknown }
		})
		accept(t, p, "$2", "perhaps")
		require.True(t, bridge.reported(t, "$2", Failed).MayHaveArrived)
		count := 0
		for _, r := range bridge.allReports() {
			if r.Progress == Delayed {
				count++
			}
		}
		require.Equal(t, 2, count, "told once each")
	})
}

func TestALoginThatComesBackNeedNotWait(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.clientErr = network.ErrNotConnected
		tried := func(p *process) bool {
			require.NoError(t, p.flush(t.Context()))
			rows, err := p.journal.OpenOutbox(t.Context(), p.outboxLane(), 1)
			require.NoError(t, err)
			return len(rows) == 1 && rows[0].Attempts > 0
		}
		p := launch(t, on, bridge, func(o *Options) {
			o.Timing.ResendFirst, o.Timing.ResendLimit, o.Timing.Delayed = time.Hour, time.Hour, time.Hour
		})
		accept(t, p, "$1", "one")
		until(t, func() bool { return tried(p) })
		bridge.change(func() { bridge.clientErr = nil })
		until(t, func() bool {
			p.Outbox.Wake("another login")
			p.Outbox.Wake(login)
			return len(bridge.client.bodies()) == 1
		})
	})
}

func TestDeathBetweenSendAndRowIsHarmless(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		first := launch(t, on, bridge)
		reached := make(chan struct{})
		bridge.client.answer = func(network.Message) (bool, error) {
			close(reached)
			_ = first.db.Close() // nothing gets onto the disk any more
			return true, nil
		}
		sent := accept(t, first, "$1", "one")
		<-reached
		first.die()
		bridge.client.change(func() { bridge.client.answer = nil })
		p := launch(t, on, bridge)
		accept(t, p, "$2", "two")
		bridge.client.hears(t, "one", "two")
		bridge.reported(t, "$1", Sent)
		require.Equal(t, sent, bridge.client.calls()[1].ID)
	})
}

func TestAReportThatFailedIsMadeByTheNextProcess(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.reportErr = errors.New("homeserver away")
		bridge.client.answer = func(network.Message) (bool, error) { return false, network.ErrTooLarge }
		first := launch(t, on, bridge)
		accept(t, first, "$1", "one")
		until(t, func() bool {
			require.NoError(t, first.flush(t.Context()))
			rows, err := first.journal.UnreportedOutbox(t.Context())
			return err == nil && len(rows) == 1
		})
		first.die()
		bridge.change(func() { bridge.reportErr = nil })
		launch(t, on, bridge)
		require.ErrorContains(t, bridge.reported(t, "$1", Failed).Err, network.ErrTooLarge.Error())
	})
}

func (p *process) outboxLane() database.OutboxLane {
	return database.OutboxLane{Login: string(login), Chat: anna.String()}
}

// playedRecord is a bridge's record that a test looks at.
type playedRecord func(id network.MessageID) error

func (playedRecord) Prepare(context.Context) error { return nil }

func (r playedRecord) Write(_ context.Context, id network.MessageID) error { return r(id) }

func TestTheRecordIsThereBeforeTheMessageIsSent(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		for i, result := range []error{nil, errors.New("disk full")} {
			msg := outgoingText(fmt.Sprint("$", i), fmt.Sprint("m", i))
			var saved network.MessageID
			msg.Record = playedRecord(func(id network.MessageID) error {
				require.Len(t, bridge.client.calls(), i, "nothing is sent before")
				saved = id
				return result
			})
			accepted, err := p.Outbox.Accept(t.Context(), msg)
			require.NoError(t, err)
			require.Equal(t, accepted, saved)
			bridge.client.hears(t, numbers("m", i+1)...)
		}
	})
}

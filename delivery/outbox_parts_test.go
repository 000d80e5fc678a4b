package delivery

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/database"
	"causeway/network"
)

func inPieces(eventID string, bodies ...string) Outgoing {
	msg := outgoingText(eventID, bodies[len(bodies)-1])
	for _, body := range bodies[:len(bodies)-1] {
		msg.Ahead = append(msg.Ahead, network.Text{Body: body})
	}
	return msg
}

// A message in pieces is sent in their order, told as one, and each piece has the same id at each try.
func TestPieces(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		p := launch(t, on, bridge)
		msg := inPieces("$1", "one", "two", "three")
		msg.Message.ReplyTo = &network.MessageID{Conversation: anna, Sender: anna, ID: "Q"}
		whole, err := p.Outbox.Accept(t.Context(), msg)
		require.NoError(t, err)
		again, err := p.Outbox.Accept(t.Context(), msg)
		require.NoError(t, err)
		require.Equal(t, whole, again)
		bridge.client.hears(t, "one", "two", "three")
		bridge.reported(t, "$1", Sent)
		accept(t, p, "$2", "later")
		bridge.reported(t, "$2", Sent)
		require.Len(t, bridge.allReports(), 2, "one report for each event")
		sent := bridge.client.calls()
		require.NotNil(t, sent[0].ReplyTo, "the quote goes with the first")
		require.Nil(t, sent[1].ReplyTo)
		require.Nil(t, sent[2].ReplyTo)
		require.Equal(t, whole.ID, sent[2].ID.ID)
	})
}

// When a piece fails for good, what comes after it is not sent, also by a later process, and the author is told once.
func TestPiecesFailTogether(t *testing.T) {
	onDisks(t, func(t *testing.T, on disk) {
		bridge := newBridge()
		bridge.client.answer = func(msg network.Message) (bool, error) {
			if msg.Content.(network.Text).Body == "bad" {
				return false, network.ErrNotOptedIn
			}
			return true, nil
		}
		p := launch(t, on, bridge)
		_, err := p.Outbox.Accept(t.Context(), inPieces("$1", "one", "bad", "three", "four"))
		require.NoError(t, err)
		require.ErrorIs(t, bridge.reported(t, "$1", Failed).Err, network.ErrNotOptedIn)
		accept(t, p, "$2", "later")
		bridge.reported(t, "$2", Sent)
		bridge.client.hears(t, "one", "later")
		until(t, func() bool {
			rows, err := p.journal.OutboxOfEvent(context.Background(), "$1")
			require.NoError(t, err)
			for _, row := range rows {
				if row.Part == 1 && row.State != database.OutboxSent || row.Part != 1 && row.State != database.OutboxFailed || !row.Reported {
					return false
				}
			}
			return len(rows) == 4
		}, func() any { return "rows of $1" })
		require.Len(t, bridge.allReports(), 2)
	})
}

package messenger

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/simulator/meta"
	"causeway/wire"
)

// What must not come in is told as such, refused with 491, and stops nothing that comes after it.
func TestRefusedOnTheWire(t *testing.T) {
	for name, fault := range map[string]meta.FaultKind{"franking": meta.FaultFranking, "unknown field": meta.FaultUnknownField} {
		t.Run(name, func(t *testing.T) {
			events := make(chan network.Event, 100)
			login := simulated.Enlisted(t, func(_ context.Context, event network.Event) error {
				events <- event
				return nil
			})
			person := simulated.Person(t)
			require.NoError(t, login.Client().Connect(t.Context()))
			t.Cleanup(login.Client().Disconnect)
			self, err := wire.TextJID(login.Client().Self())
			require.NoError(t, err)
			handle := simulated.Net.Fault(meta.Fault{Kind: fault, Match: meta.Match{Account: self}})
			bad, err := person.Say(login.Client().Self(), "not as it should be")
			require.NoError(t, err)
			require.Equal(t, 1, handle.Struck())
			good, err := person.Say(login.Client().Self(), "as it should be")
			require.NoError(t, err)

			first, second := nextMessage(t, events), nextMessage(t, events)
			require.Equal(t, bad, first.ID.ID)
			unread, ok := first.Content.(network.Unsupported)
			require.True(t, ok)
			require.Equal(t, "message of an unknown kind", unread.Type)
			require.NotEmpty(t, unread.Payload, "kept for a version that can read it")
			require.Equal(t, good, second.ID.ID)
			require.Equal(t, network.Text{Body: "as it should be"}, second.Content)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			require.NoError(t, person.WaitReceipt(ctx, good, network.Delivered))
			require.Contains(t, simulated.Net.Refusals(), meta.Refusal{From: self, Class: "message", ID: bad, Code: 491})
		})
	}
}

func nextMessage(t *testing.T, events <-chan network.Event) network.Message {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case event := <-events:
			if message, ok := event.(network.MessageEvent); ok {
				return message.Message
			}
		case <-deadline:
			require.FailNow(t, "no message came")
		}
	}
}

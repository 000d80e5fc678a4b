package whatsapp

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/simulator/meta"
	"causeway/wire/wiretest"
)

// TestNothingLostOnABadNetwork is the suite's load on a network that does what bad
// networks do: each message arrives, and once, if whatever failed is sent again.
func TestNothingLostOnABadNetwork(t *testing.T) {
	const count = 60
	l, told, bob := meet(t)
	simulated.Net.SetProfile(meta.Faults)
	defer simulated.Net.SetProfile(meta.Timing)
	var both sync.WaitGroup
	said := make(map[string]bool)
	both.Go(func() {
		for i := range count {
			id, err := bob.Say(l.client.Self(), fmt.Sprintf("to us %d", i))
			if err != nil {
				t.Errorf("message %d from the person: %v", i, err)
			}
			said[id] = true
		}
	})
	both.Go(func() {
		for i := range count {
			persist(t, l, bob, fmt.Sprintf("from us %d", i))
		}
	})
	both.Wait()
	heard := make(map[string]int)
	for range count {
		h, err := bob.Hears(patient(t))
		require.NoError(t, err)
		heard[h.Text]++
	}
	require.Len(t, heard, count, "nothing lost, nothing twice")
	for id := range said {
		told.await(t, "message "+id, func(event network.Event) bool {
			message, ok := event.(network.MessageEvent)
			_, text := message.Message.Content.(network.Text)
			return ok && text && message.Message.ID.ID == id
		})
	}
}

// persist sends a message as the program does: again under its id until it is taken.
func persist(t *testing.T, l *login, to wiretest.Person, body string) {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		_, err := write(l, to, body)
		if err == nil {
			return
		}
		temporary := errors.Is(err, network.ErrTemporary) || errors.Is(err, network.ErrOutcomeUnknown) ||
			errors.Is(err, network.ErrNotConnected) || errors.Is(err, network.ErrRateLimited)
		if !temporary {
			t.Errorf("sending %q: %v", body, err)
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Errorf("sending %q: not taken in time", body)
}

package whatsapp

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/simulator/meta"
)

// Connections that die without a word: nothing comes, or nothing of ours arrives. A call of the network makes them
// show that they are dead, which takes as long as a missed answer does, and what was not acknowledged comes again, once.
func TestDeadConnections(t *testing.T) {
	for _, how := range []string{"silence", "deaf"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			l, told, bob := meet(t)
			conversing(t, l, told, bob)
			require.Equal(t, 1, simulated.Net.DropConnections(l.client.Self().User, how))
			waiting, err := bob.Say(l.client.Self(), "are you alive?")
			require.NoError(t, err)
			if how == "deaf" {
				told.message(t, waiting, network.Text{Body: "are you alive?"})
			}
			l.client.Wake()
			told.message(t, waiting, network.Text{Body: "are you alive?"})
			require.NoError(t, bob.WaitReceipt(patient(t), waiting, network.Delivered))
			require.Equal(t, 1, told.count(waiting))
			conversing(t, l, told, bob)
		})
	}
}

// A frame that is cut within its length is whole again. One that is cut later is misread by the library, which only a
// missed answer shows; it never becomes another text, and comes again.
func TestSplitFrames(t *testing.T) {
	for name, at := range map[string]string{"in the length": "2", "in the middle": "60"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, told, bob := meet(t)
			conversing(t, l, told, bob)
			split := simulated.Net.Fault(meta.Fault{Kind: meta.FaultSplitFrame, Match: meta.Match{Stanza: "message", Account: bob.LID()},
				Params: map[string]string{"at": at}})
			t.Cleanup(split.Remove)
			cut, err := bob.Say(l.client.Self(), "in two parts")
			require.NoError(t, err)
			require.Equal(t, 1, split.Struck())
			l.client.Wake()
			told.message(t, cut, network.Text{Body: "in two parts"})
			require.Equal(t, 1, told.count(cut))
			conversing(t, l, told, bob)
		})
	}
}

// Nonsense on the wire ends the connection at the most, and nothing is lost.
func TestNonsenseOnTheWire(t *testing.T) {
	for _, kind := range []meta.FaultKind{meta.FaultGarbage, meta.FaultUnknownStanza, meta.FaultOversizeFrame} {
		l, told, bob := meet(t)
		conversing(t, l, told, bob)
		handle := fault(t, l, meta.Fault{Kind: kind, Match: meta.Match{Stanza: "message"}})
		persist(t, l, bob, fmt.Sprintf("before the %s", kind))
		conversing(t, l, told, bob)
		require.Equal(t, 1, handle.Struck(), kind)
	}
}

// All that waited comes at once, more than the library keeps in order by itself: everything arrives, once.
func TestFlood(t *testing.T) {
	const count = 3000
	l, told, bob := meet(t)
	conversing(t, l, told, bob)
	l.client.Disconnect()
	ids := make([]string, count)
	for i := range ids {
		var err error
		ids[i], err = bob.Say(l.client.Self(), fmt.Sprint(i))
		require.NoError(t, err)
	}
	fault(t, l, meta.Fault{Kind: meta.FaultFlood, Count: -1})
	require.NoError(t, l.client.Connect(t.Context()))
	for i, id := range ids {
		told.message(t, id, network.Text{Body: fmt.Sprint(i)})
	}
	told.mu.Lock()
	defer told.mu.Unlock()
	seen := make(map[string]bool)
	for _, event := range told.all {
		if message, ok := event.(network.MessageEvent); ok {
			require.False(t, seen[message.Message.ID.ID], "twice")
			seen[message.Message.ID.ID] = true
		}
	}
}

package interop_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/interop"
	"causeway/network"
	"causeway/simulator/meta"
)

// Whatever goes wrong on the way, the user ends up enlisted once.
func TestEnlistmentInTrouble(t *testing.T) {
	for name, faults := range map[string][]meta.Fault{
		"the answer is lost after its effect": {{Kind: meta.FaultEnlistLost, Match: meta.Match{Stanza: "POST"}}},
		"the answer is late":                  {{Kind: meta.FaultEnlistSlow}},
		"a decision takes time":               {{Kind: meta.FaultEnlistPending}},
		"the service is away for a moment":    {{Kind: meta.FaultEnlistError, Params: map[string]string{"code": "unavailable"}}},
		"too many at once":                    {{Kind: meta.FaultEnlistError, Params: map[string]string{"code": "rate_limited"}}},
		"lost, and then away": {{Kind: meta.FaultEnlistLost, Match: meta.Match{Stanza: "POST"}},
			{Kind: meta.FaultEnlistError, Match: meta.Match{Stanza: "POST", Nth: 2}, Params: map[string]string{"code": "internal"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			net := meta.Start(t, meta.Profile(meta.Calm))
			provider, _ := startProvider(t, net)
			var handles []*meta.FaultHandle
			for _, fault := range faults {
				handles = append(handles, net.Fault(fault))
			}
			enlisted := enlist(t, provider, "@anna:example.eu")
			require.Equal(t, interop.Active, enlisted.Status)
			for _, handle := range handles {
				require.Equal(t, 1, handle.Struck())
			}
			theirs := net.Enlistments()
			require.Len(t, theirs, 1)
			require.Equal(t, enlisted.Address.User, theirs[0].Account)
		})
	}
}

// What a withdrawal meets does not keep it from being done.
func TestWithdrawalInTrouble(t *testing.T) {
	for _, kind := range []meta.FaultKind{meta.FaultEnlistLost, meta.FaultEnlistError} {
		net := meta.Start(t, meta.Profile(meta.Calm))
		provider, _ := startProvider(t, net)
		anna := enlist(t, provider, "@anna:example.eu")
		handle := net.Fault(meta.Fault{Kind: kind, Match: meta.Match{Stanza: "DELETE"}, Params: map[string]string{"code": "unavailable"}})
		require.NoError(t, provider.Withdraw(t.Context(), anna.Address, interop.ReasonUser))
		require.Eventually(t, func() bool { return net.Enlistments()[0].Status == "withdrawn" }, patience, time.Millisecond)
		require.Equal(t, 1, handle.Struck())
	}
}

// One call wakes everybody whom it names, each of them once.
func TestPushForAThousandAccounts(t *testing.T) {
	const count = 1000
	net := meta.Start(t, meta.Profile(meta.Calm))
	woken := make(chan network.Address, 2*count)
	provider, db := startProvider(t, net, func(_ *interop.Config, env *interop.Environment) {
		env.Calls.OnWake = func(login network.Address, _ int) { woken <- login }
	})
	var events []meta.PushEvent
	want := make(map[network.Address]bool)
	for i := range count {
		anna := enlist(t, provider, fmt.Sprintf("@anna%d:example.eu", i))
		want[anna.Address] = true
		events = append(events, meta.PushEvent{"type": "message_waiting", "account_id": anna.Address.User, "count": 1})
	}
	require.NoError(t, net.PushEvents(integrator, "whatsapp", events...))
	for range count {
		select {
		case login := <-woken:
			require.True(t, want[login], "nobody twice")
			delete(want, login)
		case <-time.After(3 * patience):
			t.Fatalf("%d were not woken", len(want))
		}
	}
	require.Eventually(t, func() bool {
		events, err := db.PushEvents(t.Context(), 1)
		return err == nil && len(events) == 0
	}, patience, time.Millisecond)
	require.Empty(t, woken)
	pushes := net.Pushes()
	require.Equal(t, 200, pushes[len(pushes)-1].Status)
	require.Empty(t, pushes[len(pushes)-1].Rejected)
}

package bridge

import (
	"context"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/bridgev2"

	"causeway/interop"
)

// With the region page nobody is enlisted before the page has found them inside.
func TestLoginWaitsForTheRegionPage(t *testing.T) {
	l := &ledger{decided: make(chan bool, 1)}
	flow, established := newFlow(l)
	_, err := flow.Wait(t.Context())
	require.Error(t, err, "there is nothing to wait for before the terms")
	yes := map[string]string{fieldAgree: "yes", fieldCountry: "DE"}
	step, err := flow.SubmitUserInput(t.Context(), yes)
	require.NoError(t, err)
	require.Equal(t, bridgev2.LoginStepTypeDisplayAndWait, step.Type)
	require.Contains(t, step.Instructions, "https://bridge.example.eu/interop/region/secret")
	require.Len(t, l.agreed, 1)
	require.Empty(t, *established)

	l.decided <- true
	step, err = flow.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, bridgev2.LoginStepTypeComplete, step.Type)
	require.Len(t, *established, 1)

	flow, established = newFlow(l)
	_, err = flow.SubmitUserInput(t.Context(), yes)
	require.NoError(t, err)
	l.decided <- false
	_, err = flow.Wait(t.Context())
	require.ErrorContains(t, err, "CW-1511")
	require.Empty(t, *established)

	flow, established = newFlow(l)
	_, err = flow.SubmitUserInput(t.Context(), yes)
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = flow.Wait(gone)
	require.ErrorIs(t, err, context.Canceled, "the user has cancelled")
	require.Empty(t, *established)
}

// Mode proxy is refused where files would lie on a disk.
func TestModeProxyWantsMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only on Linux can it be told what is in memory")
	}
	c := &Connector{}
	require.NoError(t, c.checkTemporary("/proc"), "mode client has nothing against a disk")
	c.config.Interop.Mode = interop.ModeProxy
	require.ErrorContains(t, c.checkTemporary("/proc"), "TMPDIR")
	require.ErrorContains(t, c.checkTemporary("/no such folder"), "TMPDIR")
	if _, err := os.Stat("/dev/shm"); err == nil {
		require.NoError(t, c.checkTemporary("/dev/shm"))
	}
}

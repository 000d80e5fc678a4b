package child_test

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/e2e/child"
)

// shell starts a script and waits until it has said that its traps are set.
func shell(t *testing.T, script string) *child.Process {
	t.Helper()
	process, err := child.Start(t.TempDir(), "script", "sh", "-c", script)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(process.Tail(), "ready") }, 10*time.Second, 5*time.Millisecond)
	return process
}

func TestStop(t *testing.T) {
	const wait = "while :; do sleep 0.02; done"
	obeying := shell(t, "trap 'echo bye; exit 0' TERM; echo ready; "+wait)
	require.NoError(t, obeying.Stop(10*time.Second))
	require.Equal(t, "ready\nbye\n", obeying.Tail())

	failing := shell(t, "trap 'exit 3' TERM; echo ready; "+wait)
	require.ErrorContains(t, failing.Stop(10*time.Second), "exit status 3")

	stubborn := shell(t, "trap '' TERM; echo ready; "+wait)
	require.ErrorContains(t, stubborn.Stop(50*time.Millisecond), "still running")
	<-stubborn.Done()

	gone := shell(t, "echo ready; exit 4")
	<-gone.Done()
	require.ErrorContains(t, gone.Stop(time.Second), "exit status 4")
}

func TestStartOfNothing(t *testing.T) {
	_, err := child.Start(t.TempDir(), "nothing", "/nonexistent/program")
	require.ErrorContains(t, err, "failed to start the nothing")
}

func TestFreePort(t *testing.T) {
	port, err := child.FreePort()
	require.NoError(t, err)
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	require.NoError(t, err)
	require.NoError(t, listener.Close())
}

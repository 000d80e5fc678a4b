//go:build failpoint

package failpoint

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScheduleDecides(t *testing.T) {
	t.Cleanup(func() { require.NoError(t, Arm("", 0)) })
	require.NoError(t, Arm("A=error#2,B=panic,C=sleep:1ms", 1))
	require.NoError(t, Hit("A"))
	require.ErrorIs(t, Hit("A"), ErrInjected)
	require.NoError(t, Hit("A"), "fires once")
	require.Panics(t, func() { _ = Hit("B") })
	require.NoError(t, Hit("C"))
	require.NoError(t, Hit("unarmed"))
}

func TestChanceFollowsTheSeed(t *testing.T) {
	t.Cleanup(func() { require.NoError(t, Arm("", 0)) })
	run := func(seed uint64) (hits []int) {
		require.NoError(t, Arm("A=error~0.2", seed))
		for i := range 100 {
			if Hit("A") != nil {
				hits = append(hits, i)
			}
		}
		return hits
	}
	first := run(7)
	require.Equal(t, first, run(7))
	require.NotEqual(t, first, run(8))
	require.NotEmpty(t, first)
	require.Less(t, len(first), 60)
}

func TestBadSchedulesAreRefused(t *testing.T) {
	for _, text := range []string{"A", "A=explode", "A=kill#x", "A=error~often", "A=sleep:long"} {
		require.Error(t, Arm(text, 0), text)
	}
}

func TestKillEndsTheProcess(t *testing.T) {
	if os.Getenv("FAILPOINT_TEST_CHILD") != "" {
		_ = Hit(InboxCommitted)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=TestKillEndsTheProcess")
	child.Env = append(os.Environ(), "FAILPOINT_TEST_CHILD=1", EnvSchedule+"=R5=kill")
	err := child.Run()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
}

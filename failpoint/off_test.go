//go:build !failpoint

package failpoint

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReleaseBuildCannotBeArmed(t *testing.T) {
	t.Setenv("CAUSEWAY_FAILPOINTS", "R5=error")
	require.False(t, Enabled)
	require.NoError(t, Hit(InboxCommitted))
}

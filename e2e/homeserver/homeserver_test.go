package homeserver_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/e2e/homeserver"
)

func TestStartRegisterStop(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	homeserver.Require(t)
	server, err := homeserver.Start(ctx, homeserver.Options{})
	require.NoError(t, err)
	alice, err := server.Register(ctx, "alice", "a password")
	require.NoError(t, err)
	who, err := alice.Whoami(ctx)
	require.NoError(t, err)
	require.Equal(t, "@alice:localhost", who.UserID.String())

	require.NoError(t, server.Stop())
	_, err = alice.Whoami(ctx)
	require.Error(t, err, "a stopped homeserver must not answer")
}

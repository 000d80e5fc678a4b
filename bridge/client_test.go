package bridge

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/bridgeconfig"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"

	"causeway/network"
	"causeway/puppet"
)

// begun is a client below that only says that it was asked to connect.
type begun struct {
	network.Client
	connects chan struct{}
}

func (b begun) Connect(context.Context) error { b.connects <- struct{}{}; return nil }
func (b begun) Disconnect()                   {}

// A login that cannot be started because the database is away is started when that is back; one with another fault waits for somebody.
func TestLoginStartsWhenTheDatabaseIsBack(t *testing.T) {
	below := begun{connects: make(chan struct{}, 1)}
	failures := []error{fmt.Errorf("failed to load the keys: %w", sql.ErrConnDone), sql.ErrConnDone}
	bot := &said{}
	bridge := &bridgev2.Bridge{Config: &bridgeconfig.BridgeConfig{}, Bot: bot, BackgroundCtx: t.Context()}
	connector := New()
	connector.bridge = bridge
	login := &bridgev2.UserLogin{
		UserLogin: &bridgedb.UserLogin{ID: puppet.LoginID(self)}, Bridge: bridge,
		User: &bridgev2.User{User: &bridgedb.User{ManagementRoom: "!bot:test"}},
	}
	c := newClient(connector, login, self, product{
		open: func(context.Context, *Client) (network.Client, error) {
			if len(failures) == 0 {
				return below, nil
			}
			err := failures[0]
			failures = failures[1:]
			return nil, err
		},
	})
	c.Connect(t.Context())
	select {
	case <-below.connects:
	case <-time.After(time.Minute):
		require.Fail(t, "the login was not started again")
	}
	c.Disconnect()
	require.Empty(t, failures)
	require.Empty(t, bot.texts)

	failures = []error{errors.New("the keys are somebody else's")}
	c.Connect(t.Context())
	c.work.Wait()
	require.Equal(t, network.Refused, c.state.State)
	require.Len(t, bot.texts, 1)
}

// A login that is turned away, and one whose tokens are too old, are told of once, and so is their end; a connection that breaks is not.
func TestNewsOfAConnection(t *testing.T) {
	const refused, expired, back = "refused the token", "too old", "connected to WhatsApp again"
	c := &Client{self: network.Address{Network: network.WhatsApp}}
	var before network.ConnectionEvent
	for i, step := range []struct {
		state network.ConnectionState
		err   error
		news  string
	}{
		{network.Connecting, nil, ""},
		{network.Connected, nil, ""},
		{network.Interrupted, network.ErrTemporary, ""},
		{network.Connecting, nil, ""},
		{network.Connected, nil, ""},
		{network.Interrupted, network.ErrTokenExpired, ""}, // a connection ends by it; a fresh token is taken
		{network.Connecting, nil, ""},
		{network.Interrupted, network.ErrTokenExpired, expired},
		{network.Connecting, nil, ""},
		{network.Interrupted, network.ErrTokenExpired, ""},
		{network.Connecting, nil, ""},
		{network.Interrupted, network.ErrTemporary, ""},
		{network.Connecting, nil, ""},
		{network.Connected, nil, back},
		{network.Interrupted, network.ErrTemporary, ""},
		{network.Connecting, nil, ""},
		{network.Refused, network.ErrTokenRefused, refused},
		{network.Refused, network.ErrTokenRefused, ""},
		{network.Connecting, nil, ""},
		{network.Connected, nil, back},
	} {
		change := network.ConnectionEvent{State: step.state, Err: step.err}
		news := c.newsOf(before, change)
		require.Equal(t, step.news != "", news != "", "step %d: %s", i, news)
		require.Contains(t, news, step.news, "step %d", i)
		before = change
	}
}

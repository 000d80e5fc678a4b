package whatsapp

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/network/networktest"
	"causeway/simulator/meta"
)

func TestEndsForGood(t *testing.T) {
	for how, want := range map[string]error{"replaced": network.ErrReplaced, "device_removed": network.ErrWithdrawn} {
		l, told, _ := meet(t)
		simulated.net.DropConnections(l.account.number, how)
		require.ErrorIs(t, told.state(t, network.Refused).Err, want)
	}
	l, told, _ := meet(t)
	l.client.Disconnect()
	fault := simulated.net.Fault(meta.Fault{
		Kind: meta.FaultLogin, Match: meta.Match{Account: l.account.number}, Params: map[string]string{"reason": "401"},
	})
	defer fault.Remove()
	require.NoError(t, l.client.Connect(t.Context()))
	require.ErrorIs(t, told.state(t, network.Refused).Err, network.ErrWithdrawn)
	// Keys are the bridge's to delete, whatever the network says.
	keys, err := l.store.PrivateKeys(t.Context())
	require.NoError(t, err)
	require.NotNil(t, keys)
}

func TestEndsForAWhile(t *testing.T) {
	for _, how := range []string{"close", "reset", "503", "515"} {
		l, told, bob := meet(t)
		simulated.net.DropConnections(l.account.number, how)
		told.state(t, network.Interrupted)
		id, err := bob.Say(l.client.Self(), how)
		require.NoError(t, err)
		told.message(t, id, network.Text{Body: how})
	}
}

func TestExpiredTokenOnceIsNoTrouble(t *testing.T) {
	told := &events{changed: make(chan struct{})}
	l := simulated.login(t, told.handle, openStore(t))
	fault := simulated.net.Fault(meta.Fault{
		Kind: meta.FaultLogin, Match: meta.Match{Account: l.account.number}, Params: map[string]string{"reason": "413"},
	})
	defer fault.Remove()
	require.NoError(t, l.client.Connect(t.Context()))
	t.Cleanup(l.client.Disconnect)
	told.state(t, network.Connected)
	require.Equal(t, 1, fault.Struck())
}

func TestForeignCertificate(t *testing.T) {
	told := &events{changed: make(chan struct{})}
	l := simulated.login(t, told.handle, openStore(t))
	fault := simulated.net.Fault(meta.Fault{Kind: meta.FaultCertificateRoot})
	defer fault.Remove()
	require.NoError(t, l.client.Connect(t.Context()))
	t.Cleanup(l.client.Disconnect)
	require.ErrorContains(t, told.state(t, network.Interrupted).Err, "cert")
	told.state(t, network.Connected)
}

func TestRestart(t *testing.T) {
	store := openStore(t)
	told := &events{changed: make(chan struct{})}
	l := simulated.login(t, told.handle, store)
	bob := simulated.Person(t).(person)
	require.NoError(t, l.client.Connect(t.Context()))
	told.state(t, network.Connected)
	_, err := write(l, bob, "before")
	require.NoError(t, err)
	_, err = bob.Hears(patient(t))
	require.NoError(t, err)
	l.client.Disconnect()

	// Another process over the same rows: sessions, prekeys and keys are there.
	id, err := bob.Say(l.client.Self(), "in between")
	require.NoError(t, err)
	again := &events{changed: make(chan struct{})}
	l = simulated.again(t, l, again.handle)
	require.NoError(t, l.client.Connect(t.Context()))
	t.Cleanup(l.client.Disconnect)
	again.message(t, id, network.Text{Body: "in between"})
	again.state(t, network.Connected)
	_, err = write(l, bob, "after")
	require.NoError(t, err)
	heard, err := bob.Hears(patient(t))
	require.NoError(t, err)
	require.Equal(t, networktest.Heard{From: l.client.Self(), ID: heard.ID, Text: "after"}, heard)
}

// A room in which a message waits to be sent takes no event before: what waits at
// the server for a new connection must not keep that message from being sent on it.
func TestSendsWhileTheHandlerWaits(t *testing.T) {
	l, _, bob := meet(t)
	l.client.Disconnect()
	for range 5 {
		_, err := bob.Say(l.client.Self(), "while you were away")
		require.NoError(t, err)
		sent := make(chan error, 1)
		taken := make(chan error, 1)
		l = simulated.again(t, l, func(ctx context.Context, e network.Event) error {
			if _, ok := e.(network.MessageEvent); !ok {
				return nil
			}
			select {
			case err := <-sent:
				taken <- err
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		require.NoError(t, l.client.Connect(t.Context()))
		ctx := patient(t)
		for err = network.ErrNotConnected; errors.Is(err, network.ErrNotConnected) && ctx.Err() == nil; {
			_, err = write(l, bob, "sent meanwhile")
		}
		require.NoError(t, err)
		sent <- nil
		select {
		case err = <-taken:
			require.NoError(t, err)
		case <-ctx.Done():
			t.Fatal("the message was never taken")
		}
		l.client.Disconnect()
	}
}

func TestConnectRefusesBadConfiguration(t *testing.T) {
	require.Error(t, NewInterop(InteropConfig{}).Connect(t.Context()))
	l := simulated.login(t, func(context.Context, network.Event) error { return nil }, openStore(t))
	cfg := simulated.config(t, l.account, l.store, nil)
	cfg.Endpoint.Host = "192.0.2.1:443"
	require.ErrorContains(t, NewInterop(cfg).Connect(t.Context()), "loopback")
	cfg = simulated.config(t, l.account, l.store, nil)
	cfg.Endpoint.TrustRoot = make([]byte, 32)
	require.ErrorContains(t, NewInterop(cfg).Connect(t.Context()), "another one")
	cfg = simulated.config(t, l.account, l.store, nil)
	cfg.Self = network.LID("5")
	require.Error(t, NewInterop(cfg).Connect(t.Context()))
}

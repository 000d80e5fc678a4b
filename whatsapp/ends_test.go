package whatsapp

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/network/networktest"
	"causeway/simulator/meta"
	"causeway/wire"
	"causeway/wire/wiretest"
)

func TestEndsForGood(t *testing.T) {
	for how, want := range map[string]error{"replaced": network.ErrReplaced, "device_removed": network.ErrWithdrawn} {
		l, told, _ := meet(t)
		simulated.Net.DropConnections(l.client.Self().User, how)
		require.ErrorIs(t, told.state(t, network.Refused).Err, want)
	}
	l, told, _ := meet(t)
	l.client.Disconnect()
	fault := simulated.Net.Fault(meta.Fault{
		Kind: meta.FaultLogin, Match: meta.Match{Account: l.client.Self().User}, Params: map[string]string{"reason": "401"},
	})
	defer fault.Remove()
	require.NoError(t, l.client.Connect(t.Context()))
	require.ErrorIs(t, told.state(t, network.Refused).Err, network.ErrWithdrawn)
	// Keys are the bridge's to delete, whatever the network says.
	keys, err := l.Config.Store.PrivateKeys(t.Context())
	require.NoError(t, err)
	require.NotNil(t, keys)
}

func TestEndsForAWhile(t *testing.T) {
	for _, how := range []string{"close", "reset", "503", "515"} {
		l, told, bob := meet(t)
		simulated.Net.DropConnections(l.client.Self().User, how)
		told.state(t, network.Interrupted)
		id, err := bob.Say(l.client.Self(), how)
		require.NoError(t, err)
		told.message(t, id, network.Text{Body: how})
	}
}

func TestExpiredTokenOnceIsNoTrouble(t *testing.T) {
	told := &events{changed: make(chan struct{})}
	l := enlisted(t, told.handle)
	fault := simulated.Net.Fault(meta.Fault{
		Kind: meta.FaultLogin, Match: meta.Match{Account: l.client.Self().User}, Params: map[string]string{"reason": "413"},
	})
	defer fault.Remove()
	require.NoError(t, l.client.Connect(t.Context()))
	t.Cleanup(l.client.Disconnect)
	told.state(t, network.Connected)
	require.Equal(t, 1, fault.Struck())
}

func TestForeignCertificate(t *testing.T) {
	told := &events{changed: make(chan struct{})}
	l := enlisted(t, told.handle)
	fault := simulated.Net.Fault(meta.Fault{Kind: meta.FaultCertificateRoot})
	defer fault.Remove()
	require.NoError(t, l.client.Connect(t.Context()))
	t.Cleanup(l.client.Disconnect)
	require.ErrorContains(t, told.state(t, network.Interrupted).Err, "cert")
	told.state(t, network.Connected)
}

func TestRestart(t *testing.T) {
	told := &events{changed: make(chan struct{})}
	l := enlisted(t, told.handle)
	bob := simulated.Person(t).(wiretest.Person)
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
	second := &events{changed: make(chan struct{})}
	l = again(t, l, second.handle)
	require.NoError(t, l.client.Connect(t.Context()))
	t.Cleanup(l.client.Disconnect)
	second.message(t, id, network.Text{Body: "in between"})
	second.state(t, network.Connected)
	_, err = write(l, bob, "after")
	require.NoError(t, err)
	heard, err := bob.Hears(patient(t))
	require.NoError(t, err)
	require.Equal(t, networktest.Heard{From: l.client.Self(), ID: heard.ID, Text: "after"}, heard)
}

// A room in which a message waits to be sent takes no event before: what waits at
// the server for a new connection must not keep that message from being sent on it. Messages are only stored, so
// that it is a receipt that may wait.
func TestSendsWhileTheHandlerWaits(t *testing.T) {
	l, _, bob := meet(t)
	written, err := write(l, bob, "before")
	require.NoError(t, err)
	_, err = bob.Hears(patient(t))
	require.NoError(t, err)
	l.client.Disconnect()
	for range 5 {
		require.NoError(t, bob.Read(written.ID.ID))
		sent := make(chan error, 1)
		taken := make(chan error, 1)
		l = again(t, l, func(ctx context.Context, e network.Event) error {
			if receipt, ok := e.(network.ReceiptEvent); !ok || receipt.Kind != network.Read {
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
	require.Error(t, NewInterop(wire.Login{}).Connect(t.Context()))
	l := enlisted(t, func(context.Context, network.Event) error { return nil })
	cfg := l.Config
	cfg.Endpoint.Host = "192.0.2.1:443"
	require.ErrorContains(t, NewInterop(cfg).Connect(t.Context()), "loopback")
	cfg = l.Config
	cfg.Endpoint.TrustRoot = make([]byte, 32)
	require.ErrorContains(t, NewInterop(cfg).Connect(t.Context()), "another one")
	cfg = l.Config
	cfg.Self = network.LID("5")
	require.Error(t, NewInterop(cfg).Connect(t.Context()))
}

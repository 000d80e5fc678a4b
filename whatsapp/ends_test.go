package whatsapp

import (
	"context"
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

package whatsapp

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/simulator/meta"
	"causeway/wire"
	"causeway/wire/wiretest"
)

// After a week the network has another signed prekey of ours. Whoever begins a session with the former one is still understood,
// whoever begins with the new one is too, and nobody is warned.
func TestSignedPrekeyRotates(t *testing.T) {
	told := &events{changed: make(chan struct{})}
	l := enlisted(t, told.handle)
	var ahead, refused atomic.Int64
	cfg := l.Config
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	publish := cfg.Publish
	var published []wire.PublicKeys
	cfg.Publish = func(ctx context.Context, keys wire.PublicKeys) error {
		if refused.Add(-1) >= 0 {
			keys.SignedPrekeySignature[5] ^= 1
		} else {
			published = append(published, keys)
		}
		return publish(ctx, keys)
	}
	times := 0
	open := func() *Interop {
		client := NewInterop(cfg)
		require.NoError(t, client.Connect(t.Context()))
		times++
		require.Eventually(t, func() bool { return told.connected() == times }, patience, time.Millisecond)
		return client
	}
	client := open()
	early := simulated.Person(t).(wiretest.Person)
	id, err := early.Say(client.Self(), "with the first key")
	require.NoError(t, err)
	told.message(t, id, network.Text{Body: "with the first key"})
	require.Empty(t, published)
	client.Disconnect()

	// While the connection is away somebody begins a session with the first key.
	late := simulated.Person(t).(wiretest.Person)
	waiting, err := late.Say(client.Self(), "still with the first key")
	require.NoError(t, err)
	ahead.Store(int64(8 * 24 * time.Hour))
	refused.Store(1)
	client = open() // the network does not take the key: a wrong signature
	told.message(t, waiting, network.Text{Body: "still with the first key"})
	client.Disconnect()
	require.Empty(t, published)
	another := simulated.Person(t).(wiretest.Person)
	again, err := another.Say(client.Self(), "and once more with the first")
	require.NoError(t, err)
	client = open()
	t.Cleanup(client.Disconnect)
	require.Len(t, published, 1)
	require.EqualValues(t, 2, published[0].SignedPrekeyID)
	told.message(t, again, network.Text{Body: "and once more with the first"})

	fresh := simulated.Person(t).(wiretest.Person)
	handle := simulated.Net.Fault(meta.Fault{Kind: meta.FaultNoOneTimeKey, Match: meta.Match{Account: client.Self().User}})
	defer handle.Remove()
	id, err = fresh.Say(client.Self(), "with the second key alone")
	require.NoError(t, err)
	told.message(t, id, network.Text{Body: "with the second key alone"})
	require.Equal(t, 1, handle.Struck())
	told.mu.Lock()
	defer told.mu.Unlock()
	for _, person := range []wiretest.Person{early, late, another, fresh} {
		require.NotContains(t, told.all, network.IdentityEvent{Person: person.Address()})
	}
}

// connected is how often the login was connected.
func (e *events) connected() (count int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.all {
		if connection, ok := event.(network.ConnectionEvent); ok && connection.State == network.Connected {
			count++
		}
	}
	return count
}

package linked

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/simulator/meta"
	"causeway/wire"
)

// Nobody's keys are shown to another network than the one on which they were made: a login of the real network says nothing to
// a simulated one. The other way round is told in e2e, as a process knows one network only.
func TestForeignEndpoint(t *testing.T) {
	anna := newDevice(t, "Anna")
	anna.Disconnect()
	production := wire.Endpoint{}.Root()
	_, err := anna.db.Exec(t.Context(), "UPDATE cw_linked SET trust_root = $1", production[:])
	require.NoError(t, err)
	before := len(simulated.Connections())
	require.ErrorIs(t, anna.Connect(t.Context()), network.ErrForeignEndpoint)
	require.Len(t, simulated.Connections(), before)
}

// A network is reached in plain TCP, over TLS with an authority of its own, or through a proxy: linking, texts and files.
func TestEndpoints(t *testing.T) {
	root := simulated.Root()
	for name, endpoint := range map[string]wire.Endpoint{
		"plain": endpoint(),
		"TLS":   {Host: simulated.TLSAddr(), TrustRoot: root[:], CA: simulated.CA()},
		"proxy": {Proxy: simulated.ProxyURL(), TrustRoot: root[:], CA: simulated.CA()},
	} {
		t.Run(name, func(t *testing.T) {
			anna, bob := &device{told: newTold(t), owner: person("Anna"), db: openDatabase(t)}, person("Bob")
			store, err := Open(t.Context(), anna.db, Options{Endpoint: endpoint, DeviceName: "Causeway", Log: quietLog(t)})
			require.NoError(t, err)
			anna.open(store, linkedBy(t, store, anna.owner))
			anna.connect()
			id, err := bob.Say(anna.owner.LID(), "hello")
			require.NoError(t, err)
			anna.hears(id)
			require.Equal(t, "hi", heard(t, bob, anna.say(addressOf(t, bob), network.Text{Body: "hi"})).Text)
			id, err = bob.SendMedia(anna.owner.LID(), meta.Media{Kind: meta.Image, Bytes: []byte("a picture")})
			require.NoError(t, err)
			file, err := anna.hears(id).Message.Content.(network.Media).Open(within(t))
			require.NoError(t, err)
			defer file.Close()
			data, err := io.ReadAll(file)
			require.NoError(t, err)
			require.Equal(t, "a picture", string(data))
		})
	}
	t.Run("an authority of others", func(t *testing.T) {
		store, err := Open(t.Context(), openDatabase(t), Options{
			Endpoint: wire.Endpoint{Proxy: simulated.ProxyURL(), TrustRoot: root[:]}, DeviceName: "Causeway", Log: quietLog(t),
		})
		require.NoError(t, err)
		attempt, err := NewLinker(store, nil, quietLog(t)).LinkByQR(t.Context())
		require.NoError(t, err)
		defer attempt.Cancel()
		_, err = attempt.Next(within(t))
		require.ErrorIs(t, err, network.ErrTemporary)
	})
}

package appstate

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waServerSync"
	"go.mau.fi/whatsmeow/proto/waSyncAction"
	"google.golang.org/protobuf/proto"
)

func mute(chat string, on bool) Change {
	return Change{Index: []string{"mute", chat}, Version: 2, Value: &waSyncAction.SyncActionValue{MuteAction: &waSyncAction.MuteAction{Muted: &on}}}
}

func testKey(t *testing.T, id string) *Key {
	t.Helper()
	k, err := NewKey([]byte(id), make([]byte, 32))
	require.NoError(t, err)
	return k
}

// TestPatchesKeepTheHash proves that a copy which takes the patches ends where the writer is, and that what is removed leaves no trace.
func TestPatchesKeepTheHash(t *testing.T) {
	k := testKey(t, "k1")
	keys := func([]byte) *Key { return k }
	writer, reader := NewCollection("regular_high"), NewCollection("regular_high")
	take := func(patch []byte, err error) {
		t.Helper()
		require.NoError(t, err)
		_, err = reader.Take(patch, keys)
		require.NoError(t, err)
		require.Equal(t, writer.Hash, reader.Hash)
		require.Equal(t, writer.Version, reader.Version)
	}
	take(writer.Write(k, mute("a", true)))
	only := writer.Hash
	take(writer.Write(k, mute("b", true), mute("c", true)))
	take(writer.Write(k, Change{Index: []string{"mute", "b"}}, Change{Index: []string{"mute", "c"}}))
	require.Equal(t, only, writer.Hash)
	take(writer.Write(k, mute("a", false)))
	require.NotEqual(t, only, writer.Hash)
	records, err := reader.Records(keys)
	require.NoError(t, err)
	require.Len(t, records, 1)
	require.False(t, records[0].Value.GetMuteAction().GetMuted())
	patches, more := reader.Since(1, 2)
	require.Len(t, patches, 2)
	require.True(t, more)
}

// TestSpoiltPatches proves that nothing of a patch can be changed.
func TestSpoiltPatches(t *testing.T) {
	k, foreign := testKey(t, "k1"), testKey(t, "k2")
	data, err := NewCollection("regular").Write(k, mute("a", true))
	require.NoError(t, err)
	for name, spoil := range map[string]func(*waServerSync.SyncdPatch){
		"value":        func(p *waServerSync.SyncdPatch) { p.Mutations[0].Record.Value.Blob[20] ^= 1 },
		"value's MAC":  func(p *waServerSync.SyncdPatch) { b := p.Mutations[0].Record.Value.Blob; b[len(b)-1] ^= 1 },
		"index":        func(p *waServerSync.SyncdPatch) { p.Mutations[0].Record.Index.Blob[0] ^= 1 },
		"snapshot MAC": func(p *waServerSync.SyncdPatch) { p.SnapshotMAC[0] ^= 1 },
		"patch MAC":    func(p *waServerSync.SyncdPatch) { p.PatchMAC[0] ^= 1 },
		"short":        func(p *waServerSync.SyncdPatch) { p.Mutations[0].Record.Value.Blob = []byte("x") },
		"operation":    func(p *waServerSync.SyncdPatch) { p.Mutations[0].Operation = waServerSync.SyncdMutation_REMOVE.Enum() },
		"empty":        func(p *waServerSync.SyncdPatch) { p.Mutations = nil },
		"key":          func(p *waServerSync.SyncdPatch) { p.KeyID.ID = foreign.ID },
	} {
		t.Run(name, func(t *testing.T) {
			p := &waServerSync.SyncdPatch{}
			require.NoError(t, proto.Unmarshal(data, p))
			spoil(p)
			spoilt, err := proto.Marshal(p)
			require.NoError(t, err)
			c := NewCollection("regular")
			_, err = c.Take(spoilt, func(id []byte) *Key {
				if string(id) == "k1" {
					return k
				}
				return nil
			})
			require.ErrorIs(t, err, ErrInvalid)
			require.Zero(t, c.Version, "what does not hold changes nothing")
		})
	}
	c := NewCollection("regular_low")
	_, err = c.Take(data, func([]byte) *Key { return k })
	require.ErrorIs(t, err, ErrInvalid, "a patch of another collection")
}

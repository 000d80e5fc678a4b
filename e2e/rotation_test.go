package e2e

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// keyLife is how long a signing key is used by default.
	keyLife = 30 * 24 * time.Hour
	// rotationIn is when the story's key is due: late enough for a slow machine to start the bridge before.
	rotationIn = 15 * time.Second
)

// The provider's signing key changes while a user is connected: the connection stays, and the next one uses the new key.
func keyRotation(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)

	require.NoError(w.t, w.stage.Bridge.Stop())
	w.eventually("the network to see alice gone", func() bool { return !alice.connected() })
	ageKeys(w.t, w.stage.Bridge.Dir, keyLife-rotationIn)
	require.NoError(w.t, w.stage.Bridge.Start(w.ctx))
	w.eventually("alice to be connected", alice.connected)
	before := w.keyNames(w.t)
	connection := alice.connection()
	room.Says("with the old key")
	anna.HearsText(alice, "with the old key")

	w.eventually("the rotation", func() bool { return len(w.keyNames(w.t)) > len(before) })
	require.Subset(w.t, w.keyNames(w.t), before, "tokens in use stay good")
	room.Says("after the rotation")
	anna.HearsText(alice, "after the rotation")
	require.Equal(w.t, connection, alice.connection(), "nobody had to connect again")

	w.net.DropConnections(alice.jid, "close")
	w.eventually("a new connection", func() bool { return alice.connected() && alice.connection() != connection })
	anna.Says(alice, "with the new key")
	room.WaitForMessage(anna, "with the new key")
}

// connection is the number of the user's live connection, 0 if there is none.
func (u *matrixUser) connection() int {
	for _, connection := range u.house.world.net.Connections() {
		if connection.JID == u.jid && connection.Active {
			return connection.ID
		}
	}
	return 0
}

// keyNames are the keys that the house publishes.
func (h *house) keyNames(t *testing.T) []string {
	t.Helper()
	request, err := http.NewRequestWithContext(h.world.ctx, http.MethodGet, h.provider+"/.well-known/jwks.json", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	if response.StatusCode == http.StatusTooManyRequests {
		return nil
	}
	var set struct {
		Keys []struct{ Kid string }
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&set))
	var names []string
	for _, key := range set.Keys {
		names = append(names, key.Kid)
	}
	return names
}

// ageKeys makes the signing keys of a bridge that does not run older, as time would have.
func ageKeys(t *testing.T, dir string, by time.Duration) {
	t.Helper()
	var path string
	require.NoError(t, filepath.WalkDir(dir, func(at string, _ fs.DirEntry, err error) error {
		if filepath.Base(at) == "provider-keys.json" {
			path = at
		}
		return err
	}))
	require.NotEmpty(t, path, "the bridge keeps its keys below its folder")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var document any
	require.NoError(t, json.Unmarshal(data, &document))
	data, err = json.Marshal(older(document, by))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// older is a JSON value with every time in it moved back.
func older(value any, by time.Duration) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = older(v[key], by)
		}
	case []any:
		for i := range v {
			v[i] = older(v[i], by)
		}
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return at.Add(-by).Format(time.RFC3339Nano)
		}
	}
	return value
}

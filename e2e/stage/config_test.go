package stage

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfigIsEditedInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte("bridge:\n    permissions:\n        \"*\": relay\n    kept: 1\nempty:\n"), 0o600))
	config, err := readConfig(path)
	require.NoError(t, err)
	require.Equal(t, 1, config.Get("bridge.kept"))

	config.Set("bridge.permissions", map[string]any{"localhost": "user"})
	config.Set("empty.deep.er", true)
	require.NoError(t, config.write(path))

	again, err := readConfig(path)
	require.NoError(t, err)
	require.Equal(t, Config{"localhost": "user"}, again.Get("bridge.permissions"))
	require.Equal(t, 1, again.Get("bridge.kept"))
	require.Equal(t, true, again.Get("empty.deep.er"))
	require.Nil(t, again.Get("bridge.unknown"))
}

package bridge

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOwnTemporary(t *testing.T) {
	parent, elsewhere := t.TempDir(), t.TempDir()
	file := func(name ...string) string {
		path := filepath.Join(name...)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("holiday"), 0o600))
		return path
	}
	left := file(parent, temporaryPrefix+"killed", "deeper", "picture")
	foreign := file(parent, "others", "picture")
	linked := file(elsewhere, "picture")
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(parent, temporaryPrefix+"link")))

	t.Setenv("TMPDIR", parent)
	remove, err := OwnTemporary()
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(parent, temporaryPrefix+"killed"))
	require.NoFileExists(t, left)
	require.FileExists(t, foreign)
	require.FileExists(t, linked)
	own := os.TempDir()
	require.Equal(t, parent, filepath.Dir(own))
	info, err := os.Stat(own)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	// another process leaves the folder of one that lives alone
	mine := file(own, "picture")
	t.Setenv("TMPDIR", parent)
	removeOther, err := OwnTemporary()
	require.NoError(t, err)
	require.NotEqual(t, own, os.TempDir())
	require.FileExists(t, mine)
	require.NoError(t, removeOther())
	require.NoError(t, remove())
	require.NoDirExists(t, own)
	require.FileExists(t, foreign)

	t.Setenv("TMPDIR", filepath.Join(parent, "missing"))
	_, err = OwnTemporary()
	require.ErrorContains(t, err, "TMPDIR")
}

package interop

import (
	"crypto/ecdsa"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// clock is a time that tests move.
type clock struct {
	mutex sync.Mutex
	at    time.Time
}

func newClock() *clock { return &clock{at: time.Unix(1_790_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.at = c.at.Add(d)
}

func openRing(t *testing.T, dir string, c *clock) *keyring {
	t.Helper()
	ring := newKeyring(dir, 30*24*time.Hour, time.Hour, c.now, zerolog.Nop())
	require.NoError(t, ring.open())
	return ring
}

func currentID(t *testing.T, ring *keyring) string {
	t.Helper()
	key, err := ring.current()
	require.NoError(t, err)
	return key.KeyID
}

func publishedIDs(t *testing.T, ring *keyring) []string {
	t.Helper()
	keys, err := ring.published()
	require.NoError(t, err)
	var ids []string
	for _, key := range keys {
		require.True(t, key.IsPublic())
		ids = append(ids, key.KeyID)
	}
	return ids
}

func TestKeyringRotatesWithOverlap(t *testing.T) {
	c := newClock()
	ring := openRing(t, t.TempDir(), c)
	first := currentID(t, ring)
	before := publishedIDs(t, ring)
	require.Len(t, before, 2, "current and next")
	next := before[1]

	c.advance(30*24*time.Hour - time.Second)
	require.Equal(t, first, currentID(t, ring), "not due yet")
	c.advance(time.Second)
	require.Equal(t, next, currentID(t, ring), "the key that was published before signs now")
	during := publishedIDs(t, ring)
	require.Len(t, during, 3)
	require.Contains(t, during, first, "tokens of the old key are in use")

	c.advance(time.Hour - time.Second)
	require.Contains(t, publishedIDs(t, ring), first)
	c.advance(time.Second)
	after := publishedIDs(t, ring)
	require.NotContains(t, after, first, "the overlap is over")
	require.Len(t, after, 2)
}

func TestKeyringSurvivesRestart(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	ring := openRing(t, dir, c)
	first := currentID(t, ring)
	require.NoError(t, ring.rotate())
	second := currentID(t, ring)
	require.NotEqual(t, first, second)

	again := openRing(t, dir, c)
	require.Equal(t, second, currentID(t, again))
	require.Equal(t, publishedIDs(t, ring), publishedIDs(t, again))
	c.advance(time.Hour)
	require.NotContains(t, publishedIDs(t, openRing(t, dir, c)), first, "the time of retirement was kept")
}

func TestKeyringStaysSmall(t *testing.T) {
	ring := openRing(t, t.TempDir(), newClock())
	for range maxPublished - 2 {
		require.NoError(t, ring.rotate())
	}
	require.Len(t, publishedIDs(t, ring), maxPublished)
	require.ErrorContains(t, ring.rotate(), "16 keys are published")
}

func TestKeyringFileIsPrivate(t *testing.T) {
	c, dir := newClock(), filepath.Join(t.TempDir(), "keys")
	openRing(t, dir, c)
	path := filepath.Join(dir, keyFile)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing temporary is left")

	require.NoError(t, os.Chmod(path, 0o640))
	err = newKeyring(dir, time.Hour, time.Hour, c.now, zerolog.Nop()).open()
	require.ErrorContains(t, err, "chmod 600")
}

func TestKeyringRefusesBadFiles(t *testing.T) {
	for name, content := range map[string]string{
		"no JSON":    "{",
		"no keys":    "[]",
		"symmetric":  `[{"key":{"kty":"oct","k":"AAAA"},"published":"2026-01-01T00:00:00Z"}]`,
		"wrong type": `{"a":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, keyFile), []byte(content), 0o600))
			ring := newKeyring(dir, time.Hour, time.Hour, time.Now, zerolog.Nop())
			require.Error(t, ring.open())
			_, err := ring.current()
			require.ErrorIs(t, err, ErrNotStarted)
		})
	}
}

// A ring that cannot be written keeps the key that every verifier knows.
func TestKeyringKeepsOldKeyWhenDiskFails(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	ring := openRing(t, dir, c)
	first := currentID(t, ring)
	ring.path = filepath.Join(dir, keyFile, "below-a-file")
	c.advance(31 * 24 * time.Hour)
	require.Equal(t, first, currentID(t, ring))
	require.Error(t, ring.rotate())
	require.Equal(t, first, currentID(t, ring))
}

func TestKeyringIDsAreThumbprints(t *testing.T) {
	ring := openRing(t, t.TempDir(), newClock())
	key, err := ring.current()
	require.NoError(t, err)
	private, ok := key.Key.(*ecdsa.PrivateKey)
	require.True(t, ok)
	require.Equal(t, thumbprint(t, &private.PublicKey), key.KeyID)
}

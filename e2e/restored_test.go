package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/e2e/client"
	"causeway/e2e/stage"
)

// The operator puts yesterday's database back. The bridge notices and does not start, as its encrypted sessions would
// use keys again; told to go on, it begins all of them anew, with new one-time keys, and everybody can talk.
func TestRestoredDatabase(t *testing.T) {
	w := newWorld(t, withConfig(func(config stage.Config) { config.Set("network.interop.reactions", "on") }))
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	anna.Says(alice, "before the backup")
	first := room.WaitForMessage(anna, "before the backup")
	// the first thing that alice does on the network is a reaction, and she takes it back
	reaction := room.reacts(first.ID, "👍")
	require.Equal(t, "👍", anna.hearsReaction().Emoji)
	_, err := alice.client.Matrix.RedactEvent(w.soon(), room.ID, reaction)
	require.NoError(t, err)
	require.Empty(t, anna.hearsReaction().Emoji)

	bob := w.Somebody("Bob").OptedIn()
	bobs := alice.StartChat(bob)
	asked := bobs.Says("shall we?")
	heard := bob.HearsText(alice, "shall we?")
	bob.Says(alice, "let me think")
	bobs.WaitForMessage(bob, "let me think")

	require.NoError(t, w.stage.Bridge.Stop())
	backup := w.databaseFiles()
	require.NoError(t, w.stage.Bridge.Start(w.ctx))
	for _, text := range []string{"after the backup", "and once more"} {
		room.Says(text)
		anna.HearsText(alice, text)
		anna.Says(alice, text+", too")
		room.WaitForMessage(anna, text+", too")
		bobs.Says(text)
		bob.HearsText(alice, text)
		bob.Says(alice, text+", too")
		bobs.WaitForMessage(bob, text+", too")
	}
	require.NoError(t, w.stage.Bridge.Stop())
	sessions, keys := w.sessionsBegun(), w.keysUploaded()

	w.putBack(backup)
	err = w.stage.Bridge.Start(w.ctx)
	require.ErrorContains(t, err, "restored from a backup")
	require.ErrorContains(t, err, "--accept-restore", "the operator learns what to do")
	require.NoError(t, w.stage.Bridge.StartWith(w.ctx, "--accept-restore"))
	alice.WaitForNotice("set back to an older copy", "begin anew")
	w.eventually("alice to be connected", alice.connected)

	// what comes in a session that is forgotten is asked for again, and takes the place of the note that says so
	anna.Says(alice, "who are you now?")
	_, err = room.WaitForLine(w.soon(), "the message that was asked for again", func(line client.Line) bool {
		return line.Content.NewContent != nil && line.Content.NewContent.Body == "who are you now?"
	})
	require.NoError(t, err)
	// a reaction is shown where it belongs, and its note goes
	_, err = bob.React(heard, "👍")
	require.NoError(t, err)
	bobs.waitFor("the reaction that was asked for again", func() bool { return bobs.stands(bob, asked, "👍") })
	note := bobs.WaitForNotice("could not be opened yet")
	bobs.waitFor("the note to go", func() bool { return bobs.Redacted(note.ID) })
	room.Says("the same as before")
	anna.HearsText(alice, "the same as before")
	require.Greater(t, w.sessionsBegun(), sessions, "nobody goes on with an old session")
	require.Greater(t, w.keysUploaded(), keys, "the network has new keys")

	// from here on it is a database like any other
	require.NoError(t, w.stage.Bridge.Stop())
	require.NoError(t, w.stage.Bridge.Start(w.ctx))
	room.Says("still the same")
	anna.HearsText(alice, "still the same")
}

// keysUploaded is how often prekeys went over the network's wire to the server.
func (w *world) keysUploaded() int { return strings.Count(w.net.Transcript(), "<skey>") }

// databaseFiles is a copy of the stopped bridge's database.
func (w *world) databaseFiles() map[string][]byte {
	files := map[string][]byte{}
	paths, err := filepath.Glob(filepath.Join(w.stage.Bridge.Dir, "causeway.db*"))
	require.NoError(w.t, err)
	for _, path := range paths {
		if name := filepath.Base(path); name == "causeway.db" || name == "causeway.db-wal" || name == "causeway.db-shm" {
			data, err := os.ReadFile(path)
			require.NoError(w.t, err)
			files[path] = data
		}
	}
	require.NotEmpty(w.t, files)
	return files
}

// putBack replaces the database by a copy.
func (w *world) putBack(files map[string][]byte) {
	for _, name := range []string{"causeway.db", "causeway.db-wal", "causeway.db-shm"} {
		require.NoError(w.t, os.RemoveAll(filepath.Join(w.stage.Bridge.Dir, name)))
	}
	for path, data := range files {
		require.NoError(w.t, os.WriteFile(path, data, 0o600))
	}
}

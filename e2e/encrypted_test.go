package e2e

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/crypto/attachment"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/e2e/stage"
	"causeway/simulator/meta"
)

// withEncryption has the bridge encrypt its rooms.
func withEncryption() func(*settings) {
	return func(set *settings) {
		set.encrypted = true
		withConfig(func(config stage.Config) {
			config.Set("encryption.allow", true)
			config.Set("encryption.default", true)
		})(set)
	}
}

// So it is with linked accounts, whose users write on their phones as well.
func TestLinkedEncrypted(t *testing.T) {
	for _, story := range []story{
		{"changes from phones", linkedChangesFromPhones},
		{"changes from Matrix (stand-in)", linkedChangesFromMatrix},
		{"poll from the phone", linkedPollFromThePhone},
		{"written on the phone", func(w *world) {
			alice, anna := newLinked(w), w.Phone("+4915130000002", "Anna")
			room := alice.StartsChat(anna)
			room.Says("hello from Matrix")
			require.Equal(w.t, "hello from Matrix", anna.HearsLinked(alice).Text)
			_, err := alice.phone.Say(anna.LID(), "written on the phone")
			require.NoError(w.t, err)
			room.WaitForOwn("written on the phone")
			_, err = alice.phone.Say(anna.LID(), "and one more")
			require.NoError(w.t, err)
			require.Equal(w.t, "written on the phone", anna.HearsLinked(alice).Text)
			require.Equal(w.t, "and one more", anna.HearsLinked(alice).Text, "nothing comes back")
			room.nothingInTheOpen()
		}},
	} {
		t.Run(story.name, func(t *testing.T) { story.act(newWorld(t, withoutHistory(), withEncryption())) })
	}
}

// Whatever needs a look into a message goes in encrypted rooms as elsewhere.
func TestStoriesEncrypted(t *testing.T) {
	w := newWorld(t, withEncryption(), lasting(togetherLimit))
	for _, side := range sides() {
		for _, story := range []story{
			{"formatted text", formattedText},
			{"reactions", reactions},
			{"edits and removals from Matrix", changesFromMatrix},
			{"edits and removals from the phone", changesFromThePhone},
			{"read receipt reaches the phone (stand-in)", readReceiptReachesThePhone},
			{"sealed", sealed},
		} {
			t.Run(side.name()+"/"+story.name, func(t *testing.T) { story.act(w.view(t, side)) })
		}
	}
}

// sendsSealedFile sends a file as clients do in encrypted rooms.
func (r *room) sendsSealedFile(data []byte, content event.MessageEventContent) {
	w := r.user.house.world
	w.t.Helper()
	sealed, data := attachment.NewEncryptedFile(), bytes.Clone(data)
	sealed.EncryptInPlace(data)
	uploaded, err := r.user.client.Matrix.UploadBytes(w.soon(), data, "application/octet-stream")
	require.NoError(w.t, err)
	content.File = &event.EncryptedFileInfo{EncryptedFile: *sealed, URL: uploaded.ContentURI.CUString()}
	r.sends(event.EventMessage, &content)
}

// opens is a file that came sealed.
func (r *room) opens(line client.Line) []byte {
	w := r.user.house.world
	w.t.Helper()
	require.NotNil(w.t, line.Content.File, "the file came in the open")
	require.Empty(w.t, line.Content.URL)
	data := r.download(line.Content.File.URL)
	require.NoError(w.t, line.Content.File.DecryptInPlace(data))
	return data
}

// sealed: the homeserver sees nothing of what is said and sent, and the room says how far encryption goes.
func sealed(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.WaitForNotice("encrypted up to the bridge")
	var legs map[string]string
	require.True(w.t, room.State("causeway.encryption", "", &legs))
	require.Equal(w.t, map[string]string{"remote": "signal", "matrix": "megolm", "decrypts_at": "bridge"}, legs)

	room.Says("sealed")
	anna.HearsText(alice, "sealed")
	anna.Says(alice, "sealed, too")
	room.WaitForMessage(anna, "sealed, too")
	anna.sendsFile(alice, meta.Media{Kind: meta.Image, Bytes: jpegBytes(w.t, 3), Caption: "the sea"})
	_, sea := room.WaitForFile(anna, "the sea")
	require.Equal(w.t, jpegBytes(w.t, 3), sea)
	hills := jpegBytes(w.t, 4)
	room.sendsSealedFile(hills, event.MessageEventContent{
		MsgType: event.MsgImage, Body: "hills", FileName: "hills.jpg", Info: &event.FileInfo{MimeType: "image/jpeg", Size: len(hills)},
	})
	require.Equal(w.t, "hills", anna.hearsFile(meta.Image, hills).Caption)
	room.nothingInTheOpen()
}

// nothingInTheOpen: each message that the user's client shows came encrypted.
func (r *room) nothingInTheOpen() {
	var encrypted []id.EventID
	for _, evt := range r.Events("m.room.encrypted") {
		encrypted = append(encrypted, evt.ID)
	}
	for _, line := range r.Lines() {
		require.Contains(r.user.house.world.t, encrypted, line.ID, "in the open: %s", line.Body)
	}
}

// What was written in an encrypted room while the bridge was dead, or away, is read when it is back.
func TestEncryptedOverDeaths(t *testing.T) {
	w := newWorld(t, withEncryption())
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	room.Says("hello")
	anna.HearsText(alice, "hello")
	for _, ended := range []struct {
		how string
		end func() error
	}{{"killed", w.stage.Bridge.Kill}, {"stopped", w.stage.Bridge.Stop}} {
		require.NoError(t, ended.end())
		room.Says(ended.how)
		anna.Says(alice, ended.how+", too")
		require.NoError(t, w.stage.Bridge.Start(w.ctx))
		anna.HearsText(alice, ended.how)
		room.WaitForMessage(anna, ended.how+", too")
	}
	require.Equal(t, []string{"killed, too", "stopped, too"}, room.Texts(anna))
	room.nothingInTheOpen()
}

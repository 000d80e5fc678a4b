package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"

	"causeway/e2e/client"
	"causeway/simulator/meta"
)

// Files go both ways byte for byte, with what belongs to them; stickers are stickers on both sides.
func TestLinkedFiles(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000061", "Anna")
	to := alice.phone.LID()
	sends := func(file meta.Media) {
		_, err := anna.SendMedia(to, file)
		require.NoError(t, err)
	}
	photo := jpegBytes(t, 3)
	sends(meta.Media{Kind: meta.Image, Bytes: photo, Caption: "the *sea*", Width: 48, Height: 32, Thumbnail: jpegBytes(t, 4)})
	room := alice.WaitForRoom(anna)
	line, data := room.WaitForFile(anna, "the *sea*")
	require.Equal(t, photo, data)
	require.Equal(t, "the <strong>sea</strong>", line.Content.FormattedBody)
	sends(meta.Media{Kind: meta.Voice, Bytes: spoken(), Duration: 2 * time.Second, Waveform: []byte{0, 50, 100}})
	line, data = room.WaitForFile(anna, "voice message.ogg")
	require.Equal(t, spoken(), data)
	require.NotNil(t, line.Content.MSC3245Voice)
	paper := []byte("%PDF-1.7\nwords")
	sends(meta.Media{Kind: meta.Document, MIME: "application/pdf", Bytes: paper, FileName: "offer.pdf"})
	_, data = room.WaitForFile(anna, "offer.pdf")
	require.Equal(t, paper, data)

	drawing := pngBytes(t, 5)
	room.SendsFile(drawing, "image/png", event.MessageEventContent{MsgType: event.MsgImage, Body: "drawn for you", FileName: "drawing.png",
		RelatesTo: (&event.RelatesTo{}).SetReplyTo(line.ID)})
	heard := anna.HearsLinked(alice)
	require.NotNil(t, heard.Media, heard.Kind)
	require.Equal(t, "drawn for you", heard.Media.Caption)
	require.NotEmpty(t, heard.ReplyTo)
	sent, err := heard.Media.Bytes()
	require.NoError(t, err)
	require.Equal(t, drawing, sent)

	uploaded, err := alice.client.Matrix.UploadBytes(w.soon(), pngBytes(t, 6), "image/png")
	require.NoError(t, err)
	room.sends(event.EventSticker, &event.MessageEventContent{Body: "wave", URL: uploaded.ContentURI.CUString(), Info: &event.FileInfo{MimeType: "image/png"}})
	heard = anna.HearsLinked(alice)
	require.NotNil(t, heard.Message.GetStickerMessage(), heard.Kind)
	require.Equal(t, "image/webp", heard.Message.GetStickerMessage().GetMimetype())
	require.NotNil(t, heard.Media)
	webp, err := heard.Media.Bytes()
	require.NoError(t, err)
	sends(meta.Media{Kind: meta.Sticker, MIME: "image/webp", Bytes: webp, Width: 512, Height: 512})
	sticker := room.WaitForEvent("m.sticker", func(e client.Event) bool { return anna.is(e.Sender) })
	require.Contains(t, string(sticker.Content), "image/webp")
}

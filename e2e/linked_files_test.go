package e2e

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color/palette"
	"image/draw"
	"image/gif"
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

// Every kind of file that people exchange goes both ways byte for byte, as what it is.
func TestLinkedFilesOfEveryKind(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000062", "Anna")
	room := alice.StartsChat(anna)
	for _, kind := range fileKinds(t) {
		if kind.kind == meta.Sticker || kind.mime == "text/vcard" {
			continue // stories of their own: stickers are converted, a contact's file becomes a contact
		}
		_, err := anna.SendMedia(alice.phone.LID(), meta.Media{
			Kind: kind.kind, MIME: kind.mime, Bytes: kind.bytes, Caption: kind.caption, FileName: kind.fileName, Width: kind.width,
			Height: kind.height, Duration: kind.duration, Waveform: kind.waveform, Thumbnail: kind.thumbnail,
		})
		require.NoError(t, err)
		room.hasFile(anna, kind)
		if kind.oneWay {
			continue
		}
		room.sendsKind(kind)
		heard := anna.HearsLinked(alice).Media
		require.NotNil(t, heard, kind.name)
		require.Equal(t, kind.kind, heard.Kind, kind.name)
		data, err := heard.Bytes()
		require.NoError(t, err)
		require.Equal(t, kind.bytes, data, kind.name)
		require.Equal(t, []string{kind.mime, kind.caption, kind.fileName}, []string{heard.MIME, heard.Caption, heard.FileName}, kind.name)
		require.Equal(t, kind.duration, heard.Duration, kind.name)
	}
}

// An album is its pictures and films, in their order and without a word about it; several pictures of a user keep their order.
func TestLinkedAlbums(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000063", "Anna")
	var files []meta.Media
	var want [][]byte
	for i := range 4 {
		file := meta.Media{Kind: meta.Image, Bytes: jpegBytes(t, 10+i)}
		if i == 2 {
			file = meta.Media{Kind: meta.Video, MIME: "video/mp4", Bytes: append([]byte("\x00\x00\x00\x18ftypisom"), pngBytes(t, 10)...)}
		}
		files, want = append(files, file), append(want, file.Bytes)
	}
	_, err := anna.SendAlbum(alice.phone.LID(), files...)
	require.NoError(t, err)
	anna.WritesTo(alice, "that was all")
	room := alice.WaitForRoom(anna)
	room.WaitForMessage(anna, "that was all")
	var got [][]byte
	for _, line := range room.Lines() {
		if anna.is(line.Sender) && line.Body != "that was all" {
			require.True(t, line.Content.MsgType.IsMedia(), line.Body)
			got = append(got, room.download(line.Content.URL))
		}
	}
	require.Equal(t, want, got)

	var sent [][]byte
	for i := range 3 {
		data := jpegBytes(t, 20+i)
		sent = append(sent, data)
		room.SendsFile(data, "image/jpeg", event.MessageEventContent{MsgType: event.MsgImage, Body: "picture.jpg"})
	}
	for _, data := range sent {
		heard := anna.HearsLinked(alice).Media
		require.NotNil(t, heard)
		arrived, err := heard.Bytes()
		require.NoError(t, err)
		require.Equal(t, data, arrived)
	}
}

// A sticker that moves goes on moving on the other side. What is to be seen once says so, or that it is on the phone only.
func TestLinkedMovingStickersAndViewOnce(t *testing.T) {
	w := newWorld(t, withoutHistory())
	alice := newLinked(w)
	anna := w.Phone("+4915130000064", "Anna")
	to := alice.phone.LID()
	room := alice.StartsChat(anna)
	moving := meta.SampleAnimation(3)
	_, err := anna.SendMedia(to, meta.Media{Kind: meta.Sticker, MIME: "image/webp", Bytes: moving, Animated: true, Width: 512, Height: 512})
	require.NoError(t, err)
	evt := room.WaitForEvent("m.sticker", func(e client.Event) bool { return anna.is(e.Sender) })
	var sticker event.MessageEventContent
	require.NoError(t, json.Unmarshal(evt.Content, &sticker))
	require.Equal(t, "image/webp", sticker.Info.MimeType)
	require.Equal(t, moving, room.download(sticker.URL))

	room.sendsSticker(waving(t), "image/gif")
	heard := anna.HearsLinked(alice)
	require.NotNil(t, heard.Message.GetStickerMessage(), heard.Kind)
	require.True(t, heard.Message.GetStickerMessage().GetIsAnimated())
	data, err := heard.Media.Bytes()
	require.NoError(t, err)
	require.Contains(t, string(data[:64]), "ANIM")

	_, err = anna.SendMedia(to, meta.Media{Kind: meta.Sticker, MIME: "application/was", Bytes: []byte("PK\x03\x04 a drawing"), Animated: true})
	require.NoError(t, err)
	room.WaitForNotice("sticker that moves", "WhatsApp on your phone")

	secret := jpegBytes(t, 9)
	_, err = anna.SendMedia(to, meta.Media{Kind: meta.Image, Bytes: secret, ViewOnce: true, Caption: "only for you"})
	require.NoError(t, err)
	_, data = room.WaitForFile(anna, "only for you")
	require.Equal(t, secret, data)
	room.WaitForNotice("sent to be seen once")
	_, err = anna.SendViewOnceStub(to)
	require.NoError(t, err)
	room.WaitForNotice("to be seen once", "on your phone only")
}

// waving is a GIF of two frames.
func waving(t *testing.T) []byte {
	t.Helper()
	var file bytes.Buffer
	frames := &gif.GIF{Delay: []int{10, 10}}
	for number := range 2 {
		frame := image.NewPaletted(image.Rect(0, 0, 48, 32), palette.Plan9)
		draw.Draw(frame, frame.Bounds(), picture(number*7+1), image.Point{}, draw.Src)
		frames.Image = append(frames.Image, frame)
	}
	require.NoError(t, gif.EncodeAll(&file, frames))
	return file.Bytes()
}

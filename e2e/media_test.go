package e2e

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/e2e/stage"
	"causeway/simulator/meta"
)

// picture is a small image; each number makes another.
func picture(number int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 48, 32))
	for x := range 48 {
		for y := range 32 {
			img.Set(x, y, color.RGBA{uint8(x * number), uint8(y * 5), uint8(number), 255})
		}
	}
	return img
}

func pngBytes(t *testing.T, number int) []byte {
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, picture(number)))
	return out.Bytes()
}

func jpegBytes(t *testing.T, number int) []byte {
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, picture(number), nil))
	return out.Bytes()
}

// spoken is what begins like a voice message; nobody in a story listens to it.
func spoken() []byte {
	return append([]byte("OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x13OpusHead"), bytes.Repeat([]byte("hm "), 3000)...)
}

// WaitForFile waits for a file from p with this body and returns it with its bytes.
func (r *room) WaitForFile(p *person, body string) (client.Line, []byte) {
	w := r.user.house.world
	w.t.Helper()
	line := r.WaitForMessage(p, body)
	return line, r.download(line.Content.URL)
}

func (r *room) download(address id.ContentURIString) []byte {
	w := r.user.house.world
	w.t.Helper()
	uri, err := address.Parse()
	require.NoError(w.t, err)
	data, err := r.user.client.Matrix.DownloadBytes(w.soon(), uri)
	require.NoError(w.t, err)
	return data
}

// SendsFile uploads a file and sends the message about it.
func (r *room) SendsFile(data []byte, mime string, content event.MessageEventContent) id.EventID {
	w := r.user.house.world
	w.t.Helper()
	uploaded, err := r.user.client.Matrix.UploadBytes(w.soon(), data, mime)
	require.NoError(w.t, err)
	content.URL = uploaded.ContentURI.CUString()
	if content.Info == nil {
		content.Info = &event.FileInfo{}
	}
	content.Info.MimeType, content.Info.Size = mime, len(data)
	return r.sends(event.EventMessage, &content)
}

func (r *room) sends(kind event.Type, content any) id.EventID {
	w := r.user.house.world
	w.t.Helper()
	sent, err := r.user.client.Matrix.SendMessageEvent(w.soon(), r.ID, kind, content)
	require.NoError(w.t, err)
	return sent.EventID
}

// Hears the next thing, whatever it is.
func (p *person) hearsNext() meta.Heard {
	p.world.t.Helper()
	heard, err := p.Hears(p.world.soon())
	require.NoError(p.world.t, err, "%s waited for anything", p.name)
	return heard
}

// hearsFile waits for a file and requires these very bytes.
func (p *person) hearsFile(kind meta.MediaKind, want []byte) *meta.HeardMedia {
	p.world.t.Helper()
	heard := p.hearsNext()
	require.NotNil(p.world.t, heard.Media, "%s heard %s %q", p.name, heard.Kind, heard.Text)
	require.Equal(p.world.t, kind, heard.Media.Kind)
	data, err := heard.Media.Bytes()
	require.NoError(p.world.t, err)
	require.Equal(p.world.t, len(want), len(data))
	require.True(p.world.t, bytes.Equal(want, data), "the bytes are others")
	return heard.Media
}

func (p *person) sendsFile(to *matrixUser, file meta.Media) {
	p.world.t.Helper()
	_, err := p.SendMedia(to.jid, file)
	require.NoError(p.world.t, err)
}

// Every kind of file that a phone sends is there in Matrix, byte for byte.
func TestFilesFromWhatsApp(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000041", "Anna").OptedIn()
	room := alice.StartChat(anna)

	photo := jpegBytes(t, 3)
	anna.sendsFile(alice, meta.Media{Kind: meta.Image, Bytes: photo, Caption: "the *sea*", Width: 48, Height: 32, Thumbnail: jpegBytes(t, 4)})
	line, data := room.WaitForFile(anna, "the *sea*")
	require.Equal(t, photo, data)
	require.Equal(t, event.MsgImage, line.Content.MsgType)
	require.Equal(t, "the <strong>sea</strong>", line.Content.FormattedBody)
	require.Equal(t, []int{48, 32, len(photo)}, []int{line.Content.Info.Width, line.Content.Info.Height, line.Content.Info.Size})
	require.Equal(t, jpegBytes(t, 4), room.download(line.Content.Info.ThumbnailURL))

	anna.sendsFile(alice, meta.Media{Kind: meta.Voice, Bytes: spoken(), Duration: 2 * time.Second, Waveform: []byte{0, 50, 100}})
	line, data = room.WaitForFile(anna, "voice message.ogg")
	require.Equal(t, spoken(), data)
	require.NotNil(t, line.Content.MSC3245Voice)
	require.Equal(t, &event.MSC1767Audio{Duration: 2000, Waveform: []int{0, 512, 1024}}, line.Content.MSC1767Audio)

	paper := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte("words "), 50_000)...)
	anna.sendsFile(alice, meta.Media{Kind: meta.Document, MIME: "application/pdf", Bytes: paper, FileName: "../offer.pdf"})
	line, data = room.WaitForFile(anna, "offer.pdf")
	require.Equal(t, paper, data)
	require.Equal(t, event.MsgFile, line.Content.MsgType)

	film := append([]byte("\x00\x00\x00\x18ftypisom"), bytes.Repeat([]byte("film"), 20_000)...)
	anna.sendsFile(alice, meta.Media{Kind: meta.GIF, Bytes: film})
	line, data = room.WaitForFile(anna, "gif.mp4")
	require.Equal(t, film, data)
	require.True(t, line.Content.Info.MauGIF)
	anna.sendsFile(alice, meta.Media{Kind: meta.Video, Bytes: film, Caption: "our film"})
	line, data = room.WaitForFile(anna, "our film")
	require.Equal(t, film, data)
	require.Equal(t, event.MsgVideo, line.Content.MsgType)

	anna.sendsFile(alice, meta.Media{Kind: meta.Image, MIME: "image/png", Bytes: []byte("<html><script>alert(1)</script>"), Caption: "not a picture"})
	line, _ = room.WaitForFile(anna, "not a picture")
	require.Equal(t, event.MsgFile, line.Content.MsgType)
	require.Equal(t, "application/octet-stream", line.Content.Info.MimeType)
}

// A file that cannot be had is told of, and what follows it arrives.
func TestBrokenFilesFromWhatsApp(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000042", "Anna").OptedIn()
	room := alice.StartChat(anna)

	anna.sendsFile(alice, meta.Media{Kind: meta.Image, Bytes: jpegBytes(t, 3), Misbehave: meta.BadMAC})
	room.WaitForNotice("image", "cannot be shown", "damaged")
	anna.Says(alice, "did you get it?")
	room.WaitForMessage(anna, "did you get it?")
}

// Every kind of file that a Matrix user sends is there on the phone, byte for byte where it needs no conversion.
func TestFilesFromMatrix(t *testing.T) {
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000043", "Anna").OptedIn()
	room := alice.StartChat(anna)
	anna.Says(alice, "send me all of it")
	asked := room.WaitForMessage(anna, "send me all of it")

	photo := pngBytes(t, 5)
	room.SendsFile(photo, "image/png", event.MessageEventContent{MsgType: event.MsgImage, Body: "the sea", FileName: "sea.png",
		Format: event.FormatHTML, FormattedBody: "the <b>sea</b>", RelatesTo: (&event.RelatesTo{}).SetReplyTo(asked.ID)})
	heard := anna.hearsFile(meta.Image, photo)
	require.Equal(t, "the *sea*", heard.Caption)
	require.Equal(t, "image/png", heard.MIME)
	require.Equal(t, []int{48, 32}, []int{heard.Width, heard.Height})
	require.NotEmpty(t, heard.Thumbnail)
	require.NotEmpty(t, anna.Heard()[0].ReplyTo, "an image carries its reply")

	room.SendsFile(spoken(), "audio/ogg", event.MessageEventContent{MsgType: event.MsgAudio, Body: "voice.ogg",
		MSC3245Voice: &event.MSC3245Voice{}, MSC1767Audio: &event.MSC1767Audio{Duration: 2000, Waveform: []int{0, 512, 1024}},
		RelatesTo: (&event.RelatesTo{}).SetReplyTo(asked.ID)})
	ahead := anna.hearsNext()
	require.NotEmpty(t, ahead.ReplyTo, "a text carries the reply of a voice message")
	heard = anna.hearsFile(meta.Voice, spoken())
	require.Equal(t, 2*time.Second, heard.Duration)
	require.Equal(t, []byte{0, 50, 100}, heard.Waveform)

	paper := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte("words "), 50_000)...)
	room.SendsFile(paper, "application/pdf", event.MessageEventContent{MsgType: event.MsgFile, Body: "please sign", FileName: "offer.pdf"})
	heard = anna.hearsFile(meta.Document, paper)
	require.Equal(t, []string{"offer.pdf", "please sign", "application/pdf"}, []string{heard.FileName, heard.Caption, heard.MIME})

	card := []byte("BEGIN:VCARD\nVERSION:3.0\nFN:Bert\nEND:VCARD\n")
	room.SendsFile(card, "text/vcard", event.MessageEventContent{MsgType: event.MsgFile, Body: "Bert.vcf"})
	require.Equal(t, "Bert.vcf", anna.hearsFile(meta.Document, card).FileName)

	sticker := pngBytes(t, 6)
	uploaded, err := alice.client.Matrix.UploadBytes(w.soon(), sticker, "image/png")
	require.NoError(t, err)
	room.sends(event.EventSticker, map[string]any{"body": "a wave", "url": uploaded.ContentURI, "info": map[string]any{"mimetype": "image/png"}})
	require.Empty(t, anna.hearsFile(meta.Image, sticker).Caption)
}

// What the network does not take as it is is converted.
func TestConvertedFiles(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	w := newWorld(t)
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000044", "Anna").OptedIn()
	room := alice.StartChat(anna)

	var animation bytes.Buffer
	frames := &gif.GIF{}
	for range 3 {
		frames.Image = append(frames.Image, image.NewPaletted(image.Rect(0, 0, 32, 32), color.Palette{color.Black, color.White}))
		frames.Delay = append(frames.Delay, 10)
	}
	require.NoError(t, gif.EncodeAll(&animation, frames))
	room.SendsFile(animation.Bytes(), "image/gif", event.MessageEventContent{MsgType: event.MsgImage, Body: "wave.gif"})
	heard := anna.hearsNext()
	require.NotNil(t, heard.Media)
	require.Equal(t, meta.GIF, heard.Media.Kind)
	data, err := heard.Media.Bytes()
	require.NoError(t, err)
	require.Equal(t, "ftyp", string(data[4:8]))
}

// Without a converter such a file goes as it is, and the room says so.
func TestFilesWithoutConverter(t *testing.T) {
	w := newWorld(t, withConfig(func(config stage.Config) { config.Set("network.media.ffmpeg", "/nowhere/ffmpeg") }))
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Person("+4915110000045", "Anna").OptedIn()
	room := alice.StartChat(anna)
	require.Contains(t, w.stage.Bridge.Log(), "network.media.ffmpeg", "the start says so")

	webp := append([]byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x10\x00\x00\x00\x1f\x00\x00\x1f\x00\x00"), make([]byte, 100)...)
	room.SendsFile(webp, "image/webp", event.MessageEventContent{MsgType: event.MsgImage, Body: "wave.webp"})
	require.Equal(t, "wave.webp", anna.hearsFile(meta.Document, webp).FileName)
	room.WaitForNotice("sent as a document", "could not convert")
}

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

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
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
	if r.user.house.encrypted {
		return line, r.opens(line)
	}
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

// brokenFiles: a file that cannot be had is told of, and what follows it arrives.
func brokenFiles(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)

	anna.sendsFile(alice, meta.Media{Kind: meta.Image, Bytes: jpegBytes(w.t, 3), Misbehave: meta.BadMAC})
	room.WaitForNotice("image", "cannot be shown", "damaged")
	anna.Says(alice, "did you get it?")
	room.WaitForMessage(anna, "did you get it?")
}

// convertedFiles: what the network does not take as it is is converted.
func convertedFiles(w *world) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		w.t.Skip("ffmpeg is not installed")
	}
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)

	var animation bytes.Buffer
	frames := &gif.GIF{}
	for range 3 {
		frames.Image = append(frames.Image, image.NewPaletted(image.Rect(0, 0, 32, 32), color.Palette{color.Black, color.White}))
		frames.Delay = append(frames.Delay, 10)
	}
	require.NoError(w.t, gif.EncodeAll(&animation, frames))
	room.SendsFile(animation.Bytes(), "image/gif", event.MessageEventContent{MsgType: event.MsgImage, Body: "wave.gif"})
	heard := anna.hearsNext()
	require.NotNil(w.t, heard.Media)
	require.Equal(w.t, meta.GIF, heard.Media.Kind)
	data, err := heard.Media.Bytes()
	require.NoError(w.t, err)
	require.Equal(w.t, "ftyp", string(data[4:8]))
}

func filesWithoutConverter(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	require.Contains(w.t, w.stage.Bridge.Log(), "network.media.ffmpeg", "the start says so")

	webp := append([]byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x10\x00\x00\x00\x1f\x00\x00\x1f\x00\x00"), make([]byte, 100)...)
	room.SendsFile(webp, "image/webp", event.MessageEventContent{MsgType: event.MsgImage, Body: "wave.webp"})
	require.Equal(w.t, "wave.webp", anna.hearsFile(meta.Document, webp).FileName)
	room.WaitForNotice("sent as a document", "could not convert")
}

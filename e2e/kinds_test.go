package e2e

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/simulator/meta"
)

// fileKind is one kind of file, as the phone and the room have it.
type fileKind struct {
	name  string
	kind  meta.MediaKind
	mime  string
	bytes []byte
	// caption is the network's markup, formatted the same in HTML; plain text has none.
	caption, formatted string
	fileName           string
	width, height      int
	duration           time.Duration
	waveform           []byte
	thumbnail          []byte
	// msgType and body are those of the room, the latter without a caption.
	msgType event.MessageType
	body    string
	// only is the one network that has the kind, both if empty. oneWay: no Matrix client sends it.
	only   network.Network
	oneWay bool
}

func fileKinds(t *testing.T) []fileKind {
	film := append([]byte("\x00\x00\x00\x18ftypisom"), bytes.Repeat([]byte("film"), 20_000)...)
	paper := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte("words "), 50_000)...)
	song := append([]byte("ID3\x04\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x00"), bytes.Repeat([]byte("la "), 9000)...)
	return []fileKind{
		{name: "image with a caption", kind: meta.Image, mime: "image/jpeg", bytes: jpegBytes(t, 3), caption: "the *sea*",
			formatted: "the <strong>sea</strong>", width: 48, height: 32, thumbnail: jpegBytes(t, 4), msgType: event.MsgImage},
		{name: "image", kind: meta.Image, mime: "image/png", bytes: pngBytes(t, 5), width: 48, height: 32, msgType: event.MsgImage, body: "image.png"},
		{name: "video with a caption", kind: meta.Video, mime: "video/mp4", bytes: film, caption: "our film", width: 64, height: 48,
			duration: 3 * time.Second, msgType: event.MsgVideo},
		{name: "GIF", kind: meta.GIF, mime: "video/mp4", bytes: film, duration: time.Second, msgType: event.MsgVideo, body: "gif.mp4"},
		{name: "round video", kind: meta.PTV, mime: "video/mp4", bytes: film, duration: 5 * time.Second, msgType: event.MsgVideo,
			body: "video note.mp4", only: network.WhatsApp, oneWay: true},
		{name: "audio", kind: meta.Audio, mime: "audio/mpeg", bytes: song, duration: 200 * time.Second, msgType: event.MsgAudio, body: "audio.mp3"},
		{name: "voice message", kind: meta.Voice, mime: "audio/ogg; codecs=opus", bytes: spoken(), duration: 2 * time.Second,
			waveform: []byte{0, 50, 100}, msgType: event.MsgAudio, body: "voice message.ogg"},
		{name: "document", kind: meta.Document, mime: "application/pdf", bytes: paper, fileName: "offer.pdf", caption: "please sign",
			msgType: event.MsgFile},
		{name: "contact", kind: meta.Document, mime: "text/vcard", bytes: []byte("BEGIN:VCARD\nVERSION:3.0\nFN:Bert\nEND:VCARD\n"),
			fileName: "Bert.vcf", msgType: event.MsgFile, body: "Bert.vcf"},
		{name: "sticker", kind: meta.Sticker, mime: "image/webp", bytes: meta.SampleFile("image/webp", 0, 1), width: 1, height: 1,
			msgType: event.CapMsgSticker, body: "sticker", only: network.Messenger},
	}
}

// on is the kind as a network has it: not all have room for the text of a document.
func (k fileKind) on(s side) fileKind {
	if k.kind == meta.Document && !s.can.Captions && k.caption != "" {
		k.caption, k.body = "", k.fileName
	}
	return k
}

// filesFromThePhone: every kind of file that a phone sends is there in Matrix, byte for byte.
func filesFromThePhone(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	for _, kind := range fileKinds(w.t) {
		kind = kind.on(w.side)
		w.t.Log(kind.name)
		sent := meta.Media{
			Kind: kind.kind, MIME: kind.mime, Bytes: kind.bytes, Caption: kind.caption, FileName: kind.fileName, Width: kind.width,
			Height: kind.height, Duration: kind.duration, Waveform: kind.waveform, Thumbnail: kind.thumbnail,
		}
		if kind.only != "" && kind.only != w.side.network {
			_, err := anna.SendMedia(alice.jid, sent)
			require.Error(w.t, err, "a network that has it not")
			continue
		}
		anna.sendsFile(alice, sent)
		room.hasFile(anna, kind)
	}
	anna.sendsFile(alice, meta.Media{Kind: meta.Document, MIME: "application/pdf", Bytes: []byte("%PDF-1.7\n"), FileName: "../secret.pdf"})
	room.WaitForFile(anna, "secret.pdf")
	anna.sendsFile(alice, meta.Media{Kind: meta.Image, MIME: "image/png", Bytes: []byte("<html><script>alert(1)</script>"), Caption: "not a picture"})
	line, _ := room.WaitForFile(anna, "not a picture")
	require.Equal(w.t, event.MsgFile, line.Content.MsgType)
	require.Equal(w.t, "application/octet-stream", line.Content.Info.MimeType)
}

// hasFile waits for a file and requires that all of it is there.
func (r *room) hasFile(from *person, kind fileKind) {
	t := r.user.house.world.t
	t.Helper()
	body := kind.body
	if kind.caption != "" {
		body = kind.caption
	}
	line, data := r.WaitForFile(from, body)
	content := line.Content
	require.True(t, bytes.Equal(kind.bytes, data), "the bytes are others")
	require.Equal(t, kind.msgType, content.MsgType)
	require.Equal(t, kind.formatted, content.FormattedBody)
	require.Equal(t, []int{kind.width, kind.height, len(kind.bytes), int(kind.duration.Milliseconds())},
		[]int{content.Info.Width, content.Info.Height, content.Info.Size, content.Info.Duration})
	require.Equal(t, kind.mime, content.Info.MimeType)
	require.Equal(t, kind.kind == meta.GIF, content.Info.MauGIF)
	require.Equal(t, kind.kind == meta.Voice, content.MSC3245Voice != nil)
	if kind.fileName != "" {
		require.Equal(t, kind.fileName, content.GetFileName())
	}
	if kind.waveform != nil {
		require.Equal(t, &event.MSC1767Audio{Duration: int(kind.duration.Milliseconds()), Waveform: loudness(kind.waveform)}, content.MSC1767Audio)
	}
	if kind.thumbnail != nil {
		require.Equal(t, kind.thumbnail, r.download(content.Info.ThumbnailURL))
	}
}

// loudness is a waveform in Matrix's values, up to 1024 instead of 100.
func loudness(waveform []byte) []int {
	var values []int
	for _, value := range waveform {
		values = append(values, int(value)*1024/100)
	}
	return values
}

// filesFromMatrix: every kind of file that a Matrix user sends is there on the phone, byte for byte.
func filesFromMatrix(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	for _, kind := range fileKinds(w.t) {
		if kind.oneWay {
			continue
		}
		w.t.Log(kind.name)
		room.sendsKind(kind)
		if arrives := kind.on(w.side); arrives.caption != kind.caption {
			anna.HearsText(alice, kind.caption)
			kind = arrives
		}
		if kind.kind == meta.Sticker && !w.side.can.Stickers {
			kind.kind = meta.Image // what does not fit into the subset is converted, or goes as a document
			heard := anna.hearsNext().Media
			require.NotNil(w.t, heard)
			require.Contains(w.t, []meta.MediaKind{meta.Image, meta.Document}, heard.Kind)
			continue
		}
		heard := anna.hearsFile(kind.kind, kind.bytes)
		require.Equal(w.t, []string{kind.mime, kind.caption, kind.fileName}, []string{heard.MIME, heard.Caption, heard.FileName})
		require.Equal(w.t, kind.duration, heard.Duration)
		require.Equal(w.t, kind.waveform, heard.Waveform)
		require.Equal(w.t, []int{kind.width, kind.height}, []int{heard.Width, heard.Height})
		require.Equal(w.t, kind.kind == meta.Image, len(heard.Thumbnail) > 0)
	}
	sticker := pngBytes(w.t, 6)
	room.sendsSticker(sticker, "image/png")
	want := meta.Image
	if w.side.can.Stickers {
		want = meta.Sticker
	}
	require.Empty(w.t, anna.hearsFile(want, sticker).Caption, "the text of a sticker describes it")
}

// sendsKind sends a file as a Matrix client does.
func (r *room) sendsKind(kind fileKind) {
	if kind.kind == meta.Sticker {
		r.sendsSticker(kind.bytes, kind.mime)
		return
	}
	content := event.MessageEventContent{MsgType: kind.msgType, Body: kind.body, FileName: kind.fileName, Info: &event.FileInfo{
		Width: kind.width, Height: kind.height, Duration: int(kind.duration.Milliseconds()), MauGIF: kind.kind == meta.GIF,
	}}
	if kind.caption != "" {
		content.Body = kind.caption
		if content.FileName == "" {
			content.FileName = "a file"
		}
	}
	if kind.formatted != "" {
		content.Format, content.FormattedBody = event.FormatHTML, kind.formatted
	}
	mime := kind.mime
	if kind.kind == meta.Voice {
		mime = "audio/ogg" // as clients declare it
		content.MSC3245Voice = &event.MSC3245Voice{}
		content.MSC1767Audio = &event.MSC1767Audio{Duration: int(kind.duration.Milliseconds()), Waveform: loudness(kind.waveform)}
	}
	r.SendsFile(kind.bytes, mime, content)
}

func (r *room) sendsSticker(data []byte, mime string) {
	w := r.user.house.world
	w.t.Helper()
	uploaded, err := r.user.client.Matrix.UploadBytes(w.soon(), data, mime)
	require.NoError(w.t, err)
	r.sends(event.EventSticker, map[string]any{"body": "a wave", "url": uploaded.ContentURI, "info": map[string]any{"mimetype": mime, "w": 1, "h": 1}})
}

// replies find what they answer, files too; a file that cannot say what it answers has a text ahead of it that does.
func replies(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	photo := pngBytes(w.t, 5)
	picture := room.SendsFile(photo, "image/png", event.MessageEventContent{MsgType: event.MsgImage, Body: "sea.png"})
	anna.hearsFile(meta.Image, photo)
	heard := anna.Heard()[0]
	_, err := anna.Reply(heard, "how blue")
	require.NoError(w.t, err)
	answer := room.WaitForMessage(anna, "how blue")
	require.Equal(w.t, picture, answer.Content.RelatesTo.GetReplyTo())

	said := anna.Says(alice, "send me more")
	asked := room.WaitForMessage(anna, "send me more")
	toAsked := func() *event.RelatesTo { return (&event.RelatesTo{}).SetReplyTo(asked.ID) }
	room.sends(event.EventMessage, &event.MessageEventContent{MsgType: event.MsgText, Body: "here", RelatesTo: toAsked()})
	require.Equal(w.t, said, anna.HearsText(alice, "here").ReplyTo)
	room.SendsFile(photo, "image/png", event.MessageEventContent{MsgType: event.MsgImage, Body: "sea.png", RelatesTo: toAsked()})
	anna.hearsFile(meta.Image, photo)
	require.Equal(w.t, said, anna.last().ReplyTo, "an image carries its reply")
	room.SendsFile(spoken(), "audio/ogg", event.MessageEventContent{MsgType: event.MsgAudio, Body: "voice.ogg",
		MSC3245Voice: &event.MSC3245Voice{}, MSC1767Audio: &event.MSC1767Audio{Duration: 2000, Waveform: []int{0}}, RelatesTo: toAsked()})
	if !w.side.can.Quotes {
		require.Equal(w.t, said, anna.hearsNext().ReplyTo, "a text carries the reply of a voice message")
		anna.hearsFile(meta.Voice, spoken())
		return
	}
	anna.hearsFile(meta.Voice, spoken())
	require.Equal(w.t, said, anna.last().ReplyTo)
}

// last is the newest message that the person heard.
func (p *person) last() meta.Heard {
	heard := p.Heard()
	return heard[len(heard)-1]
}

// formattedText: Matrix's HTML and the network's markup say the same, both ways.
func formattedText(w *world) {
	alice := w.MatrixUser("alice").Enlisted()
	anna := w.Somebody("Anna").OptedIn()
	room := alice.StartChat(anna)
	for _, form := range []struct{ markup, html string }{
		{"*bold* and _italic_", "<strong>bold</strong> and <em>italic</em>"},
		{"~gone~ and `code`", "<del>gone</del> and <code>code</code>"},
		{"* one\n* two", "<ul><li>one</li><li>two</li></ul>"},
		{"> a quote", "<blockquote>a quote</blockquote>"},
	} {
		anna.Says(alice, form.markup)
		line := room.WaitForMessage(anna, form.markup)
		require.Equal(w.t, form.html, line.Content.FormattedBody)
	}
	room.sends(event.EventMessage, &event.MessageEventContent{MsgType: event.MsgText, Body: "plain", Format: event.FormatHTML,
		FormattedBody: "<b>bold</b>, <i>italic</i>, <del>gone</del>, <code>code</code><ul><li>one</li><li>two</li></ul><script>alert(1)</script>"})
	text := anna.hearsNext().Text
	for _, part := range []string{"*bold*", "_italic_", "~gone~", "`code`", "one", "two"} {
		require.Contains(w.t, text, part)
	}
	require.NotContains(w.t, text, "alert")
	require.False(w.t, slices.ContainsFunc([]string{"<", ">"}, func(tag string) bool { return bytes.Contains([]byte(text), []byte(tag)) }))
}

package portal_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix/event"

	"causeway/network"
	"causeway/portal"
)

func TestMediaToMatrix(t *testing.T) {
	for name, c := range map[string]struct {
		media network.Media
		mime  string
		ext   string
		kind  event.MessageType
		file  string
		body  string
	}{
		"image":               {network.Media{Kind: network.Image}, "image/jpeg", ".jpg", event.MsgImage, "image.jpg", "image.jpg"},
		"image with caption":  {network.Media{Kind: network.Image, Caption: "*hi* @room"}, "image/png", ".png", event.MsgImage, "image.png", "*hi* @\u200Droom"},
		"html named png":      {network.Media{Kind: network.Image, MIME: "image/png"}, "application/octet-stream", ".bin", event.MsgFile, "image.bin", "image.bin"},
		"svg":                 {network.Media{Kind: network.Image}, "application/octet-stream", ".bin", event.MsgFile, "image.bin", "image.bin"},
		"video":               {network.Media{Kind: network.Video}, "video/mp4", ".mp4", event.MsgVideo, "video.mp4", "video.mp4"},
		"old phone's video":   {network.Media{Kind: network.Video}, "video/3gpp", ".3gp", event.MsgFile, "video.3gp", "video.3gp"},
		"round video":         {network.Media{Kind: network.VideoNote}, "video/mp4", ".mp4", event.MsgVideo, "video note.mp4", "video note.mp4"},
		"audio":               {network.Media{Kind: network.Audio}, "audio/mpeg", ".mp3", event.MsgAudio, "audio.mp3", "audio.mp3"},
		"document":            {network.Media{Kind: network.Document, FileName: "../../etc/x.pdf"}, "application/pdf", ".pdf", event.MsgFile, "x.pdf", "x.pdf"},
		"image as a document": {network.Media{Kind: network.Document, FileName: "a.jpg"}, "image/jpeg", ".jpg", event.MsgFile, "a.jpg", "a.jpg"},
		"pdf as audio":        {network.Media{Kind: network.Audio}, "application/octet-stream", ".bin", event.MsgFile, "audio.bin", "audio.bin"},
	} {
		part := portal.MediaToMatrix(c.media, portal.Uploaded{URL: "mxc://a/b", MIME: c.mime, Extension: c.ext, Size: 5, Width: 3, Height: 2}, nil)
		require.Equal(t, c.kind, part.Content.MsgType, name)
		require.Equal(t, c.file, part.Content.FileName, name)
		require.Equal(t, c.body, part.Content.Body, name)
		require.Equal(t, c.mime, part.Content.Info.MimeType, name)
		require.Equal(t, []int{5, 3, 2}, []int{part.Content.Info.Size, part.Content.Info.Width, part.Content.Info.Height}, name)
		require.NotNil(t, part.Content.Mentions, name)
		require.Nil(t, part.Content.MSC3245Voice, name)
	}
}

func TestVoiceAndGIFToMatrix(t *testing.T) {
	voice := network.Media{Kind: network.Voice, Duration: 3 * time.Second, Waveform: []byte{0, 50, 100, 200}}
	part := portal.MediaToMatrix(voice, portal.Uploaded{URL: "mxc://a/b", MIME: "audio/ogg; codecs=opus", Extension: ".ogg"}, nil)
	require.NotNil(t, part.Content.MSC3245Voice)
	require.Equal(t, &event.MSC1767Audio{Duration: 3000, Waveform: []int{0, 512, 1024, 1024}}, part.Content.MSC1767Audio)
	require.Equal(t, 3000, part.Content.Info.Duration)
	require.Equal(t, "voice message.ogg", part.Content.Body)

	encrypted := &event.EncryptedFileInfo{URL: "mxc://a/b"}
	thumbnail := &portal.Uploaded{URL: "mxc://a/c", MIME: "image/jpeg", Size: 7, Width: 4, Height: 3}
	part = portal.MediaToMatrix(network.Media{Kind: network.GIF}, portal.Uploaded{File: encrypted, MIME: "video/mp4", Extension: ".mp4"}, thumbnail)
	require.True(t, part.Content.Info.MauGIF)
	require.Empty(t, part.Content.URL)
	require.Same(t, encrypted, part.Content.File)
	require.EqualValues(t, "mxc://a/c", part.Content.Info.ThumbnailURL)
	require.Equal(t, 4, part.Content.Info.ThumbnailInfo.Width)
}

func file(kind event.MessageType, change ...func(*event.MessageEventContent)) *event.MessageEventContent {
	content := &event.MessageEventContent{MsgType: kind, Body: "holiday.x", FileName: "holiday.x", Info: &event.FileInfo{}}
	for _, c := range change {
		c(content)
	}
	return content
}

func spoken(content *event.MessageEventContent) {
	content.MSC3245Voice = &event.MSC3245Voice{}
	content.MSC1767Audio = &event.MSC1767Audio{Duration: 2000, Waveform: []int{0, 512, 2000, -5}}
}

func titled(content *event.MessageEventContent) {
	content.Body, content.Format, content.FormattedBody = "the sea", event.FormatHTML, "the <b>sea</b>"
}

func looping(content *event.MessageEventContent) { content.Info.MauGIF = true }

func TestFileFromMatrix(t *testing.T) {
	const opus = "audio/ogg; codecs=opus"
	for name, c := range map[string]struct {
		content *event.MessageEventContent
		found   portal.Found
		kind    network.MediaKind
		plan    portal.Plan
		mime    string
	}{
		"jpeg":                {file(event.MsgImage), portal.Found{MIME: "image/jpeg"}, network.Image, portal.Pass, "image/jpeg"},
		"png":                 {file(event.MsgImage), portal.Found{MIME: "image/png"}, network.Image, portal.Pass, "image/png"},
		"huge jpeg":           {file(event.MsgImage), portal.Found{MIME: "image/jpeg", Size: portal.MaxImage + 1}, network.Document, portal.Pass, "image/jpeg"},
		"webp":                {file(event.MsgImage), portal.Found{MIME: "image/webp"}, network.Image, portal.ToJPEG, "image/jpeg"},
		"webp with holes":     {file(event.MsgImage), portal.Found{MIME: "image/webp", Alpha: true}, network.Image, portal.ToPNG, "image/png"},
		"sticker":             {file(event.CapMsgSticker), portal.Found{MIME: "image/webp"}, network.Image, portal.ToPNG, "image/png"},
		"png sticker":         {file(event.CapMsgSticker), portal.Found{MIME: "image/png"}, network.Image, portal.Pass, "image/png"},
		"animated gif":        {file(event.MsgImage), portal.Found{MIME: "image/gif", Animated: true}, network.GIF, portal.ToAnimation, "video/mp4"},
		"still gif":           {file(event.MsgImage), portal.Found{MIME: "image/gif"}, network.Image, portal.ToPNG, "image/png"},
		"svg":                 {file(event.MsgImage), portal.Found{MIME: "application/octet-stream"}, network.Document, portal.Pass, "application/octet-stream"},
		"mp4":                 {file(event.MsgVideo), portal.Found{MIME: "video/mp4"}, network.Video, portal.Pass, "video/mp4"},
		"mp4 that loops":      {file(event.MsgVideo, looping), portal.Found{MIME: "video/mp4"}, network.GIF, portal.Pass, "video/mp4"},
		"webm":                {file(event.MsgVideo), portal.Found{MIME: "video/webm"}, network.Video, portal.ToVideo, "video/mp4"},
		"gif as video":        {file(event.MsgVideo), portal.Found{MIME: "image/gif", Animated: true}, network.GIF, portal.ToAnimation, "video/mp4"},
		"voice":               {file(event.MsgAudio, spoken), portal.Found{MIME: opus}, network.Voice, portal.Pass, opus},
		"voice in another":    {file(event.MsgAudio, spoken), portal.Found{MIME: "audio/mp4"}, network.Voice, portal.ToVoice, opus},
		"music":               {file(event.MsgAudio), portal.Found{MIME: "audio/mpeg"}, network.Audio, portal.Pass, "audio/mpeg"},
		"lossless music":      {file(event.MsgAudio), portal.Found{MIME: "audio/flac"}, network.Document, portal.Pass, "audio/flac"},
		"file":                {file(event.MsgFile), portal.Found{MIME: "application/pdf"}, network.Document, portal.Pass, "application/pdf"},
		"image as a file":     {file(event.MsgFile), portal.Found{MIME: "image/webp"}, network.Document, portal.Pass, "image/webp"},
		"contact":             {file(event.MsgFile), portal.Found{MIME: "text/vcard"}, network.Document, portal.Pass, "text/vcard"},
		"audio that is a pdf": {file(event.MsgAudio, spoken), portal.Found{MIME: "application/octet-stream"}, network.Document, portal.Pass, "application/octet-stream"},
	} {
		c.found.Size = max(c.found.Size, 1)
		got, err := portal.FileFromMatrix(c.content, c.found, portal.AbilitiesOf(network.WhatsApp), true)
		require.NoError(t, err, name)
		require.Equal(t, c.kind, got.Media.Kind, name)
		require.Equal(t, c.plan, got.Plan, name)
		require.Equal(t, c.mime, got.Media.MIME, name)
		require.False(t, got.Reduced, name)
		require.Equal(t, c.kind == network.Document, got.Media.FileName != "", name)

		without, err := portal.FileFromMatrix(c.content, c.found, portal.AbilitiesOf(network.WhatsApp), false)
		require.NoError(t, err, name)
		require.Equal(t, portal.Pass, without.Plan, name)
		require.Equal(t, c.plan != portal.Pass, without.Reduced, name)
		if without.Reduced {
			require.Equal(t, network.Document, without.Media.Kind, name)
			require.Equal(t, c.found.MIME, without.Media.MIME, name)
		}
	}
}

func TestCaptions(t *testing.T) {
	found := portal.Found{MIME: "image/jpeg", Size: 1}
	got, err := portal.FileFromMatrix(file(event.MsgImage, titled), found, portal.AbilitiesOf(network.WhatsApp), true)
	require.NoError(t, err)
	require.Equal(t, "the *sea*", got.Media.Caption)
	require.Empty(t, got.Apart)

	got, err = portal.FileFromMatrix(file(event.MsgAudio, spoken, titled), portal.Found{MIME: "audio/ogg; codecs=opus", Size: 1}, portal.AbilitiesOf(network.WhatsApp), true)
	require.NoError(t, err)
	require.Empty(t, got.Media.Caption)
	require.Equal(t, "the *sea*", got.Apart, "sound has no caption")
	require.Equal(t, 2*time.Second, got.Media.Duration)
	require.Equal(t, []byte{0, 50, 100, 0}, got.Media.Waveform)

	got, err = portal.FileFromMatrix(file(event.CapMsgSticker, titled), found, portal.AbilitiesOf(network.WhatsApp), true)
	require.NoError(t, err)
	require.Empty(t, got.Media.Caption, "the text of a sticker describes it")

	_, err = portal.FileFromMatrix(file(event.MsgImage, func(c *event.MessageEventContent) { c.Body = strings.Repeat("a", portal.MaxTextLength+1) }), found, portal.AbilitiesOf(network.WhatsApp), true)
	require.ErrorIs(t, err, network.ErrTooLarge)
	_, err = portal.FileFromMatrix(file(event.MsgImage), portal.Found{MIME: "image/jpeg", Size: portal.MaxFile + 1}, portal.AbilitiesOf(network.WhatsApp), true)
	require.ErrorIs(t, err, network.ErrTooLarge)
	_, err = portal.FileFromMatrix(file(event.MsgImage), portal.Found{MIME: "image/jpeg"}, portal.AbilitiesOf(network.WhatsApp), true)
	require.ErrorIs(t, err, network.ErrUnsupported)
}

func TestWhatCarriesReplies(t *testing.T) {
	onWhatsApp, onMessenger := portal.AbilitiesOf(network.WhatsApp), portal.AbilitiesOf(network.Messenger)
	require.True(t, onWhatsApp.CarriesReply(network.Media{Kind: network.Image}))
	require.False(t, onWhatsApp.CarriesReply(network.Media{Kind: network.Video}))
	require.True(t, onMessenger.CarriesReply(network.Media{Kind: network.Video}))
}

func TestStickersOnMessengerStayStickers(t *testing.T) {
	for _, mime := range []string{"image/webp", "image/png"} {
		got, err := portal.FileFromMatrix(file(event.CapMsgSticker, titled), portal.Found{MIME: mime, Size: 1}, portal.AbilitiesOf(network.Messenger), false)
		require.NoError(t, err)
		require.Equal(t, portal.File{Plan: portal.Pass, Media: network.Media{Kind: network.Sticker, MIME: mime}}, got)
	}
	got, err := portal.FileFromMatrix(file(event.CapMsgSticker), portal.Found{MIME: "image/jpeg", Size: 1}, portal.AbilitiesOf(network.Messenger), false)
	require.NoError(t, err)
	require.Equal(t, network.Image, got.Media.Kind)

	part := portal.MediaToMatrix(network.Media{Kind: network.Sticker}, portal.Uploaded{URL: "mxc://a/b", MIME: "image/webp"}, nil)
	require.Equal(t, event.EventSticker, part.Type)
	require.Equal(t, "sticker", part.Content.Body)
	require.Empty(t, part.Content.MsgType)
	part = portal.MediaToMatrix(network.Media{Kind: network.Sticker}, portal.Uploaded{URL: "mxc://a/b", MIME: "application/octet-stream"}, nil)
	require.Equal(t, event.EventMessage, part.Type)
	require.Equal(t, event.MsgFile, part.Content.MsgType, "what its bytes do not confirm is an attachment")
}

func TestWaveform(t *testing.T) {
	require.Nil(t, portal.Waveform(nil))
	long := make([]int, 1_000_000)
	long[len(long)-1] = 1024
	bars := portal.Waveform(long)
	require.Len(t, bars, 64)
	require.Equal(t, byte(100), bars[63])
	require.Zero(t, bars[62])
	require.Len(t, portal.Waveform(make([]int, 65)), 64)
}

func TestFileNames(t *testing.T) {
	for name, want := range map[string]string{
		"../../etc/x":           "x.bin",
		`C:\temp\a.txt`:         "a.txt",
		"con.txt":               "_con.txt",
		"COM1":                  "_COM1.bin",
		"":                      "file.bin",
		"...":                   "file.bin",
		".hidden":               "hidden.bin",
		"a\u202egnp.exe":        "agnp.exe",
		"a\nb.txt":              "a b.txt",
		"what?.txt":             "what_.txt",
		"a. long sentence here": "a. long sentence here.bin",
	} {
		require.Equal(t, want, portal.FileName(name, ".bin"), "%q", name)
	}
	long := portal.FileName(strings.Repeat("ä", 5000)+".pdf", ".bin")
	require.LessOrEqual(t, len(long), 200)
	require.True(t, strings.HasSuffix(long, "ä.pdf"))
}

func TestFeaturesTellTheTruth(t *testing.T) {
	ids := map[string]bool{}
	for _, n := range []network.Network{network.WhatsApp, network.Messenger} {
		can := portal.AbilitiesOf(n)
		features, without := portal.Features(can, true), portal.Features(can, false)
		require.True(t, features.Reaction.Full())
		require.Equal(t, 1, features.ReactionCount)
		require.False(t, without.Reaction.Partial())
		ids[features.ID], ids[without.ID] = true, true
		require.Equal(t, can.Removals, features.Delete.Partial(), "where the other side keeps its copy, nothing is deleted")
		require.Equal(t, can.Removals, !features.DeleteForMe)
		require.Equal(t, can.Edits, features.Edit.Full(), "a correction is not an edit")
		require.True(t, features.Edit.Partial())
		require.Equal(t, can.Captions, features.File[event.MsgFile].Caption.Full())
		require.Equal(t, can.Stickers, features.File[event.CapMsgSticker].MimeTypes["image/webp"].Full())
		require.Nil(t, features.DisappearingTimer)
		require.False(t, features.Thread.Partial())
		for kind, feature := range features.File {
			for mime, level := range feature.MimeTypes {
				if mime != "*/*" && level.Full() {
					requirePasses(t, can, kind, mime)
				}
			}
		}
	}
	require.Len(t, ids, 4, "rooms are told of each difference")
}

// requirePasses holds a claim of the features against what becomes of such a file.
func requirePasses(t *testing.T, can portal.Abilities, kind event.MessageType, mime string) {
	t.Helper()
	content := file(kind)
	switch kind {
	case event.CapMsgVoice:
		content = file(event.MsgAudio, spoken)
	case event.CapMsgGIF:
		content = file(event.MsgVideo, looping)
	}
	got, err := portal.FileFromMatrix(content, portal.Found{MIME: mime, Size: 1}, can, false)
	require.NoError(t, err)
	require.Equal(t, portal.Pass, got.Plan, "%s as %s", mime, kind)
	require.NotEqual(t, network.Document, got.Media.Kind, "%s as %s", mime, kind)
	if kind == event.CapMsgSticker {
		require.Equal(t, network.Sticker, got.Media.Kind)
	}
}

func TestPreviewToMatrix(t *testing.T) {
	text := network.Text{Body: "see https://a.eu/x", Preview: &network.LinkPreview{
		URL: "https://a.eu/x", Matched: "https://a.eu/x", Title: "A\n<b>", Description: "B @room"}}
	converted, err := portal.ToMatrix(received(text), notices)
	require.NoError(t, err)
	content := converted.Parts[0].Content
	require.Equal(t, text.Body, content.Body)
	require.Equal(t, `see <a href="https://a.eu/x">https://a.eu/x</a><blockquote><strong>A &lt;b&gt;</strong><br>B @`+"\u200D"+`room</blockquote>`, content.FormattedBody)
	require.Len(t, content.BeeperLinkPreviews, 1)
	require.Equal(t, "A <b>", content.BeeperLinkPreviews[0].Title)
	portal.AddPreviewImage(content, portal.Uploaded{URL: "mxc://a/b", MIME: "image/jpeg", Size: 3})
	require.EqualValues(t, "mxc://a/b", content.BeeperLinkPreviews[0].ImageURL)

	text.Preview.URL, text.Preview.Matched = "javascript:alert(1)", ""
	converted, err = portal.ToMatrix(received(text), notices)
	require.NoError(t, err)
	require.Empty(t, converted.Parts[0].Content.BeeperLinkPreviews)
	require.Empty(t, converted.Parts[0].Content.FormattedBody)
}

func TestPreviewFromMatrix(t *testing.T) {
	content := &event.MessageEventContent{MsgType: event.MsgText, Body: "see https://a.eu", BeeperLinkPreviews: []*event.BeeperLinkPreview{
		nil,
		{MatchedURL: "https://elsewhere.eu", LinkPreview: event.LinkPreview{Title: "no"}},
		{MatchedURL: "https://a.eu", LinkPreview: event.LinkPreview{CanonicalURL: "https://a.eu/", Title: "A", Description: "B"}},
	}}
	got, err := portal.FromMatrix(content)
	require.NoError(t, err)
	require.Equal(t, network.Text{Body: "see https://a.eu", Preview: &network.LinkPreview{
		URL: "https://a.eu/", Matched: "https://a.eu", Title: "A", Description: "B"}}, got)
}

func TestFallbacks(t *testing.T) {
	correction, err := portal.Correction(&event.MessageEventContent{MsgType: event.MsgText, Body: "x", Format: event.FormatHTML, FormattedBody: "<b>new</b>"}, "✏️ ")
	require.NoError(t, err)
	require.Equal(t, network.Text{Body: "✏️ *new*"}, correction)
	correction, err = portal.Correction(file(event.MsgImage, titled), "✏️ ")
	require.NoError(t, err)
	require.Equal(t, network.Text{Body: "✏️ the *sea*"}, correction)
	_, err = portal.Correction(file(event.MsgImage), "✏️ ")
	require.ErrorIs(t, err, network.ErrUnsupported)

	poll := &event.PollStartEventContent{PollStart: event.PollStart{Question: event.MSC1767Message{Text: "When? *soon*"}}}
	for _, day := range []string{"Mon\nday", "Tuesday"} {
		poll.PollStart.Answers = append(poll.PollStart.Answers, event.PollOption{MSC1767Message: event.MSC1767Message{Text: day}})
	}
	text, err := portal.PollText(poll, "(hint)")
	require.NoError(t, err)
	require.Equal(t, network.Text{Body: "📊 *When? soon*\n1. Mon day\n2. Tuesday\n(hint)"}, text)
	poll.PollStart.Answers = make([]event.PollOption, 101)
	_, err = portal.PollText(poll, "")
	require.ErrorIs(t, err, network.ErrUnsupported)

	for _, uri := range []string{"", "geo:", "geo:1", "geo:NaN,1", "geo:91,0", "geo:0,181", "geo:1,2,3,4", "http://a", "geo:Inf,0"} {
		_, err = portal.FromMatrix(&event.MessageEventContent{MsgType: event.MsgLocation, GeoURI: uri})
		require.ErrorIs(t, err, network.ErrUnsupported, uri)
	}
}

func TestReactions(t *testing.T) {
	for key, want := range map[string]string{
		"👍": "👍", "❤": "❤️", "❤️": "❤️", "👍🏽": "👍🏽", "👨‍👩‍👧": "👨‍👩‍👧", "🇩🇪": "🇩🇪", "1️⃣": "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿": "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "‼️": "‼️", "👩🏻‍❤️‍💋‍👩🏼": "👩🏻‍❤️‍💋‍👩🏼",
	} {
		got, err := portal.ReactionFromMatrix(key)
		require.NoError(t, err, key)
		require.Equal(t, want, got, fmt.Sprintf("%q", key))
	}
	for _, key := range []string{"", "a", "ok", "👍👍", "1", "mxc://a/b", ":+1:", "👍 ", "\xff", "🇩🇪🇫🇷", "\u200d👍", "👍\u200d", strings.Repeat("👍\u200d", 30) + "👍", strings.Repeat("x", 64<<10)} {
		_, err := portal.ReactionFromMatrix(key)
		require.ErrorIs(t, err, network.ErrUnsupported, "%q", key)
	}
	emoji, ok := portal.ReactionToMatrix("❤️")
	require.True(t, ok)
	require.Equal(t, "❤", emoji)
	for _, key := range []string{"", "\xff", "a\nb", "a b", strings.Repeat("x", 65)} {
		_, ok = portal.ReactionToMatrix(key)
		require.False(t, ok, "%q", key)
	}
}

package whatsapp

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// aFile is what a message says of some file.
func aFile() wire.SealedMedia {
	return wire.SealedMedia{PlainSize: 1234, MediaRef: wire.MediaRef{
		Path: "/i/12/blob?oe=1", Key: bytes.Repeat([]byte{1}, 32),
		PlainSHA256: bytes.Repeat([]byte{2}, 32), EncSHA256: bytes.Repeat([]byte{3}, 32),
	}}
}

func empty(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil }

func reactionTo(id string) *waE2E.ReactionMessage {
	return &waE2E.ReactionMessage{Key: &waCommon.MessageKey{ID: proto.String(id)}, Text: proto.String("👍")}
}

// everyMedia has one file of each kind, with all that its kind can say.
func everyMedia() []network.Media {
	thumbnail := []byte("a small picture")
	return []network.Media{
		{Kind: network.Image, MIME: "image/jpeg", Caption: "c", Width: 640, Height: 480, Thumbnail: thumbnail},
		{Kind: network.Image, MIME: "image/png"},
		{Kind: network.Video, MIME: "video/mp4", Caption: "c", Width: 640, Height: 480, Duration: 3 * time.Second, Thumbnail: thumbnail},
		{Kind: network.Video, MIME: "video/3gpp"},
		{Kind: network.GIF, MIME: "video/mp4", Caption: "c", Width: 1, Height: 2, Duration: time.Second, Thumbnail: thumbnail},
		{Kind: network.VideoNote, MIME: "video/mp4", Width: 400, Height: 400, Duration: 8 * time.Second, Thumbnail: thumbnail},
		{Kind: network.Audio, MIME: "audio/mpeg", Duration: 200 * time.Second},
		{Kind: network.Audio, MIME: "audio/aac"}, {Kind: network.Audio, MIME: "audio/mp4"}, {Kind: network.Audio, MIME: "audio/amr"},
		{Kind: network.Voice, MIME: "audio/ogg; codecs=opus", Duration: 5 * time.Second, Waveform: []byte{0, 50, 100}},
		{Kind: network.Document, MIME: "application/pdf", FileName: "Bill 7/7.pdf", Caption: "c", Thumbnail: thumbnail},
		{Kind: network.Document, MIME: "text/plain; charset=utf-8"},
	}
}

func TestMediaRoundTrip(t *testing.T) {
	for _, media := range everyMedia() {
		media.Open = empty
		raw, err := encode(network.Message{Content: media}, aFile())
		require.NoError(t, err, media.Kind)
		content, _, err := decode(raw, self, peer)
		require.NoError(t, err, media.Kind)
		got := content.(network.Media)
		require.JSONEq(t, `{"type": "`+string(wire.ClassOf(media.Kind))+`", "path": "/i/12/blob?oe=1",
			"key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "plain_sha256": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
			"enc_sha256": "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="}`, string(got.Reference))
		media.Open, media.Size, got.Reference = nil, 1234, nil
		require.Equal(t, media, got)
	}
}

func TestStanzaTypes(t *testing.T) {
	for want, content := range map[string]network.Content{
		"text/": network.Text{}, "reaction/": network.Reaction{}, "media/image": network.Media{Kind: network.Image},
		"media/gif": network.Media{Kind: network.GIF}, "media/ptt": network.Media{Kind: network.Voice},
		"media/audio": network.Media{Kind: network.Audio}, "media/document": network.Media{Kind: network.Document},
	} {
		kind, media := stanzaType(content)
		require.Equal(t, want, kind+"/"+media)
	}
}

func TestEncodeMediaRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		media network.Media
		want  error
	}{
		"WebP":            {network.Media{Kind: network.Image, MIME: "image/webp"}, network.ErrUnsupported},
		"GIF as an image": {network.Media{Kind: network.Image, MIME: "image/gif"}, network.ErrUnsupported},
		"WebM":            {network.Media{Kind: network.Video, MIME: "video/webm"}, network.ErrUnsupported},
		"Vorbis":          {network.Media{Kind: network.Voice, MIME: "audio/ogg; codecs=vorbis"}, network.ErrUnsupported},
		"Ogg":             {network.Media{Kind: network.Audio, MIME: "audio/ogg"}, network.ErrUnsupported},
		"no type":         {network.Media{Kind: network.Document}, network.ErrUnsupported},
		"endless type":    {network.Media{Kind: network.Document, MIME: "a/" + strings.Repeat("b", 255)}, network.ErrUnsupported},
		"no kind":         {network.Media{MIME: "image/png"}, network.ErrUnsupported},
		"caption on sound": {
			network.Media{Kind: network.Audio, MIME: "audio/mpeg", Caption: "c"}, network.ErrUnsupported},
		"large image": {network.Media{Kind: network.Image, MIME: "image/png", Size: 17 << 20}, network.ErrTooLarge},
		"large video": {network.Media{Kind: network.Video, MIME: "video/mp4", Size: 101 << 20}, network.ErrTooLarge},
		"waveform": {
			network.Media{Kind: network.Voice, MIME: "audio/ogg; codecs=opus", Waveform: make([]byte, wire.LongestWaveform+1)}, network.ErrTooLarge},
		"thumbnail": {
			network.Media{Kind: network.Image, MIME: "image/png", Thumbnail: make([]byte, wire.LargestThumbnail+1)}, network.ErrTooLarge},
		"caption": {
			network.Media{Kind: network.Image, MIME: "image/png", Caption: strings.Repeat("a", wire.LongestText+1)}, network.ErrTooLarge},
	} {
		test.media.Open = empty
		_, err := encode(network.Message{Content: test.media}, aFile())
		require.ErrorIs(t, err, test.want, name)
	}
	_, err := encode(network.Message{Content: network.Media{Kind: network.Image, MIME: "image/png"}}, aFile())
	require.ErrorIs(t, err, network.ErrUnsupported, "nothing to read")
	_, err = encode(network.Message{Content: network.Media{Kind: network.Image, MIME: "image/png", Open: empty}}, wire.SealedMedia{})
	require.ErrorIs(t, err, network.ErrUnsupported, "not hosted")
}

func TestCanonicalMIME(t *testing.T) {
	for declared, want := range map[string]string{
		"audio/ogg;codecs=opus": "audio/ogg; codecs=opus", "Audio/OGG; codecs=\"Opus\"": "audio/ogg; codecs=opus", "audio/ogg": "audio/ogg",
		"image/JPEG": "image/jpeg", "video/mp4; codecs=avc1": "video/mp4", "text/plain; charset=utf-8": "text/plain; charset=utf-8",
		"no type": "no type", "": "",
	} {
		require.Equal(t, want, wire.CanonicalMIME(declared), "%q", declared)
	}
}

// hosted is a file's part of a message which phones take; a test spoils it.
func hosted() *waE2E.ImageMessage {
	file := aFile()
	return &waE2E.ImageMessage{
		Mimetype: proto.String("image/jpeg"), MediaKey: file.Key, FileSHA256: file.PlainSHA256,
		FileEncSHA256: file.EncSHA256, DirectPath: proto.String(file.Path),
	}
}

func TestDecodeMediaRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*waE2E.ImageMessage){
		"type":           func(m *waE2E.ImageMessage) { m.Mimetype = proto.String("image/gif") },
		"no type":        func(m *waE2E.ImageMessage) { m.Mimetype = nil },
		"short key":      func(m *waE2E.ImageMessage) { m.MediaKey = m.MediaKey[1:] },
		"no key":         func(m *waE2E.ImageMessage) { m.MediaKey = nil },
		"short hash":     func(m *waE2E.ImageMessage) { m.FileSHA256 = m.FileSHA256[1:] },
		"long hash":      func(m *waE2E.ImageMessage) { m.FileEncSHA256 = append(m.FileEncSHA256, 1) },
		"no path":        func(m *waE2E.ImageMessage) { m.DirectPath = nil },
		"thumbnail hash": func(m *waE2E.ImageMessage) { m.ThumbnailSHA256 = []byte{1} },
	} {
		image := hosted()
		spoil(image)
		_, _, err := decode(marshal(t, &waE2E.Message{ImageMessage: image}), self, peer)
		require.ErrorIs(t, err, wire.ErrContent, name)
	}
	_, _, err := decode(marshal(t, &waE2E.Message{ImageMessage: hosted()}), self, peer)
	require.NoError(t, err)
	voice := &waE2E.AudioMessage{
		Mimetype: proto.String("audio/ogg; codecs=opus"), MediaKey: aFile().Key, FileSHA256: aFile().EncSHA256, FileEncSHA256: aFile().EncSHA256,
		DirectPath: proto.String("/a?"), PTT: proto.Bool(true), Waveform: make([]byte, wire.LongestWaveform+1),
	}
	_, _, err = decode(marshal(t, &waE2E.Message{AudioMessage: voice}), self, peer)
	require.ErrorIs(t, err, wire.ErrContent)
}

func TestDecodeMediaMakesDo(t *testing.T) {
	image := hosted()
	image.JPEGThumbnail = make([]byte, wire.LargestThumbnail+1)
	image.Caption = proto.String("a\xffb")
	image.FileLength = proto.Uint64(1 << 63)
	content, _, err := decode(marshal(t, &waE2E.Message{ImageMessage: image}), self, peer)
	require.NoError(t, err)
	require.Empty(t, content.(network.Media).Thumbnail)
	require.Equal(t, "a\uFFFDb", content.(network.Media).Caption)
	require.Positive(t, content.(network.Media).Size)

	require.Nil(t, wire.Loudness(nil))
	require.Equal(t, []byte{1, 100, 3}, wire.Loudness([]byte{1, 200, 3}))
	long := make([]byte, wire.LongestWaveform)
	long[wire.LongestWaveform-1], long[3] = 7, 9
	short := wire.Loudness(long)
	require.Len(t, short, 64)
	require.Equal(t, []byte{0, 9, 0}, short[:3])
	require.Equal(t, byte(7), short[64-1])
}

func TestQuotesOnMedia(t *testing.T) {
	quoted := network.MessageID{Conversation: peer, Sender: self, ID: "3EB0"}
	for _, media := range everyMedia() {
		media.Open = empty
		raw, err := encode(network.Message{Content: media, ReplyTo: &quoted}, aFile())
		require.NoError(t, err)
		_, reply, err := decode(raw, self, peer)
		require.NoError(t, err)
		if media.Kind == network.Image {
			require.Equal(t, &quoted, reply)
		} else {
			require.Nil(t, reply, "no field for it")
		}
	}
}

func TestReactions(t *testing.T) {
	own := network.MessageID{Conversation: peer, Sender: self, ID: "R"}
	for _, emoji := range []string{"👍", ""} {
		for _, sender := range []network.Address{self, peer} {
			reaction := network.Reaction{Target: network.MessageID{Conversation: peer, Sender: sender, ID: "A"}, Emoji: emoji}
			raw, err := encode(network.Message{ID: own, Content: reaction}, wire.SealedMedia{})
			require.NoError(t, err)
			var message waE2E.Message
			require.NoError(t, proto.Unmarshal(raw, &message))
			key := message.GetReactionMessage().GetKey()
			require.Equal(t, "90000000000001@lid", key.GetRemoteJID())
			require.Equal(t, sender == self, key.GetFromMe(), "from the view of whoever reacts")
			require.Equal(t, emoji, message.GetReactionMessage().GetText())

			// The same bytes from the peer speak of the other one's messages.
			content, _, err := decode(raw, self, peer)
			require.NoError(t, err)
			mirrored := map[network.Address]network.Address{self: peer, peer: self}[sender]
			require.Equal(t, network.Reaction{Target: network.MessageID{Conversation: peer, Sender: mirrored, ID: "A"}, Emoji: emoji}, content)
		}
	}
	for name, target := range map[string]network.MessageID{
		"nothing": {}, "no id": {Conversation: peer, Sender: peer},
		"another chat":  {Conversation: network.LID("7"), Sender: peer, ID: "A"},
		"third persons": {Conversation: peer, Sender: network.LID("7"), ID: "A"},
	} {
		_, err := encode(network.Message{ID: own, Content: network.Reaction{Target: target}}, wire.SealedMedia{})
		require.ErrorIs(t, err, network.ErrUnsupported, name)
	}
	_, _, err := decode(marshal(t, &waE2E.Message{ReactionMessage: reactionTo("")}), self, peer)
	require.ErrorIs(t, err, wire.ErrContent)
}

func TestLinkPreviews(t *testing.T) {
	text := network.Text{Body: "see https://example.eu/a", Preview: &network.LinkPreview{
		URL: "https://example.eu/a?canonical", Matched: "https://example.eu/a", Title: "Example", Description: "A page",
		Thumbnail: []byte("a small picture"),
	}}
	quoted := network.MessageID{Conversation: peer, Sender: peer, ID: "3EB0"}
	raw, err := encode(network.Message{Content: text, ReplyTo: &quoted}, wire.SealedMedia{})
	require.NoError(t, err)
	content, reply, err := decode(raw, self, peer)
	require.NoError(t, err)
	require.Equal(t, text, content)
	require.Equal(t, &quoted, reply)

	content, _, err = decode(marshal(t, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
		Text: proto.String("see https://example.eu"), MatchedText: proto.String("https://example.eu"),
	}}), self, peer)
	require.NoError(t, err)
	require.Equal(t, &network.LinkPreview{URL: "https://example.eu", Matched: "https://example.eu"}, content.(network.Text).Preview)

	content, _, err = decode(marshal(t, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
		Text: proto.String("on blue"), BackgroundArgb: proto.Uint32(255),
	}}), self, peer)
	require.NoError(t, err)
	require.Equal(t, network.Text{Body: "on blue"}, content)

	// The one field that the library does not know must be a text all the same.
	inner := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "hi")
	inner = protowire.AppendVarint(protowire.AppendTag(inner, canonicalURL, protowire.VarintType), 1)
	_, _, err = decode(protowire.AppendBytes(protowire.AppendTag(nil, 6, protowire.BytesType), inner), self, peer)
	require.ErrorIs(t, err, wire.ErrContent)

	text.Preview.Thumbnail = make([]byte, wire.LargestThumbnail+1)
	_, err = encode(network.Message{Content: text}, wire.SealedMedia{})
	require.ErrorIs(t, err, network.ErrTooLarge)
}

func FuzzMedia(f *testing.F) {
	f.Add("image", "image/png", "caption", "name", []byte{1}, int64(5))
	f.Add("voice message", "audio/ogg; codecs=opus", "", "", []byte{200}, int64(5))
	f.Add("document", "a/b", "", "x.pdf", []byte{}, int64(-5))
	f.Fuzz(func(t *testing.T, kind, declared, caption, name string, bytes []byte, length int64) {
		media := network.Media{
			Kind: network.MediaKind(kind), MIME: declared, Caption: caption, FileName: name, Thumbnail: bytes, Waveform: bytes,
			Duration: time.Duration(length), Width: int(length), Open: empty,
		}
		raw, err := encode(network.Message{Content: media}, aFile())
		if err != nil {
			return
		}
		content, _, err := decode(raw, self, peer)
		require.NoError(t, err, "what we write is inside the schema")
		got := content.(network.Media)
		require.Equal(t, media.Kind, got.Kind)
		require.Equal(t, wire.Clean(wire.CanonicalMIME(declared)), got.MIME)
		require.Equal(t, wire.Clean(caption), got.Caption)
	})
}

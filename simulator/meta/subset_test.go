package meta

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"
)

func media() ([]byte, []byte, *string) {
	return bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), proto.String("/i/12/abc?oe=1")
}

func TestSubsetAccepts(t *testing.T) {
	key, sum, path := media()
	quote := &waE2E.ContextInfo{StanzaID: proto.String("3EB0"), Participant: proto.String("1@lid"),
		QuotedMessage: &waE2E.Message{Conversation: proto.String("before")}}
	for content, m := range map[string]*waE2E.Message{
		"conversation":        {Conversation: proto.String("hi")},
		"extendedTextMessage": {ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("hi"), ContextInfo: quote, BackgroundArgb: proto.Uint32(1)}},
		"imageMessage": {ImageMessage: &waE2E.ImageMessage{Mimetype: proto.String("image/jpeg"), Caption: proto.String("c"), MediaKey: key,
			FileSHA256: sum, FileEncSHA256: sum, DirectPath: path, ContextInfo: quote, FileLength: proto.Uint64(3), JPEGThumbnail: []byte{1}}},
		"videoMessage": {VideoMessage: &waE2E.VideoMessage{Mimetype: proto.String("video/mp4"), MediaKey: key, FileSHA256: sum, FileEncSHA256: sum,
			DirectPath: path, GifPlayback: proto.Bool(true)}},
		"audioMessage": {AudioMessage: &waE2E.AudioMessage{Mimetype: proto.String("audio/ogg; codecs=opus"), MediaKey: key, FileSHA256: sum,
			FileEncSHA256: sum, DirectPath: path, PTT: proto.Bool(true), Waveform: make([]byte, 64)}},
		"documentMessage": {DocumentMessage: &waE2E.DocumentMessage{Mimetype: proto.String("application/pdf"), MediaKey: key, FileSHA256: sum,
			FileEncSHA256: sum, DirectPath: path, FileName: proto.String("a.pdf"), Caption: proto.String("c")}},
		"reactionMessage": {ReactionMessage: &waE2E.ReactionMessage{Key: &waCommon.MessageKey{RemoteJID: proto.String("1@lid"), FromMe: proto.Bool(true),
			ID: proto.String("3EB0")}, Text: proto.String("👍"), SenderTimestampMS: proto.Int64(1)}},
	} {
		data, err := proto.Marshal(m)
		require.NoError(t, err)
		_, got, err := decodeSubset(data)
		require.NoError(t, err, content)
		require.Equal(t, content, got)
	}
}

func TestSubsetRefuses(t *testing.T) {
	key, sum, path := media()
	image := func(change func(*waE2E.ImageMessage)) *waE2E.Message {
		m := &waE2E.ImageMessage{Mimetype: proto.String("image/png"), MediaKey: key, FileSHA256: sum, FileEncSHA256: sum, DirectPath: path}
		change(m)
		return &waE2E.Message{ImageMessage: m}
	}
	for name, m := range map[string]*waE2E.Message{
		"nothing":              {},
		"two contents":         {Conversation: proto.String("a"), ReactionMessage: &waE2E.ReactionMessage{Key: &waCommon.MessageKey{ID: proto.String("1")}}},
		"message context":      {Conversation: proto.String("a"), MessageContextInfo: &waE2E.MessageContextInfo{}},
		"sticker":              {StickerMessage: &waE2E.StickerMessage{}},
		"field in the quote":   {ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("a"), ContextInfo: &waE2E.ContextInfo{IsForwarded: proto.Bool(true)}}},
		"message in the quote": {ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("a"), ContextInfo: &waE2E.ContextInfo{QuotedMessage: &waE2E.Message{StickerMessage: &waE2E.StickerMessage{}}}}},
		"preview without text": {ExtendedTextMessage: &waE2E.ExtendedTextMessage{Title: proto.String("a")}},
		"reaction to nothing":  {ReactionMessage: &waE2E.ReactionMessage{Text: proto.String("x")}},
		"url":                  image(func(m *waE2E.ImageMessage) { m.URL = proto.String("https://x") }),
		"gif image":            image(func(m *waE2E.ImageMessage) { m.Mimetype = proto.String("image/gif") }),
		"short key":            image(func(m *waE2E.ImageMessage) { m.MediaKey = key[:31] }),
		"no key":               image(func(m *waE2E.ImageMessage) { m.MediaKey = nil }),
		"short hash":           image(func(m *waE2E.ImageMessage) { m.FileEncSHA256 = sum[:20] }),
		"view once":            image(func(m *waE2E.ImageMessage) { m.ViewOnce = proto.Bool(true) }),
		"long waveform": {AudioMessage: &waE2E.AudioMessage{Mimetype: proto.String("audio/aac"), MediaKey: key, FileSHA256: sum, FileEncSHA256: sum,
			DirectPath: path, Waveform: make([]byte, maxWaveform+1)}},
	} {
		data, err := proto.Marshal(m)
		require.NoError(t, err)
		_, _, err = decodeSubset(data)
		require.ErrorIs(t, err, errSubset, name)
	}
}

func TestPadding(t *testing.T) {
	for roll := range 100 {
		padded := pad([]byte("text"), float64(roll)/100)
		require.Greater(t, len(padded), 4)
		require.LessOrEqual(t, len(padded), 4+15)
		plain, err := unpad(padded)
		require.NoError(t, err)
		require.Equal(t, "text", string(plain))
	}
	for _, bad := range []string{"", "x\x00", "\x02", "ab\x01\x03\x03", strings.Repeat("\x20", 32)} {
		_, err := unpad([]byte(bad))
		require.ErrorIs(t, err, errSubset, "%q", bad)
	}
}

func FuzzSubset(f *testing.F) {
	f.Add(encodeText("hi"))
	f.Add(encodeReply("hi", "3EB0", "12-1@interop", "before"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, content, err := decodeSubset(data)
		if err != nil {
			require.ErrorIs(t, err, errSubset)
			return
		}
		require.Contains(t, v, content)
	})
}

func FuzzReply(f *testing.F) {
	f.Add("answer", "3EB0", "12-1@interop", "question")
	f.Fuzz(func(t *testing.T, text, id, sender, quoted string) {
		v, content, err := decodeSubset(encodeReply(text, id, sender, quoted))
		require.NoError(t, err)
		quote := v.message(content).message("contextInfo")
		require.Equal(t, []string{text, id, sender, quoted}, []string{v.message(content).text("text"), quote.text("stanzaId"),
			quote.text("participant"), quote.message("quotedMessage").text("conversation")})
	})
}

func FuzzStanza(f *testing.F) {
	f.Add([]byte{0, 0xf8, 2, 3, 4})
	f.Add([]byte{2, 0x78, 0x9c})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		node, err := decodeStanza(data)
		require.True(t, err != nil || node != nil)
	})
}

package convert_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/convert"
)

// pngHeader repairs the checksum of a PNG's first chunk.
func pngHeader(data []byte) []byte {
	binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
	return data
}

func TestSniff(t *testing.T) {
	for head, want := range map[string]string{
		"\xff\xd8\xff\xe0":          "image/jpeg",
		"\x89PNG\r\n\x1a\n":         "image/png",
		"GIF89a":                    "image/gif",
		"RIFF____WEBPVP8 ":          "image/webp",
		"RIFF____WAVEfmt ":          "audio/wav",
		"____ftypisom":              "video/mp4",
		"____ftypM4A ":              "audio/mp4",
		"____ftypqt  ":              "video/quicktime",
		"____ftypavif":              "image/avif",
		"____ftypheic":              "image/heic",
		"____ftyp3gp4":              "video/3gpp",
		"\x1aE\xdf\xa3____webm":     "video/webm",
		"\x1aE\xdf\xa3____matroska": "video/x-matroska",
		"OggS____OpusHead":          "audio/ogg; codecs=opus",
		"OggS____\x01vorbis":        "audio/ogg",
		"OggS____\x80theora":        "video/ogg",
		"fLaC":                      "audio/flac",
		"#!AMR\n":                   "audio/amr",
		"ID3\x03":                   "audio/mpeg",
		"\xff\xfb\x90":              "audio/mpeg",
		"\xff\xf1\x50":              "audio/aac",
		"%PDF-1.7":                  "application/pdf",
		"PK\x03\x04":                "application/zip",
		"II*\x00":                   "image/tiff",
		"BM____\x00\x00\x00\x00":    "image/bmp",
		"":                          "", "<html>": "", "hello": "", "RIFF": "", "____ftyp": "video/mp4",
	} {
		require.Equal(t, want, convert.Sniff([]byte(head)), "%q", head)
	}
}

func TestAgree(t *testing.T) {
	const jpg, mp4, zip = "\xff\xd8\xff\xe0", "____ftypisom", "PK\x03\x04"
	for _, c := range []struct{ head, declared, want string }{
		{jpg, "image/jpeg", "image/jpeg"},
		{jpg, "image/png", "image/jpeg"},
		{jpg, "", "image/jpeg"},
		{jpg, "application/octet-stream", "image/jpeg"},
		{jpg, "audio/ogg", convert.Unknown},
		{jpg, "text/html", convert.Unknown},
		{mp4, "video/mp4", "video/mp4"},
		{mp4, "audio/mp4; codecs=aac", "audio/mp4"},
		{mp4, "VIDEO/MP4", "video/mp4"},
		{zip, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{zip, "image/png", convert.Unknown},
		{"%PDF-1", "audio/mpeg", convert.Unknown},
		{"%PDF-1", "application/pdf", "application/pdf"},
		{"hello", "text/plain; charset=utf-8", "text/plain"},
		{"BEGIN:VCARD", "text/vcard", "text/vcard"},
		{"<html>", "text/html", convert.Unknown},
		{"<html>", "image/png", convert.Unknown},
		{"<svg>", "image/svg+xml", convert.Unknown},
		{"x", "application/javascript", convert.Unknown},
		{"x", "application/pdf", convert.Unknown},
		{"x", "text/a b", convert.Unknown},
		{"x", "nonsense", convert.Unknown},
	} {
		require.Equal(t, c.want, convert.Agree([]byte(c.head), c.declared), "%q as %q", c.head, c.declared)
	}
}

func TestExtension(t *testing.T) {
	require.Equal(t, ".ogg", convert.Extension("audio/ogg; codecs=opus"))
	require.Equal(t, ".jpg", convert.Extension("image/jpeg"))
	require.Equal(t, ".bin", convert.Extension("application/x-unheard-of"))
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte("RIFF____WEBPVP8X"))
	f.Add([]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00"))
	f.Add([]byte("\xff\xd8\xff\xe0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		picture, err := convert.Header(bytes.NewReader(data))
		if err == nil {
			require.Positive(t, picture.Width)
			require.Positive(t, picture.Height)
		}
		frames, err := convert.Frames(bytes.NewReader(data))
		if err == nil {
			require.LessOrEqual(t, frames, 500)
		}
		require.NotContains(t, convert.Agree(data, "text/html"), "html")
	})
}

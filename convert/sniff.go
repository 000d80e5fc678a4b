package convert

import (
	"bytes"
	"strings"
)

// SniffLength is how many of a file's first bytes [Sniff] looks at.
const SniffLength = 512

// Unknown is the type of a file that is not what it says, or says nothing.
const Unknown = "application/octet-stream"

// Sniff tells a file's type from its first bytes, empty if they are of no type
// that this package knows. Types that a browser would run are not among them.
func Sniff(head []byte) string {
	at := func(offset int, text string) bool {
		return len(head) >= offset && bytes.HasPrefix(head[offset:], []byte(text))
	}
	switch {
	case at(0, "\xff\xd8\xff"):
		return "image/jpeg"
	case at(0, "\x89PNG\r\n\x1a\n"):
		return "image/png"
	case at(0, "GIF87a"), at(0, "GIF89a"):
		return "image/gif"
	case at(0, "RIFF") && at(8, "WEBP"):
		return "image/webp"
	case at(0, "RIFF") && at(8, "WAVE"):
		return "audio/wav"
	case at(0, "II*\x00"), at(0, "MM\x00*"):
		return "image/tiff"
	case at(0, "BM") && at(6, "\x00\x00\x00\x00"):
		return "image/bmp"
	case at(4, "ftyp"):
		return sniffBrand(head)
	case at(0, "\x1aE\xdf\xa3"):
		return sniffMatroska(head)
	case at(0, "OggS"):
		return sniffOgg(head)
	case at(0, "fLaC"):
		return "audio/flac"
	case at(0, "#!AMR"):
		return "audio/amr"
	case at(0, "ID3"):
		return "audio/mpeg"
	case at(0, "%PDF-"):
		return "application/pdf"
	case at(0, "PK\x03\x04"):
		return "application/zip"
	case len(head) > 1 && head[0] == 0xff && head[1]&0xf6 == 0xf0:
		return "audio/aac"
	case len(head) > 1 && head[0] == 0xff && head[1]&0xe6 == 0xe2:
		return "audio/mpeg"
	}
	return ""
}

// sniffBrand tells the members of the MP4 family apart.
func sniffBrand(head []byte) string {
	if len(head) < 12 {
		return "video/mp4"
	}
	switch brand := string(head[8:12]); {
	case brand == "M4A ", brand == "M4B ", brand == "F4A ":
		return "audio/mp4"
	case brand == "qt  ":
		return "video/quicktime"
	case brand == "avif", brand == "avis":
		return "image/avif"
	case brand == "heic", brand == "heix", brand == "mif1", brand == "msf1", brand == "hevc":
		return "image/heic"
	case strings.HasPrefix(brand, "3gp"), strings.HasPrefix(brand, "3g2"):
		return "video/3gpp"
	}
	return "video/mp4"
}

func sniffMatroska(head []byte) string {
	if bytes.Contains(head, []byte("webm")) {
		return "video/webm"
	}
	return "video/x-matroska"
}

func sniffOgg(head []byte) string {
	switch {
	case bytes.Contains(head, []byte("OpusHead")):
		return "audio/ogg; codecs=opus"
	case bytes.Contains(head, []byte("theora")):
		return "video/ogg"
	}
	return "audio/ogg"
}

// Agree is a file's type as its bytes and its sender both have it: the sniffed type where the two are of
// one kind, the declared one where the bytes say nothing and the type is harmless, else [Unknown].
func Agree(head []byte, declared string) string {
	sniffed := Sniff(head)
	plain, _, _ := strings.Cut(declared, ";")
	plain = strings.ToLower(strings.TrimSpace(plain))
	switch {
	case sniffed == "" && harmless(plain):
		return plain
	case sniffed == "":
		return Unknown
	case sniffed == "application/zip" && harmless(plain) && kind(plain) == "application" && plain != Unknown:
		// Office documents and many others are archives.
		return plain
	case plain == "", plain == Unknown, kind(plain) == kind(sniffed):
		return sniffed
	case kind(sniffed) == "video" && kind(plain) == "audio":
		// One container for both: what is declared decides whether the picture is shown.
		return strings.Replace(sniffed, "video/", "audio/", 1)
	}
	return Unknown
}

// harmless says whether a type can be believed although the bytes do not show it: a document, but none
// that a browser would run, and nothing that would be shown in a room.
func harmless(mime string) bool {
	for _, bad := range []string{"html", "svg", "+xml", "/xml", "script"} {
		if strings.Contains(mime, bad) {
			return false
		}
	}
	switch kind(mime) {
	case "application", "text":
		return mime != "application/pdf" && mime != "application/zip" && wellFormed(mime)
	}
	return false
}

func kind(mime string) string {
	kind, _, _ := strings.Cut(mime, "/")
	return kind
}

func wellFormed(mime string) bool {
	main, sub, found := strings.Cut(mime, "/")
	if !found || main == "" || sub == "" || len(mime) > 100 {
		return false
	}
	return strings.Trim(main+sub, "abcdefghijklmnopqrstuvwxyz0123456789.+-_") == ""
}

// Extension is the usual ending of a type's files, dot included, and ".bin" for types that have none here.
func Extension(mime string) string {
	plain, _, _ := strings.Cut(mime, ";")
	ending, ok := map[string]string{
		"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp", "image/tiff": ".tiff",
		"image/bmp": ".bmp", "image/avif": ".avif", "image/heic": ".heic", "audio/ogg": ".ogg", "audio/mpeg": ".mp3",
		"audio/mp4": ".m4a", "audio/aac": ".aac", "audio/amr": ".amr", "audio/wav": ".wav", "audio/flac": ".flac",
		"audio/webm": ".weba", "video/mp4": ".mp4", "video/3gpp": ".3gp", "video/quicktime": ".mov", "video/webm": ".webm",
		"video/x-matroska": ".mkv", "video/ogg": ".ogv", "application/pdf": ".pdf", "application/zip": ".zip",
		"text/plain": ".txt", "text/vcard": ".vcf", "text/x-vcard": ".vcf", "text/csv": ".csv", "text/calendar": ".ics",
	}[plain]
	if !ok {
		return ".bin"
	}
	return ending
}

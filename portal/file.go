package portal

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"maunium.net/go/mautrix/event"

	"causeway/network"
)

// Limits of what a network takes (docs/protocol.md#subset).
const (
	// MaxFile and MaxImage are bytes.
	MaxFile  = 100 << 20
	MaxImage = 16 << 20
	// maxTranscoded is how many bytes a video may have that is to be written anew: more takes too long.
	maxTranscoded = 32 << 20
	// maxBars is how many values of a waveform are sent.
	maxBars = 64
)

// Plan is what must happen to a file before the network takes it.
type Plan string

// The plans. Those that begin with "to" need a converter.
const (
	Pass        Plan = "pass"
	ToPNG       Plan = "to png"
	ToJPEG      Plan = "to jpeg"
	ToVoice     Plan = "to voice"
	ToVideo     Plan = "to video"
	ToAnimation Plan = "to animation"
	ToSticker   Plan = "to sticker"
)

// Found is what is known of a file's bytes.
type Found struct {
	// MIME is the type that the bytes and the event agree on, and Extension its usual ending.
	MIME, Extension string
	Size            int64
	// Width and Height are pixels, zero if the bytes do not say.
	Width, Height int
	// Alpha: parts of the picture may be transparent. Animated: it moves. TooBig: it must not be decoded.
	Alpha, Animated, TooBig bool
}

// File is a file on its way to the network.
type File struct {
	// Media lacks Open, and what only the bytes to be sent tell: Size, Thumbnail, and a voice message's Waveform.
	Media network.Media
	Plan  Plan
	// Apart is text that belongs to the file but must be a message of its own, as the kind takes no caption.
	Apart string
	// Reduced: it goes as a document for want of a converter, or since it is too much for one.
	Reduced bool
}

// IsFile says whether a message carries a file.
func IsFile(content *event.MessageEventContent) bool {
	return content.MsgType.IsMedia()
}

// FileFromMatrix decides what a user's file becomes in a chat that can do something, with or without a converter. Errors
// wrap [network.ErrTooLarge] and [network.ErrUnsupported].
func FileFromMatrix(content *event.MessageEventContent, found Found, can Abilities, converter bool) (File, error) {
	switch {
	case found.Size == 0:
		return File{}, fmt.Errorf("failed to convert an empty file: %w", network.ErrUnsupported)
	case found.Size > MaxFile:
		return File{}, fmt.Errorf("failed to convert a file of %d bytes: %w", found.Size, network.ErrTooLarge)
	}
	caption := ""
	if content.MsgType != event.CapMsgSticker {
		caption = captionFromMatrix(content)
	}
	if utf8.RuneCountInString(caption) > MaxTextLength {
		return File{}, fmt.Errorf("failed to convert a caption of over %d characters: %w", MaxTextLength, network.ErrTooLarge)
	}
	kind, plan := planFor(content, found, can)
	file := File{Plan: plan, Media: network.Media{Kind: kind, MIME: sentType(plan, found.MIME), Caption: caption}}
	if plan != Pass && (!converter || found.TooBig || plan == ToVideo && found.Size > maxTranscoded) {
		return AsDocument(content, found, file), nil
	}
	describe(&file.Media, content, found)
	if kind == network.Document {
		file.Media.FileName = FileName(content.GetFileName(), found.Extension)
	}
	if !CarriesCaption(kind) {
		file.Media.Caption, file.Apart = "", caption
	}
	return file, nil
}

// AsDocument is a file as it is, for one that cannot be converted.
func AsDocument(content *event.MessageEventContent, found Found, file File) File {
	caption := file.Media.Caption
	if caption == "" {
		caption = file.Apart
	}
	return File{Plan: Pass, Reduced: true, Media: network.Media{
		Kind: network.Document, MIME: found.MIME, Caption: caption,
		FileName: FileName(content.GetFileName(), found.Extension),
	}}
}

// For is the file as a chat takes it that can do something: not all have room for the text of a document.
func (f File) For(can Abilities) File {
	if !can.Captions && f.Media.Kind == network.Document && f.Apart == "" {
		f.Media.Caption, f.Apart = "", f.Media.Caption
	}
	return f
}

// CarriesCaption says whether a kind of file has room for a text (docs/protocol.md#subset).
func CarriesCaption(kind network.MediaKind) bool {
	switch kind {
	case network.Image, network.Video, network.GIF, network.Document:
		return true
	}
	return false
}

// CarriesReply says whether media can say what it replies to.
func (can Abilities) CarriesReply(media network.Media) bool {
	return can.Quotes || media.Kind == network.Image
}

// stickerTypes are what stickers can be where there are any (docs/protocol.md#messenger).
func stickerTypes() []string { return []string{"image/webp", "image/png"} }

func planFor(content *event.MessageEventContent, found Found, can Abilities) (network.MediaKind, Plan) {
	if content.MsgType == event.CapMsgSticker && can.Stickers && slices.Contains(stickerTypes(), found.MIME) && found.Size <= MaxImage {
		return network.Sticker, Pass
	}
	switch content.MsgType {
	case event.MsgImage, event.CapMsgSticker:
		return planImage(content, found)
	case event.MsgVideo:
		return planVideo(content, found)
	case event.MsgAudio:
		return planAudio(content, found)
	}
	return network.Document, Pass
}

func planImage(content *event.MessageEventContent, found Found) (network.MediaKind, Plan) {
	switch found.MIME {
	case "image/jpeg", "image/png":
		if found.Size <= MaxImage {
			return network.Image, Pass
		}
	case "image/gif":
		if found.Animated {
			return network.GIF, ToAnimation
		}
		return network.Image, ToPNG
	case "image/webp", "image/bmp", "image/tiff", "image/avif", "image/heic":
		if found.Alpha || content.MsgType == event.CapMsgSticker {
			return network.Image, ToPNG
		}
		return network.Image, ToJPEG
	}
	return network.Document, Pass
}

func planVideo(content *event.MessageEventContent, found Found) (network.MediaKind, Plan) {
	kind := network.Video
	if content.Info != nil && content.Info.MauGIF {
		kind = network.GIF
	}
	switch found.MIME {
	case "video/mp4", "video/3gpp":
		return kind, Pass
	case "video/quicktime", "video/webm", "video/x-matroska", "video/ogg":
		return kind, ToVideo
	case "image/gif":
		return network.GIF, ToAnimation
	}
	return network.Document, Pass
}

func planAudio(content *event.MessageEventContent, found Found) (network.MediaKind, Plan) {
	voice := content.MSC3245Voice != nil
	switch {
	case found.MIME == "audio/ogg; codecs=opus" && voice:
		return network.Voice, Pass
	case voice && strings.HasPrefix(found.MIME, "audio/"):
		return network.Voice, ToVoice
	}
	switch found.MIME {
	case "audio/ogg; codecs=opus", "audio/mpeg", "audio/mp4", "audio/aac", "audio/amr":
		return network.Audio, Pass
	}
	return network.Document, Pass
}

// sentType is the type that a file has after its plan.
func sentType(plan Plan, mime string) string {
	switch plan {
	case ToPNG:
		return "image/png"
	case ToJPEG:
		return "image/jpeg"
	case ToVoice:
		return "audio/ogg; codecs=opus"
	case ToVideo, ToAnimation:
		return "video/mp4"
	case ToSticker:
		return "image/webp"
	}
	return mime
}

// describe fills in what the event says of its file, where that is meaningful and within bounds.
func describe(media *network.Media, content *event.MessageEventContent, found Found) {
	media.Width, media.Height = found.Width, found.Height
	info := content.Info
	if info == nil {
		info = &event.FileInfo{}
	}
	if media.Width == 0 && info.Width > 0 && info.Height > 0 && info.Width <= maxPixels && info.Height <= maxPixels {
		media.Width, media.Height = info.Width, info.Height
	}
	length := info.Duration
	if content.MSC1767Audio != nil {
		length = max(length, content.MSC1767Audio.Duration)
	}
	if length > 0 && length < int(maxDuration.Milliseconds()) {
		media.Duration = time.Duration(length) * time.Millisecond
	}
	switch media.Kind {
	case network.Document, network.Audio, network.Voice:
		media.Width, media.Height = 0, 0
	}
	if media.Kind == network.Voice && content.MSC1767Audio != nil {
		media.Waveform = Waveform(content.MSC1767Audio.Waveform)
	}
}

const (
	// maxPixels bounds a side, and maxDuration a length, that an event claims.
	maxPixels   = 20_000
	maxDuration = 24 * time.Hour
)

// Waveform makes at most 64 values of 0 to 100 of a Matrix waveform (MSC1767, 0 to 1024), nil if there is none.
func Waveform(values []int) []byte {
	if len(values) == 0 {
		return nil
	}
	bars := min(len(values), maxBars)
	out := make([]byte, bars)
	for i := range bars {
		from, to := i*len(values)/bars, (i+1)*len(values)/bars
		for _, value := range values[from:max(to, from+1)] {
			out[i] = max(out[i], byte(min(max(value, 0), maxWaveform)*loudest/maxWaveform))
		}
	}
	return out
}

// captionFromMatrix is a file's caption in the network's markup (MSC2530).
func captionFromMatrix(content *event.MessageEventContent) string {
	plain := content.GetCaption()
	if plain == "" {
		return ""
	}
	return writtenText(&event.MessageEventContent{Body: plain, Format: content.Format, FormattedBody: content.FormattedBody})
}

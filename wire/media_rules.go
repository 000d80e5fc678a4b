package wire

import (
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	"causeway/network"
)

// This file is what phones demand of files, on every network (docs/protocol.md#subset, docs/protocol.md#media).

// Limits of what a message says of its file, in bytes.
const (
	// LongestWaveform is the largest waveform that phones take; [Loudness] makes usualWaveform samples at most.
	LongestWaveform  = 192
	usualWaveform    = 64
	LargestThumbnail = 64 << 10 // assumed: U15
	longestMIME      = 255      // assumed: U12
)

// voiceMIME is the one spelling of Ogg that phones take.
const voiceMIME = "audio/ogg; codecs=opus"

// ClassOf is the class of a kind's files, empty for a kind that there is not.
func ClassOf(kind network.MediaKind) MediaType {
	switch kind {
	case network.Image, network.Sticker:
		return MediaImage
	case network.Video, network.GIF, network.VideoNote:
		return MediaVideo
	case network.Audio, network.Voice:
		return MediaAudio
	case network.Document:
		return MediaDocument
	}
	return ""
}

// takes says whether phones take a type for a kind of file.
func takes(kind network.MediaKind, declared string) bool {
	switch kind {
	case network.Image:
		return slices.Contains([]string{"image/jpeg", "image/png"}, declared)
	case network.Sticker:
		return slices.Contains([]string{"image/webp", "image/png"}, declared) // assumed: U18
	case network.Video, network.GIF, network.VideoNote:
		return slices.Contains([]string{"video/mp4", "video/3gpp"}, declared) // assumed: U12
	case network.Audio, network.Voice:
		return slices.Contains([]string{"audio/aac", "audio/mp4", "audio/amr", "audio/mpeg", voiceMIME}, declared)
	}
	return declared != "" && len(declared) <= longestMIME
}

// CanonicalMIME spells a type as phones do: Ogg with its codec, all others of image,
// sound and film without parameters.
func CanonicalMIME(declared string) string {
	base, parameters, err := mime.ParseMediaType(declared)
	class, _, _ := strings.Cut(base, "/")
	switch {
	case err != nil, class != "image" && class != "video" && class != "audio":
		return declared
	case base == "audio/ogg" && strings.EqualFold(parameters["codecs"], "opus"):
		return voiceMIME
	}
	return base
}

// CheckMedia refuses what phones would refuse, before a file's bytes are read. Errors wrap sentinels of package network.
func CheckMedia(media network.Media) error {
	class := ClassOf(media.Kind)
	declared := CanonicalMIME(media.MIME)
	switch {
	case class == "" || media.Open == nil:
		return fmt.Errorf("%w: media of kind %q", network.ErrUnsupported, media.Kind)
	case !takes(media.Kind, declared):
		return fmt.Errorf("%w: %q as %s", network.ErrUnsupported, declared, media.Kind)
	case (class == MediaAudio || media.Kind == network.Sticker) && media.Caption != "":
		return fmt.Errorf("%w: a caption on a %s", network.ErrUnsupported, media.Kind)
	case media.Size > class.Limit():
		return fmt.Errorf("%w: a file of %d bytes", network.ErrTooLarge, media.Size)
	case len(media.Caption) > LongestText:
		return fmt.Errorf("%w: a caption of %d bytes", network.ErrTooLarge, len(media.Caption))
	case len(media.Waveform) > LongestWaveform:
		return fmt.Errorf("%w: a waveform of %d samples", network.ErrTooLarge, len(media.Waveform))
	case len(media.Thumbnail) > LargestThumbnail:
		return fmt.Errorf("%w: a thumbnail of %d bytes", network.ErrTooLarge, len(media.Thumbnail))
	}
	return nil
}

// CheckFile looks at what a message that came in says of its file. Errors wrap [ErrContent].
func CheckFile(kind network.MediaKind, declared string, file MediaRef) error {
	var missing error
	demand := func(there bool, what string) {
		if !there {
			missing = errors.Join(missing, fmt.Errorf("%w: the message lacks %s", ErrContent, what))
		}
	}
	demand(takes(kind, declared), "a type that fits")
	demand(len(file.Key) == 32, "a key of 32 bytes")
	demand(len(file.PlainSHA256) == 32 && len(file.EncSHA256) == 32, "hashes of 32 bytes")
	demand(file.Path != "", "the path of a file")
	return missing
}

// Loudness brings a waveform to at most the usual number of samples, 0 to 100 each; of
// those that fall together the loudest stays.
func Loudness(waveform []byte) []byte {
	count := min(len(waveform), usualWaveform)
	if count == 0 {
		return nil
	}
	samples := make([]byte, count)
	for i, sample := range waveform {
		place := i * count / len(waveform)
		samples[place] = max(samples[place], min(sample, 100))
	}
	return samples
}

package whatsapp

import (
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	"go.mau.fi/whatsmeow/proto/waE2E"
)

// Limits of content, in bytes (docs/protocol.md#subset, docs/protocol.md#media).
const (
	// longestWaveform is the largest waveform that phones take; we send usualWaveform samples at most.
	longestWaveform  = 192
	usualWaveform    = 64
	largestThumbnail = 64 << 10 // assumed: U15
	longestMIME      = 255      // assumed: U12
)

// voiceMIME is the one spelling of Ogg that phones take.
const voiceMIME = "audio/ogg; codecs=opus"

func imageTypes() []string { return []string{"image/jpeg", "image/png"} }
func videoTypes() []string { return []string{"video/mp4", "video/3gpp"} } // assumed: U12
func audioTypes() []string {
	return []string{"audio/aac", "audio/mp4", "audio/amr", "audio/mpeg", voiceMIME}
}

// canonicalMIME spells a type as phones do: Ogg with its codec, all others of image,
// sound and film without parameters.
func canonicalMIME(declared string) string {
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

// filePart is what all members with a file have in common.
type filePart interface {
	GetMimetype() string
	GetMediaKey() []byte
	GetFileSHA256() []byte
	GetFileEncSHA256() []byte
	GetFileLength() uint64
	GetDirectPath() string
}

// checkRules holds a message against what phones demand beyond the schema. It is
// applied to what comes in, and to what goes out (docs/protocol.md#subset).
func checkRules(message *waE2E.Message) error {
	var found []error
	add := func(set bool, check func() error) {
		if set {
			found = append(found, check())
		}
	}
	extended, reaction, audio := message.GetExtendedTextMessage(), message.GetReactionMessage(), message.GetAudioMessage()
	add(message.Conversation != nil, func() error { return nil })
	add(extended != nil, func() error { return demand(extended.Text != nil, "a text") })
	add(reaction != nil, func() error { return demand(reaction.GetKey().GetID() != "", "the target of a reaction") })
	add(message.ImageMessage != nil, func() error { return checkFile(message.ImageMessage, imageTypes()) })
	add(message.VideoMessage != nil, func() error { return checkFile(message.VideoMessage, videoTypes()) })
	add(message.PtvMessage != nil, func() error { return checkFile(message.PtvMessage, videoTypes()) })
	add(message.DocumentMessage != nil, func() error { return checkFile(message.DocumentMessage, nil) })
	add(audio != nil, func() error {
		return errors.Join(checkFile(audio, audioTypes()), demand(len(audio.GetWaveform()) <= longestWaveform, "a shorter waveform"))
	})
	if len(found) != 1 {
		return fmt.Errorf("%d contents in one message", len(found)) // assumed: U12
	}
	return found[0]
}

// demand says what is missing.
func demand(there bool, what string) error {
	if there {
		return nil
	}
	return fmt.Errorf("the message lacks %s", what)
}

// checkFile holds a file's type against a list, nil for any, and looks at keys and hashes.
func checkFile(part filePart, types []string) error {
	declared := part.GetMimetype()
	return errors.Join(
		demand(declared != "" && len(declared) <= longestMIME && (types == nil || slices.Contains(types, declared)), "a type that fits"),
		demand(len(part.GetMediaKey()) == 32, "a key of 32 bytes"),
		demand(len(part.GetFileSHA256()) == 32 && len(part.GetFileEncSHA256()) == 32, "hashes of 32 bytes"),
		demand(part.GetDirectPath() != "", "the path of a file"),
		checkThumbnailHashes(part),
	)
}

// checkThumbnailHashes looks at the hashes of a thumbnail that is a file of its own.
func checkThumbnailHashes(part filePart) error {
	hashed, ok := part.(interface {
		GetThumbnailSHA256() []byte
		GetThumbnailEncSHA256() []byte
	})
	if !ok {
		return nil
	}
	for _, hash := range [][]byte{hashed.GetThumbnailSHA256(), hashed.GetThumbnailEncSHA256()} {
		if hash != nil && len(hash) != 32 {
			return demand(false, "hashes of 32 bytes for its thumbnail")
		}
	}
	return nil
}

package whatsapp

import (
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow/proto/waE2E"

	"causeway/network"
	"causeway/wire"
)

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
	add(message.ImageMessage != nil, func() error { return checkFile(message.ImageMessage, network.Image) })
	add(message.VideoMessage != nil, func() error { return checkFile(message.VideoMessage, network.Video) })
	add(message.PtvMessage != nil, func() error { return checkFile(message.PtvMessage, network.VideoNote) })
	add(message.DocumentMessage != nil, func() error { return checkFile(message.DocumentMessage, network.Document) })
	add(audio != nil, func() error {
		return errors.Join(checkFile(audio, network.Audio), demand(len(audio.GetWaveform()) <= wire.LongestWaveform, "a shorter waveform"))
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

// checkFile looks at what a member says of its file, and of a thumbnail that is a file of its own.
func checkFile(part filePart, kind network.MediaKind) error {
	return errors.Join(
		wire.CheckFile(kind, part.GetMimetype(), wire.MediaRef{
			Type: wire.ClassOf(kind), Path: part.GetDirectPath(), Key: part.GetMediaKey(),
			PlainSHA256: part.GetFileSHA256(), EncSHA256: part.GetFileEncSHA256(),
		}),
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

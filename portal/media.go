package portal

import (
	"strings"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
)

// Uploaded is a file in the homeserver's media repository.
type Uploaded struct {
	URL id.ContentURIString
	// File holds the key where the room is encrypted, nil otherwise.
	File *event.EncryptedFileInfo
	// MIME is the type that the bytes and their sender agree on, and Extension its usual ending.
	MIME, Extension string
	// Size counts the bytes that were read.
	Size int64
	// Width and Height are pixels, zero if unknown.
	Width, Height int
	// Blurhash is a blurred picture in a few characters, of a thumbnail only.
	Blurhash string
}

// maxWaveform is the loudest value of a waveform in Matrix (MSC1767), and loudest that of the network's.
const (
	maxWaveform = 1024
	loudest     = 100
)

// MediaToMatrix converts a file that arrived and is uploaded. What its bytes do not
// confirm is shown as an attachment.
func MediaToMatrix(media network.Media, file Uploaded, thumbnail *Uploaded) *bridgev2.ConvertedMessagePart {
	content := &event.MessageEventContent{MsgType: messageType(media.Kind, file.MIME), Mentions: &event.Mentions{}}
	setFile(content, file)
	content.Info = &event.FileInfo{
		MimeType: file.MIME, Size: int(file.Size), Width: file.Width, Height: file.Height,
		Duration: int(media.Duration.Milliseconds()),
	}
	if thumbnail != nil {
		content.Info.ThumbnailURL, content.Info.ThumbnailFile = thumbnail.URL, thumbnail.File
		content.Info.Blurhash, content.Info.AnoaBlurhash = thumbnail.Blurhash, thumbnail.Blurhash
		content.Info.ThumbnailInfo = &event.FileInfo{
			MimeType: thumbnail.MIME, Size: int(thumbnail.Size), Width: thumbnail.Width, Height: thumbnail.Height,
		}
	}
	if content.MsgType == event.CapMsgSticker {
		content.MsgType, content.Body = "", string(media.Kind)
		return &bridgev2.ConvertedMessagePart{Type: event.EventSticker, Content: content, DBMetadata: &MessageMetadata{}}
	}
	name := media.FileName
	if name == "" {
		name = string(media.Kind)
	}
	content.FileName = FileName(name, file.Extension)
	content.Body = content.FileName
	if strings.TrimSpace(media.Caption) != "" {
		setText(content, media.Caption)
	}
	if content.MsgType == event.MsgVideo && media.Kind == network.GIF {
		content.Info.MauGIF = true
	}
	if content.MsgType == event.MsgAudio {
		describeSound(content, media)
	}
	part := &bridgev2.ConvertedMessagePart{Type: event.EventMessage, Content: content, DBMetadata: &MessageMetadata{}}
	if media.Kind == network.Sticker && content.MsgType == event.MsgImage {
		part.Type, content.MsgType = event.EventSticker, ""
	}
	return part
}

// describeSound adds length and waveform (MSC1767), and marks voice messages (MSC3245).
func describeSound(content *event.MessageEventContent, media network.Media) {
	content.MSC1767Audio = &event.MSC1767Audio{Duration: int(media.Duration.Milliseconds()), Waveform: []int{}}
	if media.Kind != network.Voice {
		return
	}
	content.MSC3245Voice = &event.MSC3245Voice{}
	for _, value := range media.Waveform[:min(len(media.Waveform), maxBars)] {
		content.MSC1767Audio.Waveform = append(content.MSC1767Audio.Waveform, min(int(value), loudest)*maxWaveform/loudest)
	}
}

func setFile(content *event.MessageEventContent, file Uploaded) {
	if file.File != nil {
		content.File = file.File
		return
	}
	content.URL = file.URL
}

// messageType is how a room shows a file: only what its bytes confirm, of types that are safe to show, is shown in place.
func messageType(kind network.MediaKind, mime string) event.MessageType {
	family, _, _ := strings.Cut(mime, "/")
	switch kind {
	case network.Image, network.Sticker:
		switch mime {
		case "image/jpeg", "image/png", "image/gif", "image/webp":
			if kind == network.Sticker {
				return event.CapMsgSticker
			}
			return event.MsgImage
		}
	case network.Video, network.GIF, network.VideoNote:
		switch mime {
		case "video/mp4", "video/webm":
			return event.MsgVideo
		}
	case network.Audio, network.Voice:
		if family == "audio" {
			return event.MsgAudio
		}
	}
	return event.MsgFile
}

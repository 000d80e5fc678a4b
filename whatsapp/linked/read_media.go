package linked

import (
	"math"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"

	"causeway/network"
	"causeway/wire"
)

// filePart is what all messages with a file have in common.
type filePart interface {
	GetMimetype() string
	GetMediaKey() []byte
	GetFileSHA256() []byte
	GetFileEncSHA256() []byte
	GetFileLength() uint64
	GetDirectPath() string
	GetContextInfo() *waE2E.ContextInfo
}

// readMedia reads what a message says of its file; ok is whether it has one.
func readMedia(m *waE2E.Message, wrap wrapping) (media network.Media, info *waE2E.ContextInfo, ok bool) {
	var part filePart
	class := wire.MediaImage
	switch {
	case m.ImageMessage != nil:
		part, media = m.ImageMessage, readImage(m.ImageMessage)
	case m.VideoMessage != nil:
		part, class, media = m.VideoMessage, wire.MediaVideo, readVideo(m.VideoMessage, network.Video)
	case m.PtvMessage != nil:
		part, class, media = m.PtvMessage, wire.MediaVideo, readVideo(m.PtvMessage, network.VideoNote)
	case m.AudioMessage != nil:
		part, class, media = m.AudioMessage, wire.MediaAudio, readAudio(m.AudioMessage)
	case m.DocumentMessage != nil:
		part, class, media = m.DocumentMessage, wire.MediaDocument, readDocument(m.DocumentMessage)
	case m.StickerMessage != nil:
		part, media = m.StickerMessage, readSticker(m.StickerMessage, wrap)
	default:
		return media, nil, false
	}
	media.MIME = wire.Clean(part.GetMimetype())
	media.Size = int64(min(part.GetFileLength(), math.MaxInt64))
	media.ViewOnce = media.ViewOnce || wrap.viewOnce
	ref := wire.MediaRef{
		Type: class, Path: wire.Clean(part.GetDirectPath()), Key: part.GetMediaKey(),
		PlainSHA256: part.GetFileSHA256(), EncSHA256: part.GetFileEncSHA256(),
	}
	if ref.Path == "" && len(ref.Key) == 0 {
		return media, part.GetContextInfo(), true // a caption alone, as edits have it
	}
	reference, err := ref.Reference()
	if err != nil {
		return media, nil, false
	}
	media.Reference = reference
	return media, part.GetContextInfo(), true
}

func readImage(m *waE2E.ImageMessage) network.Media {
	return network.Media{
		Kind: network.Image, Caption: wire.Clean(m.GetCaption()), Width: size(m.GetWidth()), Height: size(m.GetHeight()),
		Thumbnail: smallPicture(m.GetJPEGThumbnail()), ViewOnce: m.GetViewOnce(),
	}
}

func readVideo(m *waE2E.VideoMessage, kind network.MediaKind) network.Media {
	if kind == network.Video && m.GetGifPlayback() {
		kind = network.GIF
	}
	return network.Media{
		Kind: kind, Caption: wire.Clean(m.GetCaption()), Width: size(m.GetWidth()), Height: size(m.GetHeight()),
		Duration: time.Duration(m.GetSeconds()) * time.Second, Thumbnail: smallPicture(m.GetJPEGThumbnail()), ViewOnce: m.GetViewOnce(),
	}
}

func readAudio(m *waE2E.AudioMessage) network.Media {
	media := network.Media{Kind: network.Audio, Duration: time.Duration(m.GetSeconds()) * time.Second, ViewOnce: m.GetViewOnce()}
	if m.GetPTT() {
		media.Kind, media.Waveform = network.Voice, wire.Loudness(m.GetWaveform())
	}
	return media
}

func readDocument(m *waE2E.DocumentMessage) network.Media {
	media := network.Media{
		Kind: network.Document, FileName: wire.Clean(m.GetFileName()), Caption: wire.Clean(m.GetCaption()),
		Thumbnail: smallPicture(m.GetJPEGThumbnail()),
	}
	if media.FileName == "" {
		media.FileName = wire.Clean(m.GetTitle())
	}
	return media
}

func readSticker(m *waE2E.StickerMessage, wrap wrapping) network.Media {
	return network.Media{
		Kind: network.Sticker, Width: size(m.GetWidth()), Height: size(m.GetHeight()),
		Animated: m.GetIsAnimated() || m.GetIsLottie() || wrap.lottie,
	}
}

// size is a count of pixels.
func size(n uint32) int { return int(min(n, math.MaxInt32)) }

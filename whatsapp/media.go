package whatsapp

import (
	"fmt"
	"math"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// encodeMedia writes what a message says of a file that is hosted already. Only
// images carry a quote (docs/protocol.md#subset).
func encodeMedia(media network.Media, file wire.SealedMedia, quote *waE2E.ContextInfo) (*waE2E.Message, error) {
	if err := wire.CheckMedia(media); err != nil {
		return nil, err
	}
	switch media.Kind {
	case network.Image:
		return &waE2E.Message{ImageMessage: encodeImage(media, file, quote)}, nil
	case network.VideoNote:
		return &waE2E.Message{PtvMessage: encodeVideo(media, file)}, nil
	case network.Audio, network.Voice:
		return &waE2E.Message{AudioMessage: encodeAudio(media, file)}, nil
	case network.Document:
		return &waE2E.Message{DocumentMessage: encodeDocument(media, file)}, nil
	case network.Video, network.GIF:
		return &waE2E.Message{VideoMessage: encodeVideo(media, file)}, nil
	}
	return nil, fmt.Errorf("%w: media of kind %q", network.ErrUnsupported, media.Kind)
}

func encodeImage(media network.Media, file wire.SealedMedia, quote *waE2E.ContextInfo) *waE2E.ImageMessage {
	return &waE2E.ImageMessage{
		Mimetype: proto.String(wire.CanonicalMIME(media.MIME)), Caption: optional(media.Caption),
		FileSHA256: file.PlainSHA256, FileLength: proto.Uint64(uint64(file.PlainSize)),
		Height: wire.Count(media.Height), Width: wire.Count(media.Width),
		MediaKey: file.Key, FileEncSHA256: file.EncSHA256, DirectPath: proto.String(file.Path), MediaKeyTimestamp: keyTime(),
		JPEGThumbnail: media.Thumbnail, ContextInfo: quote,
	}
}

func encodeVideo(media network.Media, file wire.SealedMedia) *waE2E.VideoMessage {
	video := &waE2E.VideoMessage{
		Mimetype: proto.String(wire.CanonicalMIME(media.MIME)), Caption: optional(media.Caption),
		FileSHA256: file.PlainSHA256, FileLength: proto.Uint64(uint64(file.PlainSize)), Seconds: wire.Seconds(media.Duration),
		Height: wire.Count(media.Height), Width: wire.Count(media.Width),
		MediaKey: file.Key, FileEncSHA256: file.EncSHA256, DirectPath: proto.String(file.Path), MediaKeyTimestamp: keyTime(),
		JPEGThumbnail: media.Thumbnail,
	}
	if media.Kind == network.GIF {
		video.GifPlayback = proto.Bool(true)
	}
	return video
}

func encodeAudio(media network.Media, file wire.SealedMedia) *waE2E.AudioMessage {
	audio := &waE2E.AudioMessage{
		Mimetype:   proto.String(wire.CanonicalMIME(media.MIME)),
		FileSHA256: file.PlainSHA256, FileLength: proto.Uint64(uint64(file.PlainSize)), Seconds: wire.Seconds(media.Duration),
		MediaKey: file.Key, FileEncSHA256: file.EncSHA256, DirectPath: proto.String(file.Path), MediaKeyTimestamp: keyTime(),
	}
	if media.Kind == network.Voice {
		audio.PTT, audio.Waveform = proto.Bool(true), media.Waveform
	}
	return audio
}

func encodeDocument(media network.Media, file wire.SealedMedia) *waE2E.DocumentMessage {
	return &waE2E.DocumentMessage{
		Mimetype: proto.String(wire.CanonicalMIME(media.MIME)), Caption: optional(media.Caption),
		Title: optional(media.FileName), FileName: optional(media.FileName),
		FileSHA256: file.PlainSHA256, FileLength: proto.Uint64(uint64(file.PlainSize)),
		MediaKey: file.Key, FileEncSHA256: file.EncSHA256, DirectPath: proto.String(file.Path), MediaKeyTimestamp: keyTime(),
		JPEGThumbnail: media.Thumbnail,
	}
}

func keyTime() *int64 { return proto.Int64(time.Now().Unix()) }

// decodeMedia reads what a message says of its file.
func decodeMedia(message *waE2E.Message) (network.Media, error) {
	var media network.Media
	var part filePart
	image, video, ptv := message.GetImageMessage(), message.GetVideoMessage(), message.GetPtvMessage()
	audio, document := message.GetAudioMessage(), message.GetDocumentMessage()
	switch {
	case image != nil:
		part, media = image, network.Media{Kind: network.Image, Width: int(image.GetWidth()), Height: int(image.GetHeight())}
	case video != nil:
		part, media = video, decodeVideo(video, network.Video)
	case ptv != nil:
		part, media = ptv, decodeVideo(ptv, network.VideoNote)
	case audio != nil:
		part, media = audio, decodeAudio(audio)
	default:
		part, media = document, network.Media{Kind: network.Document, FileName: wire.Clean(document.GetFileName())}
		if media.FileName == "" {
			media.FileName = wire.Clean(document.GetTitle())
		}
	}
	if captioned, ok := part.(interface{ GetCaption() string }); ok {
		media.Caption = wire.Clean(captioned.GetCaption())
	}
	media.MIME, media.Thumbnail = wire.Clean(part.GetMimetype()), thumbnailOf(part)
	media.Size = int64(min(part.GetFileLength(), math.MaxInt64))
	reference, err := wire.MediaRef{
		Type: wire.ClassOf(media.Kind), Path: wire.Clean(part.GetDirectPath()), Key: part.GetMediaKey(),
		PlainSHA256: part.GetFileSHA256(), EncSHA256: part.GetFileEncSHA256(),
	}.Reference()
	media.Reference = reference
	return media, err
}

func decodeVideo(video *waE2E.VideoMessage, kind network.MediaKind) network.Media {
	if kind == network.Video && video.GetGifPlayback() {
		kind = network.GIF
	}
	return network.Media{
		Kind: kind, Width: int(video.GetWidth()), Height: int(video.GetHeight()),
		Duration: time.Duration(video.GetSeconds()) * time.Second,
	}
}

func decodeAudio(audio *waE2E.AudioMessage) network.Media {
	media := network.Media{Kind: network.Audio, Duration: time.Duration(audio.GetSeconds()) * time.Second}
	if audio.GetPTT() {
		media.Kind, media.Waveform = network.Voice, wire.Loudness(audio.GetWaveform())
	}
	return media
}

// thumbnailOf is the small picture within a message; one that is too large is left out.
func thumbnailOf(part any) []byte {
	pictured, ok := part.(interface{ GetJPEGThumbnail() []byte })
	if !ok || len(pictured.GetJPEGThumbnail()) == 0 || len(pictured.GetJPEGThumbnail()) > wire.LargestThumbnail {
		return nil
	}
	return pictured.GetJPEGThumbnail()
}

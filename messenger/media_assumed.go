package messenger

import (
	"fmt"
	"math"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waConsumerApplication"
	"go.mau.fi/whatsmeow/proto/waMediaTransport"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

// This file holds what messages say of files: one more envelope for each kind, inside
// the consumer's content (docs/protocol.md#messenger).

// transportVersion is that of the envelopes of files.
const transportVersion = 1 // assumed: U18

// encodeMedia writes what a message says of a file that is hosted already. A round
// video goes as any other. // assumed: U18
func encodeMedia(content *consumerContent, media network.Media, file wire.SealedMedia) error {
	if err := wire.CheckMedia(media); err != nil {
		return err
	}
	if media.Kind == network.Document && media.Caption != "" {
		return fmt.Errorf("%w: a caption on a document", network.ErrUnsupported)
	}
	raw, err := proto.Marshal(encodeTransport(media, encodeFile(media, file)))
	if err != nil {
		return fmt.Errorf("%w: %w", network.ErrRejected, err)
	}
	setMedia(content, media, &waCommon.SubProtocol{Payload: raw, Version: proto.Int32(transportVersion)})
	return nil
}

// encodeTransport is the envelope of a kind of file, with what is beside the file.
func encodeTransport(media network.Media, inner *waMediaTransport.WAMediaTransport) proto.Message {
	height, width, seconds := wire.Count(media.Height), wire.Count(media.Width), wire.Seconds(media.Duration)
	switch media.Kind {
	case network.Image:
		return &waMediaTransport.ImageTransport{
			Integral:  &waMediaTransport.ImageTransport_Integral{Transport: inner},
			Ancillary: &waMediaTransport.ImageTransport_Ancillary{Height: height, Width: width},
		}
	case network.Sticker:
		return &waMediaTransport.StickerTransport{
			Integral:  &waMediaTransport.StickerTransport_Integral{Transport: inner},
			Ancillary: &waMediaTransport.StickerTransport_Ancillary{Height: height, Width: width},
		}
	case network.Video, network.GIF, network.VideoNote:
		return &waMediaTransport.VideoTransport{
			Integral: &waMediaTransport.VideoTransport_Integral{Transport: inner},
			Ancillary: &waMediaTransport.VideoTransport_Ancillary{
				Height: height, Width: width, Seconds: seconds, GifPlayback: proto.Bool(media.Kind == network.GIF),
			},
		}
	case network.Audio, network.Voice:
		return &waMediaTransport.AudioTransport{
			Integral:  &waMediaTransport.AudioTransport_Integral{Transport: inner},
			Ancillary: &waMediaTransport.AudioTransport_Ancillary{Seconds: seconds, Waveform: media.Waveform},
		}
	}
	return &waMediaTransport.DocumentTransport{Integral: &waMediaTransport.DocumentTransport_Integral{Transport: inner}}
}

// setMedia makes an envelope the content, with what is said of it there.
func setMedia(content *consumerContent, media network.Media, body *waCommon.SubProtocol) {
	switch media.Kind {
	case network.Image:
		content.Content = &waConsumerApplication.ConsumerApplication_Content_ImageMessage{
			ImageMessage: &waConsumerApplication.ConsumerApplication_ImageMessage{Image: body, Caption: caption(media)}}
	case network.Sticker:
		content.Content = &waConsumerApplication.ConsumerApplication_Content_StickerMessage{
			StickerMessage: &waConsumerApplication.ConsumerApplication_StickerMessage{Sticker: body}}
	case network.Video, network.GIF, network.VideoNote:
		content.Content = &waConsumerApplication.ConsumerApplication_Content_VideoMessage{
			VideoMessage: &waConsumerApplication.ConsumerApplication_VideoMessage{Video: body, Caption: caption(media)}}
	case network.Audio, network.Voice:
		content.Content = &waConsumerApplication.ConsumerApplication_Content_AudioMessage{
			AudioMessage: &waConsumerApplication.ConsumerApplication_AudioMessage{Audio: body, PTT: proto.Bool(media.Kind == network.Voice)}}
	default:
		content.Content = &waConsumerApplication.ConsumerApplication_Content_DocumentMessage{
			DocumentMessage: &waConsumerApplication.ConsumerApplication_DocumentMessage{Document: body, FileName: proto.String(media.FileName)}}
	}
}

func encodeFile(media network.Media, file wire.SealedMedia) *waMediaTransport.WAMediaTransport {
	inner := &waMediaTransport.WAMediaTransport{
		Integral: &waMediaTransport.WAMediaTransport_Integral{
			FileSHA256: file.PlainSHA256, MediaKey: file.Key, FileEncSHA256: file.EncSHA256,
			DirectPath: proto.String(file.Path), MediaKeyTimestamp: proto.Int64(time.Now().Unix()),
		},
		Ancillary: &waMediaTransport.WAMediaTransport_Ancillary{
			FileLength: proto.Uint64(uint64(file.PlainSize)), Mimetype: proto.String(wire.CanonicalMIME(media.MIME)),
		},
	}
	if len(media.Thumbnail) > 0 {
		inner.Ancillary.Thumbnail = &waMediaTransport.WAMediaTransport_Ancillary_Thumbnail{JPEGThumbnail: media.Thumbnail}
	}
	return inner
}

func caption(media network.Media) *waCommon.MessageText {
	if media.Caption == "" {
		return nil
	}
	return &waCommon.MessageText{Text: proto.String(media.Caption)}
}

// decodeMedia reads what a message says of its file, which cannot be opened yet. // assumed: U18
func decodeMedia(content *consumerContent) (network.Content, error) {
	var media network.Media
	var inner *waMediaTransport.WAMediaTransport
	err := fmt.Errorf("%w: a message without content", wire.ErrContent)
	switch said := content.GetContent().(type) {
	case *waConsumerApplication.ConsumerApplication_Content_ImageMessage:
		media, inner, err = decodeImage(said.ImageMessage)
	case *waConsumerApplication.ConsumerApplication_Content_StickerMessage:
		media, inner, err = decodeSticker(said.StickerMessage)
	case *waConsumerApplication.ConsumerApplication_Content_VideoMessage:
		media, inner, err = decodeVideo(said.VideoMessage)
	case *waConsumerApplication.ConsumerApplication_Content_AudioMessage:
		media, inner, err = decodeAudio(said.AudioMessage)
	case *waConsumerApplication.ConsumerApplication_Content_DocumentMessage:
		media, inner, err = decodeDocument(said.DocumentMessage)
	}
	if err != nil {
		return nil, err
	}
	return decodeFile(media, inner)
}

func decodeImage(said *waConsumerApplication.ConsumerApplication_ImageMessage) (network.Media, *waMediaTransport.WAMediaTransport, error) {
	transport := &waMediaTransport.ImageTransport{}
	err := openFile(said.GetImage(), transport)
	size := transport.GetAncillary()
	return network.Media{
		Kind: network.Image, Width: int(size.GetWidth()), Height: int(size.GetHeight()), Caption: wire.Clean(said.GetCaption().GetText()),
	}, transport.GetIntegral().GetTransport(), err
}

func decodeSticker(said *waConsumerApplication.ConsumerApplication_StickerMessage) (network.Media, *waMediaTransport.WAMediaTransport, error) {
	transport := &waMediaTransport.StickerTransport{}
	err := openFile(said.GetSticker(), transport)
	size := transport.GetAncillary()
	return network.Media{Kind: network.Sticker, Width: int(size.GetWidth()), Height: int(size.GetHeight())},
		transport.GetIntegral().GetTransport(), err
}

func decodeVideo(said *waConsumerApplication.ConsumerApplication_VideoMessage) (network.Media, *waMediaTransport.WAMediaTransport, error) {
	transport := &waMediaTransport.VideoTransport{}
	err := openFile(said.GetVideo(), transport)
	size := transport.GetAncillary()
	media := network.Media{
		Kind: network.Video, Width: int(size.GetWidth()), Height: int(size.GetHeight()),
		Duration: duration(size.GetSeconds()), Caption: wire.Clean(said.GetCaption().GetText()),
	}
	if size.GetGifPlayback() {
		media.Kind = network.GIF
	}
	return media, transport.GetIntegral().GetTransport(), err
}

func decodeAudio(said *waConsumerApplication.ConsumerApplication_AudioMessage) (network.Media, *waMediaTransport.WAMediaTransport, error) {
	transport := &waMediaTransport.AudioTransport{}
	err := openFile(said.GetAudio(), transport)
	media := network.Media{Kind: network.Audio, Duration: duration(transport.GetAncillary().GetSeconds())}
	if said.GetPTT() {
		media.Kind, media.Waveform = network.Voice, wire.Loudness(transport.GetAncillary().GetWaveform())
	}
	return media, transport.GetIntegral().GetTransport(), err
}

func decodeDocument(said *waConsumerApplication.ConsumerApplication_DocumentMessage) (network.Media, *waMediaTransport.WAMediaTransport, error) {
	transport := &waMediaTransport.DocumentTransport{}
	err := openFile(said.GetDocument(), transport)
	return network.Media{Kind: network.Document, FileName: wire.Clean(said.GetFileName())}, transport.GetIntegral().GetTransport(), err
}

func openFile(body *waCommon.SubProtocol, transport proto.Message) error {
	if body.GetVersion() != transportVersion {
		return fmt.Errorf("%w: file of version %d", wire.ErrContent, body.GetVersion())
	}
	return open(body.GetPayload(), transport)
}

// decodeFile completes media with what all kinds say of their file.
func decodeFile(media network.Media, inner *waMediaTransport.WAMediaTransport) (network.Content, error) {
	file := wire.MediaRef{
		Type: wire.ClassOf(media.Kind), Path: wire.Clean(inner.GetIntegral().GetDirectPath()), Key: inner.GetIntegral().GetMediaKey(),
		PlainSHA256: inner.GetIntegral().GetFileSHA256(), EncSHA256: inner.GetIntegral().GetFileEncSHA256(),
	}
	media.MIME = wire.Clean(inner.GetAncillary().GetMimetype())
	if err := wire.CheckFile(media.Kind, media.MIME, file); err != nil {
		return nil, err
	}
	media.Size = int64(min(inner.GetAncillary().GetFileLength(), math.MaxInt64))
	if thumbnail := inner.GetAncillary().GetThumbnail().GetJPEGThumbnail(); len(thumbnail) <= wire.LargestThumbnail {
		media.Thumbnail = thumbnail
	}
	reference, err := file.Reference()
	if err != nil {
		return nil, err
	}
	media.Reference = reference
	return media, nil
}

func duration(seconds uint32) time.Duration { return time.Duration(seconds) * time.Second }

// allowFiles adds the envelopes of files to the closed schema. // assumed: U18
func allowFiles(s wire.Schema) {
	s.Allow(&waMediaTransport.WAMediaTransport{}, 1, 2)
	s.Allow(&waMediaTransport.WAMediaTransport_Integral{}, 1, 2, 3, 4, 5)
	s.Allow(&waMediaTransport.WAMediaTransport_Ancillary{}, 1, 2, 3)
	s.Allow(&waMediaTransport.WAMediaTransport_Ancillary_Thumbnail{}, 1)
	s.Allow(&waMediaTransport.ImageTransport{}, 1, 2)
	s.Allow(&waMediaTransport.ImageTransport_Integral{}, 1)
	s.Allow(&waMediaTransport.ImageTransport_Ancillary{}, 1, 2)
	s.Allow(&waMediaTransport.StickerTransport{}, 1, 2)
	s.Allow(&waMediaTransport.StickerTransport_Integral{}, 1, 2)
	s.Allow(&waMediaTransport.StickerTransport_Ancillary{}, 2, 3)
	s.Allow(&waMediaTransport.VideoTransport{}, 1, 2)
	s.Allow(&waMediaTransport.VideoTransport_Integral{}, 1)
	s.Allow(&waMediaTransport.VideoTransport_Ancillary{}, 1, 3, 4, 5)
	s.Allow(&waMediaTransport.AudioTransport{}, 1, 2)
	s.Allow(&waMediaTransport.AudioTransport_Integral{}, 1)
	s.Allow(&waMediaTransport.AudioTransport_Ancillary{}, 1, 4)
	s.Allow(&waMediaTransport.DocumentTransport{}, 1)
	s.Allow(&waMediaTransport.DocumentTransport_Integral{}, 1)
}

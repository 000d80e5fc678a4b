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
	inner := encodeFile(media, file)
	var envelope proto.Message
	var body waCommon.SubProtocol
	switch wire.ClassOf(media.Kind) {
	case wire.MediaImage:
		envelope = &waMediaTransport.ImageTransport{
			Integral:  &waMediaTransport.ImageTransport_Integral{Transport: inner},
			Ancillary: &waMediaTransport.ImageTransport_Ancillary{Height: number(media.Height), Width: number(media.Width)},
		}
		content.Content = &waConsumerApplication.ConsumerApplication_Content_ImageMessage{
			ImageMessage: &waConsumerApplication.ConsumerApplication_ImageMessage{Image: &body, Caption: caption(media)}}
	case wire.MediaVideo:
		envelope = &waMediaTransport.VideoTransport{
			Integral: &waMediaTransport.VideoTransport_Integral{Transport: inner},
			Ancillary: &waMediaTransport.VideoTransport_Ancillary{
				Height: number(media.Height), Width: number(media.Width), Seconds: seconds(media.Duration), GifPlayback: proto.Bool(media.Kind == network.GIF),
			},
		}
		content.Content = &waConsumerApplication.ConsumerApplication_Content_VideoMessage{
			VideoMessage: &waConsumerApplication.ConsumerApplication_VideoMessage{Video: &body, Caption: caption(media)}}
	case wire.MediaAudio:
		envelope = &waMediaTransport.AudioTransport{
			Integral:  &waMediaTransport.AudioTransport_Integral{Transport: inner},
			Ancillary: &waMediaTransport.AudioTransport_Ancillary{Seconds: seconds(media.Duration), Waveform: media.Waveform},
		}
		content.Content = &waConsumerApplication.ConsumerApplication_Content_AudioMessage{
			AudioMessage: &waConsumerApplication.ConsumerApplication_AudioMessage{Audio: &body, PTT: proto.Bool(media.Kind == network.Voice)}}
	default:
		if media.Caption != "" {
			return fmt.Errorf("%w: a caption on a document", network.ErrUnsupported)
		}
		envelope = &waMediaTransport.DocumentTransport{Integral: &waMediaTransport.DocumentTransport_Integral{Transport: inner}}
		content.Content = &waConsumerApplication.ConsumerApplication_Content_DocumentMessage{
			DocumentMessage: &waConsumerApplication.ConsumerApplication_DocumentMessage{Document: &body, FileName: proto.String(media.FileName)}}
	}
	raw, err := proto.Marshal(envelope)
	if err != nil {
		return fmt.Errorf("%w: %w", network.ErrRejected, err)
	}
	body.Payload, body.Version = raw, proto.Int32(transportVersion)
	return nil
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

// number is a count of pixels, absent when unknown.
func number(n int) *uint32 {
	if n <= 0 || int64(n) > math.MaxUint32 {
		return nil
	}
	return proto.Uint32(uint32(n))
}

// seconds is a length of time in begun seconds, absent when unknown.
func seconds(d time.Duration) *uint32 { return number(int((d + time.Second - 1) / time.Second)) }

// decodeMedia reads what a message says of its file, which cannot be opened yet. // assumed: U18
func decodeMedia(content *consumerContent) (network.Media, error) {
	switch {
	case content.GetImageMessage() != nil:
		said, transport := content.GetImageMessage(), &waMediaTransport.ImageTransport{}
		if err := openFile(said.GetImage(), transport); err != nil {
			return network.Media{}, err
		}
		size := transport.GetAncillary()
		media := network.Media{Kind: network.Image, Width: int(size.GetWidth()), Height: int(size.GetHeight())}
		return decodeFile(media, transport.GetIntegral().GetTransport(), said.GetCaption().GetText())
	case content.GetVideoMessage() != nil:
		said, transport := content.GetVideoMessage(), &waMediaTransport.VideoTransport{}
		if err := openFile(said.GetVideo(), transport); err != nil {
			return network.Media{}, err
		}
		size := transport.GetAncillary()
		media := network.Media{Kind: network.Video, Width: int(size.GetWidth()), Height: int(size.GetHeight()), Duration: duration(size.GetSeconds())}
		if size.GetGifPlayback() {
			media.Kind = network.GIF
		}
		return decodeFile(media, transport.GetIntegral().GetTransport(), said.GetCaption().GetText())
	case content.GetAudioMessage() != nil:
		said, transport := content.GetAudioMessage(), &waMediaTransport.AudioTransport{}
		if err := openFile(said.GetAudio(), transport); err != nil {
			return network.Media{}, err
		}
		media := network.Media{Kind: network.Audio, Duration: duration(transport.GetAncillary().GetSeconds())}
		if said.GetPTT() {
			media.Kind, media.Waveform = network.Voice, wire.Loudness(transport.GetAncillary().GetWaveform())
		}
		return decodeFile(media, transport.GetIntegral().GetTransport(), "")
	case content.GetDocumentMessage() != nil:
		said, transport := content.GetDocumentMessage(), &waMediaTransport.DocumentTransport{}
		if err := openFile(said.GetDocument(), transport); err != nil {
			return network.Media{}, err
		}
		media := network.Media{Kind: network.Document, FileName: wire.Clean(said.GetFileName())}
		return decodeFile(media, transport.GetIntegral().GetTransport(), "")
	}
	return network.Media{}, fmt.Errorf("%w: a message without content", wire.ErrContent)
}

func openFile(body *waCommon.SubProtocol, transport proto.Message) error {
	if body.GetVersion() != transportVersion {
		return fmt.Errorf("%w: file of version %d", wire.ErrContent, body.GetVersion())
	}
	return open(body.GetPayload(), transport)
}

// decodeFile completes media with what all kinds say of their file.
func decodeFile(media network.Media, inner *waMediaTransport.WAMediaTransport, caption string) (network.Media, error) {
	file := wire.MediaRef{
		Type: wire.ClassOf(media.Kind), Path: wire.Clean(inner.GetIntegral().GetDirectPath()), Key: inner.GetIntegral().GetMediaKey(),
		PlainSHA256: inner.GetIntegral().GetFileSHA256(), EncSHA256: inner.GetIntegral().GetFileEncSHA256(),
	}
	media.MIME = wire.Clean(inner.GetAncillary().GetMimetype())
	if err := wire.CheckFile(media.MIME, file); err != nil {
		return network.Media{}, err
	}
	media.Caption, media.Size = wire.Clean(caption), int64(min(inner.GetAncillary().GetFileLength(), math.MaxInt64))
	if thumbnail := inner.GetAncillary().GetThumbnail().GetJPEGThumbnail(); len(thumbnail) <= wire.LargestThumbnail {
		media.Thumbnail = thumbnail
	}
	reference, err := file.Reference()
	media.Reference = reference
	return media, err
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
	s.Allow(&waMediaTransport.VideoTransport{}, 1, 2)
	s.Allow(&waMediaTransport.VideoTransport_Integral{}, 1)
	s.Allow(&waMediaTransport.VideoTransport_Ancillary{}, 1, 3, 4, 5)
	s.Allow(&waMediaTransport.AudioTransport{}, 1, 2)
	s.Allow(&waMediaTransport.AudioTransport_Integral{}, 1)
	s.Allow(&waMediaTransport.AudioTransport_Ancillary{}, 1, 4)
	s.Allow(&waMediaTransport.DocumentTransport{}, 1)
	s.Allow(&waMediaTransport.DocumentTransport_Integral{}, 1)
}

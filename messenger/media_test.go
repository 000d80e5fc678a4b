package messenger

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waConsumerApplication"
	"go.mau.fi/whatsmeow/proto/waMediaTransport"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/wire"
)

func hosted() wire.SealedMedia {
	sum := make([]byte, 32)
	return wire.SealedMedia{MediaRef: wire.MediaRef{Path: "/i/12/x?oe=1", Key: sum, PlainSHA256: sum, EncSHA256: sum}, PlainSize: 5}
}

func picture() network.Media {
	return network.Media{Kind: network.Image, MIME: "image/png", Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("hello")), nil
	}}
}

func TestEncodeRefusesFiles(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*network.Media)
		want   error
	}{
		"type":             {func(m *network.Media) { m.MIME = "image/webp" }, network.ErrUnsupported},
		"kind":             {func(m *network.Media) { m.Kind = "hologram" }, network.ErrUnsupported},
		"too large":        {func(m *network.Media) { m.Size = wire.MediaImage.Limit() + 1 }, network.ErrTooLarge},
		"document caption": {func(m *network.Media) { m.Kind, m.Caption = network.Document, "x" }, network.ErrUnsupported},
		"thumbnail":        {func(m *network.Media) { m.Thumbnail = make([]byte, wire.LargestThumbnail+1) }, network.ErrTooLarge},
		"waveform":         {func(m *network.Media) { m.Waveform = make([]byte, wire.LongestWaveform+1) }, network.ErrTooLarge},
		"caption":          {func(m *network.Media) { m.Caption = strings.Repeat("a", wire.LongestText+1) }, network.ErrTooLarge},
	} {
		media := picture()
		test.change(&media)
		_, err := v3{}.Encode(network.Message{Content: media}, hosted())
		require.ErrorIs(t, err, test.want, name)
	}
	_, err := v3{}.Encode(network.Message{Content: picture()}, hosted())
	require.NoError(t, err)
}

func TestDecodeRefusesFiles(t *testing.T) {
	for name, change := range map[string]func(*waMediaTransport.ImageTransport, *waCommon.SubProtocol){
		"no key": func(i *waMediaTransport.ImageTransport, _ *waCommon.SubProtocol) {
			i.Integral.Transport.Integral.MediaKey = nil
		},
		"short hash": func(i *waMediaTransport.ImageTransport, _ *waCommon.SubProtocol) {
			i.Integral.Transport.Integral.FileSHA256 = []byte{1}
		},
		"no path": func(i *waMediaTransport.ImageTransport, _ *waCommon.SubProtocol) {
			i.Integral.Transport.Integral.DirectPath = nil
		},
		"type": func(i *waMediaTransport.ImageTransport, _ *waCommon.SubProtocol) {
			i.Integral.Transport.Ancillary.Mimetype = nil
		},
		"object id": func(i *waMediaTransport.ImageTransport, _ *waCommon.SubProtocol) {
			i.Integral.Transport.Ancillary.ObjectID = proto.String("x")
		},
		"nothing":       func(i *waMediaTransport.ImageTransport, _ *waCommon.SubProtocol) { i.Integral = nil },
		"other version": func(_ *waMediaTransport.ImageTransport, s *waCommon.SubProtocol) { s.Version = proto.Int32(2) },
	} {
		image := &waMediaTransport.ImageTransport{
			Integral: &waMediaTransport.ImageTransport_Integral{Transport: encodeFile(picture(), hosted())},
		}
		body := &waCommon.SubProtocol{Version: proto.Int32(1)}
		change(image, body)
		var err error
		body.Payload, err = proto.Marshal(image)
		require.NoError(t, err)
		plaintext, tag := newParts(&consumerContent{Content: &waConsumerApplication.ConsumerApplication_Content_ImageMessage{
			ImageMessage: &waConsumerApplication.ConsumerApplication_ImageMessage{Image: body},
		}}).seal(t)
		_, _, err = v3{}.Decode(plaintext, tag, self, peer)
		require.ErrorIs(t, err, wire.ErrContent, name)
	}
}

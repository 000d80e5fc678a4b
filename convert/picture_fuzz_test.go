package convert_test

import (
	"bytes"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/convert"
)

// FuzzThumbnail decodes pictures that strangers sent, as far as that is done in this process.
func FuzzThumbnail(f *testing.F) {
	for _, encode := range []func(*bytes.Buffer, image.Image) error{
		func(out *bytes.Buffer, img image.Image) error { return png.Encode(out, img) },
		func(out *bytes.Buffer, img image.Image) error { return jpeg.Encode(out, img, nil) },
		func(out *bytes.Buffer, img image.Image) error { return gif.Encode(out, img, nil) },
	} {
		var out bytes.Buffer
		require.NoError(f, encode(&out, colourful(40, 30)))
		f.Add(bytes.Clone(out.Bytes()))
		f.Add(bytes.Clone(out.Bytes()[:40]))
	}
	converter, err := convert.Find("/nowhere/ffmpeg")
	require.Error(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		began := time.Now()
		small, err := converter.Thumbnail(t.Context(), bytes.NewReader(data), "image/png")
		require.Less(t, time.Since(began), 10*time.Second)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(small), convert.MaxThumbnail)
		picture, err := jpeg.Decode(bytes.NewReader(small))
		require.NoError(t, err)
		require.LessOrEqual(t, max(picture.Bounds().Dx(), picture.Bounds().Dy()), 800)
	})
}

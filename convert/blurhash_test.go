package convert_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"testing"

	"github.com/stretchr/testify/require"

	"causeway/convert"
)

func TestBlurhash(t *testing.T) {
	flat := image.NewRGBA(image.Rect(0, 0, 40, 30))
	draw.Draw(flat, flat.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	white := blurhash(t, flat)
	require.Len(t, white, 1+1+4+2*11)
	require.Equal(t, byte('L'), white[0], "four waves across and three down")
	require.Equal(t, "TSUA", white[2:6], "white on average")

	half := image.NewRGBA(image.Rect(0, 0, 40, 30))
	draw.Draw(half, image.Rect(0, 0, 20, 30), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(half, image.Rect(20, 0, 40, 30), image.NewUniform(color.Black), image.Point{}, draw.Src)
	left := blurhash(t, half)
	require.NotEqual(t, white, left)

	require.Empty(t, convert.Blurhash(t.Context(), []byte("no picture")))
	require.Empty(t, convert.Blurhash(t.Context(), nil))
}

func blurhash(t *testing.T, picture image.Image) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, picture, nil))
	return convert.Blurhash(t.Context(), out.Bytes())
}

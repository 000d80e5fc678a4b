package convert

import (
	"context"
	"image"
	"image/draw"
	"io"
)

// squareSide is how many pixels wide and high a square picture is at most.
const squareSide = 640

// Square makes of a JPEG, PNG or GIF a square JPEG of at most 640 pixels, of its middle.
func (c *Converter) Square(ctx context.Context, in io.ReadSeeker) ([]byte, error) {
	return c.redraw(ctx, in, func(whole image.Image) ([]byte, error) {
		from := whole.Bounds()
		side := min(from.Dx(), from.Dy())
		middle := image.Rect(0, 0, side, side)
		cropped := image.NewRGBA(middle)
		corner := from.Min.Add(image.Pt((from.Dx()-side)/2, (from.Dy()-side)/2))
		draw.Draw(cropped, middle, image.White, image.Point{}, draw.Src)
		draw.Draw(cropped, middle, whole, corner, draw.Over)
		return encode(scale(cropped, squareSide), 85)
	})
}

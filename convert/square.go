package convert

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"io"
)

// squareSide is how many pixels wide and high a square picture is at most.
const squareSide = 640

// Square makes of a JPEG, PNG or GIF a square JPEG of at most 640 pixels, of its middle.
func (c *Converter) Square(ctx context.Context, in io.ReadSeeker) ([]byte, error) {
	if _, err := Header(in); err != nil {
		return nil, err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("failed to read a file again: %w", err)
	}
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer c.leave()
	decoded, err := decode(ctx, in)
	if err != nil {
		return nil, err
	}
	from := decoded.Bounds()
	side := min(from.Dx(), from.Dy())
	middle := image.Rect(0, 0, side, side)
	cropped := image.NewRGBA(middle)
	corner := from.Min.Add(image.Pt((from.Dx()-side)/2, (from.Dy()-side)/2))
	draw.Draw(cropped, middle, image.White, image.Point{}, draw.Src)
	draw.Draw(cropped, middle, decoded, corner, draw.Over)
	var out bytes.Buffer
	if err = jpeg.Encode(&out, scale(cropped, squareSide), &jpeg.Options{Quality: 85}); err != nil {
		return nil, fmt.Errorf("failed to write a picture: %w", err)
	}
	return out.Bytes(), nil
}

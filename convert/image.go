package convert

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"time"
)

const (
	// maxSide and maxPixels bound a picture that is decoded.
	maxSide   = 20_000
	maxPixels = 40_000_000
	// maxDecoded is how many bytes a decoded picture may have.
	maxDecoded = 64 << 20
	// decodePatience bounds the decoding of one picture.
	decodePatience = 5 * time.Second
	// MaxThumbnail is how many bytes a thumbnail may have.
	MaxThumbnail = 64 << 10
	// thumbnailSide is the longer side of a thumbnail that is made here, in pixels.
	thumbnailSide = 320
	// maxFrames and maxFramePixels bound an animation that is converted.
	maxFrames      = 500
	maxFramePixels = 200_000_000
)

// Picture is what the header of an image says.
type Picture struct {
	Width, Height int
	// Alpha says that parts may be transparent.
	Alpha bool
}

// Header reads the size of a JPEG, PNG, GIF or WebP without decoding it. [ErrTooBig]
// tells that it must not be decoded; the size is known all the same.
func Header(in io.Reader) (Picture, error) {
	reader := bufio.NewReaderSize(in, 64<<10)
	head, err := reader.Peek(SniffLength)
	if err != nil && len(head) == 0 {
		return Picture{}, fmt.Errorf("%w: it is empty", ErrFailed)
	}
	var config image.Config
	switch Sniff(head) {
	case "image/jpeg":
		config, err = jpeg.DecodeConfig(reader)
	case "image/png":
		config, err = png.DecodeConfig(reader)
	case "image/gif":
		config, err = gif.DecodeConfig(reader)
	case "image/webp":
		return webpHeader(head)
	default:
		return Picture{}, fmt.Errorf("%w: not a picture of a known type", ErrFailed)
	}
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	picture := Picture{Width: config.Width, Height: config.Height, Alpha: config.ColorModel != color.YCbCrModel && config.ColorModel != color.GrayModel}
	return picture, checkSize(picture, pixelBytes(config.ColorModel))
}

// webpHeader reads the three kinds of WebP (RFC 9649, section 2).
func webpHeader(head []byte) (Picture, error) {
	var picture Picture
	switch {
	case len(head) >= 30 && string(head[12:16]) == "VP8X":
		picture = Picture{Width: 1 + uint24(head[24:]), Height: 1 + uint24(head[27:]), Alpha: head[20]&0x10 != 0}
	case len(head) >= 25 && string(head[12:16]) == "VP8L":
		bits := binary.LittleEndian.Uint32(head[21:])
		picture = Picture{Width: 1 + int(bits&0x3fff), Height: 1 + int(bits>>14&0x3fff), Alpha: bits>>28&1 != 0}
	case len(head) >= 30 && string(head[12:16]) == "VP8 ":
		picture = Picture{Width: int(binary.LittleEndian.Uint16(head[26:])) & 0x3fff, Height: int(binary.LittleEndian.Uint16(head[28:])) & 0x3fff}
	default:
		return Picture{}, fmt.Errorf("%w: not a WebP picture", ErrFailed)
	}
	return picture, checkSize(picture, 4)
}

// Moving says whether the beginning of a WebP announces an animation.
func Moving(head []byte) bool {
	return len(head) >= 21 && Sniff(head) == "image/webp" && string(head[12:16]) == "VP8X" && head[20]&0x02 != 0
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

func pixelBytes(model color.Model) int {
	switch model {
	case color.RGBA64Model, color.NRGBA64Model:
		return 8
	case color.YCbCrModel:
		return 3
	case color.GrayModel:
		return 1
	case color.Gray16Model:
		return 2
	}
	if _, palette := model.(color.Palette); palette {
		return 1
	}
	return 4
}

func checkSize(p Picture, bytesPerPixel int) error {
	switch {
	case p.Width <= 0 || p.Height <= 0:
		return fmt.Errorf("%w: it has no size", ErrFailed)
	case p.Width > maxSide, p.Height > maxSide, p.Width*p.Height > maxPixels, p.Width*p.Height*bytesPerPixel > maxDecoded:
		return ErrTooBig
	}
	return nil
}

// Thumbnail makes a small JPEG of at most [MaxThumbnail] bytes from a JPEG, PNG or GIF, and
// with ffmpeg also from a video or a WebP. Nothing of the file but its picture is in it.
func (c *Converter) Thumbnail(ctx context.Context, in io.ReadSeeker, mime string) ([]byte, error) {
	switch mime {
	case "image/jpeg", "image/png", "image/gif":
		return c.shrink(ctx, in)
	}
	file, err := c.Convert(ctx, in, mime, frame)
	if err != nil {
		return nil, err
	}
	small, err := c.shrink(ctx, file)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return small, err
}

func (c *Converter) shrink(ctx context.Context, in io.ReadSeeker) ([]byte, error) {
	return c.redraw(ctx, in, func(whole image.Image) ([]byte, error) {
		small := scale(whole, thumbnailSide)
		for quality := 75; quality > 10; quality -= 20 {
			if out, err := encode(small, quality); err != nil || len(out) <= MaxThumbnail {
				return out, err
			}
		}
		return nil, ErrTooBig
	})
}

// redraw has something made of a JPEG, PNG or GIF, of a few at the same time.
func (c *Converter) redraw(ctx context.Context, in io.ReadSeeker, draw func(image.Image) ([]byte, error)) ([]byte, error) {
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
	return draw(decoded)
}

func encode(picture image.Image, quality int) ([]byte, error) {
	var out bytes.Buffer
	if err := jpeg.Encode(&out, picture, &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("failed to write a picture: %w", err)
	}
	return out.Bytes(), nil
}

func decode(ctx context.Context, in io.Reader) (img image.Image, err error) {
	ctx, cancel := context.WithTimeout(ctx, decodePatience)
	defer cancel()
	defer func() {
		// Decoders read what strangers send; a fault of theirs costs one thumbnail.
		if fault := recover(); fault != nil {
			img, err = nil, fmt.Errorf("%w: the decoder broke", ErrFailed)
		}
	}()
	img, _, err = image.Decode(&patientReader{ctx: ctx, in: in})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return img, nil
}

// patientReader ends with its context.
type patientReader struct {
	ctx context.Context
	in  io.Reader
}

// Read implements [io.Reader].
func (r *patientReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.in.Read(p)
}

// scale makes a picture at most side pixels wide and high, each pixel the average of a grid of points, on white.
func scale(img image.Image, side int) *image.RGBA {
	from := img.Bounds()
	width, height := from.Dx(), from.Dy()
	if longer := max(width, height); longer > side {
		width, height = max(1, width*side/longer), max(1, height*side/longer)
	}
	out := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	const points = 3
	for y := range height {
		for x := range width {
			var r, g, b, a uint32
			for i := range points * points {
				px := from.Min.X + (x*points+i%points)*from.Dx()/(width*points)
				py := from.Min.Y + (y*points+i/points)*from.Dy()/(height*points)
				pr, pg, pb, pa := img.At(px, py).RGBA()
				r, g, b, a = r+pr, g+pg, b+pb, a+pa
			}
			const n = points * points * 257
			rest := 255 - a/n
			out.SetRGBA(x, y, color.RGBA{uint8(r/n + rest), uint8(g/n + rest), uint8(b/n + rest), 255})
		}
	}
	return out
}

// Frames counts the pictures of a GIF up to its limits without decoding them; [ErrTooBig] tells that they are
// too many to be converted.
func Frames(in io.Reader) (int, error) {
	reader := bufio.NewReader(in)
	var head [13]byte
	if _, err := io.ReadFull(reader, head[:]); err != nil || string(head[:3]) != "GIF" {
		return 0, fmt.Errorf("%w: not a GIF", ErrFailed)
	}
	if err := skipTable(reader, head[10]); err != nil {
		return 0, err
	}
	pixels := int(binary.LittleEndian.Uint16(head[6:])) * int(binary.LittleEndian.Uint16(head[8:]))
	frames := 0
	for {
		block, err := reader.ReadByte()
		if err != nil || block == ';' {
			return frames, nil // a GIF that breaks off is shown as far as it goes
		}
		switch block {
		case '!':
			_, err = reader.Discard(1)
		case ',':
			frames++
			if frames > maxFrames || frames*pixels > maxFramePixels {
				return frames, ErrTooBig
			}
			err = skipDescriptor(reader)
		default:
			return frames, nil
		}
		if err == nil {
			err = skipBlocks(reader)
		}
		if err != nil {
			return frames, nil
		}
	}
}

func skipTable(reader *bufio.Reader, flags byte) error {
	if flags&0x80 == 0 {
		return nil
	}
	_, err := reader.Discard(3 << (flags&7 + 1))
	return err
}

func skipDescriptor(reader *bufio.Reader) error {
	var descriptor [9]byte
	if _, err := io.ReadFull(reader, descriptor[:]); err != nil {
		return err
	}
	if err := skipTable(reader, descriptor[8]); err != nil {
		return err
	}
	_, err := reader.Discard(1) // the code size
	return err
}

func skipBlocks(reader *bufio.Reader) error {
	for {
		length, err := reader.ReadByte()
		if err != nil || length == 0 {
			return err
		}
		if _, err = reader.Discard(int(length)); err != nil {
			return err
		}
	}
}

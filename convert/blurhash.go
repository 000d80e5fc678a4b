package convert

import (
	"bytes"
	"context"
	"image"
	"math"
	"strings"
)

const (
	// blurX and blurY are how many waves across and down a blurhash describes a picture by.
	blurX = 4
	blurY = 3
	// blurSide is the longer side, in pixels, of what is looked at.
	blurSide = 32

	base83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
)

// Blurhash describes a small JPEG in a short text that clients show as a blurred picture while the file loads
// (https://blurha.sh), empty where it cannot be read.
func Blurhash(ctx context.Context, thumbnail []byte) string {
	if _, err := Header(bytes.NewReader(thumbnail)); err != nil {
		return ""
	}
	picture, err := decode(ctx, bytes.NewReader(thumbnail))
	if err != nil {
		return ""
	}
	return encodeBlur(scale(picture, blurSide))
}

func encodeBlur(picture *image.RGBA) string {
	var waves [blurX * blurY][3]float64
	most := 0.0
	for i := range waves {
		waves[i] = wave(picture, i%blurX, i/blurX)
		if i > 0 {
			for _, part := range waves[i] {
				most = max(most, math.Abs(part))
			}
		}
	}
	var out strings.Builder
	write83(&out, (blurX-1)+(blurY-1)*9, 1)
	steps := int(max(0, min(82, math.Floor(most*166-0.5))))
	write83(&out, steps, 1)
	average := waves[0]
	write83(&out, toSRGB(average[0])<<16+toSRGB(average[1])<<8+toSRGB(average[2]), 4)
	scale := float64(steps+1) / 166
	for _, parts := range waves[1:] {
		value := 0
		for _, part := range parts {
			share := part / scale
			root := math.Copysign(math.Sqrt(math.Abs(share)), share)
			value = value*19 + int(max(0, min(18, math.Floor(root*9+9.5))))
		}
		write83(&out, value, 2)
	}
	return out.String()
}

// wave is how much of one wave there is in each colour of a picture.
func wave(picture *image.RGBA, across, down int) (parts [3]float64) {
	width, height := picture.Rect.Dx(), picture.Rect.Dy()
	for y := range height {
		for x := range width {
			weight := math.Cos(math.Pi*float64(across*x)/float64(width)) * math.Cos(math.Pi*float64(down*y)/float64(height))
			pixel := picture.RGBAAt(picture.Rect.Min.X+x, picture.Rect.Min.Y+y)
			for i, colour := range []uint8{pixel.R, pixel.G, pixel.B} {
				parts[i] += weight * toLinear(colour)
			}
		}
	}
	share := 1 / float64(width*height)
	if across+down > 0 {
		share *= 2
	}
	for i := range parts {
		parts[i] *= share
	}
	return parts
}

func toLinear(colour uint8) float64 {
	value := float64(colour) / 255
	if value <= 0.04045 {
		return value / 12.92
	}
	return math.Pow((value+0.055)/1.055, 2.4)
}

func toSRGB(value float64) int {
	value = max(0, min(1, value))
	if value <= 0.0031308 {
		return int(value*12.92*255 + 0.5)
	}
	return int((1.055*math.Pow(value, 1/2.4)-0.055)*255 + 0.5)
}

// write83 writes a number with so many digits of base 83, the highest first.
func write83(out *strings.Builder, value, digits int) {
	for digit := digits - 1; digit >= 0; digit-- {
		out.WriteByte(base83[value/int(math.Pow(83, float64(digit)))%83])
	}
}

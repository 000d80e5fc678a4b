package main

import (
	"bytes"
	_ "embed" // for the voice message
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
)

// hello is a voice message: three seconds of somebody who hums, in Ogg with Opus.
//
//go:embed hello.ogg
var hello []byte

// murmur is the loudness of hello over time.
func murmur() []byte {
	bars := make([]byte, 48)
	for i := range bars {
		bars[i] = byte(50 + 45*math.Sin(float64(i)*0.9))
	}
	return bars
}

const (
	sunsetWidth, sunsetHeight = 480, 300
	smileSize                 = 160
)

// sunset is a photo of the sun over the sea.
func sunset() []byte {
	picture := image.NewRGBA(image.Rect(0, 0, sunsetWidth, sunsetHeight))
	const horizon = sunsetHeight * 6 / 10
	for y := range sunsetHeight {
		for x := range sunsetWidth {
			glow := math.Max(0, 1-math.Hypot(float64(x-sunsetWidth/2), float64(y-horizon))/260)
			shade := color.RGBA{uint8(70 + 185*glow), uint8(50 + 120*glow), uint8(110 - 60*glow), 255}
			switch {
			case y > horizon: // the sea, with the sun's path on it
				path := glow * (0.6 + 0.4*math.Sin(float64(y)*0.9+float64(x)*0.15))
				shade = color.RGBA{uint8(20 + 190*path), uint8(40 + 90*path), uint8(90 - 30*path), 255}
			case math.Hypot(float64(x-sunsetWidth/2), float64(y-horizon)) < 46:
				shade = color.RGBA{255, 214, 120, 255}
			}
			picture.SetRGBA(x, y, shade)
		}
	}
	var out bytes.Buffer
	_ = jpeg.Encode(&out, picture, nil) // a buffer takes all
	return out.Bytes()
}

// smile is a sticker: a round face on nothing.
func smile() []byte {
	picture := image.NewRGBA(image.Rect(0, 0, smileSize, smileSize))
	for y := range smileSize {
		for x := range smileSize {
			dx, dy := float64(x)-smileSize/2, float64(y)-smileSize/2
			from := math.Hypot(dx, dy)
			eye := math.Min(math.Hypot(dx-26, dy+22), math.Hypot(dx+26, dy+22)) < 9
			mouth := math.Abs(from-42) < 5 && dy > 12
			switch {
			case from > 74:
			case eye || mouth:
				picture.SetRGBA(x, y, color.RGBA{60, 40, 0, 255})
			default:
				picture.SetRGBA(x, y, color.RGBA{255, 204, 51, 255})
			}
		}
	}
	var out bytes.Buffer
	_ = png.Encode(&out, picture) // a buffer takes all
	return out.Bytes()
}

// bill is a document of one page.
func bill() []byte {
	text := "BT /F1 24 Tf 60 700 Td (Bert's bakery) Tj 0 -40 Td /F1 14 Tf (One rye bread, with caraway: 4.20) Tj ET"
	parts := []string{
		"<</Type/Catalog/Pages 2 0 R>>",
		"<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
		fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(text), text),
		"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
	}
	out := bytes.NewBufferString("%PDF-1.4\n")
	var offsets []int
	for i, part := range parts {
		offsets = append(offsets, out.Len())
		fmt.Fprintf(out, "%d 0 obj\n%s\nendobj\n", i+1, part)
	}
	table := out.Len()
	fmt.Fprintf(out, "xref\n0 %d\n0000000000 65535 f \n", len(parts)+1)
	for _, offset := range offsets {
		fmt.Fprintf(out, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(out, "trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(parts)+1, table)
	return out.Bytes()
}

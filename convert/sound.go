package convert

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"
)

const (
	// Bars is how many values a waveform has.
	Bars = 64
	// loudest is the value of the loudest bar.
	loudest = 100
	// sampleRate is that of the raw sound that loudness is measured on, two bytes a sample.
	sampleRate = 8000
)

// Loudness measures a recording: [Bars] values of 0 to 100 over its length, and the length.
func (c *Converter) Loudness(ctx context.Context, in io.Reader, mime string) (waveform []byte, length time.Duration, err error) {
	file, err := c.Convert(ctx, in, mime, samples)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	count := int(file.Size / 2)
	if count < Bars {
		return nil, 0, fmt.Errorf("%w: it is too short", ErrFailed)
	}
	peaks, err := measure(bufio.NewReader(file), count)
	if err != nil {
		return nil, 0, fmt.Errorf("failed to measure a recording: %w", err)
	}
	return peaks, time.Duration(count) * time.Second / sampleRate, nil
}

// measure takes the loudest sample of each of [Bars] stretches, relative to the loudest of all.
func measure(in io.Reader, count int) ([]byte, error) {
	var peaks [Bars]float64
	most := 1.0
	var sample [2]byte
	for i := range count {
		if _, err := io.ReadFull(in, sample[:]); err != nil {
			return nil, err
		}
		level := math.Abs(float64(int16(binary.LittleEndian.Uint16(sample[:]))))
		bar := i * Bars / count
		peaks[bar] = max(peaks[bar], level)
		most = max(most, level)
	}
	out := make([]byte, Bars)
	for i, peak := range peaks {
		out[i] = byte(math.Round(peak / most * loudest))
	}
	return out, nil
}

package convert_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/convert"
)

// found is a converter with ffmpeg; tests that need it are skipped where there is none.
func found(t *testing.T) *convert.Converter {
	t.Helper()
	c, err := convert.Find("")
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	return c
}

func colourful(width, height int) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.Set(x, y, color.NRGBA{uint8(x * 7), uint8(y * 5), uint8(x ^ y), uint8(55 + (x+y)%200)})
		}
	}
	return img
}

func pngOf(t *testing.T, width, height int) []byte {
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, colourful(width, height)))
	return out.Bytes()
}

func gifOf(t *testing.T, frames int) []byte {
	var all gif.GIF
	for i := range frames {
		picture := image.NewPaletted(image.Rect(0, 0, 33, 21), color.Palette{color.Black, color.White})
		picture.SetColorIndex(i%33, i%21, 1)
		all.Image = append(all.Image, picture)
		all.Delay = append(all.Delay, 5)
	}
	var out bytes.Buffer
	require.NoError(t, gif.EncodeAll(&out, &all))
	return out.Bytes()
}

// wav is a tone of two seconds, quiet at first and loud at its end.
func wav() []byte {
	const rate, seconds = 16000, 2
	var out bytes.Buffer
	out.WriteString("RIFF\x00\x00\x00\x00WAVEfmt ")
	for _, field := range []any{uint32(16), uint16(1), uint16(1), uint32(rate), uint32(rate * 2), uint16(2), uint16(16)} {
		_ = binary.Write(&out, binary.LittleEndian, field)
	}
	out.WriteString("data")
	_ = binary.Write(&out, binary.LittleEndian, uint32(rate*seconds*2))
	for i := range rate * seconds {
		level := 1000.0
		if i > rate {
			level = 20000
		}
		_ = binary.Write(&out, binary.LittleEndian, int16(level*math.Sin(float64(i)/10)))
	}
	data := out.Bytes()
	binary.LittleEndian.PutUint32(data[4:], uint32(len(data)-8))
	return data
}

func webp(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "in.png"), pngOf(t, 40, 30), 0o600))
	command := exec.Command("ffmpeg", "-loglevel", "error", "-i", filepath.Join(dir, "in.png"), filepath.Join(dir, "out.webp"))
	require.NoError(t, command.Run())
	data, err := os.ReadFile(filepath.Join(dir, "out.webp"))
	require.NoError(t, err)
	return data
}

func converted(t *testing.T, c *convert.Converter, in []byte, mime string, to convert.Target) []byte {
	t.Helper()
	file, err := c.Convert(t.Context(), bytes.NewReader(in), mime, to)
	require.NoError(t, err)
	data, err := io.ReadAll(file)
	require.NoError(t, err)
	require.EqualValues(t, file.Size, len(data))
	info, err := os.Stat(file.Name())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, file.Close())
	require.NoDirExists(t, filepath.Dir(file.Name()), "nothing stays behind")
	return data
}

func TestPictures(t *testing.T) {
	c := found(t)
	source := webp(t)
	require.Equal(t, "image/webp", convert.Sniff(source))
	header, err := convert.Header(bytes.NewReader(source))
	require.NoError(t, err)
	require.Equal(t, convert.Picture{Width: 40, Height: 30, Alpha: true}, header)

	made := converted(t, c, source, "image/webp", convert.PNG)
	require.Equal(t, "image/png", convert.Sniff(made))
	picture, err := png.Decode(bytes.NewReader(made))
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, 40, 30), picture.Bounds())

	made = converted(t, c, source, "image/webp", convert.JPEG)
	require.Equal(t, "image/jpeg", convert.Sniff(made))
}

func TestSoundAndVideo(t *testing.T) {
	c := found(t)
	voice := converted(t, c, wav(), "audio/wav", convert.Opus)
	require.Equal(t, "audio/ogg; codecs=opus", convert.Sniff(voice))
	require.Equal(t, byte(1), voice[bytes.Index(voice, []byte("OpusHead"))+9], "one channel")

	bars, length, err := c.Loudness(t.Context(), bytes.NewReader(voice), "audio/ogg; codecs=opus")
	require.NoError(t, err)
	require.Len(t, bars, convert.Bars)
	require.InDelta(t, 2*time.Second, length, float64(100*time.Millisecond))
	require.Less(t, bars[10], byte(20), "the first half is quiet")
	require.Greater(t, bars[50], byte(70), "the second half is loud")

	video := converted(t, c, gifOf(t, 12), "image/gif", convert.SilentMP4)
	require.Equal(t, "video/mp4", convert.Sniff(video))
	thumbnail, err := c.Thumbnail(t.Context(), bytes.NewReader(video), "video/mp4")
	require.NoError(t, err)
	small, err := jpeg.DecodeConfig(bytes.NewReader(thumbnail))
	require.NoError(t, err)
	require.Equal(t, []int{32, 20}, []int{small.Width, small.Height}, "videos have even sides")
}

func TestThumbnailsNeedNoFFmpeg(t *testing.T) {
	c, err := convert.Find("/nowhere/ffmpeg")
	require.ErrorIs(t, err, convert.ErrMissing)
	require.False(t, c.Available())
	thumbnail, err := c.Thumbnail(t.Context(), bytes.NewReader(pngOf(t, 900, 300)), "image/png")
	require.NoError(t, err)
	require.LessOrEqual(t, len(thumbnail), convert.MaxThumbnail)
	small, err := jpeg.Decode(bytes.NewReader(thumbnail))
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, 320, 106), small.Bounds())

	_, err = c.Convert(t.Context(), bytes.NewReader(nil), "image/webp", convert.PNG)
	require.ErrorIs(t, err, convert.ErrMissing)
	_, err = c.Thumbnail(t.Context(), bytes.NewReader(nil), "video/mp4")
	require.ErrorIs(t, err, convert.ErrMissing)
}

func TestBrokenFilesFail(t *testing.T) {
	c := found(t)
	before, _ := filepath.Glob(filepath.Join(os.TempDir(), "causeway-convert-*"))
	for mime, data := range map[string][]byte{
		"image/webp": []byte("RIFF....WEBPVP8 garbage"),
		"audio/ogg":  []byte("#EXTM3U\n#EXT-X-TARGETDURATION:1\n/etc/passwd\n"),
		"video/mp4":  bytes.Repeat([]byte{0}, 4096),
		"text/plain": []byte("concat:/etc/passwd"),
	} {
		_, err := c.Convert(t.Context(), bytes.NewReader(data), mime, convert.PNG)
		require.ErrorIs(t, err, convert.ErrFailed, mime)
	}
	after, _ := filepath.Glob(filepath.Join(os.TempDir(), "causeway-convert-*"))
	require.Len(t, after, len(before), "nothing stays behind")
}

// script stands in for ffmpeg where a test needs one that misbehaves.
func script(t *testing.T, text string) *convert.Converter {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ffmpeg")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700))
	c, err := convert.Find(path)
	require.NoError(t, err)
	return c
}

func TestTheWholeGroupEndsWithItsContext(t *testing.T) {
	note := filepath.Join(t.TempDir(), "pid")
	c := script(t, "sleep 300 & echo $! > "+note+"; wait\n")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.Convert(ctx, strings.NewReader("x"), "image/webp", convert.PNG)
		done <- err
	}()
	var child string
	require.Eventually(t, func() bool {
		data, _ := os.ReadFile(note)
		child = strings.TrimSpace(string(data))
		return child != ""
	}, 10*time.Second, 5*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, convert.ErrFailed)
	pid, err := strconv.Atoi(child)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return ended(pid) }, 10*time.Second, 5*time.Millisecond)
}

// ended says whether a process is gone, or only waits to be collected.
func ended(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(data), ") Z ")
}

func TestTheChildSeesNothingOfOurs(t *testing.T) {
	t.Setenv("CAUSEWAY_SECRET", "xyzzy")
	c := script(t, `for last in "$@"; do :; done; env > "$last"`)
	file, err := c.Convert(t.Context(), strings.NewReader("x"), "image/webp", convert.PNG)
	require.NoError(t, err)
	defer file.Close()
	data, err := io.ReadAll(file)
	require.NoError(t, err)
	require.NotContains(t, string(data), "CAUSEWAY_SECRET")
	require.NotContains(t, string(data), "HOME=")
}

func TestHeaderLimits(t *testing.T) {
	huge := pngOf(t, 2, 2)
	binary.BigEndian.PutUint32(huge[16:], 30_000)
	binary.BigEndian.PutUint32(huge[20:], 30_000)
	// The header's checksum is part of what DecodeConfig reads.
	fixed := pngHeader(huge)
	_, err := convert.Header(bytes.NewReader(fixed))
	require.ErrorIs(t, err, convert.ErrTooBig)

	vp8x := append([]byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x10\x00\x00\x00"), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	_, err = convert.Header(bytes.NewReader(vp8x))
	require.ErrorIs(t, err, convert.ErrTooBig)

	_, err = convert.Header(strings.NewReader(""))
	require.ErrorIs(t, err, convert.ErrFailed)
	_, err = convert.Header(strings.NewReader("<svg/>"))
	require.ErrorIs(t, err, convert.ErrFailed)
}

func TestFrames(t *testing.T) {
	for _, count := range []int{1, 2, 40} {
		frames, err := convert.Frames(bytes.NewReader(gifOf(t, count)))
		require.NoError(t, err)
		require.Equal(t, count, frames)
	}
	_, err := convert.Frames(bytes.NewReader(gifOf(t, 501)))
	require.ErrorIs(t, err, convert.ErrTooBig)
	_, err = convert.Frames(strings.NewReader("no"))
	require.Error(t, err)
	broken := gifOf(t, 5)
	frames, err := convert.Frames(bytes.NewReader(broken[:len(broken)/2]))
	require.NoError(t, err)
	require.Less(t, frames, 5)
}

func TestTooMuchInput(t *testing.T) {
	c := found(t)
	_, err := c.Convert(t.Context(), io.LimitReader(zeros{}, convert.MaxInput+2), "video/webm", convert.MP4)
	require.ErrorIs(t, err, convert.ErrTooBig)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

package convert

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// timeLimit is how long one run of ffmpeg may take.
	timeLimit = 60 * time.Second
	// memoryLimit is how many bytes of data one run of ffmpeg may have.
	memoryLimit = 512 << 20
	// killPatience is how long a killed process may take to vanish before its pipes are cut.
	killPatience = 5 * time.Second
)

// Target is a format that files are converted to.
type Target string

// The targets.
const (
	PNG  Target = "image/png"
	JPEG Target = "image/jpeg"
	// Opus is a voice message: one channel, 48 kHz.
	Opus Target = "audio/ogg; codecs=opus"
	// MP4 is H.264 with AAC sound, if there is sound.
	MP4 Target = "video/mp4"
	// SilentMP4 is a video without sound, as a GIF becomes.
	SilentMP4 Target = "video/mp4; silent"
	// Sticker is a WebP of 512 pixels on each side, transparent around the picture; one that moves stays so.
	Sticker Target = "image/webp; sticker"

	samples Target = "samples"
	frame   Target = "frame"
)

// demuxers names how ffmpeg reads each type. The reader is never left to ffmpeg's own
// judgement: among its formats are playlists that read other files.
func demuxer(mime string) (string, bool) {
	name, ok := map[string]string{
		"image/jpeg": "jpeg_pipe", "image/png": "png_pipe", "image/webp": "webp_pipe", "image/gif": "gif",
		"image/bmp": "bmp_pipe", "image/tiff": "tiff_pipe", "image/avif": "mov", "image/heic": "mov",
		"audio/ogg": "ogg", "audio/ogg; codecs=opus": "ogg", "audio/mpeg": "mp3", "audio/mp4": "mov", "audio/aac": "aac",
		"audio/amr": "amr", "audio/wav": "wav", "audio/flac": "flac", "audio/webm": "matroska",
		"video/mp4": "mov", "video/3gpp": "mov", "video/quicktime": "mov", "video/webm": "matroska",
		"video/x-matroska": "matroska", "video/ogg": "ogg",
	}[mime]
	return name, ok
}

// arguments is the fixed list of each target: what is kept of the input, and how it is written.
func arguments(to Target) []string {
	const even = "scale=w='min(1920,trunc(iw/2)*2)':h='trunc(ih*min(1,1920/iw)/2)*2',format=yuv420p"
	switch to {
	case PNG:
		return []string{"-map", "0:v:0", "-frames:v", "1", "-c:v", "png", "-f", "image2pipe"}
	case JPEG:
		return []string{"-map", "0:v:0", "-frames:v", "1", "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p", "-f", "image2pipe"}
	case Sticker:
		const square = "scale=512:512:force_original_aspect_ratio=decrease,format=rgba,pad=512:512:(ow-iw)/2:(oh-ih)/2:color=0x00000000"
		return []string{"-map", "0:v:0", "-vf", square, "-t", "10", "-c:v", "libwebp_anim", "-lossless", "0", "-q:v", "60", "-loop", "0", "-f", "webp"}
	case frame:
		return []string{"-map", "0:v:0", "-frames:v", "1", "-vf", "scale=w='min(640,iw)':h=-2", "-c:v", "mjpeg", "-q:v", "5", "-pix_fmt", "yuvj420p", "-f", "image2pipe"}
	case Opus:
		return []string{"-map", "0:a:0", "-ac", "1", "-ar", "48000", "-c:a", "libopus", "-b:a", "32k", "-application", "voip", "-f", "ogg"}
	case samples:
		return []string{"-map", "0:a:0", "-ac", "1", "-ar", "8000", "-t", "3600", "-c:a", "pcm_s16le", "-f", "s16le"}
	case SilentMP4:
		return []string{"-map", "0:v:0", "-an", "-vf", even, "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-movflags", "+faststart", "-f", "mp4"}
	default:
		return []string{"-map", "0:v:0", "-map", "0:a:0?", "-vf", even, "-c:v", "libx264", "-preset", "veryfast", "-crf", "23",
			"-c:a", "aac", "-b:a", "128k", "-ac", "2", "-movflags", "+faststart", "-f", "mp4"}
	}
}

// Convert makes a file of another format from a stream of the given type, as
// [Sniff] found it. All that is said about the file beside its picture or sound is left out.
func (c *Converter) Convert(ctx context.Context, in io.Reader, mime string, to Target) (*File, error) {
	reader, known := demuxer(mime)
	switch {
	case !c.Available():
		return nil, ErrMissing
	case !known:
		return nil, fmt.Errorf("%w: nothing reads this type", ErrFailed)
	}
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer c.leave()
	dir, path, err := spool(in)
	if err != nil {
		return nil, err
	}
	made, err := c.run(ctx, dir, path, reader, to)
	if err != nil {
		_ = os.RemoveAll(dir) // the error that matters is the first
		return nil, err
	}
	return made, nil
}

func (c *Converter) run(ctx context.Context, dir, in, reader string, to Target) (*File, error) {
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	out := filepath.Join(dir, "out")
	if err := write(out, strings.NewReader("")); err != nil {
		return nil, err
	}
	args := []string{"-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-protocol_whitelist", "file",
		"-threads", "1", "-filter_threads", "1", "-f", reader, "-i", in, "-map_metadata", "-1", "-sn", "-dn"}
	args = append(append(args, arguments(to)...), "-threads", "1", "-fs", fmt.Sprint(MaxInput), out)
	// The error output quotes the file, so it goes nowhere.
	child := exec.CommandContext(ctx, c.ffmpeg, args...)
	child.Env, child.Dir = []string{}, dir
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	child.Cancel = func() error { return syscall.Kill(-child.Process.Pid, syscall.SIGKILL) }
	child.WaitDelay = killPatience
	if err := child.Start(); err != nil {
		return nil, fmt.Errorf("failed to start ffmpeg: %w", err)
	}
	if err := limit(child.Process.Pid); err != nil {
		cancel()
		_ = child.Wait() // killed just now
		return nil, fmt.Errorf("failed to bound ffmpeg: %w", err)
	}
	if err := child.Wait(); err != nil {
		return nil, fmt.Errorf("%w: ffmpeg: %w", ErrFailed, err)
	}
	return open(dir, in, out)
}

// open takes what ffmpeg wrote and drops what it read.
func open(dir, in, out string) (*File, error) {
	if err := os.Remove(in); err != nil {
		return nil, fmt.Errorf("failed to remove a file: %w", err)
	}
	file, err := os.Open(out)
	if err != nil {
		return nil, fmt.Errorf("%w: nothing was written", ErrFailed)
	}
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		_ = file.Close() // nothing in it
		return nil, fmt.Errorf("%w: nothing was written", ErrFailed)
	}
	return &File{File: file, Size: info.Size(), dir: dir}, nil
}

package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"

	"causeway/convert"
	"causeway/network"
	"causeway/portal"
)

// parcel is a file with what has to be sent with it.
type parcel struct {
	media network.Media
	// apart is text for which the file has no room.
	apart string
	// reduced says that the file goes as a document although it would be more.
	reduced bool
	// clean removes what was made of the file.
	clean func()
}

// withFile downloads the file of a user's message and calls use while it is there, in the form that the network takes.
func (c *Client) withFile(ctx context.Context, content *event.MessageEventContent, use func(parcel) error) error {
	if content.URL == "" && content.File == nil {
		return fmt.Errorf("failed to send a file without an address: %w", network.ErrUnsupported)
	}
	err := c.connector.bridge.Bot.DownloadMediaToFile(ctx, content.URL, content.File, false, func(file *os.File) error {
		parcel, err := c.pack(ctx, content, file)
		if err != nil {
			return err
		}
		defer parcel.clean()
		return use(parcel)
	})
	var callback bridgev2.CallbackError
	if err != nil && !errors.As(err, &callback) {
		return fmt.Errorf("failed to download a file: %w: %w", errNoDownload, err)
	}
	return err
}

// pack decides what becomes of a file and does it. A file that cannot be converted goes as it is.
func (c *Client) pack(ctx context.Context, content *event.MessageEventContent, file *os.File) (parcel, error) {
	found, err := inspect(content, file)
	if err != nil {
		return parcel{}, err
	}
	converter := c.connector.converter
	plan := portal.FileFromMatrix
	if c.linked() {
		plan = portal.LinkedFile
	}
	decided, err := plan(content, found, c.can(), converter.Available())
	if err != nil {
		return parcel{}, err
	}
	ready, size, clean, err := c.carryOut(ctx, decided.Plan, found, file)
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Str("type", found.MIME).Msg("A file is sent as it is, as it could not be converted")
		decided = portal.AsDocument(content, found, decided)
		ready, size, clean = file, found.Size, func() {}
	}
	decided = decided.For(c.can())
	decided.Media.Size = size
	c.adorn(ctx, &decided.Media, ready)
	decided.Media.Open = func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(ready, 0, size)), nil
	}
	return parcel{media: decided.Media, apart: decided.Apart, reduced: decided.Reduced, clean: clean}, nil
}

// inspect looks at the bytes of a file.
func inspect(content *event.MessageEventContent, file *os.File) (portal.Found, error) {
	info, err := file.Stat()
	if err != nil {
		return portal.Found{}, fmt.Errorf("failed to look at a file: %w", err)
	}
	head := make([]byte, convert.SniffLength)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return portal.Found{}, fmt.Errorf("failed to read a file: %w", err)
	}
	declared := ""
	if content.Info != nil {
		declared = content.Info.MimeType
	}
	found := portal.Found{MIME: convert.Agree(head[:n], declared), Size: info.Size()}
	found.Extension = convert.Extension(found.MIME)
	if !strings.HasPrefix(found.MIME, "image/") {
		return found, nil
	}
	whole := func() io.Reader { return io.NewSectionReader(file, 0, found.Size) }
	picture, err := convert.Header(whole())
	found.Width, found.Height, found.Alpha = picture.Width, picture.Height, picture.Alpha
	found.TooBig = errors.Is(err, convert.ErrTooBig)
	found.Animated = convert.Moving(head[:n])
	if found.MIME == "image/gif" {
		frames, err := convert.Frames(whole())
		found.Animated = frames > 1
		found.TooBig = found.TooBig || errors.Is(err, convert.ErrTooBig)
	}
	return found, nil
}

// carryOut converts a file, if its plan says so.
func (c *Client) carryOut(ctx context.Context, plan portal.Plan, found portal.Found, file *os.File) (ready *os.File, size int64, clean func(), err error) {
	var target convert.Target
	switch plan {
	case portal.Pass:
		return file, found.Size, func() {}, nil
	case portal.ToPNG:
		target = convert.PNG
	case portal.ToJPEG:
		target = convert.JPEG
	case portal.ToSticker:
		target = convert.Sticker
	case portal.ToVoice:
		target = convert.Opus
	case portal.ToAnimation:
		target = convert.SilentMP4
	default:
		target = convert.MP4
	}
	made, err := c.connector.converter.Convert(ctx, io.NewSectionReader(file, 0, found.Size), found.MIME, target)
	if err != nil {
		return nil, 0, nil, err
	}
	if plan == portal.ToPNG && made.Size > portal.MaxImage {
		return nil, 0, nil, errors.Join(convert.ErrTooBig, made.Close())
	}
	clean = func() {
		if err := made.Close(); err != nil {
			zerolog.Ctx(ctx).Err(err).Msg("Failed to remove a converted file")
		}
	}
	return made.File, made.Size, clean, nil
}

// adorn adds what the bytes to be sent tell: a thumbnail, and the waveform of a voice message. A file is sent without them
// where they cannot be had.
func (c *Client) adorn(ctx context.Context, media *network.Media, file *os.File) {
	var err error
	bytes := io.NewSectionReader(file, 0, media.Size)
	switch media.Kind {
	case network.Image, network.Video, network.GIF:
		media.Thumbnail, err = c.connector.converter.Thumbnail(ctx, bytes, media.MIME)
	case network.Voice:
		if len(media.Waveform) > 0 && media.Duration > 0 {
			return
		}
		waveform, length, failure := c.connector.converter.Loudness(ctx, bytes, media.MIME)
		if failure == nil {
			media.Waveform, media.Duration = waveform, length
		}
		err = failure
	}
	if err != nil && !errors.Is(err, convert.ErrMissing) {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("A file is sent without a preview")
	}
}

package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"

	"causeway/convert"
	"causeway/failpoint"
	"causeway/network"
	"causeway/portal"
)

const (
	// filePatience bounds the fetching of one file in all its tries, as everything that comes after it waits, and idlePatience
	// the wait for its next byte. After slowFile the room is told.
	filePatience = 5 * time.Minute
	idlePatience = 60 * time.Second
	slowFile     = 30 * time.Second
	// fileTries is how often a file is asked for, and filePause the wait between.
	fileTries = 3
	filePause = 3 * time.Second
	// maxThumbnailPixels bounds a thumbnail that somebody sent.
	maxThumbnailPixels = 1 << 20
)

// convertIncoming makes a Matrix message of one that arrived. Its files go through to the homeserver as
// streams. What can never be shown becomes a notice; an error means that it may work later.
func (c *Client) convertIncoming(
	ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, msg network.Message,
) (*bridgev2.ConvertedMessage, error) {
	if c.linked() {
		return c.convertLinked(ctx, room, intent, msg)
	}
	switch content := msg.Content.(type) {
	case network.Media:
		part, err := c.convertFile(ctx, room, intent, content)
		if err != nil {
			return nil, err
		}
		return portal.Converted(msg, part), nil
	case network.Text:
		return c.convertText(ctx, room, intent, msg, content)
	}
	return portal.ToMatrix(msg, notices())
}

func (c *Client) convertText(
	ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, msg network.Message, text network.Text,
) (*bridgev2.ConvertedMessage, error) {
	beginning, long := portal.LongText(text)
	msg.Content = beginning
	converted, err := portal.ToMatrix(msg, notices())
	if err != nil {
		return nil, err
	}
	if text.Preview != nil && !long {
		if image := c.uploadThumbnail(ctx, room, intent, text.Preview.Thumbnail); image != nil {
			portal.AddPreviewImage(converted.Parts[0].Content, *image)
		}
	}
	if !long {
		return converted, nil
	}
	part, err := c.convertFile(ctx, room, intent, network.Media{
		Kind: network.Document, MIME: "text/plain", FileName: textLongFileName,
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text.Body)), nil
		},
	})
	if err != nil {
		return nil, err
	}
	return portal.Converted(msg, converted.Parts[0], part), nil
}

// convertFile brings a file to the homeserver and describes it. A file that is gone, damaged or too
// large is told of instead.
func (c *Client) convertFile(
	ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, media network.Media,
) (*bridgev2.ConvertedMessagePart, error) {
	if reason := c.overQuota(room, media); reason != "" {
		return noticePart(textFileMissing(media.Kind, reason)), nil
	}
	file, err := c.fetchPatiently(ctx, room, intent, media)
	if reason := lasting(err); reason != "" {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("A file cannot be shown")
		return noticePart(textFileMissing(media.Kind, reason)), nil
	}
	if err != nil {
		return nil, fmt.Errorf("failed to fetch a file: %w", err)
	}
	c.connector.fetched.add(room.PortalKey, file.Size, time.Now())
	if media.Width > 0 && file.Width == 0 {
		file.Width, file.Height = media.Width, media.Height
	}
	return portal.MediaToMatrix(media, file, c.uploadThumbnail(ctx, room, intent, media.Thumbnail)), nil
}

// lasting is what people are told of a file that will never come, empty where trying again may help.
func lasting(err error) string {
	var refused mautrix.HTTPError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, network.ErrMediaGone):
		return textFileGone
	case errors.Is(err, network.ErrMediaBroken), errors.Is(err, errEmptyFile):
		return textFileBroken
	case errors.Is(err, network.ErrUnsupported):
		return textFileUnknown
	case errors.Is(err, errGivenUp):
		return textFileFailed
	case errors.Is(err, network.ErrTooLarge), errors.Is(err, bridgev2.ErrMediaTooLarge),
		errors.As(err, &refused) && refused.IsStatus(http.StatusRequestEntityTooLarge):
		return textFileTooLarge
	case errors.As(err, &refused) && refused.Response != nil && isRefusal(refused.Response.StatusCode):
		return textFileRefused
	}
	return ""
}

// isRefusal says whether a homeserver's answer to an upload would be the same another time.
func isRefusal(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}

var (
	// errEmptyFile says that a file has no bytes at all.
	errEmptyFile = errors.New("the file is empty")
	// errGivenUp says that the network has failed to give a file several times.
	errGivenUp = errors.New("the network does not give the file")
)

// fetchPatiently fetches a file, if need be more than once. It gives up in the end where it is the network that fails, since
// everything that comes after the message waits for it; a homeserver that fails could not take the notice either.
func (c *Client) fetchPatiently(
	ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, media network.Media,
) (file portal.Uploaded, err error) {
	until := time.Now().Add(filePatience)
	defer c.tellSlow(ctx, room)()
	for try := 1; ; try++ {
		file, err = c.fetch(ctx, until, room, intent, media)
		var ofNetwork bridgev2.CallbackError
		if err == nil || lasting(err) != "" || !errors.As(err, &ofNetwork) || errors.Is(err, network.ErrNotConnected) || ctx.Err() != nil {
			return file, err
		}
		if try == fileTries || time.Now().After(until) {
			return file, fmt.Errorf("%w: %w", errGivenUp, err)
		}
		if !sleep(ctx, filePause) {
			return file, err
		}
	}
}

// tellSlow tells the room of a file that takes long, as everything that comes after it waits. What it returns ends the watch.
func (c *Client) tellSlow(ctx context.Context, room *bridgev2.Portal) (end func()) {
	told := make(chan struct{})
	clock := time.AfterFunc(slowFile, func() {
		defer close(told)
		c.say(ctx, room, textFileSlow)
	})
	return func() {
		if !clock.Stop() {
			<-told
		}
	}
}

// fetch streams a file from the network to the homeserver, and learns from its bytes what it is.
func (c *Client) fetch(
	ctx context.Context, until time.Time, room *bridgev2.Portal, intent bridgev2.MatrixAPI, media network.Media,
) (portal.Uploaded, error) {
	if media.Size > portal.MaxFile {
		return portal.Uploaded{}, fmt.Errorf("declared as %d bytes: %w", media.Size, network.ErrTooLarge)
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	clock := time.AfterFunc(idlePatience, cancel)
	defer clock.Stop()
	var file portal.Uploaded
	// Without a size: what the sender declared must not decide how much of the disk is taken.
	url, key, err := intent.UploadMediaStream(ctx, room.MXID, 0, true, func(out io.Writer) (*bridgev2.FileStreamResult, error) {
		in, err := c.openFile(ctx, media)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		file, err = receive(failpoint.Reader(failpoint.MediaToMatrix, &watched{in: in, clock: clock}), out, media.MIME)
		clock.Stop()
		if err != nil {
			return nil, err
		}
		return &bridgev2.FileStreamResult{MimeType: file.MIME, FileName: portal.FileName(media.FileName, file.Extension)}, nil
	})
	file.URL, file.File = url, key
	return file, err
}

// openFile starts reading a file, also one whose message a former run of the program took.
func (c *Client) openFile(ctx context.Context, media network.Media) (io.ReadCloser, error) {
	if media.Open != nil {
		return media.Open(ctx)
	}
	client, err := c.live()
	if err != nil {
		return nil, err
	}
	source, ok := client.(network.MediaSource)
	if !ok || media.Reference == nil {
		return nil, network.ErrMediaGone
	}
	return source.OpenMedia(ctx, media.Reference)
}

// receive copies a file, counting its bytes and looking at the first of them. The last read says whether
// the bytes are those that were promised.
func receive(in io.Reader, out io.Writer, declared string) (portal.Uploaded, error) {
	var head bytes.Buffer
	start := &limitedBuffer{Buffer: &head, room: convert.SniffLength}
	size, err := io.Copy(out, io.TeeReader(io.LimitReader(in, portal.MaxFile+1), start))
	switch {
	case err != nil:
		return portal.Uploaded{}, err
	case size == 0:
		return portal.Uploaded{}, errEmptyFile
	case size > portal.MaxFile:
		return portal.Uploaded{}, network.ErrTooLarge
	}
	file := portal.Uploaded{MIME: convert.Agree(head.Bytes(), declared), Size: size}
	file.Extension = convert.Extension(file.MIME)
	if seeker, ok := out.(io.ReadSeeker); ok && strings.HasPrefix(file.MIME, "image/") {
		if _, err = seeker.Seek(0, io.SeekStart); err != nil {
			return portal.Uploaded{}, fmt.Errorf("failed to read a file again: %w", err)
		}
		// A picture over the limits still has its size here, and one that nobody can read has none.
		picture, _ := convert.Header(seeker)
		file.Width, file.Height = picture.Width, picture.Height
	}
	return file, nil
}

// watched is a reader that sets its clock back with each read.
type watched struct {
	in    io.Reader
	clock *time.Timer
}

// Read implements [io.Reader].
func (w *watched) Read(p []byte) (int, error) {
	w.clock.Reset(idlePatience)
	return w.in.Read(p)
}

// limitedBuffer keeps the first bytes that are written to it.
type limitedBuffer struct {
	*bytes.Buffer
	room int
}

// Write implements [io.Writer] and never fails.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	kept := p[:min(len(p), b.room)]
	b.room -= len(kept)
	b.Buffer.Write(kept)
	return len(p), nil
}

// uploadThumbnail uploads a small picture that came with a message, nil where it is none or cannot be had: it is not
// worth more than one try.
func (c *Client) uploadThumbnail(ctx context.Context, room *bridgev2.Portal, intent bridgev2.MatrixAPI, data []byte) *portal.Uploaded {
	if len(data) == 0 || len(data) > convert.MaxThumbnail || convert.Sniff(data) != "image/jpeg" {
		return nil
	}
	picture, err := convert.Header(bytes.NewReader(data))
	if err != nil || picture.Width*picture.Height > maxThumbnailPixels {
		return nil
	}
	url, key, err := intent.UploadMedia(ctx, room.MXID, data, "thumbnail.jpg", "image/jpeg")
	if err != nil {
		zerolog.Ctx(ctx).Err(err).Msg("Failed to upload a thumbnail")
		return nil
	}
	return &portal.Uploaded{
		URL: url, File: key, MIME: "image/jpeg", Extension: ".jpg", Size: int64(len(data)), Width: picture.Width, Height: picture.Height,
		Blurhash: convert.Blurhash(ctx, data),
	}
}

func noticePart(text string) *bridgev2.ConvertedMessagePart {
	return &bridgev2.ConvertedMessagePart{
		Type:       event.EventMessage,
		Content:    &event.MessageEventContent{MsgType: event.MsgNotice, Body: text, Mentions: &event.Mentions{}},
		DBMetadata: &portal.MessageMetadata{},
	}
}

package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/network"
	"causeway/portal"
)

// repository is a homeserver's store of files.
type repository struct {
	bridgev2.MatrixAPI
	dir   string
	files [][]byte
	names []string
	types []string
	// refuse is the answer to every upload, nil to take it.
	refuse error
	// said are the notices of the bot.
	said []string
	// give is what a download answers.
	give []byte
}

func (r *repository) UploadMediaStream(
	_ context.Context, _ id.RoomID, size int64, requireFile bool, write bridgev2.FileStreamCallback,
) (id.ContentURIString, *event.EncryptedFileInfo, error) {
	if size != 0 || !requireFile {
		return "", nil, errors.New("what a stranger declared reached the disk, or a file goes through memory")
	}
	file, err := os.CreateTemp(r.dir, "upload")
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	result, err := write(file)
	if err != nil {
		return "", nil, bridgev2.CallbackError{Type: "write", Wrapped: err}
	}
	data, err := os.ReadFile(file.Name())
	if err != nil {
		return "", nil, err
	}
	uri, key, err := r.UploadMedia(context.Background(), "", data, result.FileName, result.MimeType)
	return uri, key, err
}

func (r *repository) SendMessage(
	_ context.Context, _ id.RoomID, _ event.Type, content *event.Content, _ *bridgev2.MatrixSendExtra,
) (*mautrix.RespSendEvent, error) {
	r.said = append(r.said, content.Parsed.(*event.MessageEventContent).Body)
	return &mautrix.RespSendEvent{}, nil
}

func (r *repository) UploadMedia(_ context.Context, _ id.RoomID, data []byte, name, mime string) (id.ContentURIString, *event.EncryptedFileInfo, error) {
	if r.refuse != nil {
		return "", nil, r.refuse
	}
	r.files, r.names, r.types = append(r.files, data), append(r.names, name), append(r.types, mime)
	return id.ContentURIString(fmt.Sprintf("mxc://test/%d", len(r.files))), nil, nil
}

func (r *repository) DownloadMediaToFile(
	_ context.Context, _ id.ContentURIString, _ *event.EncryptedFileInfo, _ bool, use func(*os.File) error,
) error {
	if r.refuse != nil {
		return r.refuse
	}
	path := filepath.Join(r.dir, "download")
	if err := os.WriteFile(path, r.give, 0o600); err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err = use(file); err != nil {
		return bridgev2.CallbackError{Type: "read", Wrapped: err}
	}
	return nil
}

func receiving(t *testing.T) (*Client, *bridgev2.Portal, *repository) {
	t.Helper()
	homeserver := &repository{dir: t.TempDir()}
	room := &bridgev2.Portal{Portal: &bridgedb.Portal{PortalKey: portal.Key(anna, self), MXID: "!room:test"}}
	room.Bridge = &bridgev2.Bridge{Bot: homeserver}
	return newClient(New(), nil, self, product{}), room, homeserver
}

func arrived(content network.Content) network.Message {
	return network.Message{ID: network.MessageID{Conversation: anna, Sender: anna, ID: "1"}, Content: content}
}

func reading(data []byte) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

func failing(err error) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return nil, err }
}

func smallJPEG(t *testing.T, side int) []byte {
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, image.NewGray(image.Rect(0, 0, side, side)), nil))
	return out.Bytes()
}

func TestFileArrives(t *testing.T) {
	c, room, homeserver := receiving(t)
	photo, small := smallJPEG(t, 40), smallJPEG(t, 8)
	converted, err := c.convertIncoming(t.Context(), room, homeserver, arrived(network.Media{
		Kind: network.Image, MIME: "image/jpeg", Caption: "*hi*", Size: 5, Width: 9, Height: 9, Thumbnail: small, Open: reading(photo),
	}))
	require.NoError(t, err)
	require.Len(t, converted.Parts, 1)
	content := converted.Parts[0].Content
	require.Equal(t, event.MsgImage, content.MsgType)
	require.EqualValues(t, "mxc://test/1", content.URL)
	require.Equal(t, []int{40, 40, len(photo)}, []int{content.Info.Width, content.Info.Height, content.Info.Size}, "bytes count, not claims")
	require.EqualValues(t, "mxc://test/2", content.Info.ThumbnailURL)
	require.NotEmpty(t, content.Info.Blurhash)
	require.Equal(t, [][]byte{photo, small}, homeserver.files)
	require.Equal(t, []string{"image/jpeg", "image/jpeg"}, homeserver.types)
}

func TestFilesThatNeverCome(t *testing.T) {
	tooLarge := mautrix.HTTPError{Message: "too large", Response: &http.Response{StatusCode: http.StatusRequestEntityTooLarge}}
	for name, c := range map[string]struct {
		media  network.Media
		refuse error
		want   string
	}{
		"gone":             {network.Media{Open: failing(fmt.Errorf("410: %w", network.ErrMediaGone))}, nil, textFileGone},
		"damaged":          {network.Media{Open: failing(fmt.Errorf("mac: %w", network.ErrMediaBroken))}, nil, textFileBroken},
		"empty":            {network.Media{Open: reading(nil)}, nil, textFileBroken},
		"declared huge":    {network.Media{Size: portal.MaxFile + 1, Open: reading([]byte("x"))}, nil, textFileTooLarge},
		"huge":             {network.Media{Size: 1024, Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(endless{}), nil }}, nil, textFileTooLarge},
		"homeserver's say": {network.Media{Open: reading([]byte("x"))}, bridgev2.ErrMediaTooLarge, textFileTooLarge},
		"homeserver's no":  {network.Media{Open: reading([]byte("x"))}, mautrix.HTTPError{Response: &http.Response{StatusCode: http.StatusForbidden}}, textFileRefused},
		"homeserver's 413": {network.Media{Open: reading([]byte("x"))}, tooLarge, textFileTooLarge},
	} {
		client, room, homeserver := receiving(t)
		homeserver.refuse = c.refuse
		c.media.Kind = network.Document
		converted, err := client.convertIncoming(t.Context(), room, homeserver, arrived(c.media))
		require.NoError(t, err, name)
		content := converted.Parts[0].Content
		require.Equal(t, event.MsgNotice, content.MsgType, name)
		require.Equal(t, textFileMissing(network.Document, c.want), content.Body, name)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestFilesThatMayComeLater(t *testing.T) {
	for name, failure := range map[string]error{
		"no connection": network.ErrNotConnected, "network trouble": network.ErrTemporary, "homeserver trouble": errors.New("502"), "homeserver busy": mautrix.HTTPError{Response: &http.Response{StatusCode: http.StatusTooManyRequests}},
	} {
		c, room, homeserver := receiving(t)
		homeserver.refuse = failure
		_, err := c.convertIncoming(t.Context(), room, homeserver, arrived(network.Media{Kind: network.Image, Open: reading([]byte("x"))}))
		require.ErrorIs(t, err, failure, name)
	}
}

// What follows a file must not wait for a network that never gives it.
func TestFileIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, room, homeserver := receiving(t)
		tries := 0
		converted, err := c.convertIncoming(t.Context(), room, homeserver, arrived(network.Media{
			Kind: network.Video, Open: func(context.Context) (io.ReadCloser, error) {
				tries++
				return nil, fmt.Errorf("503: %w", network.ErrTemporary)
			},
		}))
		require.NoError(t, err)
		require.Equal(t, fileTries, tries)
		require.Equal(t, textFileMissing(network.Video, textFileFailed), converted.Parts[0].Content.Body)

		tries = 0
		converted, err = c.convertIncoming(t.Context(), room, homeserver, arrived(network.Media{
			Kind: network.Document, MIME: "text/plain", Open: func(ctx context.Context) (io.ReadCloser, error) {
				tries++
				if tries == 1 {
					return nil, network.ErrTemporary
				}
				return reading([]byte("words"))(ctx)
			},
		}))
		require.NoError(t, err)
		require.Equal(t, event.MsgFile, converted.Parts[0].Content.MsgType)
	})
}

// A file whose bytes stop coming is given up as well.
func TestFileThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, room, homeserver := receiving(t)
		converted, err := c.convertIncoming(t.Context(), room, homeserver, arrived(network.Media{
			Kind: network.Video, Open: func(ctx context.Context) (io.ReadCloser, error) { return stalled{ctx}, nil },
		}))
		require.NoError(t, err)
		require.Equal(t, textFileMissing(network.Video, textFileFailed), converted.Parts[0].Content.Body)
	})
}

// One that drips goes on, but not for ever, and the room knows why nothing else comes.
func TestFileThatDrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, room, homeserver := receiving(t)
		began := time.Now()
		converted, err := c.convertIncoming(t.Context(), room, homeserver, arrived(network.Media{
			Kind: network.Video, Open: func(ctx context.Context) (io.ReadCloser, error) { return dripping{ctx}, nil },
		}))
		require.NoError(t, err)
		require.Equal(t, textFileMissing(network.Video, textFileFailed), converted.Parts[0].Content.Body)
		require.InDelta(t, filePatience, time.Since(began), float64(filePause+time.Second))
		require.Equal(t, []string{textFileSlow}, homeserver.said)
	})
}

// dripping gives a byte now and then until its context ends.
type dripping struct{ ctx context.Context }

func (d dripping) Read(p []byte) (int, error) {
	select {
	case <-time.After(idlePatience / 2):
		return copy(p, "x"), nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func (dripping) Close() error { return nil }

// stalled gives no byte until its context ends.
type stalled struct{ ctx context.Context }

func (s stalled) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func (stalled) Close() error { return nil }

// source is a network that opens files of a former run.
type source struct {
	network.Client
	asked string
}

func (s *source) OpenMedia(_ context.Context, reference []byte) (io.ReadCloser, error) {
	s.asked = string(reference)
	return io.NopCloser(strings.NewReader("%PDF-1.4 words")), nil
}

func TestFileOfAFormerRun(t *testing.T) {
	c, room, homeserver := receiving(t)
	media := network.Media{Kind: network.Document, MIME: "application/pdf", FileName: "a.pdf", Reference: []byte("where")}
	_, err := c.convertIncoming(t.Context(), room, homeserver, arrived(media))
	require.ErrorIs(t, err, network.ErrNotConnected)

	from := &source{}
	c.client = from
	converted, err := c.convertIncoming(t.Context(), room, homeserver, arrived(media))
	require.NoError(t, err)
	require.Equal(t, "where", from.asked)
	require.Equal(t, "a.pdf", converted.Parts[0].Content.Body)

	media.Reference = nil
	converted, err = c.convertIncoming(t.Context(), room, homeserver, arrived(media))
	require.NoError(t, err)
	require.Equal(t, event.MsgNotice, converted.Parts[0].Content.MsgType)
}

func TestBadThumbnailsAreDropped(t *testing.T) {
	for name, thumbnail := range map[string][]byte{
		"huge": make([]byte, 2<<20), "html": []byte("<html>"), "no picture": []byte("\xff\xd8\xff\xe0"), "many pixels": smallJPEG(t, 1100),
	} {
		c, room, homeserver := receiving(t)
		converted, err := c.convertIncoming(t.Context(), room, homeserver, arrived(network.Media{
			Kind: network.Image, MIME: "image/jpeg", Thumbnail: thumbnail, Open: reading(smallJPEG(t, 10)),
		}))
		require.NoError(t, err, name)
		require.Nil(t, converted.Parts[0].Content.Info.ThumbnailInfo, name)
		require.Len(t, homeserver.files, 1, name)
	}
}

func TestLongTextBecomesAFile(t *testing.T) {
	c, room, homeserver := receiving(t)
	text := strings.Repeat("a long story. ", 4000)
	converted, err := c.convertIncoming(t.Context(), room, homeserver, arrived(network.Text{Body: text}))
	require.NoError(t, err)
	require.Len(t, converted.Parts, 2)
	require.NotEqual(t, converted.Parts[0].ID, converted.Parts[1].ID)
	require.Less(t, len(converted.Parts[0].Content.Body), 5<<10)
	require.Equal(t, event.MsgFile, converted.Parts[1].Content.MsgType)
	require.Equal(t, text, string(homeserver.files[0]))
	require.Equal(t, "text/plain", homeserver.types[0])
}

// The process died, or the homeserver failed, after the first event of a message.
func TestMessageOfTwoEventsIsCompleted(t *testing.T) {
	c, room, homeserver := receiving(t)
	msg := arrived(network.Text{Body: strings.Repeat("a long story. ", 4000)})
	converted, err := c.convertIncoming(t.Context(), room, homeserver, msg)
	require.NoError(t, err)
	var existing []*bridgedb.Message
	for _, part := range converted.Parts {
		existing = append(existing, &bridgedb.Message{PartID: part.ID, Metadata: part.DBMetadata})
	}
	var failure error
	known := func(existing ...*bridgedb.Message) bridgev2.UpsertResult {
		result, err := c.handleKnown(&failure)(t.Context(), room, homeserver, existing, msg)
		require.NoError(t, err)
		require.NoError(t, failure)
		return result
	}
	require.Empty(t, known(existing...).SubEvents, "it came again, and nothing is missing")
	for i, missing := range existing {
		there := existing[1-i]
		result := known(there)
		require.Len(t, result.SubEvents, 1)
		change, err := result.SubEvents[0].(bridgev2.RemoteEdit).ConvertEdit(t.Context(), room, homeserver, []*bridgedb.Message{there})
		require.NoError(t, err)
		require.NoError(t, failure)
		require.Empty(t, change.ModifiedParts)
		require.Len(t, change.AddedParts.Parts, 1)
		require.Equal(t, missing.PartID, change.AddedParts.Parts[0].ID)
	}
}

func TestPreviewPictureArrives(t *testing.T) {
	c, room, homeserver := receiving(t)
	converted, err := c.convertIncoming(t.Context(), room, homeserver, arrived(network.Text{
		Body: "https://a.eu", Preview: &network.LinkPreview{URL: "https://a.eu", Matched: "https://a.eu", Title: "A", Thumbnail: smallJPEG(t, 8)},
	}))
	require.NoError(t, err)
	require.EqualValues(t, "mxc://test/1", converted.Parts[0].Content.BeeperLinkPreviews[0].ImageURL)
}

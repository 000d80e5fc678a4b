package linked

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"causeway/network"
	"causeway/wire"
)

const (
	// downloadWithin is how long fetching a file may take.
	downloadWithin = 15 * time.Minute
	// usualLimit is how many bytes an answer may have that no caller has set a limit for.
	usualLimit = 64 << 20
)

type limitKey struct{}

// errOverLimit says that a host sent more than may come.
var errOverLimit = errors.New("an answer over its limit")

// limited is an HTTP client whose answers have a limit, by context: the library reads them to their end.
func limited(client *http.Client) *http.Client {
	bounded := *client
	bounded.Transport = limiter{client.Transport}
	bounded.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &bounded
}

type limiter struct{ next http.RoundTripper }

func (l limiter) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := l.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	limit, ok := request.Context().Value(limitKey{}).(int64)
	if !ok {
		limit = usualLimit
	}
	response.Body = &limitedBody{ReadCloser: response.Body, left: limit}
	return response, nil
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errOverLimit
	}
	return n, err
}

// OpenMedia fetches a file that came in and opens it. It is spooled to a nameless file in the system's directory for such,
// as it must be checked whole before its first byte can be believed.
func (c *Client) OpenMedia(ctx context.Context, reference []byte) (io.ReadCloser, error) {
	var ref wire.MediaRef
	if err := json.Unmarshal(reference, &ref); err != nil {
		return nil, fmt.Errorf("%w: unreadable reference", network.ErrMediaGone)
	}
	l, err := c.current()
	if err != nil {
		return nil, err
	}
	return l.fetch(ctx, ref)
}

func (l *link) fetch(ctx context.Context, ref wire.MediaRef) (io.ReadCloser, error) {
	if len(ref.Key) != 32 || len(ref.PlainSHA256) != 32 || len(ref.EncSHA256) != 32 {
		return nil, fmt.Errorf("%w: the message lacks its key or hashes", network.ErrMediaGone)
	}
	return l.download(ctx, ref.Type.Limit(), func(ctx context.Context, spool *os.File) error {
		return l.lib.DownloadMediaWithPathToFile(ctx, ref.Path, ref.EncSHA256, ref.PlainSHA256, ref.Key, keysOf(ref.Type), "", false, spool)
	})
}

// download runs a download into a spool and opens it from its beginning.
func (l *link) download(ctx context.Context, limit int64, into func(context.Context, *os.File) error) (io.ReadCloser, error) {
	spool, err := wire.NewSpool()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, limitKey{}, limit), downloadWithin)
	defer cancel()
	err = into(ctx, spool)
	if err == nil {
		_, err = spool.Seek(0, io.SeekStart)
	}
	if err == nil {
		return spool, nil
	}
	_ = spool.Close()
	if errors.Is(err, errOverLimit) {
		return nil, fmt.Errorf("%w: over %d bytes", network.ErrTooLarge, limit)
	}
	known := failure(err)
	if known == err { //nolint:errorlint // unchanged means unknown; its text would name the file
		return nil, fmt.Errorf("%w: a media host did not give the file", network.ErrTemporary)
	}
	return nil, known
}

// openable completes a message whose file can be fetched.
func (l *link) openable(event network.Event) network.Event {
	message, ok := event.(network.MessageEvent)
	if !ok {
		return event
	}
	message.Message.Content = l.owner.openable(message.Message.Content)
	return message
}

func (c *Client) openable(content network.Content) network.Content {
	switch content := content.(type) {
	case network.Media:
		if reference := content.Reference; len(reference) > 0 {
			content.Open = func(ctx context.Context) (io.ReadCloser, error) { return c.OpenMedia(ctx, reference) }
		}
		return content
	case network.Edit:
		content.Content = c.openable(content.Content)
		return content
	}
	return content
}

package wire

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"causeway/network"
)

const (
	// stalledAfter is how long a media host may be silent.
	stalledAfter = 30 * time.Second
	// longestHostLife bounds how long the names of the media hosts are kept.
	longestHostLife = time.Hour
)

// mediaHosts remembers where files are.
type mediaHosts struct {
	mu    sync.Mutex
	names []string
	until time.Time
}

// FetchMedia downloads a file and opens it. The ciphertext is spooled to a nameless
// file in the system's directory for such, as it must be checked whole before its
// first byte can be believed; memory holds a chunk at a time. Hosts are asked in
// turn. Errors wrap [network.ErrMediaGone], [network.ErrMediaBroken],
// [network.ErrTooLarge], [network.ErrTemporary] or [network.ErrNotConnected].
func (c *Client) FetchMedia(ctx context.Context, ref MediaRef) (io.ReadCloser, error) {
	hosts, err := c.hosts(ctx)
	if err != nil {
		return nil, err
	}
	spool, err := NewSpool()
	if err != nil {
		return nil, err
	}
	failure := fmt.Errorf("%w: no media host is known", network.ErrTemporary)
	for _, host := range hosts {
		var plain io.Reader
		if plain, failure = c.fetchFrom(ctx, host, ref, spool); failure == nil {
			return spooledMedia{plain, spool}, nil
		}
		if final(failure) || ctx.Err() != nil {
			break
		}
	}
	_ = spool.Close()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("failed to fetch a file: %w", ctx.Err())
	}
	if !final(failure) {
		c.media.forget()
	}
	return nil, fmt.Errorf("failed to fetch a file: %w", failure)
}

// final says that no other host can do better. A damaged file is not final: the damage may be the host's.
func final(err error) bool {
	return errors.Is(err, network.ErrMediaGone) || errors.Is(err, network.ErrTooLarge)
}

// fetchFrom spools the file of one host and opens it.
func (c *Client) fetchFrom(ctx context.Context, host string, ref MediaRef, spool *os.File) (io.Reader, error) {
	if err := spool.Truncate(0); err != nil {
		return nil, fmt.Errorf("failed to spool a file: %w", err)
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("failed to spool a file: %w", err)
	}
	size, err := c.spoolFrom(ctx, host, ref, spool)
	if err != nil {
		return nil, err
	}
	return OpenMedia(spool, size, ref)
}

// spoolFrom downloads a ciphertext. It gives up on a host that falls silent.
func (c *Client) spoolFrom(ctx context.Context, host string, ref MediaRef, spool io.Writer) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stalled := time.AfterFunc(stalledAfter, cancel)
	defer stalled.Stop()
	address, err := mediaURL(host, ref)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, fmt.Errorf("%w: not a path of a file", network.ErrMediaGone)
	}
	request.Header.Set("Accept-Encoding", "identity") // what is hashed is what was sent
	response, err := c.mediaClient().Do(request)
	if err != nil {
		return 0, fmt.Errorf("%w: a media host did not answer", network.ErrTemporary) // its error would name the file
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return 0, fmt.Errorf("%w (HTTP status %d)", network.ErrMediaGone, response.StatusCode)
	default:
		return 0, fmt.Errorf("%w: a media host answered with HTTP status %d", network.ErrTemporary, response.StatusCode)
	}
	limit := ref.Type.Limit()
	size, err := io.Copy(spool, io.LimitReader(lively{response.Body, stalled}, limit+1))
	switch {
	case size > limit:
		return 0, fmt.Errorf("%w: over %d bytes", network.ErrTooLarge, limit)
	case err != nil:
		return 0, fmt.Errorf("%w: a file broke off after %d bytes", network.ErrTemporary, size)
	}
	return size, nil
}

// lively puts off the end of a download as long as something comes.
type lively struct {
	io.Reader
	stalled *time.Timer
}

func (l lively) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if n > 0 {
		l.stalled.Reset(stalledAfter)
	}
	return n, err
}

// mediaURL is where a host has a file. The path comes from a stranger and must not lead to another host.
func mediaURL(host string, ref MediaRef) (string, error) {
	if !strings.HasPrefix(ref.Path, "/") {
		return "", fmt.Errorf("%w: not a path of a file", network.ErrMediaGone)
	}
	separator := "&"
	if !strings.Contains(ref.Path, "?") {
		separator = "?"
	}
	address := "https://" + host + ref.Path + separator + "hash=" + base64.URLEncoding.EncodeToString(ref.EncSHA256) +
		"&mms-type=" + string(ref.Type) + "&__wa-mms="
	if parsed, err := url.Parse(address); err != nil || parsed.Host != host {
		return "", fmt.Errorf("%w: not a path of a file", network.ErrMediaGone)
	}
	return address, nil
}

// mediaClient is the endpoint's HTTP client, which for files follows no redirect.
func (c *Client) mediaClient() *http.Client {
	c.mu.Lock()
	client := *c.http // set, as the hosts are known from a connection only
	c.mu.Unlock()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// hosts are the media hosts, asked of the network when what is known is too old.
func (c *Client) hosts(ctx context.Context) ([]string, error) {
	c.media.mu.Lock()
	defer c.media.mu.Unlock()
	if len(c.media.names) > 0 && time.Now().Before(c.media.until) {
		return c.media.names, nil
	}
	l, err := c.current()
	if err != nil {
		return nil, err
	}
	answer, err := l.query(ctx, "set", mediaNamespace, mediaHostsRequest())
	if err != nil {
		return nil, fmt.Errorf("%w: failed to ask for media hosts: %w", network.ErrTemporary, unsent(err))
	}
	names, life, err := mediaHostsAnswer(answer)
	if err != nil {
		return nil, err
	}
	c.media.names, c.media.until = names, time.Now().Add(min(life, longestHostLife))
	return names, nil
}

func (m *mediaHosts) forget() {
	m.mu.Lock()
	m.names = nil
	m.mu.Unlock()
}

// NewSpool is a nameless temporary file, which is gone when it is closed, or when the process ends.
func NewSpool() (*os.File, error) {
	spool, err := os.CreateTemp("", "causeway-media-*")
	if err != nil {
		return nil, fmt.Errorf("failed to spool a file: %w", err)
	}
	if err = os.Remove(spool.Name()); err != nil {
		_ = spool.Close()
		return nil, fmt.Errorf("failed to spool a file: %w", err)
	}
	return spool, nil
}

// spooledMedia is a plaintext on its way out of a spooled ciphertext.
type spooledMedia struct {
	io.Reader
	spool *os.File
}

func (s spooledMedia) Close() error { return s.spool.Close() }

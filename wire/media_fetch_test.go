package wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	waBinary "go.mau.fi/whatsmeow/binary"

	"causeway/network"
)

func hashOf(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

// fetcher is a client that knows its media hosts already, all of them behind one server.
func fetcher(t *testing.T, handler http.HandlerFunc, hosts ...string) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := Endpoint{Host: strings.TrimPrefix(server.URL, "http://")}.HTTPClient()
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	c := New(Config{})
	c.http = client
	c.media.names, c.media.until = hosts, time.Now().Add(time.Hour)
	return c
}

func TestFetchMedia(t *testing.T) {
	plain, err := io.ReadAll(noise(200_000))
	require.NoError(t, err)
	file, ciphertext := sealFile(t, plain, MediaImage)
	file.Path = "/i/12/blob?oe=1&oh=2"
	asked := []string{}
	c := fetcher(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Host+r.URL.Path)
		require.Equal(t, "1", r.URL.Query().Get("oe"))
		require.Equal(t, "image", r.URL.Query().Get("mms-type"))
		switch r.Host {
		case "busy.test":
			http.Error(w, "", http.StatusServiceUnavailable)
		case "elsewhere.test":
			http.Redirect(w, r, "/other", http.StatusFound)
		case "short.test":
			w.Header().Set("Content-Length", fmt.Sprint(len(ciphertext)))
			_, _ = w.Write(ciphertext[:1000])
		case "spoilt.test":
			_, _ = w.Write(append(bytes.Clone(ciphertext), bytes.Repeat([]byte{1}, 999)...))
		default:
			_, _ = w.Write(ciphertext)
		}
	}, "busy.test", "elsewhere.test", "short.test", "spoilt.test", "good.test:8443", "never.test")
	reader, err := c.FetchMedia(t.Context(), file.MediaRef)
	require.NoError(t, err)
	opened, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	require.True(t, bytes.Equal(plain, opened))
	require.Equal(t, []string{
		"busy.test/i/12/blob", "elsewhere.test/i/12/blob", "short.test/i/12/blob", "spoilt.test/i/12/blob", "good.test:8443/i/12/blob",
	}, asked, "each host in turn, no redirect, none after the good one")
}

func TestFetchMediaFails(t *testing.T) {
	file, ciphertext := sealFile(t, []byte("a file"), MediaImage)
	file.Path = "/blob?x"
	for name, test := range map[string]struct {
		serve http.HandlerFunc
		want  error
		asked int
	}{
		"forbidden": {status(403), network.ErrMediaGone, 1},
		"not found": {status(404), network.ErrMediaGone, 1},
		"gone":      {status(410), network.ErrMediaGone, 1},
		"busy":      {status(503), network.ErrTemporary, 2},
		"odd":       {status(204), network.ErrTemporary, 2},
		"spoilt":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(ciphertext[1:]) }, network.ErrMediaBroken, 2},
		"too large": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, noise(MediaImage.Limit()+2))
		}, network.ErrTooLarge, 1},
		"hung up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, network.ErrTemporary, 2},
	} {
		var asked atomic.Int32
		c := fetcher(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1); test.serve(w, r) }, "one.test", "two.test")
		_, err := c.FetchMedia(t.Context(), file.MediaRef)
		require.ErrorIs(t, err, test.want, name)
		require.EqualValues(t, test.asked, asked.Load(), name)
		require.NotContains(t, err.Error(), "/blob", name)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestFetchMediaEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := fetcher(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() }, "slow.test", "never.test")
	_, err := c.FetchMedia(ctx, MediaRef{Type: MediaAudio, Path: "/a?"})
	require.ErrorIs(t, err, context.Canceled)
}

func TestFetchMediaWithoutConnection(t *testing.T) {
	_, err := New(Config{}).FetchMedia(t.Context(), MediaRef{Type: MediaAudio, Path: "/a?"})
	require.ErrorIs(t, err, network.ErrNotConnected)
}

// A path is a stranger's word: it must stay on the host that the network named.
func TestMediaURL(t *testing.T) {
	for path, want := range map[string]string{
		"/i/12/b?oe=1": "https://mmg.test/i/12/b?oe=1&hash=AQI=&mms-type=video&__wa-mms=",
		"/v/b":         "https://mmg.test/v/b?hash=AQI=&mms-type=video&__wa-mms=",
		"//evil.test/": "https://mmg.test//evil.test/?hash=AQI=&mms-type=video&__wa-mms=",
		"/@evil.test/": "https://mmg.test/@evil.test/?hash=AQI=&mms-type=video&__wa-mms=",
		"":             "", "@evil.test/": "", ".evil.test/": "", ":80@evil.test/": "", "https://evil.test/": "", "/\x00": "", "/%zz": "",
	} {
		got, err := mediaURL("mmg.test", MediaRef{Type: MediaVideo, Path: path, EncSHA256: []byte{1, 2}})
		require.Equal(t, want, got, "%q", path)
		if want == "" {
			require.ErrorIs(t, err, network.ErrMediaGone, "%q", path)
		}
	}
}

func TestMediaHostsAnswer(t *testing.T) {
	answer := func(hosts ...waBinary.Node) *waBinary.Node {
		return &waBinary.Node{Tag: "iq", Content: []waBinary.Node{{Tag: "media_conn", Attrs: waBinary.Attrs{"ttl": "300"}, Content: hosts}}}
	}
	host := func(name string) waBinary.Node {
		return waBinary.Node{Tag: "host", Attrs: waBinary.Attrs{"hostname": name}}
	}
	names, life, err := mediaHostsAnswer(answer(host("a.test"), waBinary.Node{Tag: "weather"}, host(""), host("b.test:443")))
	require.NoError(t, err)
	require.Equal(t, []string{"a.test", "b.test:443"}, names)
	require.Equal(t, 5*time.Minute, life)
	for _, bad := range []*waBinary.Node{answer(), {Tag: "iq"}} {
		_, _, err = mediaHostsAnswer(bad)
		require.ErrorIs(t, err, network.ErrTemporary)
	}
}

// TestLargeFileInLittleMemory takes 100 MB through both directions and looks at the heap all along.
func TestLargeFileInLittleMemory(t *testing.T) {
	const size, allowed = 100_000_000, 32 << 20
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	peak := uint64(0)
	watch := func() {
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapInuse-min(now.HeapInuse, before.HeapInuse))
	}
	spool, err := NewSpool()
	require.NoError(t, err)
	defer spool.Close()
	file, err := SealMedia(spool, &watched{Reader: noise(size), look: watch}, MediaVideo)
	require.NoError(t, err)
	require.EqualValues(t, size, file.PlainSize)

	file.Path = "/video?"
	c := fetcher(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, io.NewSectionReader(spool, 0, file.EncSize))
	}, "mmg.test")
	reader, err := c.FetchMedia(t.Context(), file.MediaRef)
	require.NoError(t, err)
	defer reader.Close()
	sum := sha256.New()
	count, err := io.Copy(sum, &watched{Reader: reader, look: watch})
	require.NoError(t, err)
	require.EqualValues(t, size, count)
	require.Equal(t, file.PlainSHA256, sum.Sum(nil))
	runtime.ReadMemStats(&now)
	t.Logf("%d bytes both ways: the heap grew by %d KiB at most, %d KiB were taken in all", size, peak>>10, (now.TotalAlloc-before.TotalAlloc)>>10)
	require.Less(t, peak, uint64(allowed))
	require.Less(t, now.TotalAlloc-before.TotalAlloc, uint64(allowed), "nothing is held, and little is thrown away")
}

// watched looks at the heap once a megabyte.
type watched struct {
	io.Reader
	look func()
	read int
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if w.read += n; w.read >= 1<<20 {
		w.read = 0
		w.look()
	}
	return n, err
}

func TestSpoolHasNoName(t *testing.T) {
	spool, err := NewSpool()
	require.NoError(t, err)
	defer spool.Close()
	_, err = os.Stat(spool.Name())
	require.ErrorIs(t, err, os.ErrNotExist)
}

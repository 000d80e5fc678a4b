package interop

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/database"
	"causeway/network"
)

// ciphertext is what a file looks like to its host.
func ciphertext(t *testing.T, size int) []byte {
	t.Helper()
	content := make([]byte, size)
	_, err := rand.Read(content)
	require.NoError(t, err)
	return content
}

func content(t *testing.T, response *http.Response) []byte {
	t.Helper()
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return data
}

// files are the names in the media folder.
func (w *mediaWorld) files(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.dir, "media"))
	require.NoError(t, err)
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestHostAndFetch(t *testing.T) {
	w := newMediaWorld(t)
	want := ciphertext(t, 70_000)
	file := w.hosted(t, want)
	require.Regexp(t, `^[\w-]{43}$`, file.blob)
	require.Regexp(t, `^[\w-]{43}$`, file.oh)
	require.Equal(t, strconv.FormatInt(1_790_000_000+14*24*3600, 16), file.oe, "14 days after 1790000000")

	response := w.fetch(file, nil)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, want, content(t, response))
	sum := sha256.Sum256(want)
	for name, value := range map[string]string{
		"Content-Type": "application/octet-stream", "Content-Length": "70000", "Accept-Ranges": "bytes",
		"ETag": `"` + base64.RawURLEncoding.EncodeToString(sum[:]) + `"`, "Cache-Control": "private, max-age=0", "X-Content-Type-Options": "nosniff",
	} {
		require.Equal(t, value, response.Header.Get(name), name)
	}
	head := w.ask(http.MethodHead, file.target(), w.proxy.token(file.blob), nil)
	require.Equal(t, http.StatusOK, head.StatusCode)
	require.Empty(t, content(t, head))
	response.Header.Del("X-Request-Id")
	head.Header.Del("X-Request-Id")
	require.Equal(t, response.Header, head.Header)

	// What clients append does no harm.
	appended := w.ask(http.MethodGet, file.target()+"&hash=x&mms-type=image&__wa-mms=", w.proxy.token(file.blob), nil)
	require.Equal(t, http.StatusOK, appended.StatusCode)
	require.NotEqual(t, file, w.hosted(t, want), "a name is for one upload and not derived from the content")
}

// Whoever can look at the disk sees ciphertext under random names, and others do not see even that.
func TestHostedFilesArePrivate(t *testing.T) {
	w := newMediaWorld(t)
	file := w.hosted(t, []byte("ciphertext"))
	require.Equal(t, []string{file.blob}, w.files(t))
	for path, mode := range map[string]os.FileMode{"media": 0o700, "media/" + file.blob: 0o600, "media-key": 0o600, "push-secret": 0o600} {
		info, err := os.Stat(filepath.Join(w.dir, path))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
}

func TestHostRefuses(t *testing.T) {
	w := newMediaWorld(t)
	good := []byte("ciphertext")
	broken := errors.New("the source broke")
	stranger := network.Interop(wa, 12, "999")
	for name, test := range map[string]struct {
		owner   network.Address
		source  io.Reader
		size    int64
		sum     [32]byte
		refusal error
	}{
		"empty":         {w.owner.Address, bytes.NewReader(nil), 0, sha256.Sum256(nil), network.ErrMediaBroken},
		"too large":     {w.owner.Address, bytes.NewReader(good), 100<<20 + 1, sha256.Sum256(good), network.ErrTooLarge},
		"other hash":    {w.owner.Address, bytes.NewReader(good), 10, sha256.Sum256(nil), network.ErrMediaBroken},
		"too short":     {w.owner.Address, bytes.NewReader(good[1:]), 10, sha256.Sum256(good), network.ErrMediaBroken},
		"too long":      {w.owner.Address, strings.NewReader("ciphertext+"), 10, sha256.Sum256(good), network.ErrMediaBroken},
		"source breaks": {w.owner.Address, iotest.ErrReader(broken), 10, sha256.Sum256(good), broken},
		"not enlisted":  {stranger, bytes.NewReader(good), 10, sha256.Sum256(good), network.ErrNotEnlisted},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Host(t.Context(), test.owner, test.source, test.size, test.sum)
			require.ErrorIs(t, err, test.refusal)
			own, all, err := w.db.MediaUsage(t.Context(), test.owner.String())
			require.NoError(t, err)
			require.Zero(t, own+all, "nothing is left behind")
			require.Empty(t, w.files(t))
		})
	}
	require.NoError(t, w.db.SetEnlistmentStatus(t.Context(), w.owner.Address.String(), string(Suspended), "", w.clock.now()))
	_, err := w.Host(t.Context(), w.owner.Address, bytes.NewReader(good), 10, sha256.Sum256(good))
	require.ErrorIs(t, err, network.ErrSuspended)

	without := newWorld(t, func(c *Config) { c.Media.BaseURL = "" })
	_, err = without.Host(t.Context(), w.owner.Address, bytes.NewReader(good), 10, sha256.Sum256(good))
	require.ErrorIs(t, err, ErrNoMediaHost)
}

func TestHostQuotas(t *testing.T) {
	w := newMediaWorld(t)
	ben := w.enlisted(t, "@ben:example.eu")
	fill := func(owner Enlistment, sizes ...int64) {
		for _, size := range sizes {
			require.NoError(t, w.db.InsertMedia(t.Context(), database.Media{ID: newID("fill"), LoginID: owner.Address.String(),
				Size: size, ExpiresAt: w.clock.now().Add(time.Hour)}))
		}
	}
	host := func(owner Enlistment) error {
		_, err := w.Host(t.Context(), owner.Address, strings.NewReader("12"), 2, sha256.Sum256([]byte("12")))
		return err
	}
	fill(w.owner, 1<<30-3)
	require.NoError(t, host(w.owner), "up to 1 GiB")
	require.ErrorIs(t, host(w.owner), ErrMediaQuota)
	require.NoError(t, host(ben), "others are not held up")
	fill(ben, 19<<30)
	require.ErrorIs(t, host(w.owner), ErrMediaQuota)
	w.clock.advance(2 * time.Hour)
	require.NoError(t, w.media.sweep(t.Context()))
	require.NoError(t, host(w.owner), "room is made by time")
}

func TestFetchRanges(t *testing.T) {
	w := newMediaWorld(t)
	want := ciphertext(t, 1000)
	file := w.hosted(t, want)
	for header, part := range map[string][2]int{
		"bytes=0-0": {0, 1}, "bytes=0-999": {0, 1000}, "bytes=10-": {10, 1000}, "bytes=-10": {990, 1000}, "bytes=999-": {999, 1000},
		"bytes=5-9999": {5, 1000}, "bytes=-9999": {0, 1000}, "bytes=100-199": {100, 200},
	} {
		t.Run(header, func(t *testing.T) {
			response := w.fetch(file, http.Header{"Range": {header}})
			require.Equal(t, http.StatusPartialContent, response.StatusCode)
			require.Equal(t, want[part[0]:part[1]], content(t, response))
			require.Equal(t, "bytes "+strconv.Itoa(part[0])+"-"+strconv.Itoa(part[1]-1)+"/1000", response.Header.Get("Content-Range"))
			require.Equal(t, strconv.Itoa(part[1]-part[0]), response.Header.Get("Content-Length"))
		})
	}
	for _, header := range []string{"bytes=0-1,3-4", "bytes=1000-", "bytes=-0", "bytes=5-4", "bytes=a-b", "bytes=", "bytes=-", "pages=1-2",
		"bytes=+1-2", "bytes=1-99999999999999999999", "bytes= 1-2", "0-1"} {
		t.Run("bad "+header, func(t *testing.T) {
			response := w.fetch(file, http.Header{"Range": {header}})
			require.Equal(t, http.StatusRequestedRangeNotSatisfiable, response.StatusCode)
			require.Equal(t, "bytes */1000", response.Header.Get("Content-Range"))
			require.Equal(t, refused, string(content(t, response)))
		})
	}
	twice := w.fetch(file, http.Header{"Range": {"bytes=0-1", "bytes=2-3"}})
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, twice.StatusCode)
	tag := w.fetch(file, nil).Header.Get("ETag")
	require.Equal(t, http.StatusPartialContent, w.fetch(file, http.Header{"Range": {"bytes=0-1"}, "If-Range": {tag}}).StatusCode)
	require.Equal(t, http.StatusOK, w.fetch(file, http.Header{"Range": {"bytes=0-1"}, "If-Range": {`"other"`}}).StatusCode)
	head := w.ask(http.MethodHead, file.target(), w.proxy.token(file.blob), http.Header{"Range": {"bytes=0-1"}})
	require.Equal(t, http.StatusPartialContent, head.StatusCode)
	require.Equal(t, "2", head.Header.Get("Content-Length"))
}

// Files go with their time, with their owner, and when nothing knows them any more.
func TestFilesEnd(t *testing.T) {
	w := newMediaWorld(t)
	ctx := t.Context()
	early := w.hosted(t, []byte("early"))
	w.clock.advance(7 * 24 * time.Hour)
	late := w.hosted(t, []byte("late"))
	for _, stray := range []string{strings.Repeat("A", 43), "notes.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, "media", stray), nil, 0o600))
	}
	require.NoError(t, w.db.InsertMedia(ctx, database.Media{ID: strings.Repeat("B", 42) + "A", LoginID: w.owner.Address.String(), Size: 5,
		ExpiresAt: w.clock.now().Add(mediaWriteTime)}))
	w.clock.advance(7*24*time.Hour - time.Second)
	require.Equal(t, http.StatusOK, w.fetch(early, nil).StatusCode)
	w.clock.advance(time.Second)
	require.Equal(t, http.StatusNotFound, w.fetch(early, nil).StatusCode, "over, although no sweep has passed")

	require.NoError(t, w.media.sweep(ctx))
	require.ElementsMatch(t, []string{late.blob, "notes.txt"}, w.files(t), "what is not ours stays")
	_, all, err := w.db.MediaUsage(ctx, "")
	require.NoError(t, err)
	require.EqualValues(t, len("late"), all)

	require.NoError(t, w.Withdraw(ctx, w.owner.Address, ReasonUser))
	require.Equal(t, []string{"notes.txt"}, w.files(t), "gone at once")
	require.Equal(t, http.StatusNotFound, w.fetch(late, nil).StatusCode)
}

// Somebody who leaves while a file of theirs is being stored leaves none behind.
func TestWithdrawWhileStoring(t *testing.T) {
	w := newMediaWorld(t)
	good := []byte("ciphertext")
	source, sink := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := w.Host(t.Context(), w.owner.Address, source, 10, sha256.Sum256(good))
		done <- err
	}()
	_, err := sink.Write(good[:5])
	require.NoError(t, err)
	require.NoError(t, w.Withdraw(t.Context(), w.owner.Address, ReasonUser))
	_, err = sink.Write(good[5:])
	require.NoError(t, err)
	require.NoError(t, sink.Close())
	require.ErrorIs(t, <-done, network.ErrWithdrawn)
	require.Empty(t, w.files(t))
}

// The network ended it, and we hear so by comparing.
func TestReconcileEndsFiles(t *testing.T) {
	w := newMediaWorld(t)
	w.hosted(t, []byte("ciphertext"))
	w.registry.change(func() { w.registry.entries[0].status = "withdrawn" })
	w.clock.advance(time.Second)
	_, err := w.Reconcile(t.Context(), wa)
	require.NoError(t, err)
	require.Empty(t, w.files(t))
}

// Paths that were given out stay good when the program starts again.
func TestFilesOutliveARestart(t *testing.T) {
	w := newMediaWorld(t)
	want := ciphertext(t, 100)
	file := w.hosted(t, want)
	w.Stop()
	w.restart(t)
	require.Equal(t, want, content(t, w.fetch(file, nil)))
}

func TestMediaFolderMustBePrivate(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"folder": func(dir string) error { return os.Chmod(filepath.Join(dir, "media"), 0o750) },
		"key":    func(dir string) error { return os.Chmod(filepath.Join(dir, "media-key"), 0o644) },
		"broken key": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "media-key"), []byte("short\n"), 0o600)
		},
		"push secret": func(dir string) error { return os.Chmod(filepath.Join(dir, "push-secret"), 0o640) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newMediaWorld(t)
			w.Stop()
			require.NoError(t, damage(w.dir))
			require.Error(t, w.Start(t.Context()))
		})
	}
}

// bulk is a stream that is nowhere in memory.
type bulk struct{ left int64 }

func (b *bulk) Read(out []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	count := min(int64(len(out)), b.left)
	for i := range out[:count] {
		out[i] = byte(b.left - int64(i))
	}
	b.left -= count
	return int(count), nil
}

// As large a file as there can be passes through in pieces, in both directions.
func TestLargeFilesAreStreams(t *testing.T) {
	const size = 100 << 20
	const allowed = 8 << 20
	w := newMediaWorld(t)
	hash := sha256.New()
	_, err := io.Copy(hash, &bulk{left: size})
	require.NoError(t, err)
	sum := [32]byte(hash.Sum(nil))
	var before, stored, fetched runtime.MemStats
	runtime.ReadMemStats(&before)
	directPath, err := w.Host(t.Context(), w.owner.Address, &bulk{left: size}, size, sum)
	require.NoError(t, err)
	runtime.ReadMemStats(&stored)
	require.Less(t, stored.TotalAlloc-before.TotalAlloc, uint64(allowed), "bytes allocated to store it")

	file := readDirectPath(t, directPath)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.Addr()+file.target(), nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+w.proxy.token(file.blob))
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	require.NoError(t, err)
	hash.Reset()
	count, err := io.Copy(hash, response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.EqualValues(t, size, count)
	require.Equal(t, sum, [32]byte(hash.Sum(nil)))
	runtime.ReadMemStats(&fetched)
	require.Less(t, fetched.TotalAlloc-stored.TotalAlloc, uint64(allowed), "bytes allocated to fetch it")
}

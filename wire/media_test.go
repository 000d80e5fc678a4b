package wire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

// noise is a file of a size whose bytes follow from it.
func noise(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), 1}), size)
}

func sealFile(t testing.TB, plain []byte, class MediaType) (SealedMedia, []byte) {
	t.Helper()
	var ciphertext bytes.Buffer
	file, err := SealMedia(&ciphertext, bytes.NewReader(plain), class)
	require.NoError(t, err)
	require.EqualValues(t, len(plain), file.PlainSize)
	require.EqualValues(t, ciphertext.Len(), file.EncSize)
	return file, ciphertext.Bytes()
}

func openAll(ciphertext []byte, ref MediaRef) ([]byte, error) {
	plain, err := OpenMedia(bytes.NewReader(ciphertext), int64(len(ciphertext)), ref)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain)
}

func TestMediaRoundTrip(t *testing.T) {
	for _, class := range []MediaType{MediaImage, MediaVideo, MediaAudio, MediaDocument} {
		for _, size := range []int64{0, 1, 15, 16, 17, mediaChunk - 1, mediaChunk, mediaChunk + 1, 1_000_003} {
			plain, err := io.ReadAll(noise(size))
			require.NoError(t, err)
			file, ciphertext := sealFile(t, plain, class)
			opened, err := openAll(ciphertext, file.MediaRef)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, opened), "%s of %d bytes", class, size)

			slow, err := OpenMedia(bytes.NewReader(ciphertext), int64(len(ciphertext)), file.MediaRef)
			require.NoError(t, err)
			opened, err = io.ReadAll(iotest.HalfReader(slow))
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, opened))
		}
	}
}

func TestMediaKeysAreFresh(t *testing.T) {
	one, first := sealFile(t, []byte("the same"), MediaImage)
	two, second := sealFile(t, []byte("the same"), MediaImage)
	require.NotEqual(t, one.Key, two.Key)
	require.NotEqual(t, first, second)
	require.Equal(t, one.PlainSHA256, two.PlainSHA256)
}

func TestMediaBroken(t *testing.T) {
	plain, err := io.ReadAll(noise(mediaChunk + 100))
	require.NoError(t, err)
	file, ciphertext := sealFile(t, plain, MediaVideo)
	for name, spoil := range map[string]func(*MediaRef, []byte) []byte{
		"ciphertext":             func(_ *MediaRef, c []byte) []byte { c[20] ^= 1; return c },
		"last byte":              func(_ *MediaRef, c []byte) []byte { c[len(c)-1] ^= 1; return c },
		"hash of the ciphertext": func(r *MediaRef, c []byte) []byte { r.EncSHA256 = make([]byte, 32); return c },
		"hash of the file":       func(r *MediaRef, c []byte) []byte { r.PlainSHA256 = make([]byte, 32); return c },
		"key":                    func(r *MediaRef, c []byte) []byte { r.Key = make([]byte, 32); return c },
		"class":                  func(r *MediaRef, c []byte) []byte { r.Type = MediaImage; return c },
		"cut short":              func(_ *MediaRef, c []byte) []byte { return c[:len(c)-16] },
		"cut within a block":     func(_ *MediaRef, c []byte) []byte { return c[:len(c)-1] },
		"nothing":                func(*MediaRef, []byte) []byte { return nil },
		"a MAC alone":            func(_ *MediaRef, c []byte) []byte { return c[:mediaTag] },
		"no hashes":              func(r *MediaRef, c []byte) []byte { r.EncSHA256, r.PlainSHA256 = nil, nil; return c },
	} {
		ref := file.MediaRef
		_, err := openAll(spoil(&ref, bytes.Clone(ciphertext)), ref)
		require.ErrorIs(t, err, network.ErrMediaBroken, name)
	}
	// A wrong hash of the file is found at its end, and the end is not given out.
	ref := file.MediaRef
	ref.PlainSHA256 = make([]byte, 32)
	reader, err := OpenMedia(bytes.NewReader(ciphertext), int64(len(ciphertext)), ref)
	require.NoError(t, err)
	given, err := io.ReadAll(reader)
	require.ErrorIs(t, err, network.ErrMediaBroken)
	require.Less(t, len(given), len(plain))
}

func TestSealMediaFails(t *testing.T) {
	_, err := SealMedia(io.Discard, noise(1), "sticker")
	require.ErrorIs(t, err, errMediaType)
	_, err = OpenMedia(strings.NewReader(""), 0, MediaRef{Type: "sticker"})
	require.ErrorIs(t, err, errMediaType)
	_, err = SealMedia(io.Discard, noise(MediaImage.Limit()), MediaImage)
	require.ErrorIs(t, err, network.ErrTooLarge)
	_, err = SealMedia(io.Discard, noise(MediaImage.Limit()-17), MediaImage)
	require.NoError(t, err)

	// A source that breaks off is not a file that has ended.
	for _, broken := range []error{io.ErrUnexpectedEOF, errors.New("gone")} {
		_, err = SealMedia(io.Discard, io.MultiReader(noise(100), iotest.ErrReader(broken)), MediaImage)
		require.ErrorIs(t, err, broken)
	}
	full := errors.New("disk full")
	_, err = SealMedia(failingWriter{full}, noise(100), MediaImage)
	require.ErrorIs(t, err, full)
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// FuzzOpenMedia spoils one byte of a sealed file: nothing but the file itself ever comes out whole.
func FuzzOpenMedia(f *testing.F) {
	f.Add([]byte("a file"), uint(3), byte(1), false)
	f.Add([]byte{}, uint(0), byte(0), false)
	f.Add(bytes.Repeat([]byte{7}, 100), uint(50), byte(255), true)
	f.Fuzz(func(t *testing.T, plain []byte, place uint, flip byte, trusting bool) {
		file, ciphertext := sealFile(t, plain, MediaDocument)
		ciphertext[place%uint(len(ciphertext))] ^= flip
		ref := file.MediaRef
		if trusting { // as a sender would who hashed what was spoilt
			ref.EncSHA256 = hashOf(ciphertext)
		}
		opened, err := openAll(ciphertext, ref)
		if flip == 0 {
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, opened))
			return
		}
		require.ErrorIs(t, err, network.ErrMediaBroken)
	})
}

// FuzzHostileMedia opens what somebody sealed by other rules than ours under a known key.
func FuzzHostileMedia(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), []byte("0123456789"))
	f.Fuzz(func(t *testing.T, ciphertext, key []byte) {
		ref := MediaRef{Type: MediaAudio, Key: key, EncSHA256: hashOf(ciphertext)}
		_, err := openAll(ciphertext, ref)
		require.ErrorIs(t, err, network.ErrMediaBroken)
	})
}

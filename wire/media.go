package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"causeway/network"
)

// MediaType is the class of a file: it decides the keys, and how large the file may be.
type MediaType string

// The classes of files, as the network's media hosts call them (docs/protocol.md#media).
const (
	MediaImage    MediaType = "image"
	MediaVideo    MediaType = "video"
	MediaAudio    MediaType = "audio"
	MediaDocument MediaType = "document"
)

const (
	// mediaChunk is how much of a file is in memory at a time, a multiple of the cipher's block.
	mediaChunk = 64 << 10
	// mediaTag is how many bytes of the MAC follow the ciphertext.
	mediaTag = 10
)

// errMediaType is a fault of ours.
var errMediaType = errors.New("no such class of files")

// info goes into the derivation of the keys.
func (t MediaType) info() (string, error) {
	switch t {
	case MediaImage:
		return "WhatsApp Image Keys", nil
	case MediaVideo:
		return "WhatsApp Video Keys", nil
	case MediaAudio:
		return "WhatsApp Audio Keys", nil
	case MediaDocument:
		return "WhatsApp Document Keys", nil
	}
	return "", errMediaType
}

// MediaRef is what a message says of a file, and all that it takes to open it. It is
// secret, as it holds the key; as JSON it can be kept for later.
type MediaRef struct {
	Type MediaType `json:"type"`
	// Path is where the media hosts have the file.
	Path string `json:"path"`
	Key  []byte `json:"key"`
	// PlainSHA256 and EncSHA256 are the hashes of the file and of its encrypted form, MAC included.
	PlainSHA256 []byte `json:"plain_sha256"`
	EncSHA256   []byte `json:"enc_sha256"`
}

// SealedMedia is a file after encryption: what the message must say of it, but for
// the path, and both sizes in bytes.
type SealedMedia struct {
	MediaRef
	PlainSize, EncSize int64
}

// mediaKeys are expanded from the key in a message. The fourth part, a reference key, has no use here.
type mediaKeys struct{ iv, cipher, mac []byte }

func (r MediaRef) expand() (mediaKeys, error) {
	info, err := r.Type.info()
	if err != nil {
		return mediaKeys{}, err
	}
	out, err := hkdf.Key(sha256.New, r.Key, nil, info, 112)
	if err != nil {
		return mediaKeys{}, fmt.Errorf("failed to expand a media key: %w", err)
	}
	return mediaKeys{iv: out[:16], cipher: out[16:48], mac: out[48:80]}, nil
}

// SealMedia encrypts a file under a fresh key, from plain to ciphertext, a chunk at a
// time. It fails with [network.ErrTooLarge] for files that the network does not take.
func SealMedia(ciphertext io.Writer, plain io.Reader, class MediaType) (SealedMedia, error) {
	sealed := SealedMedia{MediaRef: MediaRef{Type: class, Key: make([]byte, 32)}}
	_, _ = rand.Read(sealed.Key) // never fails
	keys, err := sealed.expand()
	if err != nil {
		return sealed, err
	}
	block, err := aes.NewCipher(keys.cipher)
	if err != nil {
		return sealed, fmt.Errorf("failed to encrypt a file: %w", err)
	}
	encrypt, mac := cipher.NewCBCEncrypter(block, keys.iv), hmac.New(sha256.New, keys.mac)
	plainSum, encSum := sha256.New(), sha256.New()
	mac.Write(keys.iv)
	out := io.MultiWriter(ciphertext, encSum, mac)
	buffer := make([]byte, mediaChunk, mediaChunk+aes.BlockSize)
	for last := false; !last; {
		chunk, err := readChunk(plain, buffer[:mediaChunk])
		last = errors.Is(err, io.EOF)
		if err != nil && !last {
			return sealed, fmt.Errorf("failed to read a file: %w", err)
		}
		plainSum.Write(chunk)
		sealed.PlainSize += int64(len(chunk))
		if last {
			chunk = padBlock(chunk)
		}
		encrypt.CryptBlocks(chunk, chunk)
		if _, err = out.Write(chunk); err != nil {
			return sealed, fmt.Errorf("failed to spool a file: %w", err)
		}
		if sealed.EncSize += int64(len(chunk)); sealed.EncSize+mediaTag > class.Limit() {
			return sealed, fmt.Errorf("%w: over %d bytes", network.ErrTooLarge, class.Limit())
		}
	}
	tag := mac.Sum(nil)[:mediaTag]
	encSum.Write(tag)
	if _, err = ciphertext.Write(tag); err != nil {
		return sealed, fmt.Errorf("failed to spool a file: %w", err)
	}
	sealed.EncSize += mediaTag
	sealed.PlainSHA256, sealed.EncSHA256 = plainSum.Sum(nil), encSum.Sum(nil)
	return sealed, nil
}

// readChunk fills a chunk; the error is io.EOF where the reader has said so. Other than
// io.ReadFull it does not take a source that broke off for one that has ended.
func readChunk(from io.Reader, chunk []byte) ([]byte, error) {
	filled := 0
	for filled < len(chunk) {
		n, err := from.Read(chunk[filled:])
		filled += n
		if err != nil {
			return chunk[:filled], err
		}
	}
	return chunk, nil
}

// padBlock appends 1 to 16 bytes that tell their own number.
func padBlock(chunk []byte) []byte {
	count := aes.BlockSize - len(chunk)%aes.BlockSize
	for range count {
		chunk = append(chunk, byte(count))
	}
	return chunk
}

// OpenMedia decrypts a file of which the whole ciphertext is at hand. A first pass
// checks hash and MAC before any plaintext is given out; the plaintext's own hash is
// known at the end only, so that the last read may fail. All failures wrap
// [network.ErrMediaBroken], or are the ciphertext reader's.
func OpenMedia(ciphertext io.ReaderAt, size int64, ref MediaRef) (io.Reader, error) {
	keys, err := ref.expand()
	if err != nil {
		return nil, err
	}
	length := size - mediaTag
	if length < aes.BlockSize || length%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes are no ciphertext", network.ErrMediaBroken, size)
	}
	if err = ref.check(ciphertext, size, keys); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(keys.cipher)
	if err != nil {
		return nil, fmt.Errorf("failed to decrypt a file: %w", err)
	}
	return &mediaReader{
		source: io.NewSectionReader(ciphertext, 0, length), left: length,
		decrypt: cipher.NewCBCDecrypter(block, keys.iv), sum: sha256.New(), want: ref.PlainSHA256,
		buffer: make([]byte, mediaChunk),
	}, nil
}

// check compares hash and MAC with what the message promised.
func (r MediaRef) check(ciphertext io.ReaderAt, size int64, keys mediaKeys) error {
	mac, sum := hmac.New(sha256.New, keys.mac), sha256.New()
	mac.Write(keys.iv)
	buffer := make([]byte, mediaChunk)
	body := io.NewSectionReader(ciphertext, 0, size-mediaTag)
	if _, err := io.CopyBuffer(onlyWriter{io.MultiWriter(mac, sum)}, onlyReader{body}, buffer); err != nil {
		return fmt.Errorf("failed to read a spooled file: %w", err)
	}
	tag := make([]byte, mediaTag)
	if _, err := ciphertext.ReadAt(tag, size-mediaTag); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("failed to read a spooled file: %w", err)
	}
	sum.Write(tag)
	switch {
	case !hmac.Equal(sum.Sum(nil), r.EncSHA256):
		return fmt.Errorf("%w: hash of the ciphertext", network.ErrMediaBroken)
	case !hmac.Equal(mac.Sum(nil)[:mediaTag], tag):
		return fmt.Errorf("%w: MAC", network.ErrMediaBroken)
	}
	return nil
}

// onlyReader and onlyWriter keep io.CopyBuffer from choosing a buffer of its own.
type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }

// mediaReader decrypts a chunk at a time and checks padding and hash at the end.
type mediaReader struct {
	source  io.Reader
	left    int64
	decrypt cipher.BlockMode
	sum     hash.Hash
	want    []byte
	buffer  []byte
	ready   []byte
	err     error
}

func (r *mediaReader) Read(p []byte) (int, error) {
	for len(r.ready) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.ready, r.err = r.next()
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

func (r *mediaReader) next() ([]byte, error) {
	chunk := r.buffer[:min(int64(len(r.buffer)), r.left)]
	if _, err := io.ReadFull(r.source, chunk); err != nil {
		return nil, fmt.Errorf("failed to read a spooled file: %w", err)
	}
	r.left -= int64(len(chunk))
	r.decrypt.CryptBlocks(chunk, chunk)
	if r.left > 0 {
		r.sum.Write(chunk)
		return chunk, nil
	}
	padding := int(chunk[len(chunk)-1])
	if padding == 0 || padding > aes.BlockSize {
		return nil, fmt.Errorf("%w: padding", network.ErrMediaBroken)
	}
	chunk = chunk[:len(chunk)-padding]
	r.sum.Write(chunk)
	if !hmac.Equal(r.sum.Sum(nil), r.want) {
		return nil, fmt.Errorf("%w: hash of the file", network.ErrMediaBroken)
	}
	return chunk, io.EOF
}

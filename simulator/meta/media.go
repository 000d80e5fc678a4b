package meta

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MediaKind is what a file is to those who exchange it.
type MediaKind string

// The kinds of files in the subset (docs/protocol.md#subset).
const (
	Image    MediaKind = "image"
	Video    MediaKind = "video"
	GIF      MediaKind = "gif"
	PTV      MediaKind = "ptv"
	Audio    MediaKind = "audio"
	Voice    MediaKind = "voice"
	Document MediaKind = "document"
	// Sticker is no part of third-party chats on WhatsApp (docs/protocol.md#messenger).
	Sticker MediaKind = "sticker"
)

// Misbehaviour is something that a person's phone gets wrong about a file.
type Misbehaviour string

// What a phone can get wrong about a file. The first four are noticed by whoever
// opens it, the others make the message itself unacceptable.
const (
	BadHash        Misbehaviour = "bad_hash"
	BadEncHash     Misbehaviour = "bad_enc_hash"
	BadMAC         Misbehaviour = "bad_mac"
	TruncatedMedia Misbehaviour = "truncated_media"
	NoMediaKey     Misbehaviour = "no_media_key"
	ShortMediaKey  Misbehaviour = "short_media_key"
	BadMIME        Misbehaviour = "bad_mime"
	UnknownField   Misbehaviour = "unknown_field"
	LongWaveform   Misbehaviour = "long_waveform"
)

// Media is a file that a person sends.
type Media struct {
	Kind MediaKind
	// MIME is the type, empty for the usual one of the kind.
	MIME              string
	Bytes             []byte
	Caption, FileName string
	Width, Height     int
	Duration          time.Duration
	Waveform          []byte
	Thumbnail         []byte
	// ViewOnce and Animated (of stickers) are of chats within WhatsApp.
	ViewOnce, Animated bool
	// ReplyTo is what an image answers, nil for nothing; other kinds have no field for it.
	ReplyTo *Heard
	// Misbehave is empty for a file that is in order.
	Misbehave Misbehaviour
}

// mediaForm is how a kind stands in a message: the member, the class of its keys, the usual type.
type mediaForm struct{ member, class, mime string }

func (k MediaKind) form() (mediaForm, error) {
	forms := map[MediaKind]mediaForm{
		Image: {"imageMessage", "image", "image/jpeg"}, Video: {"videoMessage", "video", "video/mp4"},
		GIF: {"videoMessage", "video", "video/mp4"}, PTV: {"ptvMessage", "video", "video/mp4"},
		Audio: {"audioMessage", "audio", "audio/mpeg"}, Voice: {"audioMessage", "audio", "audio/ogg; codecs=opus"},
		Document: {"documentMessage", "document", "application/octet-stream"}, Sticker: {"stickerMessage", "image", "image/webp"},
	}
	form, known := forms[k]
	if !known {
		return form, fmt.Errorf("kind %q is not a kind of file", k)
	}
	return form, nil
}

// mediaMembers are the members of a message that have a file, and the class of its keys.
func mediaClassOf(member string) string {
	return map[string]string{"imageMessage": "image", "videoMessage": "video", "ptvMessage": "video",
		"audioMessage": "audio", "documentMessage": "document", "stickerMessage": "image"}[member]
}

// sealedFile is a file after encryption.
type sealedFile struct {
	blob, key, plainSum, encSum []byte
}

// errMedia says that a file is not what its message promised.
var errMedia = errors.New("the file does not fit its message")

// mediaSecrets expands a media key: IV, cipher key, MAC key (docs/protocol.md#media).
func mediaSecrets(key []byte, class string) (iv, cipherKey, macKey []byte, err error) {
	info := map[string]string{"image": "WhatsApp Image Keys", "video": "WhatsApp Video Keys",
		"audio": "WhatsApp Audio Keys", "document": "WhatsApp Document Keys",
		"history": "WhatsApp History Keys", "app-state": "WhatsApp App State Keys"}[class]
	out, err := hkdf.Key(sha256.New, key, nil, info, 112)
	if err != nil || info == "" {
		return nil, nil, nil, fmt.Errorf("no keys for class %q: %w", class, errMedia)
	}
	return out[:16], out[16:48], out[48:80], nil
}

// sealFile encrypts a file under a fresh key.
func sealFile(plain []byte, class string) (f sealedFile, err error) {
	f.key = make([]byte, 32)
	_, _ = rand.Read(f.key) // never fails
	iv, cipherKey, macKey, err := mediaSecrets(f.key, class)
	if err != nil {
		return f, err
	}
	block, err := aes.NewCipher(cipherKey)
	if err != nil {
		return f, err
	}
	fill := aes.BlockSize - len(plain)%aes.BlockSize
	f.blob = slices.Concat(plain, slices.Repeat([]byte{byte(fill)}, fill))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(f.blob, f.blob)
	f.blob = append(f.blob, fileTag(macKey, iv, f.blob)...)
	f.plainSum, f.encSum = sumOf(plain), sumOf(f.blob)
	return f, nil
}

// openFile decrypts a file and checks all that can be checked.
func openFile(f sealedFile, class string) ([]byte, error) {
	iv, cipherKey, macKey, err := mediaSecrets(f.key, class)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(cipherKey)
	if err != nil {
		return nil, err
	}
	length := len(f.blob) - 10
	switch {
	case !hmac.Equal(sumOf(f.blob), f.encSum):
		return nil, fmt.Errorf("hash of the ciphertext: %w", errMedia)
	case length < aes.BlockSize || length%aes.BlockSize != 0:
		return nil, fmt.Errorf("a ciphertext of %d bytes: %w", len(f.blob), errMedia)
	case !hmac.Equal(fileTag(macKey, iv, f.blob[:length]), f.blob[length:]):
		return nil, fmt.Errorf("MAC: %w", errMedia)
	}
	plain := make([]byte, length)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, f.blob[:length])
	fill := int(plain[length-1])
	if fill < 1 || fill > aes.BlockSize || slices.ContainsFunc(plain[length-fill:], func(b byte) bool { return int(b) != fill }) {
		return nil, fmt.Errorf("padding: %w", errMedia)
	}
	if plain = plain[:length-fill]; !hmac.Equal(sumOf(plain), f.plainSum) {
		return nil, fmt.Errorf("hash of the file: %w", errMedia)
	}
	return plain, nil
}

func fileTag(macKey, iv, ciphertext []byte) []byte {
	mac := hmac.New(sha256.New, macKey)
	mac.Write(iv)
	mac.Write(ciphertext)
	return mac.Sum(nil)[:10]
}

func sumOf(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

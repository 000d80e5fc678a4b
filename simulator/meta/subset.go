package meta

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The strict subset of messages that third-party chats carry (docs/protocol.md#subset).
// Every field that a table does not name makes the whole message unacceptable.

// errSubset is the failure that phones call reason 70: not supported in interop.
var errSubset = errors.New("reason 70: unsupported in interop")

// fieldKind is the wire type of a field and how it is looked at.
type fieldKind int

const (
	kindText fieldKind = iota
	kindBytes
	kindHash // 32 bytes
	kindVarint
	kindFixed32
	kindMessage
)

type field struct {
	name  string
	kind  fieldKind
	inner *schema
}

type schema struct {
	name   string
	fields map[protowire.Number]field
}

// value is a decoded message of the subset: its fields by name, the last one of a kind counting.
type value map[string]any

// decode walks raw tags, so that nothing unknown hides behind generated code.
func (s *schema) decode(data []byte) (value, error) {
	v := value{}
	for len(data) > 0 {
		number, wire, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, fmt.Errorf("%s: broken tag: %w", s.name, errSubset)
		}
		data = data[n:]
		f, known := s.fields[number]
		if !known {
			return nil, fmt.Errorf("%s: field %d is unknown: %w", s.name, number, errSubset)
		}
		used, err := s.consume(v, f, wire, data)
		if err != nil {
			return nil, err
		}
		data = data[used:]
	}
	return v, nil
}

func (s *schema) consume(v value, f field, wire protowire.Type, data []byte) (int, error) {
	wrong := func() (int, error) { return 0, fmt.Errorf("%s: field %s is malformed: %w", s.name, f.name, errSubset) }
	switch f.kind {
	case kindVarint:
		number, n := protowire.ConsumeVarint(data)
		if wire != protowire.VarintType || n < 0 {
			return wrong()
		}
		v[f.name] = number
		return n, nil
	case kindFixed32:
		number, n := protowire.ConsumeFixed32(data)
		if wire != protowire.Fixed32Type || n < 0 {
			return wrong()
		}
		v[f.name] = number
		return n, nil
	}
	content, n := protowire.ConsumeBytes(data)
	if wire != protowire.BytesType || n < 0 || (f.kind == kindHash && len(content) != 32) {
		return wrong()
	}
	switch f.kind {
	case kindText:
		v[f.name] = string(content)
	case kindMessage:
		inner, err := f.inner.decode(content)
		if err != nil {
			return 0, err
		}
		v[f.name] = inner
	default:
		v[f.name] = slices.Clone(content)
	}
	return n, nil
}

func (v value) text(name string) string {
	text, _ := v[name].(string)
	return text
}

func (v value) message(name string) value {
	message, _ := v[name].(value)
	return message
}

// The limits of content (docs/protocol.md#subset). assumed: U12
const (
	maxText     = 65536
	maxWaveform = 192
	maxThumb    = 64 << 10
	maxMIME     = 255
)

// decodeSubset reads an unpadded plaintext as phones do: exactly one content, everything within its limits.
func decodeSubset(plaintext []byte) (value, string, error) {
	v, err := interopMessage().decode(plaintext)
	if err != nil {
		return nil, "", err
	}
	content := ""
	for name := range v {
		if name == "senderKeyDistributionMessage" {
			continue
		}
		if content != "" {
			return nil, "", fmt.Errorf("both %s and %s: %w", min(content, name), max(content, name), errSubset)
		}
		content = name
	}
	if content == "" {
		return nil, "", fmt.Errorf("no content: %w", errSubset)
	}
	return v, content, checkContent(content, v)
}

func checkContent(name string, v value) error {
	inner := v.message(name)
	fail := func(why string) error { return fmt.Errorf("%s: %s: %w", name, why, errSubset) }
	mimes, media := allowedMIME(name)
	if media {
		mime := inner.text("mimetype")
		if mimes != nil && !slices.Contains(mimes, mime) || mime == "" || len(mime) > maxMIME {
			return fail("MIME type is not allowed")
		}
		for _, required := range []string{"mediaKey", "fileSha256", "fileEncSha256", "directPath"} {
			if inner[required] == nil {
				return fail("no " + required)
			}
		}
	}
	waveform, _ := inner["waveform"].([]byte)
	switch {
	case len(waveform) > maxWaveform:
		return fail("waveform is too long")
	case len(inner.bytes("jpegThumbnail")) > maxThumb:
		return fail("thumbnail is too large")
	case name == "extendedTextMessage" && inner["text"] == nil:
		return fail("no text")
	case name == "reactionMessage" && inner.message("key").text("ID") == "":
		return fail("no key")
	}
	return nil
}

func allowedMIME(name string) (mimes []string, media bool) {
	switch name {
	case "imageMessage":
		return []string{"image/jpeg", "image/png"}, true
	case "stickerMessage":
		return []string{"image/webp", "image/png"}, true // assumed: U18
	case "videoMessage", "ptvMessage":
		return []string{"video/mp4", "video/3gpp"}, true
	case "audioMessage":
		return []string{"audio/aac", "audio/mp4", "audio/amr", "audio/mpeg", "audio/ogg; codecs=opus"}, true
	case "documentMessage":
		return nil, true
	}
	return nil, false
}

// pad appends between 1 and 15 bytes that tell their own number.
func pad(plaintext []byte, roll float64) []byte {
	count := 1 + int(math.Floor(roll*15))
	for range count {
		plaintext = append(plaintext, byte(count))
	}
	return plaintext
}

func unpad(padded []byte) ([]byte, error) {
	if len(padded) == 0 {
		return nil, fmt.Errorf("empty plaintext: %w", errSubset)
	}
	count := int(padded[len(padded)-1])
	if count == 0 || count > len(padded) || count > 16 {
		return nil, fmt.Errorf("padding of %d bytes: %w", count, errSubset)
	}
	for _, b := range padded[len(padded)-count:] {
		if int(b) != count {
			return nil, fmt.Errorf("uneven padding: %w", errSubset)
		}
	}
	return padded[:len(padded)-count], nil
}

// encodeText is plain text as phones write it.
func encodeText(text string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), text)
}

// encodeReply is text that quotes another message.
func encodeReply(text, quotedID, quotedSender, quotedText string) []byte {
	var context []byte
	context = appendField(context, 1, []byte(quotedID))
	context = appendField(context, 2, []byte(quotedSender))
	context = appendField(context, 3, encodeText(quotedText))
	extended := appendField(nil, 1, []byte(text))
	extended = appendField(extended, 17, context)
	return appendField(nil, 6, extended)
}

func appendField(to []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, number, protowire.BytesType), content)
}

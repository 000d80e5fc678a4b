package meta

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
)

// This file is what a person does with more than text: files, reactions, previews of links.

// HeardMedia is a file that a person's phone showed.
type HeardMedia struct {
	Kind                    MediaKind
	MIME, Caption, FileName string
	// Size counts the bytes as the message declares them.
	Size          int64
	Width, Height int
	Duration      time.Duration
	Waveform      []byte
	Thumbnail     []byte
	// Bytes downloads and opens the file, as a tap on it would. A file that does not fit its
	// message is an error and a finding.
	Bytes func() ([]byte, error)
}

// HeardReaction is a reaction that a person's phone showed.
type HeardReaction struct {
	TargetID string
	// FromMe says that whoever reacted also wrote the message.
	FromMe bool
	// Emoji is empty when the reaction was taken back.
	Emoji string
}

// Preview describes a link of a text.
type Preview struct {
	Matched, URL, Title, Description string
	Thumbnail                        []byte
}

// SendMedia encrypts a file, puts it on the network's media host and sends the message about it.
func (p *Person) SendMedia(to string, m Media) (id string, err error) {
	if p.inChat(to) {
		return p.sendChatMedia(to, m)
	}
	form, err := m.Kind.form()
	if err != nil {
		return "", err
	}
	file, err := sealFile(m.Bytes, form.class)
	if err != nil {
		return "", err
	}
	switch m.Misbehave {
	case BadMAC:
		file.blob[len(file.blob)-1] ^= 1
		file.encSum = sumOf(file.blob)
	case TruncatedMedia:
		file.blob = file.blob[:len(file.blob)/2]
	}
	body := m.describe(form, file, p.n.PutMedia(file.blob))
	body.misbehave(m.Misbehave)
	if p.user.product == productMessenger {
		plaintext, err := msgrMedia(form.member, body, m.ReplyTo)
		if err != nil {
			return "", err
		}
		return p.Send(to, "media", plaintext)
	}
	member := interopMessage().member(form.member)
	if member.inner == nil {
		return "", fmt.Errorf("%s is not of WhatsApp's third-party chats: %w", m.Kind, errMedia)
	}
	content := member.inner.encode(body)
	if m.Misbehave == UnknownField {
		content = appendField(content, 99, []byte("unknown"))
	}
	return p.Send(to, "media", appendField(nil, member.number, content))
}

// describe is what the message says of a file. Fields that are empty are left out.
func (m Media) describe(form mediaForm, file sealedFile, path string) value {
	body := value{
		"mimetype": orElse(m.MIME, form.mime), "mediaKey": file.key, "fileSha256": file.plainSum, "fileEncSha256": file.encSum,
		"fileLength": uint64(len(m.Bytes)), "directPath": path, "mediaKeyTimestamp": uint64(time.Now().Unix()),
	}
	for name, text := range map[string]string{"caption": m.Caption, "fileName": m.FileName} {
		if text != "" {
			body[name] = text
		}
	}
	for name, number := range map[string]int{"width": m.Width, "height": m.Height, "seconds": int(m.Duration / time.Second)} {
		if number > 0 {
			body[name] = uint64(number)
		}
	}
	for name, data := range map[string][]byte{"waveform": m.Waveform, "jpegThumbnail": m.Thumbnail} {
		if len(data) > 0 {
			body[name] = data
		}
	}
	if m.Kind == GIF {
		body["gifPlayback"] = uint64(1)
	}
	if m.Kind == Voice {
		body["ptt"] = uint64(1)
	}
	if m.ReplyTo != nil {
		body["contextInfo"] = quoteOf(*m.ReplyTo)
	}
	return body
}

// misbehave spoils what the message says of a file.
func (v value) misbehave(how Misbehaviour) {
	switch how {
	case BadHash:
		v["fileSha256"] = make([]byte, 32)
	case BadEncHash:
		v["fileEncSha256"] = make([]byte, 32)
	case NoMediaKey:
		delete(v, "mediaKey")
	case ShortMediaKey:
		v["mediaKey"] = v["mediaKey"].([]byte)[:16]
	case BadMIME:
		v["mimetype"] = ""
	case LongWaveform:
		v["waveform"] = make([]byte, maxWaveform+1)
	}
}

func quoteOf(h Heard) value {
	return value{"stanzaId": h.ID, "participant": h.From, "quotedMessage": value{"conversation": h.Text}}
}

// SendPreview sends a text with a description of a link in it.
func (p *Person) SendPreview(to, text string, preview Preview) (id string, err error) {
	if p.inChat(to) {
		return p.SendMessage(to, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: &text, MatchedText: &preview.Matched,
			Title: &preview.Title, Description: &preview.Description, JPEGThumbnail: preview.Thumbnail}})
	}
	if p.user.product == productMessenger {
		return p.Send(to, "text", encodeMessenger(value{"extendedTextMessage": value{"text": value{"text": text}, "matchedText": preview.Matched,
			"canonicalURL": preview.URL, "title": preview.Title, "description": preview.Description, "previewType": uint64(0)}}, nil))
	}
	body := value{"text": text, "matchedText": preview.Matched, "canonicalUrl": preview.URL, "title": preview.Title,
		"description": preview.Description, "previewType": uint64(0)}
	if len(preview.Thumbnail) > 0 {
		body["jpegThumbnail"] = preview.Thumbnail
	}
	return p.Send(to, "text", interopMessage().encode(value{"extendedTextMessage": body}))
}

// React puts an emoji on a message that the person heard; the empty one takes it back.
func (p *Person) React(to Heard, emoji string) (id string, err error) {
	return p.react(orElse(to.Chat, to.From), to.ID, false, emoji)
}

// ReactToOwn puts an emoji on a message that the person sent.
func (p *Person) ReactToOwn(to, messageID, emoji string) (id string, err error) {
	return p.react(to, messageID, true, emoji)
}

func (p *Person) react(to, messageID string, own bool, emoji string) (id string, err error) {
	if p.inChat(to) {
		return p.reactInChat(to, messageID, emoji)
	}
	jid, err := p.resolve(to)
	if err != nil {
		return "", err
	}
	if p.user.product == productMessenger {
		return p.Send(to, "text", msgrReaction(msgrKey(jid, messageID, own), emoji, p.n.now()))
	}
	key := value{"remoteJID": jidText(jid), "ID": messageID, "fromMe": uint64(0)} // assumed: U12
	if own {
		key["fromMe"] = uint64(1)
	}
	return p.Send(to, "reaction", interopMessage().encode(value{"reactionMessage": value{
		"key": key, "text": emoji, "senderTimestampMs": uint64(p.n.now().UnixMilli())}}))
}

// showMedia makes a file of a message readable.
func (p *Person) showMedia(from, content string, v value) *HeardMedia {
	inner := v.message(content)
	m := &HeardMedia{MIME: inner.text("mimetype"), Caption: inner.text("caption"),
		FileName: orElse(inner.text("fileName"), inner.text("title")),
		Size:     int64(inner.number("fileLength")), Width: int(inner.number("width")), Height: int(inner.number("height")),
		Duration: time.Duration(inner.number("seconds")) * time.Second, Waveform: inner.bytes("waveform"), Thumbnail: inner.bytes("jpegThumbnail")}
	switch {
	case content == "imageMessage":
		m.Kind = Image
	case content == "stickerMessage":
		m.Kind = Sticker
	case content == "ptvMessage":
		m.Kind = PTV
	case content == "videoMessage" && inner.number("gifPlayback") != 0:
		m.Kind = GIF
	case content == "videoMessage":
		m.Kind = Video
	case content == "audioMessage" && inner.number("ptt") != 0:
		m.Kind = Voice
	case content == "audioMessage":
		m.Kind = Audio
	default:
		m.Kind = Document
	}
	file := sealedFile{key: inner.bytes("mediaKey"), plainSum: inner.bytes("fileSha256"), encSum: inner.bytes("fileEncSha256")}
	path := inner.text("directPath")
	p.n.owned(path, from)
	m.Bytes = func() ([]byte, error) {
		plain, err := p.n.fetchFile(path, mediaClassOf(content), file)
		if err == nil && int64(len(plain)) != m.Size {
			err = fmt.Errorf("%d bytes, declared as %d: %w", len(plain), m.Size, errMedia)
		}
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", m.Kind, from, err)
		}
		return plain, nil
	}
	return m
}

// The largest files (docs/protocol.md#media). assumed: U15
const (
	maxImageBlob = 16 << 20
	maxBlob      = 100 << 20
)

// ErrMediaBusy is what somebody gets whose phone may ask for a file again later.
var ErrMediaBusy = errors.New("too much is asked of it")

// fetchFile downloads a file from the network's media host and opens it. What does not fit is a finding.
func (n *Network) fetchFile(path, class string, file sealedFile) (plain []byte, err error) {
	if file.blob, err = n.download(path, class, file.encSum); err != nil {
		return nil, err
	}
	if plain, err = openFile(file, class); err != nil {
		n.finding("bad-media", err.Error())
	}
	return plain, err
}

// download asks the media hosts in turn, as clients do: one that is busy sends them to the next.
func (n *Network) download(path, class string, encSum []byte) (blob []byte, err error) {
	if !strings.HasPrefix(path, "/") || !strings.Contains(path, "?") {
		n.finding("bad-media-path", "a direct path starts with a slash and has a question mark")
		return nil, fmt.Errorf("direct path: %w", errMedia)
	}
	path += "&hash=" + base64.URLEncoding.EncodeToString(encSum) + "&mms-type=" + class + "&__wa-mms="
	for _, host := range hostNames(n.chatAddr) {
		if blob, err = n.downloadFrom("http://"+host+path, class); !errors.Is(err, ErrMediaBusy) {
			break
		}
	}
	return blob, err
}

func (n *Network) downloadFrom(address, class string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(n.ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := loopbackClient(0).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return nil, fmt.Errorf("the media host answered %d: %w", response.StatusCode, ErrMediaBusy)
	default:
		return nil, fmt.Errorf("the media host answered %d", response.StatusCode)
	}
	limit := int64(maxBlob)
	if class == "image" {
		limit = maxImageBlob
	}
	blob, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err == nil && int64(len(blob)) > limit {
		n.finding("media-too-large", fmt.Sprintf("%s of over %d bytes", class, limit))
		err = fmt.Errorf("over %d bytes: %w", limit, errMedia)
	}
	return blob, err
}

// number is a count of a message, never more than fits everywhere.
func (v value) number(name string) uint64 {
	number, _ := v[name].(uint64)
	return min(number, math.MaxInt64)
}

func (v value) bytes(name string) []byte {
	data, _ := v[name].([]byte)
	return data
}

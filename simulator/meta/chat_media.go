package meta

import (
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"
)

// This file is files in chats within WhatsApp.

// sendChatMedia encrypts a file, puts it on the media host and sends the message about it.
func (p *Person) sendChatMedia(to string, m Media) (id string, err error) {
	body, err := p.mediaMessage(m)
	if err != nil {
		return "", err
	}
	return p.SendMessage(to, body)
}

// mediaMessage puts a file on the media host and makes the message about it.
func (p *Person) mediaMessage(m Media) (*waE2E.Message, error) {
	form, err := m.Kind.form()
	if err != nil {
		return nil, err
	}
	class, mime := form.class, form.mime
	file, err := sealFile(m.Bytes, class)
	if err != nil {
		return nil, err
	}
	switch m.Misbehave {
	case BadMAC:
		file.blob[len(file.blob)-1] ^= 1
		file.encSum = sumOf(file.blob)
	case TruncatedMedia:
		file.blob = file.blob[:len(file.blob)/2]
	case BadHash:
		file.plainSum = make([]byte, 32)
	case BadEncHash:
		file.encSum = make([]byte, 32)
	case NoMediaKey:
		file.key = nil
	case BadMIME:
		mime, m.MIME = "", ""
	}
	path := p.n.PutMedia(file.blob)
	url := "https://" + p.n.tlsAddr + path
	content := m.content(file, orElse(m.MIME, mime), path, url)
	if m.ViewOnce {
		return &waE2E.Message{ViewOnceMessageV2: &waE2E.FutureProofMessage{Message: content}}, nil
	}
	if m.Kind == Document && m.Caption != "" {
		return &waE2E.Message{DocumentWithCaptionMessage: &waE2E.FutureProofMessage{Message: content}}, nil
	}
	return content, nil
}

func filled(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func counted(number int) *uint32 {
	if number <= 0 {
		return nil
	}
	return proto.Uint32(uint32(number))
}

// context is what a file's message says of the message that it answers.
func (m Media) context() *waE2E.ContextInfo {
	if m.ReplyTo == nil {
		return nil
	}
	return quoting(*m.ReplyTo)
}

// content is the message about a file.
func (m Media) content(f sealedFile, mime, path, url string) *waE2E.Message {
	length, at := proto.Uint64(uint64(len(m.Bytes))), proto.Int64(time.Now().Unix())
	viewOnce := proto.Bool(m.ViewOnce)
	seconds := counted(int(m.Duration / time.Second))
	switch m.Kind {
	case Image:
		return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{URL: &url, DirectPath: &path, Mimetype: &mime, MediaKey: f.key, FileSHA256: f.plainSum,
			FileEncSHA256: f.encSum, FileLength: length, MediaKeyTimestamp: at, Caption: filled(m.Caption), Width: counted(m.Width),
			Height: counted(m.Height), JPEGThumbnail: m.Thumbnail, ViewOnce: viewOnce, ContextInfo: m.context()}}
	case Sticker:
		return &waE2E.Message{StickerMessage: &waE2E.StickerMessage{URL: &url, DirectPath: &path, Mimetype: &mime, MediaKey: f.key, FileSHA256: f.plainSum,
			FileEncSHA256: f.encSum, FileLength: length, MediaKeyTimestamp: at, Width: counted(m.Width), Height: counted(m.Height),
			IsAnimated: proto.Bool(m.Animated), ContextInfo: m.context()}}
	case Audio, Voice:
		return &waE2E.Message{AudioMessage: &waE2E.AudioMessage{URL: &url, DirectPath: &path, Mimetype: &mime, MediaKey: f.key, FileSHA256: f.plainSum,
			FileEncSHA256: f.encSum, FileLength: length, MediaKeyTimestamp: at, Seconds: seconds, PTT: proto.Bool(m.Kind == Voice),
			Waveform: m.Waveform, ViewOnce: viewOnce, ContextInfo: m.context()}}
	case Document:
		return &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{URL: &url, DirectPath: &path, Mimetype: &mime, MediaKey: f.key, FileSHA256: f.plainSum,
			FileEncSHA256: f.encSum, FileLength: length, MediaKeyTimestamp: at, Caption: filled(m.Caption), FileName: filled(m.FileName),
			Title: filled(m.FileName), JPEGThumbnail: m.Thumbnail, ContextInfo: m.context()}}
	}
	video := &waE2E.VideoMessage{URL: &url, DirectPath: &path, Mimetype: &mime, MediaKey: f.key, FileSHA256: f.plainSum,
		FileEncSHA256: f.encSum, FileLength: length, MediaKeyTimestamp: at, Caption: filled(m.Caption), Width: counted(m.Width),
		Height: counted(m.Height), Seconds: seconds, JPEGThumbnail: m.Thumbnail, ViewOnce: viewOnce, ContextInfo: m.context()}
	if m.Kind == PTV {
		return &waE2E.Message{PtvMessage: video}
	}
	if m.Kind == GIF {
		video.GifPlayback = proto.Bool(true)
	}
	return &waE2E.Message{VideoMessage: video}
}

// fileContent is what the kinds of files have in common.
type fileContent interface {
	GetDirectPath() string
	GetMediaKey() []byte
	GetFileSHA256() []byte
	GetFileEncSHA256() []byte
	GetFileLength() uint64
	GetMimetype() string
}

// fileIn is the file of a message, what it is, and the class of its keys; nil if there is none.
func fileIn(m *waE2E.Message) (file fileContent, shown HeardMedia, class string) {
	duration := func(seconds uint32) time.Duration { return time.Duration(seconds) * time.Second }
	switch {
	case m.ImageMessage != nil:
		i := m.ImageMessage
		return i, HeardMedia{Kind: Image, Caption: i.GetCaption(), Width: int(i.GetWidth()), Height: int(i.GetHeight()), Thumbnail: i.JPEGThumbnail}, "image"
	case m.StickerMessage != nil:
		s := m.StickerMessage
		return s, HeardMedia{Kind: Sticker, Width: int(s.GetWidth()), Height: int(s.GetHeight()), Thumbnail: s.PngThumbnail}, "image"
	case m.AudioMessage != nil:
		a := m.AudioMessage
		shown = HeardMedia{Kind: Audio, Duration: duration(a.GetSeconds()), Waveform: a.Waveform}
		if a.GetPTT() {
			shown.Kind = Voice
		}
		return a, shown, "audio"
	case m.DocumentMessage != nil:
		d := m.DocumentMessage
		return d, HeardMedia{Kind: Document, Caption: d.GetCaption(), FileName: orElse(d.GetFileName(), d.GetTitle()), Thumbnail: d.JPEGThumbnail}, "document"
	case m.VideoMessage != nil, m.PtvMessage != nil:
		v, kind := m.VideoMessage, Video
		if v == nil {
			v, kind = m.PtvMessage, PTV
		} else if v.GetGifPlayback() {
			kind = GIF
		}
		return v, HeardMedia{Kind: kind, Caption: v.GetCaption(), Width: int(v.GetWidth()), Height: int(v.GetHeight()),
			Duration: duration(v.GetSeconds()), Thumbnail: v.JPEGThumbnail}, "video"
	}
	return nil, shown, ""
}

// showFile makes the file of a message readable, nil if it has none.
func (p *Person) showFile(from string, m *waE2E.Message) *HeardMedia {
	file, shown, class := fileIn(m)
	if file == nil {
		return nil
	}
	shown.MIME, shown.Size = file.GetMimetype(), int64(file.GetFileLength())
	sealed := sealedFile{key: file.GetMediaKey(), plainSum: file.GetFileSHA256(), encSum: file.GetFileEncSHA256()}
	path := file.GetDirectPath()
	shown.Bytes = func() ([]byte, error) {
		plain, err := p.n.fetchFile(path, class, sealed)
		if err == nil && int64(len(plain)) != shown.Size {
			err = fmt.Errorf("%d bytes, declared as %d: %w", len(plain), shown.Size, errMedia)
		}
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", shown.Kind, from, err)
		}
		return plain, nil
	}
	return &shown
}

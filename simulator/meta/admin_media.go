package meta

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand"
	"slices"
	"time"
)

// This file is what the control plane does with more than text.

// mediaInfo is a file in a person's inbox.
type mediaInfo struct {
	Kind     MediaKind `json:"kind"`
	MIME     string    `json:"mime"`
	FileName string    `json:"file_name,omitempty"`
	Size     int64     `json:"size"`
	Seconds  float64   `json:"seconds,omitempty"`
}

// with adds what a message has besides text.
func (i heardInfo) with(h Heard) heardInfo {
	if h.Reaction != nil {
		i.ReactionTo = h.Reaction.TargetID
	}
	if m := h.Media; m != nil {
		i.Media = &mediaInfo{m.Kind, m.MIME, m.FileName, m.Size, m.Duration.Seconds()}
	}
	i.Edited, i.Removed = h.Edited, h.Removed
	if h.Preview != nil {
		i.PreviewURL, i.PreviewTitle = orElse(h.Preview.URL, h.Preview.Matched), h.Preview.Title
	}
	return i
}

// sendCall is the body of a call to send something.
type sendCall struct {
	Kind   string `json:"kind"`
	To     string `json:"to"`
	ToID   string `json:"to_id"`
	Text   string `json:"text"`
	Repeat int    `json:"repeat"`
	// URL and Title describe a link of the text.
	URL   string `json:"url"`
	Title string `json:"title"`
	// MIME, FileName, Size in bytes, and Seconds are of a file, whose bytes are made up.
	MIME      string       `json:"mime"`
	FileName  string       `json:"file_name"`
	Size      int          `json:"size"`
	Seconds   int          `json:"seconds"`
	Misbehave Misbehaviour `json:"misbehave"`
	chatCall
}

// action is what a call asks a person to do, once or several times.
func (c sendCall) action(p *Person) (func() (string, error), error) {
	if say, found := c.chatAction(p); found {
		return say, nil
	}
	switch c.Kind {
	case "text":
		return func() (string, error) { return p.Say(c.To, c.Text) }, nil
	case "link_preview":
		return func() (string, error) {
			return p.SendPreview(c.To, c.Text, Preview{Matched: c.URL, URL: c.URL, Title: c.Title})
		}, nil
	case "edit":
		return func() (string, error) { return p.Edit(c.To, c.ToID, c.Text) }, nil
	case "unsend":
		return func() (string, error) { return p.Unsend(c.To, c.ToID) }, nil
	case "reply", "reaction":
		heard := p.Heard()
		index := slices.IndexFunc(heard, func(h Heard) bool { return h.ID == c.ToID })
		if index < 0 {
			return nil, fmt.Errorf("message %s: %w", c.ToID, errNeverHeard)
		}
		if c.Kind == "reaction" {
			return func() (string, error) { return p.React(heard[index], c.Text) }, nil
		}
		return func() (string, error) { return p.Reply(heard[index], c.Text) }, nil
	}
	m, err := c.media(p)
	if err != nil {
		return nil, err
	}
	return func() (string, error) { return p.SendMedia(c.To, m) }, nil
}

// media is the file that a call asks for.
func (c sendCall) media(p *Person) (Media, error) {
	m := Media{Kind: MediaKind(c.Kind), MIME: c.MIME, Caption: c.Text, FileName: c.FileName,
		Duration: time.Duration(c.Seconds) * time.Second, Misbehave: c.Misbehave}
	form, err := m.Kind.form()
	if err != nil {
		return m, fmt.Errorf("kind %q: want text, reply, link_preview, reaction, edit, unsend, a kind of file, or a kind of chats within WhatsApp", c.Kind)
	} else if c.Size < 0 || c.Size > maxBlob {
		return m, fmt.Errorf("size: want 0 to %d bytes", maxBlob)
	}
	var seed int64
	p.n.random(func(r *rand.Rand) { seed = r.Int63() })
	m.Bytes, m.ViewOnce, m.Animated = SampleFile(orElse(m.MIME, form.mime), c.Size, seed), c.ViewOnce, c.Animated
	if m.Animated {
		m.Bytes = SampleAnimation(seed)
	}
	return m, nil
}

// SampleFile makes up a file of a type with at least size bytes: pictures that can be
// shown, and for sound and film the outer form of the format around noise. The
// same seed makes the same file.
func SampleFile(mime string, size int, seed int64) []byte {
	random := rand.New(rand.NewSource(seed))
	var out bytes.Buffer
	switch mime {
	case "image/jpeg":
		_ = jpeg.Encode(&out, samplePicture(random), nil) // a buffer takes all
	case "image/png":
		_ = png.Encode(&out, samplePicture(random))
	case "image/webp":
		out.WriteString("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00")
	case "video/mp4", "video/3gpp", "audio/mp4":
		out.WriteString("\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41")
		_ = binary.Write(&out, binary.BigEndian, uint32(8+max(0, size-out.Len()-8)))
		out.WriteString("mdat")
	case "audio/ogg; codecs=opus":
		out.WriteString("OggS\x00\x02" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x13OpusHead\x01\x01")
	}
	if out.Len() < size {
		rest := make([]byte, size-out.Len())
		_, _ = random.Read(rest) // never fails
		out.Write(rest)
	}
	return out.Bytes()
}

// samplePicture is a gradient in one colour.
func samplePicture(random *rand.Rand) image.Image {
	picture := image.NewRGBA(image.Rect(0, 0, 160, 120))
	shade := color.RGBA{R: uint8(random.Intn(256)), G: uint8(random.Intn(256)), B: uint8(random.Intn(256)), A: 255}
	for x := range 160 {
		for y := range 120 {
			picture.SetRGBA(x, y, color.RGBA{R: shade.R, G: uint8(int(shade.G) * x / 160), B: uint8(int(shade.B) * y / 120), A: 255})
		}
	}
	return picture
}

package wiretest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"causeway/network"
	"causeway/network/networktest"
	"causeway/simulator/meta"
	"causeway/wire"
)

var _ networktest.MediaPerson = Person{}

// mediaHost is a provider's host for encrypted files, which the network's media proxy asks.
type mediaHost struct {
	mu    sync.Mutex
	files map[string][]byte
}

// upload takes what was promised, under a name of the form that the network knows.
func (h *mediaHost) upload(_ context.Context, ciphertext io.Reader, size int64, encSHA256 [32]byte) (string, error) {
	file, err := io.ReadAll(ciphertext)
	switch {
	case err != nil:
		return "", err
	case int64(len(file)) != size:
		return "", errors.New("the size is wrong")
	case sha256.Sum256(file) != encSHA256:
		return "", errors.New("the hash is wrong")
	}
	name := base64url(append(random16(), random16()...))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.files == nil {
		h.files = map[string][]byte{}
	}
	h.files[name] = file
	return fmt.Sprintf("/i/%d/%s?oe=%x&oh=unguessable", Integrator, name, time.Now().Add(time.Hour).Unix()), nil
}

// ServeHTTP implements [http.Handler].
func (h *mediaHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	file, known := h.files[strings.TrimPrefix(r.URL.Path, mediaPath)]
	h.mu.Unlock()
	if !known || r.URL.Query().Get("oh") != "unguessable" || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		http.NotFound(w, r)
		return
	}
	sum := sha256.Sum256(file)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+base64url(sum[:])+`"`)
	w.Header().Set("Cache-Control", "private, max-age=0")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
}

// kinds are the suite's kinds in the simulator's words.
func kinds() map[network.MediaKind]meta.MediaKind {
	return map[network.MediaKind]meta.MediaKind{
		network.Image: meta.Image, network.Video: meta.Video, network.GIF: meta.GIF, network.VideoNote: meta.PTV,
		network.Audio: meta.Audio, network.Voice: meta.Voice, network.Document: meta.Document, network.Sticker: meta.Sticker,
	}
}

// more adds what a message has besides text.
func more(heard networktest.Heard, from meta.Heard) networktest.Heard {
	if m := from.Media; m != nil {
		heard.Media = &network.Media{
			MIME: m.MIME, FileName: m.FileName, Caption: m.Caption, Size: m.Size, Width: m.Width, Height: m.Height,
			Duration: m.Duration, Waveform: m.Waveform, Thumbnail: m.Thumbnail,
			Open: func(context.Context) (io.ReadCloser, error) {
				content, err := m.Bytes()
				return io.NopCloser(bytes.NewReader(content)), err
			},
		}
		for ours, theirs := range kinds() {
			if theirs == m.Kind {
				heard.Media.Kind = ours
			}
		}
	}
	if r := from.Reaction; r != nil {
		heard.Reaction = &networktest.HeardReaction{To: r.TargetID, Own: r.FromMe, Emoji: r.Emoji}
	}
	if p := from.Preview; p != nil {
		heard.Preview = &network.LinkPreview{URL: p.URL, Matched: p.Matched, Title: p.Title, Description: p.Description, Thumbnail: p.Thumbnail}
	}
	return heard
}

// SendMedia implements [networktest.MediaPerson].
func (p Person) SendMedia(to network.Address, media network.Media) (string, error) {
	return p.SendMediaLike(to, media, "")
}

// SendMediaLike sends a file of which something is wrong, unless how is empty.
func (p Person) SendMediaLike(to network.Address, media network.Media, how meta.Misbehaviour) (string, error) {
	name, err := wire.TextJID(to)
	if err != nil {
		return "", err
	}
	reader, err := media.Open(context.Background())
	if err != nil {
		return "", err
	}
	defer reader.Close()
	content, err := io.ReadAll(reader)
	if err != nil {
		return "", err
	}
	return p.Person.SendMedia(name, meta.Media{
		Kind: kinds()[media.Kind], MIME: media.MIME, Bytes: content, Caption: media.Caption, FileName: media.FileName,
		Width: media.Width, Height: media.Height, Duration: media.Duration, Waveform: media.Waveform, Thumbnail: media.Thumbnail,
		Misbehave: how,
	})
}

// SendText implements [networktest.MediaPerson].
func (p Person) SendText(to network.Address, text network.Text) (string, error) {
	name, err := wire.TextJID(to)
	if err != nil {
		return "", err
	}
	if text.Preview == nil {
		return p.Person.Say(name, text.Body)
	}
	return p.SendPreview(name, text.Body, meta.Preview{
		Matched: text.Preview.Matched, URL: text.Preview.URL, Title: text.Preview.Title,
		Description: text.Preview.Description, Thumbnail: text.Preview.Thumbnail,
	})
}

// React implements [networktest.MediaPerson].
func (p Person) React(to networktest.Heard, emoji string) (string, error) {
	from, err := wire.TextJID(to.From)
	if err != nil {
		return "", err
	}
	return p.Person.React(meta.Heard{From: from, ID: to.ID}, emoji)
}

// ReactToOwn implements [networktest.MediaPerson].
func (p Person) ReactToOwn(to network.Address, id, emoji string) (string, error) {
	name, err := wire.TextJID(to)
	if err != nil {
		return "", err
	}
	return p.Person.ReactToOwn(name, id, emoji)
}

// Edit implements [networktest.MediaPerson].
func (p Person) Edit(to network.Address, id, text string) (string, error) {
	name, err := wire.TextJID(to)
	if err != nil {
		return "", err
	}
	return p.Person.Edit(name, id, text)
}

// Unsend implements [networktest.MediaPerson].
func (p Person) Unsend(to network.Address, id string) (string, error) {
	name, err := wire.TextJID(to)
	if err != nil {
		return "", err
	}
	return p.Person.Unsend(name, id)
}

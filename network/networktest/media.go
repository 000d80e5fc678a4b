package networktest

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
)

// MediaPerson is a person whose network carries more than text. The parts of the suite
// about it are skipped for a network whose people are not.
type MediaPerson interface {
	Person
	SendMedia(to network.Address, media network.Media) (id string, err error)
	SendText(to network.Address, text network.Text) (id string, err error)
	// React puts an emoji on a message that was heard, ReactToOwn on one of the person's own.
	React(to Heard, emoji string) (id string, err error)
	ReactToOwn(to network.Address, id, emoji string) (messageID string, err error)
	// Edit and Unsend change a message of the person's own, where the network has that.
	Edit(to network.Address, id, text string) (messageID string, err error)
	Unsend(to network.Address, id string) (messageID string, err error)
}

// Selective is a person whose network carries less than others do.
type Selective interface {
	// Carried is what arrives of some content, and whether it is carried at all.
	Carried(content network.Content) (network.Content, bool)
}

// carried is what a person's network carries of some contents.
func carried[C network.Content](person MediaPerson, contents []C) (kept []C) {
	selective, ok := person.(Selective)
	if !ok {
		return contents
	}
	for _, content := range contents {
		if arrives, ok := selective.Carried(content); ok {
			kept = append(kept, arrives.(C))
		}
	}
	return kept
}

// mediaPerson is a person of the harness, if they know more than text.
func mediaPerson(t *testing.T, h Harness) MediaPerson {
	t.Helper()
	person, ok := h.Person(t).(MediaPerson)
	if !ok {
		t.Skip("this network carries text alone")
	}
	return person
}

// file makes media whose bytes follow from its size.
func file(media network.Media, size int64) network.Media {
	media.Size = size
	media.Open = func(context.Context) (io.ReadCloser, error) {
		noise := rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)})
		return io.NopCloser(io.LimitReader(noise, size)), nil
	}
	return media
}

// files are one of each kind, with what each kind can say.
func files() []network.Media {
	thumbnail := []byte("\xff\xd8 a small picture \xff\xd9")
	return []network.Media{
		file(network.Media{Kind: network.Image, MIME: "image/jpeg", Caption: "a *picture* 👍", Width: 160, Height: 120, Thumbnail: thumbnail}, 150_001),
		file(network.Media{Kind: network.Image, MIME: "image/png"}, 16),
		file(network.Media{
			Kind: network.Video, MIME: "video/mp4", Caption: "a film", Width: 640, Height: 480, Duration: 3 * time.Second, Thumbnail: thumbnail,
		}, 1_000_003),
		file(network.Media{Kind: network.GIF, MIME: "video/mp4", Width: 64, Height: 48, Duration: time.Second}, 70_000),
		file(network.Media{Kind: network.VideoNote, MIME: "video/mp4", Width: 400, Height: 400, Duration: 5 * time.Second}, 65_536),
		file(network.Media{Kind: network.Audio, MIME: "audio/mpeg", Duration: 200 * time.Second}, 65_535),
		file(network.Media{
			Kind: network.Voice, MIME: "audio/ogg; codecs=opus", Duration: 4 * time.Second, Waveform: []byte{0, 50, 100, 7},
		}, 12_345),
		file(network.Media{Kind: network.Sticker, MIME: "image/webp", Width: 96, Height: 96}, 4_321),
		file(network.Media{Kind: network.Document, MIME: "application/pdf", FileName: "bill 7.pdf", Caption: "the bill"}, 1),
	}
}

// requireSame compares two files: what is said of them, and their bytes.
func requireSame(t *testing.T, want, got network.Media) {
	t.Helper()
	bytesOf := func(media network.Media) []byte {
		reader, err := media.Open(patient(t))
		require.NoError(t, err)
		defer reader.Close()
		content, err := io.ReadAll(reader)
		require.NoError(t, err)
		return content
	}
	require.True(t, bytes.Equal(bytesOf(want), bytesOf(got)), "the bytes of %s", want.Kind)
	require.True(t, bytes.Equal(bytesOf(want), bytesOf(got)), "the bytes of %s, opened again", want.Kind)
	want.Open, want.Reference, got.Open, got.Reference = nil, nil, nil, nil
	require.Equal(t, want, got)
}

func mediaFromPerson(t *testing.T, h Harness) {
	r, person := newRecorder(t), mediaPerson(t, h)
	login := connected(t, h, r)
	source, reopens := login.Client().(network.MediaSource)
	for i, want := range carried(person, files()) {
		id, err := person.SendMedia(login.Client().Self(), want)
		require.NoError(t, err)
		message := r.messages(i + 1)[i].Message
		require.Equal(t, network.MessageID{Conversation: person.Address(), Sender: person.Address(), ID: id}, message.ID)
		got, ok := message.Content.(network.Media)
		require.True(t, ok, "%T", message.Content)
		requireSame(t, want, got)
		if reopens {
			got.Open = func(ctx context.Context) (io.ReadCloser, error) { return source.OpenMedia(ctx, got.Reference) }
			requireSame(t, want, got)
		}
	}
}

func mediaToPerson(t *testing.T, h Harness) {
	r, person := newRecorder(t), mediaPerson(t, h)
	login := connected(t, h, r)
	for _, want := range carried(person, files()) {
		message := text(login, person, string(want.Kind)+want.MIME, "")
		message.Content = want
		_, err := login.Client().Send(patient(t), message)
		require.NoError(t, err)
		heard, err := person.Hears(patient(t))
		require.NoError(t, err)
		require.Equal(t, message.ID.ID, heard.ID)
		require.NotNil(t, heard.Media, "%s", want.Kind)
		requireSame(t, want, *heard.Media)
	}
	r.receipt(login.Client().NewMessageID([]byte("documentapplication/pdf")), network.Delivered)
}

func reactions(t *testing.T, h Harness) {
	r, person := newRecorder(t), mediaPerson(t, h)
	login := connected(t, h, r)
	self := login.Client().Self()
	ours := send(t, login, person, "ours", "hello")
	heard, err := person.Hears(patient(t))
	require.NoError(t, err)
	said, err := person.Say(self, "hello to you")
	require.NoError(t, err)
	r.messages(1)
	theirs := network.MessageID{Conversation: person.Address(), Sender: person.Address(), ID: said}

	id, err := person.React(heard, "👍")
	require.NoError(t, err)
	_, err = person.React(heard, "")
	require.NoError(t, err)
	_, err = person.ReactToOwn(self, said, "🎉")
	require.NoError(t, err)
	got := r.messages(4)[1:]
	require.Equal(t, network.Reaction{Target: ours.ID, Emoji: "👍"}, got[0].Message.Content)
	require.Equal(t, id, got[0].Message.ID.ID, "a reaction is a message of its own")
	require.Equal(t, network.Reaction{Target: ours.ID}, got[1].Message.Content)
	require.Equal(t, network.Reaction{Target: theirs, Emoji: "🎉"}, got[2].Message.Content)

	for i, want := range []network.Reaction{{Target: theirs, Emoji: "❤️"}, {Target: theirs}, {Target: ours.ID, Emoji: "👀"}} {
		message := text(login, person, "reaction "+string(rune('a'+i)), "")
		message.Content = want
		_, err = login.Client().Send(patient(t), message)
		require.NoError(t, err)
		heard, err = person.Hears(patient(t))
		require.NoError(t, err)
		require.Equal(t, &HeardReaction{To: want.Target.ID, Own: want.Target == ours.ID, Emoji: want.Emoji}, heard.Reaction)
	}
}

func linkPreviews(t *testing.T, h Harness) {
	r, person := newRecorder(t), mediaPerson(t, h)
	login := connected(t, h, r)
	want := network.Text{Body: "see https://example.eu/a", Preview: &network.LinkPreview{
		URL: "https://example.eu/a?b", Matched: "https://example.eu/a", Title: "Example", Description: "A page", Thumbnail: []byte("\xff\xd8 small"),
	}}
	want = carried(person, []network.Text{want})[0]
	_, err := person.SendText(login.Client().Self(), want)
	require.NoError(t, err)
	require.Equal(t, want, r.messages(1)[0].Message.Content)

	message := text(login, person, "preview", "")
	message.Content = want
	_, err = login.Client().Send(patient(t), message)
	require.NoError(t, err)
	heard, err := person.Hears(patient(t))
	require.NoError(t, err)
	require.Equal(t, want, network.Text{Body: heard.Text, Preview: heard.Preview})
}

// editsAndRemovals reach the far end both ways, or are refused before anything is sent.
func editsAndRemovals(t *testing.T, h Harness) {
	r, person := newRecorder(t), mediaPerson(t, h)
	login := connected(t, h, r)
	ours := send(t, login, person, "ours", "helo")
	heard, err := person.Hears(patient(t))
	require.NoError(t, err)
	said, err := person.Say(login.Client().Self(), "helo to you")
	require.NoError(t, err)
	r.messages(1)
	theirs := network.MessageID{Conversation: person.Address(), Sender: person.Address(), ID: said}

	edit, removal := text(login, person, "edit", ""), text(login, person, "removal", "")
	edit.Content = network.Edit{Target: ours.ID, Content: network.Text{Body: "hello"}}
	removal.Content = network.Remove{Target: ours.ID}
	if len(carried(person, []network.Content{edit.Content, removal.Content})) == 0 {
		for _, message := range []network.Message{edit, removal} {
			_, err = login.Client().Send(patient(t), message)
			require.ErrorIs(t, err, network.ErrUnsupported)
		}
		return
	}
	_, err = login.Client().Send(patient(t), edit)
	require.NoError(t, err)
	_, err = login.Client().Send(patient(t), removal)
	require.NoError(t, err)
	self := login.Client().Self()
	for _, want := range []Heard{{From: self, ID: edit.ID.ID, Text: "hello", Edited: heard.ID}, {From: self, ID: removal.ID.ID, Removed: heard.ID}} {
		heard, err := person.Hears(patient(t))
		require.NoError(t, err)
		require.Equal(t, want, heard)
	}
	for _, others := range []network.Content{network.Edit{Target: theirs, Content: network.Text{Body: "hm"}}, network.Remove{Target: theirs}} {
		message := text(login, person, "others", "")
		message.Content = others
		_, err = login.Client().Send(patient(t), message)
		require.ErrorIs(t, err, network.ErrUnsupported, "only its sender changes a message")
	}

	_, err = person.Edit(self, said, "hello to you")
	require.NoError(t, err)
	_, err = person.Unsend(self, said)
	require.NoError(t, err)
	got := r.messages(3)[1:]
	require.Equal(t, network.Edit{Target: theirs, Content: network.Text{Body: "hello to you"}}, got[0].Message.Content)
	require.Equal(t, network.Remove{Target: theirs}, got[1].Message.Content)
}

package whatsapp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"causeway/network"
	"causeway/simulator/meta"
	"causeway/wire/wiretest"
)

// holding makes media of some bytes.
func holding(media network.Media, content string) network.Media {
	media.Open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
	return media
}

func picture(content string) network.Media {
	return holding(network.Media{Kind: network.Image, MIME: "image/png"}, content)
}

// file waits for a message with a file.
func (e *events) file(t *testing.T, id string) network.Media {
	t.Helper()
	event := e.await(t, "a file", func(event network.Event) bool {
		message, ok := event.(network.MessageEvent)
		return ok && message.Message.ID.ID == id
	})
	return event.(network.MessageEvent).Message.Content.(network.Media)
}

func readAll(t *testing.T, media network.Media) ([]byte, error) {
	reader, err := media.Open(patient(t))
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return io.ReadAll(reader)
}

// What is wrong with the bytes is found when they are read, and by then the message was taken.
func TestBrokenFiles(t *testing.T) {
	l, told, bob := meet(t)
	for _, how := range []meta.Misbehaviour{meta.BadHash, meta.BadEncHash, meta.BadMAC, meta.TruncatedMedia} {
		id, err := bob.SendMediaLike(l.client.Self(), picture(strings.Repeat("bytes", 50_000)), how)
		require.NoError(t, err)
		_, err = readAll(t, told.file(t, id))
		require.ErrorIs(t, err, network.ErrMediaBroken, how)
		require.NoError(t, bob.WaitReceipt(patient(t), id, network.Delivered))
	}
}

// What is wrong with the message is refused with 491, shown as something unknown, and not confirmed.
func TestFilesOutsideTheSchema(t *testing.T) {
	l, told, bob := meet(t)
	for _, how := range []meta.Misbehaviour{meta.NoMediaKey, meta.ShortMediaKey, meta.BadMIME, meta.UnknownField, meta.LongWaveform} {
		voice := holding(network.Media{Kind: network.Voice, MIME: "audio/ogg; codecs=opus"}, "bytes")
		id, err := bob.SendMediaLike(l.client.Self(), voice, how)
		require.NoError(t, err)
		told.unread(t, id)
		require.Eventually(t, func() bool {
			return slices.ContainsFunc(simulated.Net.Refusals(), func(r meta.Refusal) bool { return r.ID == id && r.Code == 491 })
		}, patience, 10*time.Millisecond, how)
		require.False(t, slices.ContainsFunc(bob.Receipts(), func(r meta.Receipt) bool { return r.ID == id }), how)
	}
}

func TestMediaHostsInTrouble(t *testing.T) {
	l, told, bob := meet(t)
	id, err := bob.SendMedia(l.client.Self(), picture("bytes"))
	require.NoError(t, err)
	file := told.file(t, id)
	for _, status := range []string{"401", "503", "truncated", "garbage"} { // the second host has it
		fault := simulated.Net.Fault(meta.Fault{Kind: meta.FaultMediaHost, Params: map[string]string{"status": status}})
		content, err := readAll(t, file)
		require.NoError(t, err, status)
		require.Equal(t, "bytes", string(content))
		require.Equal(t, 1, fault.Struck())
	}
	for status, want := range map[string]error{
		"403": network.ErrMediaGone, "404": network.ErrMediaGone, "410": network.ErrMediaGone,
		"401": network.ErrTemporary, "500": network.ErrTemporary, "garbage": network.ErrMediaBroken,
	} {
		fault := simulated.Net.Fault(meta.Fault{Kind: meta.FaultMediaHost, Count: -1, Params: map[string]string{"status": status}})
		_, err := readAll(t, file)
		require.ErrorIs(t, err, want, status)
		fault.Remove()
	}
	slow := simulated.Net.Fault(meta.Fault{Kind: meta.FaultMediaHost, Params: map[string]string{"status": "slow"}})
	content, err := readAll(t, file)
	require.NoError(t, err)
	require.Equal(t, "bytes", string(content))
	require.Equal(t, 1, slow.Struck())
	_, err = l.client.OpenMedia(patient(t), []byte("not a reference"))
	require.ErrorIs(t, err, network.ErrMediaGone)
}

// A file that came in can be opened by the next process from what was kept of it.
func TestFileAfterRestart(t *testing.T) {
	l, told, bob := meet(t)
	id, err := bob.SendMedia(l.client.Self(), picture("bytes"))
	require.NoError(t, err)
	reference := bytes.Clone(told.file(t, id).Reference)
	l.client.Disconnect()
	second := &events{changed: make(chan struct{})}
	l = again(t, l, second.handle)
	_, err = l.client.OpenMedia(patient(t), reference)
	require.ErrorIs(t, err, network.ErrNotConnected)
	require.NoError(t, l.client.Connect(t.Context()))
	t.Cleanup(l.client.Disconnect)
	second.state(t, network.Connected)
	reader, err := l.client.OpenMedia(patient(t), reference)
	require.NoError(t, err)
	defer reader.Close()
	content, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Equal(t, "bytes", string(content))
}

// share sends a file to a person.
func share(t *testing.T, client *Interop, to wiretest.Person, media network.Media) error {
	_, err := client.Send(patient(t), network.Message{
		ID:      network.MessageID{Conversation: to.Address(), Sender: client.Self(), ID: client.NewMessageID([]byte(t.Name()))},
		Content: media,
	})
	return err
}

func TestFilesThatAreNotSent(t *testing.T) {
	l, _, bob := meet(t)
	broken := errors.New("the homeserver went away")
	failing := network.Media{Kind: network.Image, MIME: "image/png"}
	failing.Open = func(context.Context) (io.ReadCloser, error) { return nil, broken }
	require.ErrorIs(t, share(t, l.client, bob, failing), broken)
	failing.Open = func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("some"), failingReader{broken})), nil
	}
	require.ErrorIs(t, share(t, l.client, bob, failing), broken)

	sticker := picture("bytes")
	sticker.MIME = "image/webp"
	sticker.Open = func(context.Context) (io.ReadCloser, error) { t.Error("opened in vain"); return nil, broken }
	require.ErrorIs(t, share(t, l.client, bob, sticker), network.ErrUnsupported)
	large := picture(strings.Repeat("large", 4<<20))
	require.ErrorIs(t, share(t, l.client, bob, large), network.ErrTooLarge, "what is declared is not believed")

	cfg := l.Config
	cfg.Upload = nil
	require.ErrorIs(t, share(t, NewInterop(cfg), bob, picture("bytes")), network.ErrUnsupported)
	cfg.Upload = func(context.Context, io.Reader, int64, [32]byte) (string, error) {
		t.Error("uploaded in vain")
		return "", nil
	}
	require.ErrorIs(t, share(t, NewInterop(cfg), bob, picture("bytes")), network.ErrNotConnected)
	require.Empty(t, bob.Heard())
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

func TestUploadThatFails(t *testing.T) {
	full := errors.New("disk full")
	told := &events{changed: make(chan struct{})}
	l := enlisted(t, told.handle)
	cfg := l.Config
	cfg.Upload = func(context.Context, io.Reader, int64, [32]byte) (string, error) { return "", full }
	client := NewInterop(cfg)
	require.NoError(t, client.Connect(t.Context()))
	t.Cleanup(client.Disconnect)
	told.state(t, network.Connected)
	require.ErrorIs(t, share(t, client, simulated.Person(t).(wiretest.Person), picture("bytes")), full)
}

// TestLargeFileInLittleMemory sends 100 MB and looks at the heap when all of it has passed.
func TestLargeFileInLittleMemory(t *testing.T) {
	const size, allowed = 100_000_000, 32 << 20
	told := &events{changed: make(chan struct{})}
	l := enlisted(t, told.handle)
	cfg := l.Config
	hosted := int64(0)
	cfg.Upload = func(_ context.Context, ciphertext io.Reader, _ int64, _ [32]byte) (_ string, err error) {
		hosted, err = io.Copy(io.Discard, ciphertext)
		return "/i/12/nowhere?oe=1", err
	}
	client := NewInterop(cfg)
	require.NoError(t, client.Connect(t.Context()))
	t.Cleanup(client.Disconnect)
	told.state(t, network.Connected)
	video := network.Media{Kind: network.Video, MIME: "video/mp4"}
	video.Open = func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(rand.NewChaCha8([32]byte{}), size)), nil
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, share(t, client, simulated.Person(t).(wiretest.Person), video))
	runtime.ReadMemStats(&after)
	require.Greater(t, hosted, int64(size))
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(allowed), "of all that was ever taken, not of what is left")
}

// An answer to an image carries its quote, whichever side answers.
func TestQuotesThroughTheNetwork(t *testing.T) {
	l, told, bob := meet(t)
	asked, err := write(l, bob, "what does it look like?")
	require.NoError(t, err)
	heard, err := bob.Person.Hears(patient(t))
	require.NoError(t, err)
	id, err := bob.Person.SendMedia(heard.From, meta.Media{Kind: meta.Image, Bytes: []byte("bytes"), ReplyTo: &heard})
	require.NoError(t, err)
	event := told.await(t, "the image", func(event network.Event) bool {
		message, ok := event.(network.MessageEvent)
		return ok && message.Message.ID.ID == id
	}).(network.MessageEvent)
	require.Equal(t, &asked.ID, event.Message.ReplyTo)

	back := network.Message{
		ID:      network.MessageID{Conversation: bob.Address(), Sender: l.client.Self(), ID: l.client.NewMessageID([]byte("back"))},
		Content: picture("mine"), ReplyTo: &event.Message.ID,
	}
	_, err = l.client.Send(patient(t), back)
	require.NoError(t, err)
	heard, err = bob.Person.Hears(patient(t))
	require.NoError(t, err)
	require.Equal(t, id, heard.ReplyTo)
	require.Equal(t, bob.LID(), heard.ReplyFrom)
}

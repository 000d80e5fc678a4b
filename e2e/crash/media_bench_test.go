package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/stage"
	"causeway/simulator/homeserver"
	"causeway/simulator/meta"
)

// mixedFile is a kind of file of the mix, and how many of twenty messages are one.
type mixedFile struct {
	share   int
	kind    meta.MediaKind
	msgType string
	mime    string
	bytes   []byte
}

// mixed is what people send each other: of twenty messages fourteen are text, three pictures, two voice messages
// and one a document.
func mixed() []mixedFile {
	return []mixedFile{
		{3, meta.Image, "m.image", "image/jpeg", photo(1)},
		{2, meta.Voice, "m.audio", "audio/ogg; codecs=opus", meta.SampleFile("audio/ogg; codecs=opus", 30<<10, 1)},
		{1, meta.Document, "m.file", "application/pdf", append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte("words "), 80<<10)...)},
	}
}

// ofMix is the file of the i-th message, nil for a text. Files are spread evenly.
func ofMix(files []mixedFile, i int) *mixedFile {
	place := i * 7 % 20
	for k := range files {
		if place < files[k].share {
			return &files[k]
		}
		place -= files[k].share
	}
	return nil
}

// BenchmarkMix compares a mix of texts and files with texts alone, in turns. "ratio" is the throughput of the
// mix, as a part of that of texts. A file is there when its bytes are: the phone fetches them, the room's come from the homeserver.
func BenchmarkMix(b *testing.B) {
	binary := filepath.Join(b.TempDir(), "causeway")
	require.NoError(b, stage.Build(b.Context(), binary, false))
	w := openBench(b, binary, "")
	files := mixed()
	for _, c := range w.chats {
		c.person.OnMessage(func(_ *meta.Person, heard meta.Heard) {
			if heard.Media != nil {
				if _, err := heard.Media.Bytes(); err != nil {
					b.Errorf("a file did not reach the phone: %v", err)
				}
			}
		})
	}
	for name, send := range map[string]struct{ texts, mix func(*bench, *testing.B, int) }{
		"to=matrix":  {(*bench).toMatrix, func(w *bench, b *testing.B, n int) { w.mixToMatrix(b, n, files) }},
		"to=network": {(*bench).toNetwork, func(w *bench, b *testing.B, n int) { w.mixToNetwork(b, n, files) }},
	} {
		b.Run(name, func(b *testing.B) {
			var mix, texts spent
			b.ResetTimer()
			for left := b.N; left > 0; left -= benchSlice {
				slice := min(left, benchSlice)
				mix.add(w.take(b, func() { send.mix(w, b, slice) }))
				b.StopTimer()
				texts.add(w.take(b, func() { send.texts(w, b, slice) }))
				b.StartTimer()
			}
			b.StopTimer()
			n := float64(b.N)
			b.ReportMetric(n/mix.wall.Seconds(), "msg/s")
			b.ReportMetric(texts.wall.Seconds()/mix.wall.Seconds(), "ratio")
			b.ReportMetric(float64(mix.bridge.Microseconds())/n, "bridge-µs/msg")
			b.ReportMetric(float64(texts.bridge.Microseconds())/n, "text-µs/msg")
			b.ReportMetric(float64(mix.world.Microseconds())/n, "world-µs/msg")
			b.ReportMetric(w.resident(b), "rss-MiB")
		})
	}
}

func (w *bench) mixToMatrix(b *testing.B, messages int, files []mixedFile) {
	w.send(b, messages, &w.shown, func(i int) error {
		person, file := w.chats[i%benchChats].person, ofMix(files, i)
		if file == nil {
			_, err := person.Say(w.users[0].jid, "message "+strconv.Itoa(i))
			return err
		}
		_, err := person.SendMedia(w.users[0].jid, meta.Media{Kind: file.kind, MIME: file.mime, Bytes: file.bytes, FileName: "paper.pdf",
			Width: 48, Height: 32, Duration: time.Second})
		return err
	})
}

func (w *bench) mixToNetwork(b *testing.B, messages int, files []mixedFile) {
	w.send(b, messages, &w.heard, func(i int) error {
		c, file := w.chats[i%benchChats], ofMix(files, i)
		if file == nil {
			_, err := w.hs.Send(c.room, c.user.id, "m.room.message", map[string]string{"msgtype": "m.text", "body": "message " + strconv.Itoa(i)})
			return err
		}
		return w.sendFile(b.Context(), c, file)
	})
}

// sendFile uploads a file and sends it, as a client does.
func (w *bench) sendFile(ctx context.Context, c *chat, file *mixedFile) error {
	client, err := mautrix.NewClient(w.hs.URL(), id.UserID(c.user.id), c.user.token)
	if err != nil {
		return err
	}
	uploaded, err := client.UploadBytes(ctx, file.bytes, file.mime)
	if err != nil {
		return err
	}
	content := map[string]any{"msgtype": file.msgType, "body": "a file", "url": uploaded.ContentURI,
		"info": map[string]any{"mimetype": file.mime, "size": len(file.bytes), "w": 48, "h": 32, "duration": 1000}}
	if file.kind == meta.Voice {
		content["org.matrix.msc3245.voice"] = map[string]any{}
		content["org.matrix.msc1767.audio"] = map[string]any{"duration": 1000, "waveform": []int{0, 512, 1024}} // as clients record it
	}
	_, err = w.hs.Send(c.room, c.user.id, "m.room.message", content)
	return err
}

const (
	largeFile = 100_000_000
	// largeAllowed is by how much the bridge may grow while a large file passes.
	largeAllowed = 48 << 20
	largeLimit   = 4 * time.Minute
)

// A large file passes the bridge in either direction without being in its memory: what it keeps of it at a time is buffers.
func TestLargeFilePassesInLittleMemory(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), largeLimit)
	defer cancel()
	binary := filepath.Join(t.TempDir(), "causeway")
	require.NoError(t, stage.Build(ctx, binary, false))
	w, err := open(ctx, Options{Binary: binary, Dir: t.TempDir(), Profile: meta.Calm, Users: 1, People: 1, Seed: 1}.withDefaults())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.close()) })
	process, err := w.stage.Bridge.Launch()
	require.NoError(t, err)
	t.Cleanup(func() { _ = process.Stop(stopLimit) })
	require.NoError(t, w.settle(ctx, &life{process: process}))
	c, film := w.chats[0], meta.SampleFile("video/mp4", largeFile, 1)

	peak := func(pass func()) (before, most int64) {
		before = status(t, process.PID(), "VmRSS")
		// 5 begins the peak anew (proc(5), clear_refs)
		require.NoError(t, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", process.PID()), []byte("5"), 0))
		pass()
		return before, status(t, process.PID(), "VmHWM")
	}
	before, most := peak(func() {
		_, err := c.person.SendMedia(c.user.jid, meta.Media{Kind: meta.Video, Bytes: film, MIME: "video/mp4", Caption: "to matrix"})
		require.NoError(t, err)
		event, err := w.hs.Await(ctx, 0, func(event homeserver.Event) bool {
			return event.Type == "m.room.message" && strings.Contains(string(event.Content), "m.video")
		})
		require.NoError(t, err, process.Tail())
		var content struct{ URL string }
		require.NoError(t, json.Unmarshal(event.Content, &content))
		require.True(t, bytes.Equal(film, w.hs.Media(content.URL)), "the bytes are others")
	})
	t.Logf("to Matrix: %d MB pass, memory %d MiB before and %d MiB at most", largeFile/1_000_000, before>>20, most>>20)
	require.Less(t, most-before, int64(largeAllowed))

	before, most = peak(func() {
		bench := &bench{world: w, process: process}
		require.NoError(t, bench.sendFile(ctx, c, &mixedFile{kind: meta.Video, msgType: "m.video", mime: "video/mp4", bytes: film}))
		heard, err := c.person.Hears(ctx)
		require.NoError(t, err, process.Tail())
		require.NotNil(t, heard.Media)
		data, err := heard.Media.Bytes()
		require.NoError(t, err)
		require.True(t, bytes.Equal(film, data), "the bytes are others")
	})
	t.Logf("to the network: %d MB pass, memory %d MiB before and %d MiB at most", largeFile/1_000_000, before>>20, most>>20)
	require.Less(t, most-before, int64(largeAllowed))
}

// status is a figure of a process in bytes.
func status(t *testing.T, pid int, name string) int64 {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("this system does not tell about processes: %v", err)
	}
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			kilobytes, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			require.NoError(t, err)
			return kilobytes << 10
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

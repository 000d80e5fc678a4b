package meta

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types/events"
)

func TestFileCrypto(t *testing.T) {
	for _, size := range []int{0, 1, 15, 16, 17, 100_000} {
		plain := SampleFile("application/octet-stream", size, int64(size))
		file, err := sealFile(plain, "image")
		require.NoError(t, err)
		opened, err := openFile(file, "image")
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, opened))
		for name, spoil := range map[string]func(*sealedFile){
			"hash of the file":       func(f *sealedFile) { f.plainSum = make([]byte, 32) },
			"hash of the ciphertext": func(f *sealedFile) { f.encSum = make([]byte, 32) },
			"MAC": func(f *sealedFile) {
				f.blob = bytes.Clone(f.blob)
				f.blob[len(f.blob)-1] ^= 1
				f.encSum = sumOf(f.blob)
			},
			"a ciphertext of": func(f *sealedFile) { f.blob = f.blob[1:]; f.encSum = sumOf(f.blob) },
		} {
			bad := file
			spoil(&bad)
			_, err := openFile(bad, "image")
			require.ErrorIs(t, err, errMedia)
			require.ErrorContains(t, err, name)
		}
		_, err = openFile(file, "video")
		require.ErrorIs(t, err, errMedia, "each class has keys of its own")
	}
	_, err := sealFile(nil, "sticker")
	require.ErrorIs(t, err, errMedia)
}

func TestSampleFiles(t *testing.T) {
	for mime, format := range map[string]string{"image/jpeg": "jpeg", "image/png": "png"} {
		_, got, err := image.Decode(bytes.NewReader(SampleFile(mime, 100_000, 7)))
		require.NoError(t, err)
		require.Equal(t, format, got)
	}
	for _, mime := range []string{"image/jpeg", "video/mp4", "audio/ogg; codecs=opus", "text/plain"} {
		require.Len(t, SampleFile(mime, 123_456, 7), 123_456)
		require.Equal(t, SampleFile(mime, 5000, 7), SampleFile(mime, 5000, 7))
		require.NotEqual(t, SampleFile(mime, 5000, 7), SampleFile(mime, 5000, 8))
	}
}

// get asks a network's media host for a path.
func get(t *testing.T, n *Network, path string, header http.Header) (int, []byte, http.Header) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+n.ChatAddr()+path, nil)
	require.NoError(t, err)
	request.Header = header
	response, err := loopbackClient(patience).Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body) // broken off, in one case
	return response.StatusCode, body, response.Header
}

func TestMediaHost(t *testing.T) {
	n := Start(t, Profile(Calm))
	file := SampleFile("", 1000, 1)
	path := n.PutMedia(file)
	status, body, header := get(t, n, path+"&hash=x&mms-type=image&__wa-mms=", nil)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, file, body)
	require.Equal(t, "bytes", header.Get("Accept-Ranges"))
	status, body, _ = get(t, n, path, http.Header{"Range": {"bytes=990-"}})
	require.Equal(t, http.StatusPartialContent, status)
	require.Equal(t, file[990:], body)
	status, _, _ = get(t, n, path, http.Header{"Range": {"bytes=5000-"}})
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, status)
	for _, wrong := range []string{"/mms/nothing?oe=7fffffff", strings.Replace(path, "oe=", "eo=", 1)} {
		status, _, _ = get(t, n, wrong, nil)
		require.Equal(t, http.StatusNotFound, status)
	}
	n.Fault(Fault{Kind: FaultMediaHost, Params: map[string]string{"status": "403"}})
	n.Fault(Fault{Kind: FaultMediaHost, Params: map[string]string{"status": "garbage"}})
	n.Fault(Fault{Kind: FaultMediaHost, Params: map[string]string{"status": "truncated"}})
	n.Fault(Fault{Kind: FaultMediaHost})
	status, _, _ = get(t, n, path, nil)
	require.Equal(t, http.StatusForbidden, status)
	_, body, _ = get(t, n, path, nil)
	require.Len(t, body, len(file))
	require.NotEqual(t, file, body)
	_, body, _ = get(t, n, path, nil)
	require.Equal(t, file[:500], body)
	status, _, _ = get(t, n, path, nil)
	require.Equal(t, http.StatusServiceUnavailable, status)
	n.SetClockOffset(mediaLife + time.Hour)
	status, _, _ = get(t, n, path, nil)
	require.Equal(t, http.StatusGone, status)
	n.ForgetMedia()
	status, _, _ = get(t, n, path, nil)
	require.Equal(t, http.StatusNotFound, status)
}

func TestMediaHostsAreTold(t *testing.T) {
	w := newWorld(t)
	anna := w.enlisted("anna").online()
	answer := anna.request("set", "w:m", binary.Node{Tag: "media_conn"})
	list := childOf(answer, "media_conn")
	hosts := list.GetChildren()
	require.Len(t, hosts, 2)
	require.Equal(t, w.ChatAddr(), hosts[0].Attrs["hostname"])
}

// Where one media host is busy, phones go to the other.
func TestPhonesAskTheOtherHost(t *testing.T) {
	w := newWorld(t, Profile(Faults))
	busy := 0
	for i := range 300 {
		path := w.PutMedia([]byte(fmt.Sprint(i)))
		if _, err := w.downloadFrom("http://"+w.ChatAddr()+path, "image"); errors.Is(err, ErrMediaBusy) {
			busy++
		}
		blob, err := w.download(path, "image", nil)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), string(blob))
	}
	require.Positive(t, busy)
}

// everyKind is a file of each kind, with all that the kind can say.
func everyKind() []Media {
	thumbnail := SampleFile("image/jpeg", 0, 3)
	return []Media{
		{Kind: Image, Caption: "a *picture*", Width: 160, Height: 120, Thumbnail: thumbnail},
		{Kind: Image, MIME: "image/png"},
		{Kind: Video, Caption: "a film", Width: 640, Height: 480, Duration: 3 * time.Second, Thumbnail: thumbnail},
		{Kind: GIF, Width: 64, Height: 48, Duration: time.Second},
		{Kind: PTV, Width: 400, Height: 400, Duration: 5 * time.Second},
		{Kind: Audio, Duration: 200 * time.Second},
		{Kind: Voice, Duration: 4 * time.Second, Waveform: []byte{0, 50, 99}},
		{Kind: Document, MIME: "application/pdf", FileName: "bill.pdf", Caption: "the bill"},
	}
}

// TestPhoneSendsMedia has the library that the bridge builds on open what phones send.
func TestPhoneSendsMedia(t *testing.T) {
	w := newWorld(t, Profile(Timing))
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna")
	client, got := anna.library(t)
	client.SetMediaHTTPClient(plainly(w.ChatAddr()))
	require.NoError(t, client.Connect())
	defer client.Disconnect()
	for i, m := range everyKind() {
		form, err := m.Kind.form()
		require.NoError(t, err)
		m.Bytes = SampleFile(orElse(m.MIME, form.mime), 10_000+i, int64(i))
		id, err := bob.SendMedia(anna.text(), m)
		require.NoError(t, err)
		message := awaitMessage(t, got, id)
		v := message.Message
		var file whatsmeow.DownloadableMessage
		for _, candidate := range []whatsmeow.DownloadableMessage{v.ImageMessage, v.VideoMessage, v.PtvMessage, v.AudioMessage, v.DocumentMessage} {
			if candidate.GetDirectPath() != "" {
				file = candidate
			}
		}
		plain, err := client.Download(t.Context(), file)
		require.NoError(t, err, m.Kind)
		require.True(t, bytes.Equal(m.Bytes, plain), m.Kind)
	}
}

// plainly is an HTTP client for which every address is one server without TLS.
func plainly(address string) *http.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DialTLSContext: dial}}
}

func awaitMessage(t *testing.T, got <-chan any, id string) *events.Message {
	t.Helper()
	ctx := within(t)
	for {
		select {
		case event := <-got:
			if message, ok := event.(*events.Message); ok && message.Info.ID == id {
				return message
			}
		case <-ctx.Done():
			require.FailNow(t, "the message did not come")
		}
	}
}

// TestPhoneShowsMedia sends a phone what it sends itself, through a second phone's eyes.
func TestPhoneShowsMedia(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	for i, m := range everyKind() {
		form, err := m.Kind.form()
		require.NoError(t, err)
		m.Bytes = SampleFile(orElse(m.MIME, form.mime), 5_000, int64(i))
		file, err := sealFile(m.Bytes, form.class)
		require.NoError(t, err)
		raw := interopMessage().encode(value{form.member: m.describe(form, file, w.PutMedia(file.blob))})
		v, content, err := decodeSubset(raw)
		require.NoError(t, err)
		shown := bob.showMedia("somebody", content, v)
		plain, err := shown.Bytes()
		require.NoError(t, err)
		require.True(t, bytes.Equal(m.Bytes, plain))
		require.Equal(t, []any{m.Kind, orElse(m.MIME, form.mime), m.Caption, m.FileName, int64(5000), m.Width, m.Height, m.Duration, m.Waveform, m.Thumbnail},
			[]any{shown.Kind, shown.MIME, shown.Caption, shown.FileName, shown.Size, shown.Width, shown.Height, shown.Duration, shown.Waveform, shown.Thumbnail})
	}
}

// TestPhoneHearsMore has a client send more than text, and looks at it with the phone and over the control plane.
func TestPhoneHearsMore(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	m, form := Media{Kind: Voice, Bytes: []byte("a voice"), Duration: 7 * time.Second}, mediaForm{"audioMessage", "audio", "audio/ogg; codecs=opus"}
	file, err := sealFile(m.Bytes, form.class)
	require.NoError(t, err)
	for i, content := range []value{
		{form.member: m.describe(form, file, w.PutMedia(file.blob))},
		{"reactionMessage": value{"key": value{"remoteJID": bob.LID(), "fromMe": uint64(1), "ID": "3EB0A0"}, "text": "👍"}},
		{"extendedTextMessage": value{"text": "see", "matchedText": "https://example.eu", "title": "Example"}},
	} {
		require.Nil(t, anna.deliver(anna.message(bob, fmt.Sprintf("3EB0A%d", i), interopMessage().encode(content))).Attrs["error"])
	}
	voice, err := bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, Voice, voice.Media.Kind)
	plain, err := voice.Media.Bytes()
	require.NoError(t, err)
	require.Equal(t, m.Bytes, plain)
	reaction, err := bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, &HeardReaction{TargetID: "3EB0A0", FromMe: true, Emoji: "👍"}, reaction.Reaction)
	preview, err := bob.Hears(within(t))
	require.NoError(t, err)
	require.Equal(t, &Preview{Matched: "https://example.eu", Title: "Example"}, preview.Preview)

	body := inboxOf(t, w.Network, "/admin/users/"+bob.LID()+"/inbox")
	require.Contains(t, body, `"media":{"kind":"voice","mime":"audio/ogg; codecs=opus","size":7,"seconds":7}`)
	require.Contains(t, body, `"reaction_to":"3EB0A0"`)
	require.Contains(t, body, `"preview_url":"https://example.eu","preview_title":"Example"`)
}

func inboxOf(t *testing.T, n *Network, path string) string {
	t.Helper()
	response, err := loopbackClient(patience).Get(n.AdminURL() + path)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

func TestPhoneFindsBadMedia(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	w.ExpectFinding("bad-media")
	w.ExpectFinding("bad-media-path")
	file, err := sealFile([]byte("a file"), "image")
	require.NoError(t, err)
	m, form := Media{Kind: Image, Bytes: []byte("a file")}, mediaForm{"imageMessage", "image", "image/jpeg"}
	show := func(change func(value)) error {
		body := m.describe(form, file, w.PutMedia(file.blob))
		change(body)
		_, err := bob.showMedia("somebody", "imageMessage", value{"imageMessage": body}).Bytes()
		return err
	}
	require.NoError(t, show(func(value) {}))
	require.ErrorIs(t, show(func(v value) { v.misbehave(BadHash) }), errMedia)
	require.ErrorIs(t, show(func(v value) { v.misbehave(BadEncHash) }), errMedia)
	require.ErrorIs(t, show(func(v value) { v["fileLength"] = uint64(5) }), errMedia)
	require.ErrorIs(t, show(func(v value) { v["directPath"] = "mms/x?" }), errMedia)
	require.ErrorIs(t, show(func(v value) { v["directPath"] = "/mms/x" }), errMedia)
	require.ErrorContains(t, show(func(v value) { v["directPath"] = "/mms/x?oe=7fffffff" }), "404")
	require.Len(t, w.Findings(), 4)
}

func TestMisbehaviourIsOutsideTheSubset(t *testing.T) {
	for _, how := range []Misbehaviour{NoMediaKey, ShortMediaKey, BadMIME, LongWaveform} {
		m := Media{Kind: Voice}
		form, err := m.Kind.form()
		require.NoError(t, err)
		body := m.describe(form, sealedFile{key: make([]byte, 32), plainSum: make([]byte, 32), encSum: make([]byte, 32)}, "/a?")
		_, _, err = decodeSubset(interopMessage().encode(value{form.member: body}))
		require.NoError(t, err)
		body.misbehave(how)
		_, _, err = decodeSubset(interopMessage().encode(value{form.member: body}))
		require.ErrorIs(t, err, errSubset, how)
	}
}

func FuzzSubsetEncode(f *testing.F) {
	f.Add(encodeText("hi"))
	f.Add(encodeReply("hi", "3EB0", "12-1@interop", "before"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := interopMessage().decode(data)
		if err != nil {
			return
		}
		again, err := interopMessage().decode(interopMessage().encode(v))
		require.NoError(t, err)
		require.Equal(t, v, again)
	})
}

func TestAdminSendsEveryKind(t *testing.T) {
	w := newWorld(t)
	bob := w.WhatsApp("+4915110000001", "Bob")
	require.NoError(t, bob.OptIn(testIntegrator))
	anna := w.enlisted("anna").online()
	for _, kind := range []string{"image", "video", "gif", "ptv", "voice", "audio", "document", "link_preview"} {
		call(t, w.Network, "/admin/users/"+bob.LID()+"/send", fmt.Sprintf(`{"kind":%q,"to":%q,"text":"see","url":"https://example.eu","size":2000}`, kind, anna.text()))
		anna.awaitTag("message")
	}
}

func call(t *testing.T, n *Network, path, body string) {
	t.Helper()
	response, err := loopbackClient(patience).Post(n.AdminURL()+path, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(answer))
}

func TestDirectPathsTellNothing(t *testing.T) {
	n := Start(t, Profile(Calm))
	file := []byte("the same file")
	require.NotEqual(t, n.PutMedia(file), n.PutMedia(file))
	require.NotContains(t, n.PutMedia(file), base64.RawURLEncoding.EncodeToString(sumOf(file)))
}

package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2"
	bridgedb "maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/convert"
	"causeway/delivery"
	"causeway/network"
	"causeway/portal"
	"causeway/puppet"
)

// taker is a network that keeps what it is sent, files with their bytes.
type taker struct {
	network.Client
	taken []network.Message
	bytes [][]byte
}

func (k *taker) Send(ctx context.Context, msg network.Message) (network.Sent, error) {
	var data []byte
	if media, ok := msg.Content.(network.Media); ok {
		in, err := media.Open(ctx)
		if err != nil {
			return network.Sent{}, err
		}
		if data, err = io.ReadAll(in); err != nil {
			return network.Sent{}, err
		}
	}
	k.taken, k.bytes = append(k.taken, msg), append(k.bytes, data)
	return network.Sent{Time: time.Unix(1700000000, 0)}, nil
}

// said is what the bot says in a room.
type said struct {
	*repository
	texts []string
}

func (s *said) SendMessage(
	_ context.Context, _ id.RoomID, _ event.Type, content *event.Content, _ *bridgev2.MatrixSendExtra,
) (*mautrix.RespSendEvent, error) {
	s.texts = append(s.texts, content.Parsed.(*event.MessageEventContent).Body)
	return &mautrix.RespSendEvent{}, nil
}

// sendingFiles is a login whose network takes everything.
func sendingFiles(t *testing.T, ffmpeg string) (*Client, *bridgev2.Portal, *repository, *taker) {
	t.Helper()
	homeserver := &repository{dir: t.TempDir()}
	far := &taker{}
	c := newClient(New(), &bridgev2.UserLogin{UserLogin: &bridgedb.UserLogin{ID: puppet.LoginID(self)}}, self, product{
		newID: func(seed []byte) string { return "id-of-" + string(seed) },
	})
	c.connector.converter, _ = convert.Find(ffmpeg) // what is missing, a test asks for
	c.connector.accept = func(ctx context.Context, out delivery.Outgoing) (network.MessageID, error) {
		out.Message.ID.ID = out.NewID([]byte(fmt.Sprint(out.Event.ID, "/", out.Part)))
		_, err := sender{far, c}.Send(ctx, out.Message)
		return out.Message.ID, err
	}
	room := &bridgev2.Portal{
		Portal: &bridgedb.Portal{PortalKey: portal.Key(anna, self)},
		Bridge: &bridgev2.Bridge{Bot: &said{repository: homeserver}},
	}
	c.connector.bridge = room.Bridge
	return c, room, homeserver, far
}

func fileMessage(room *bridgev2.Portal, content *event.MessageEventContent) *bridgev2.MatrixMessage {
	content.URL = "mxc://test/1"
	return &bridgev2.MatrixMessage{MatrixEventBase: bridgev2.MatrixEventBase[*event.MessageEventContent]{
		Event: &event.Event{ID: "$event", Type: event.EventMessage, Content: event.Content{Parsed: content}}, Content: content, Portal: room,
	}}
}

func TestFileIsSentAsItIs(t *testing.T) {
	c, room, homeserver, far := sendingFiles(t, "/nowhere/ffmpeg")
	homeserver.give = smallJPEG(t, 400)
	err := c.deliver(t.Context(), fileMessage(room, &event.MessageEventContent{
		MsgType: event.MsgImage, Body: "the sea", FileName: "a.jpg", Info: &event.FileInfo{MimeType: "image/png", Size: 3},
	}))
	require.NoError(t, err)
	require.Len(t, far.taken, 1)
	media := far.taken[0].Content.(network.Media)
	require.Equal(t, network.Image, media.Kind)
	require.Equal(t, "image/jpeg", media.MIME, "bytes count, not claims")
	require.EqualValues(t, len(homeserver.give), media.Size)
	require.Equal(t, []int{400, 400}, []int{media.Width, media.Height})
	require.Equal(t, "the sea", media.Caption)
	require.NotEmpty(t, media.Thumbnail, "pictures need no ffmpeg")
	require.Equal(t, homeserver.give, far.bytes[0])
	require.Equal(t, network.MessageID{Conversation: anna, Sender: self, ID: "id-of-$event/0"}, far.taken[0].ID)
}

func TestReplyGoesAheadOfAFile(t *testing.T) {
	c, room, homeserver, far := sendingFiles(t, "/nowhere/ffmpeg")
	homeserver.give = []byte("%PDF-1.4")
	quoted := network.MessageID{Conversation: anna, Sender: anna, ID: "Q"}
	msg := fileMessage(room, &event.MessageEventContent{MsgType: event.MsgFile, Body: "a.pdf"})
	msg.ReplyTo = &bridgedb.Message{ID: portal.MessageID(quoted), Room: room.PortalKey, SenderID: puppet.ID(anna)}
	err := c.deliver(t.Context(), msg)
	require.NoError(t, err)
	require.Len(t, far.taken, 2)
	require.Equal(t, network.Text{Body: textReplyAhead}, far.taken[0].Content)
	require.Equal(t, &quoted, far.taken[0].ReplyTo)
	require.Nil(t, far.taken[1].ReplyTo)
	require.NotEqual(t, far.taken[0].ID, far.taken[1].ID)

	err = c.deliver(t.Context(), msg)
	require.NoError(t, err)
	require.Equal(t, far.taken[0].ID, far.taken[2].ID, "the same event again is the same messages")
	require.Equal(t, far.taken[1].ID, far.taken[3].ID)
}

func animation(t *testing.T) []byte {
	frames := &gif.GIF{}
	for range 3 {
		frames.Image = append(frames.Image, image.NewPaletted(image.Rect(0, 0, 32, 32), color.Palette{color.Black, color.White}))
		frames.Delay = append(frames.Delay, 10)
	}
	var out bytes.Buffer
	require.NoError(t, gif.EncodeAll(&out, frames))
	return out.Bytes()
}

func TestFileIsConverted(t *testing.T) {
	c, room, homeserver, far := sendingFiles(t, "")
	if !c.connector.converter.Available() {
		t.Skip("ffmpeg is not installed")
	}
	homeserver.give = animation(t)
	err := c.deliver(t.Context(), fileMessage(room, &event.MessageEventContent{MsgType: event.MsgImage, Body: "a.gif"}))
	require.NoError(t, err)
	media := far.taken[0].Content.(network.Media)
	require.Equal(t, network.GIF, media.Kind)
	require.Equal(t, "video/mp4", media.MIME)
	require.Equal(t, "video/mp4", convert.Sniff(far.bytes[0]))
	require.EqualValues(t, len(far.bytes[0]), media.Size)
	require.NotEmpty(t, media.Thumbnail)
}

// A file that cannot be converted goes as a document, and the room says so.
func TestFileThatCannotBeConverted(t *testing.T) {
	for _, ffmpeg := range []string{"/nowhere/ffmpeg", ""} {
		c, room, homeserver, far := sendingFiles(t, ffmpeg)
		homeserver.give = append([]byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x10\x00\x00\x00\x1f\x00\x00\x1f\x00\x00"), make([]byte, 99)...)
		err := c.deliver(t.Context(), fileMessage(room, &event.MessageEventContent{MsgType: event.MsgImage, Body: "a.webp"}))
		require.NoError(t, err)
		media := far.taken[0].Content.(network.Media)
		require.Equal(t, network.Document, media.Kind)
		require.Equal(t, "a.webp", media.FileName)
		require.Equal(t, homeserver.give, far.bytes[0])
		require.Equal(t, []string{textSentAsDocument}, room.Bridge.Bot.(*said).texts)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	c, room, homeserver, far := sendingFiles(t, "/nowhere/ffmpeg")
	err := c.deliver(t.Context(), fileMessage(room, &event.MessageEventContent{MsgType: event.MsgFile, Body: "empty"}))
	require.ErrorIs(t, err, network.ErrUnsupported)
	msg := fileMessage(room, &event.MessageEventContent{MsgType: event.MsgFile, Body: "nowhere"})
	msg.Content.URL = ""
	err = c.deliver(t.Context(), msg)
	require.ErrorIs(t, err, network.ErrUnsupported)
	homeserver.refuse = errors.New("404")
	err = c.deliver(t.Context(), fileMessage(room, &event.MessageEventContent{MsgType: event.MsgFile, Body: "gone"}))
	require.ErrorIs(t, err, errNoDownload)
	require.Empty(t, far.taken)
}

// What the network's side cannot carry yet is told in words about files.
func TestUnsupportedFileReadsWell(t *testing.T) {
	status := statusOf(fmt.Errorf("failed to send: %w", network.ErrUnsupported), network.WhatsApp)
	require.Contains(t, status.Message, "cannot carry this")
}

func TestEditsOfOthersAreRefused(t *testing.T) {
	c, room, _, far := sendingFiles(t, "/nowhere/ffmpeg")
	room.MXID = ""
	theirs := network.MessageID{Conversation: anna, Sender: anna, ID: "A"}
	edit := &bridgev2.MatrixEdit{
		MatrixEventBase: bridgev2.MatrixEventBase[*event.MessageEventContent]{
			Event: &event.Event{ID: "$edit"}, Content: &event.MessageEventContent{MsgType: event.MsgText, Body: "other words"}, Portal: room,
		},
		EditTarget: &bridgedb.Message{ID: portal.MessageID(theirs), Room: room.PortalKey},
	}
	err := c.HandleMatrixEdit(t.Context(), edit)
	require.ErrorContains(t, err, errNotHere.Error())
	require.Empty(t, far.taken)
}

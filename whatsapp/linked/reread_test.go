package linked

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"causeway/network"
	"causeway/simulator/meta"
)

// What could not be shown is kept as it came, and a version that knows more reads it again, with or without a connection.
func TestRereading(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	kept := func(id string) network.Message {
		t.Helper()
		message := anna.hears(id).Message
		require.NotEmpty(t, message.Content.(network.Unsupported).Payload)
		require.Equal(t, message, anna.Reread(t.Context(), message), "this version still cannot")
		return message
	}
	id, err := bob.SendUnknown(anna.owner.LID())
	require.NoError(t, err)
	message := kept(id)

	quoted := mustJID(t, addressOf(t, bob)).String()
	payload, err := proto.Marshal(&waE2E.Message{EphemeralMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{
		ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("read at last"), ContextInfo: &waE2E.ContextInfo{
			StanzaID: proto.String("Q"), Participant: &quoted, IsForwarded: proto.Bool(true),
		}},
	}}})
	require.NoError(t, err)
	readable := message
	readable.Content = network.Unsupported{Type: unknownKind, Payload: payload}
	for _, connected := range []bool{true, false} {
		if !connected {
			anna.Disconnect()
		}
		again := anna.Reread(t.Context(), readable)
		require.Equal(t, network.Text{Body: "read at last"}, again.Content)
		require.Equal(t, message.ID, again.ID)
		require.Equal(t, message.Time, again.Time)
		require.True(t, again.Forwarded)
		require.Equal(t, &network.MessageID{Conversation: addressOf(t, bob), Sender: addressOf(t, bob), ID: "Q"}, again.ReplyTo)
	}
}

// Of stickers that are a script to draw nothing can be shown; they are kept.
func TestStickersThatAreDrawings(t *testing.T) {
	anna, bob := newDevice(t, "Anna"), person("Bob")
	id, err := bob.SendMedia(anna.owner.LID(), meta.Media{Kind: meta.Sticker, MIME: drawing, Bytes: []byte("PK\x03\x04 a drawing"), Animated: true})
	require.NoError(t, err)
	left := anna.hears(id).Message.Content.(network.Unsupported)
	require.Equal(t, "sticker that moves and cannot be drawn here", left.Type)
	require.Equal(t, onPhone, left.See)
	require.NotEmpty(t, left.Payload, "with the file's key")
}

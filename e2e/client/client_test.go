package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"causeway/e2e/client"
	"causeway/e2e/homeserver"
)

func open(ctx context.Context, t *testing.T, server *homeserver.Server, name string) *client.Client {
	t.Helper()
	matrix, err := server.Register(ctx, name, "a password")
	require.NoError(t, err)
	c, err := client.Open(ctx, matrix)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestTwoUsersTalk(t *testing.T) {
	homeserver.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := homeserver.Start(ctx, homeserver.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	alice, bob := open(ctx, t, server, "alice"), open(ctx, t, server, "bob")

	joined := make(chan error, 1)
	go func() { joined <- joinFirstInvite(ctx, bob) }()
	room, err := alice.DirectChat(ctx, bob.UserID())
	require.NoError(t, err)
	require.NoError(t, <-joined)
	require.True(t, room.MaySpeak())

	sent, err := room.Send(ctx, "hello")
	require.NoError(t, err)
	bobs := bob.Room(room.ID)
	line, err := bobs.WaitForLine(ctx, "the greeting", func(l client.Line) bool { return l.Body == "hello" })
	require.NoError(t, err)
	require.Equal(t, client.Line{
		ID: sent, Sender: alice.UserID(), Body: "hello", Time: line.Time,
		Content: event.MessageEventContent{MsgType: event.MsgText, Body: "hello"},
	}, line)

	require.NoError(t, bobs.Read(ctx, sent))
	require.NoError(t, alice.Wait(ctx, "the receipt", func() bool { return room.HasRead(bob.UserID(), sent) }))
	require.NoError(t, bobs.SetTyping(ctx, true))
	require.NoError(t, alice.Wait(ctx, "typing", func() bool { return room.IsTyping(bob.UserID()) }))
	require.NoError(t, bobs.SetTyping(ctx, false))
	require.NoError(t, alice.Wait(ctx, "the end of typing", func() bool { return !room.IsTyping(bob.UserID()) }))
}

func joinFirstInvite(ctx context.Context, c *client.Client) error {
	var room id.RoomID
	err := c.Wait(ctx, "an invitation", func() bool {
		if rooms := c.Rooms(); len(rooms) > 0 {
			room = rooms[0].ID
		}
		return room != ""
	})
	if err == nil {
		_, err = c.Matrix.JoinRoomByID(ctx, room)
	}
	return err
}
